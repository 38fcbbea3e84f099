//! Finding products by SKU, many at a time.

use crate::{Magento, search::Search, wire::product::Product};
use serde::de::DeserializeOwned;
use spindel_connect::{Api, CallError};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one action that go together.
pub(super) const MAX: usize = 100;
/// Rows of one call: a shop with input limits takes no more.
pub(super) const ROWS: usize = 20;
/// SKUs of one question; addresses have an end.
const SKUS: usize = 50;
const LONGEST: usize = 2000;

impl Magento {
    pub(super) async fn by_sku(
        &self,
        api: &Api,
        operation: &'static str,
        skus: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Product>, CallError> {
        let found: Vec<Product> =
            self.about(api, operation, "products", skus, |search| search.fields("items[id,sku,type_id,price]")).await?;
        Ok(found.into_iter().map(|it| (it.sku.clone(), it)).collect())
    }

    /// The rows of a list that are about these SKUs.
    pub(super) async fn about<T: DeserializeOwned>(
        &self,
        api: &Api,
        operation: &'static str,
        resource: &str,
        skus: &BTreeSet<&str>,
        more: impl Fn(Search) -> Search + Send,
    ) -> Result<Vec<T>, CallError> {
        let mut found = Vec::new();
        for question in questions(skus) {
            let search = match question {
                Question::One(sku) => Search::new().with("sku", "eq", sku),
                Question::Some(skus) => Search::new().with("sku", "in", skus),
            };
            found.extend(more(search).page(SKUS, 1).list::<T>(api, operation, resource).await?);
        }
        Ok(found)
    }
}

#[derive(Debug, PartialEq)]
enum Question {
    One(String),
    Some(String),
}

/// SKUs go in one list with commas; one that has a comma goes alone.
fn questions(skus: &BTreeSet<&str>) -> Vec<Question> {
    let (alone, plain): (Vec<&str>, Vec<&str>) = skus.iter().partition(|sku| sku.contains(','));
    let mut questions: Vec<Question> = alone.into_iter().map(|sku| Question::One(sku.to_owned())).collect();
    let mut list: Vec<&str> = Vec::new();
    for sku in plain {
        let length: usize = list.iter().map(|it| it.len() + 1).sum();
        if list.len() == SKUS || (!list.is_empty() && length + sku.len() > LONGEST) {
            questions.push(Question::Some(list.join(",")));
            list.clear();
        }
        list.push(sku);
    }
    questions.extend((!list.is_empty()).then(|| Question::Some(list.join(","))));
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skus_are_asked_for_together_as_far_as_an_address_goes() {
        let names: Vec<String> = (0..120).map(|it| format!("S{it:03}")).collect();
        let asked = questions(&names.iter().map(String::as_str).collect());
        let sizes = asked.iter().map(|it| if let Question::Some(list) = it { list.split(',').count() } else { 0 });
        assert_eq!(sizes.collect::<Vec<_>>(), [50, 50, 20]);
        let long: Vec<String> = (0..4).map(|it| format!("{it}{}", "x".repeat(900))).collect();
        assert_eq!(questions(&long.iter().map(String::as_str).collect()).len(), 2);
    }

    #[test]
    fn a_sku_with_a_comma_goes_alone() {
        let asked = questions(&["A,B", "C", "D"].into());
        assert_eq!(asked, [Question::One("A,B".into()), Question::Some("C,D".into())]);
        assert!(questions(&BTreeSet::new()).is_empty());
    }
}

//! Finding products and variations by SKU, and writing many of them in one call: products together, variations by product.

use crate::{
    Woocommerce,
    reply::Problem,
    wire::{Id, product::Product},
};
use serde::{Deserialize, Serialize};
use spindel_connect::{Api, Ask, CallError};
use spindel_model::{Performed, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// As many rows as the vendor takes in one call.
pub(super) const MAX: usize = 100;
/// SKUs of one question; addresses have an end.
const SKUS: usize = 50;
const LONGEST: usize = 2000;

pub(super) type Outcome = Result<Performed, CallError>;
type BySku = BTreeMap<String, Vec<Product>>;

/// What is to be written of one item.
#[derive(Serialize)]
struct Row<'a, T> {
    id: u64,
    #[serde(flatten)]
    fields: &'a T,
}

#[derive(Serialize)]
struct Batch<'a, T> {
    update: Vec<Row<'a, T>>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    update: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    id: Option<Id>,
    error: Option<Problem>,
}

/// One item of a batch, found and with what it is to become.
struct Wanted<T> {
    place: usize,
    sku: String,
    id: u64,
    parent: Option<String>,
    fields: T,
}

impl Woocommerce {
    /// Each ask names a SKU; `plan` says what is to be written to the item, and nothing when it is so already.
    pub(super) async fn write_items<V: Verb, T: Serialize + Send + Sync>(
        &self,
        api: &Api,
        operation: &'static str,
        asks: &[Ask<'_, V>],
        sku: impl Fn(&V) -> Option<&str> + Send + Sync,
        plan: impl Fn(&Ask<'_, V>, &Product) -> Result<Option<T>, CallError> + Send + Sync,
    ) -> Vec<Outcome> {
        let skus: BTreeSet<&str> = asks.iter().filter_map(|ask| sku(ask.verb)).collect();
        let found = match self.by_sku(api, operation, &skus).await {
            Ok(found) => found,
            Err(error) => return asks.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut outcomes: Vec<Option<Outcome>> = asks.iter().map(|_| None).collect();
        let mut groups: BTreeMap<Option<String>, Vec<Wanted<T>>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (place, ask) in asks.iter().enumerate() {
            let wanted = one(operation, sku(ask.verb), &found).and_then(|item| {
                if !seen.insert(item.id.0.clone()) {
                    return Err(CallError::transient(operation, "the same item stands twice in one batch"));
                }
                Ok((item, plan(ask, item)?))
            });
            match wanted {
                Err(error) => outcomes[place] = Some(Err(error)),
                Ok((item, None)) => outcomes[place] = Some(Ok(Performed { unchanged: true, ..at(item) })),
                Ok((item, Some(fields))) => match item.id.0.parse() {
                    Ok(id) => {
                        let (sku, parent) = (item.sku().unwrap_or_default(), item.parent());
                        groups.entry(parent.clone()).or_default().push(Wanted { place, sku, id, parent, fields });
                    }
                    Err(_) => outcomes[place] = Some(Err(CallError::unexpected(operation, "an item's id is no number"))),
                },
            }
        }
        for (parent, wanted) in groups {
            self.write_group(api, operation, parent.as_deref(), &wanted, &mut outcomes).await;
        }
        let lost = || Err(CallError::unexpected(operation, "no outcome came back for this item"));
        outcomes.into_iter().map(|it| it.unwrap_or_else(lost)).collect()
    }

    async fn write_group<T: Serialize + Sync>(
        &self,
        api: &Api,
        operation: &'static str,
        parent: Option<&str>,
        wanted: &[Wanted<T>],
        outcomes: &mut [Option<Outcome>],
    ) {
        let path = match parent {
            Some(parent) => self.path(&format!("/products/{parent}/variations/batch"), &[]),
            None => self.path("/products/batch", &[]),
        };
        let update = wanted.iter().map(|it| Row { id: it.id, fields: &it.fields }).collect();
        let written: Result<Written, CallError> = api.post(operation, path).json(&Batch { update }).fetch().await;
        let rows = match written {
            Ok(written) => written.update,
            Err(error) => {
                for it in wanted {
                    outcomes[it.place] = Some(Err(error.clone()));
                }
                return;
            }
        };
        for it in wanted {
            let row = rows.iter().find(|row| row.id.as_ref().is_some_and(|id| id.0 == it.id.to_string()));
            outcomes[it.place] = row.map(|row| match &row.error {
                Some(problem) => Err(CallError::data(operation, format!("`{}`: {}", it.sku, problem.word()))),
                None => Ok(Performed::at(item_id(&it.id.to_string(), it.parent.as_deref()))),
            });
        }
    }

    /// Products and variations alike.
    pub(super) async fn by_sku(&self, api: &Api, operation: &'static str, skus: &BTreeSet<&str>) -> Result<BySku, CallError> {
        const FIELDS: &str = "id,parent_id,type,sku,manage_stock,stock_quantity,regular_price,sale_price,date_on_sale_from_gmt,\
                              date_on_sale_to_gmt,date_modified_gmt";
        let mut found = BySku::new();
        for skus in questions(skus) {
            let query = [("sku", skus.as_str()), ("per_page", "100"), ("_fields", FIELDS)];
            let items: Vec<Product> = api.get(operation, self.path("/products", &query)).fetch().await?;
            for item in items {
                found.entry(item.sku().unwrap_or_default()).or_default().push(item);
            }
        }
        Ok(found)
    }
}

/// SKUs go in one list with commas; one that has a comma goes alone, where it is taken as it is, too.
fn questions(skus: &BTreeSet<&str>) -> Vec<String> {
    let (alone, plain): (Vec<&str>, Vec<&str>) = skus.iter().partition(|sku| sku.contains(','));
    let mut questions: Vec<String> = alone.into_iter().map(str::to_owned).collect();
    let (mut question, mut count) = (String::new(), 0);
    for sku in plain {
        if count == SKUS || question.len() + sku.len() > LONGEST {
            questions.push(std::mem::take(&mut question));
            count = 0;
        }
        if count > 0 {
            question.push(',');
        }
        question.push_str(sku);
        count += 1;
    }
    questions.extend(Some(question).filter(|it| !it.is_empty()));
    questions
}

fn one<'a>(operation: &'static str, sku: Option<&str>, found: &'a BySku) -> Result<&'a Product, CallError> {
    let sku = sku.filter(|it| !it.is_empty()).ok_or_else(|| CallError::data(operation, "the item has no SKU"))?;
    match found.get(sku).map(Vec::as_slice) {
        Some([one]) => Ok(one),
        None | Some([]) => Err(CallError::data(operation, format!("the shop has no item with SKU `{sku}`"))),
        Some(several) => {
            let count = several.len();
            Err(CallError::data(operation, format!("the shop has {count} items with SKU `{sku}`; it must be unique")))
        }
    }
}

pub(super) fn at(item: &Product) -> Performed {
    Performed::at(item_id(&item.id.0, item.parent().as_deref()))
}

fn item_id(id: &str, parent: Option<&str>) -> String {
    parent.map_or_else(|| id.to_owned(), |parent| format!("{parent}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skus_are_asked_for_together_as_far_as_an_address_goes() {
        let names: Vec<String> = (0..120).map(|it| format!("S{it:03}")).collect();
        let asked = questions(&names.iter().map(String::as_str).collect());
        assert_eq!(asked.iter().map(|it| it.split(',').count()).collect::<Vec<_>>(), [50, 50, 20]);
        let long: Vec<String> = (0..4).map(|it| format!("{it}{}", "x".repeat(900))).collect();
        assert_eq!(questions(&long.iter().map(String::as_str).collect()).len(), 2);
    }

    #[test]
    fn a_sku_with_a_comma_goes_alone() {
        assert_eq!(questions(&["A,B", "C", "D"].into()), ["A,B", "C,D"]);
        assert!(questions(&BTreeSet::new()).is_empty());
    }
}

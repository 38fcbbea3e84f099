//! `searchCriteria`: how lists are asked for.
//!
//! What changed is listed by id: a row that changes meanwhile keeps its place. `currentPage` is not used for it, because rows
//! that move between pages would be missed.

use crate::wire;
use jiff::SignedDuration;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use spindel_connect::{Api, CallError, Page, Round};
use spindel_model::{Change, Timestamp};

/// The largest that a shop with input limits allows is 300.
pub(crate) const PAGE: usize = 100;
/// `updated_at` has whole seconds, and rows appear when their transaction ends.
pub(crate) const OVERLAP: SignedDuration = SignedDuration::from_mins(2);

/// Conditions that must all hold.
#[derive(Default)]
pub(crate) struct Search {
    pairs: Vec<(String, String)>,
    conditions: usize,
}

impl Search {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, field: &str, condition: &str, value: impl Into<String>) -> Self {
        let group = format!("searchCriteria[filter_groups][{}][filters][0]", self.conditions);
        self.conditions += 1;
        self.pairs.push((format!("{group}[field]"), field.to_owned()));
        self.pairs.push((format!("{group}[value]"), value.into()));
        self.pairs.push((format!("{group}[condition_type]"), condition.to_owned()));
        self
    }

    pub fn sorted(mut self, field: &str) -> Self {
        self.pairs.push(("searchCriteria[sortOrders][0][field]".into(), field.to_owned()));
        self.pairs.push(("searchCriteria[sortOrders][0][direction]".into(), "ASC".into()));
        self
    }

    pub fn page(mut self, size: usize, page: usize) -> Self {
        self.pairs.push(("searchCriteria[pageSize]".into(), size.to_string()));
        self.pairs.push(("searchCriteria[currentPage]".into(), page.to_string()));
        self
    }

    /// Only these fields of the answer.
    pub fn fields(mut self, fields: &str) -> Self {
        self.pairs.push(("fields".into(), fields.to_owned()));
        self
    }

    pub fn path(&self, resource: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.pairs).finish();
        // Signed calls need blanks as `%20`; a plus itself is `%2B` by now.
        format!("/all/V1/{resource}?{}", query.replace('+', "%20"))
    }

    pub async fn list<T: DeserializeOwned>(
        &self,
        api: &Api,
        operation: &'static str,
        resource: &str,
    ) -> Result<Vec<T>, CallError> {
        #[derive(Deserialize)]
        struct Found<T> {
            items: Option<Vec<T>>,
        }
        let found: Found<T> = api.get(operation, self.path(resource)).fetch().await?;
        // An empty list may be null; an answer without `items` is none of this list.
        Ok(found.items.unwrap_or_default())
    }
}

/// A row of a list, read for itself: one that cannot be understood must not hold back the others.
pub(crate) struct Row {
    pub id: String,
    pub updated_at: Timestamp,
    raw: Box<RawValue>,
}

impl Row {
    fn of(raw: Box<RawValue>) -> Result<Self, spindel_connect::ParseError> {
        #[derive(Deserialize)]
        struct Bare {
            #[serde(alias = "entity_id")]
            id: wire::Id,
            #[serde(default)]
            updated_at: wire::Utc,
            #[serde(default)]
            created_at: wire::Utc,
        }
        let bare: Bare = spindel_connect::parse(raw.get().as_bytes())?;
        let updated_at = bare.updated_at.0.or(bare.created_at.0).unwrap_or_default();
        Ok(Self { id: bare.id.0, updated_at, raw })
    }

    pub fn read<T: DeserializeOwned>(&self) -> Result<T, spindel_connect::ParseError> {
        spindel_connect::parse(self.raw.get().as_bytes())
    }
}

/// Rows of a list that changed since, by id.
pub(crate) async fn rows(round: &Round<i64>, api: &Api, operation: &'static str, resource: &str) -> Result<Vec<Row>, CallError> {
    let search = Search::new().with("updated_at", "gteq", wire::text_of(round.looks_back(OVERLAP).unwrap_or_default()));
    let search = search.with("entity_id", "gt", round.id().to_string()).sorted("entity_id").page(PAGE, 1);
    let rows: Vec<Box<RawValue>> = search.list(api, operation, resource).await?;
    let rows = rows.into_iter().map(Row::of).collect::<Result<_, _>>();
    rows.map_err(|error: spindel_connect::ParseError| CallError::unexpected(operation, error.to_string()))
}

/// After these rows.
pub(crate) fn page(round: Round<i64>, rows: &[Row], changes: Vec<Change>) -> Page {
    let rows: Vec<_> = rows.iter().map(|it| (it.id.parse().unwrap_or_default(), it.updated_at)).collect();
    round.rows(changes, &rows, PAGE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_groups_of_one_each_and_blanks_are_percent_encoded() {
        let path = Search::new().with("updated_at", "gteq", "2026-11-20 09:59:00").with("sku", "eq", "A+B/1").path("orders");
        assert_eq!(
            path,
            "/all/V1/orders?searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bfield%5D=updated_at\
             &searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bvalue%5D=2026-11-20%2009%3A59%3A00\
             &searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bcondition_type%5D=gteq\
             &searchCriteria%5Bfilter_groups%5D%5B1%5D%5Bfilters%5D%5B0%5D%5Bfield%5D=sku\
             &searchCriteria%5Bfilter_groups%5D%5B1%5D%5Bfilters%5D%5B0%5D%5Bvalue%5D=A%2BB%2F1\
             &searchCriteria%5Bfilter_groups%5D%5B1%5D%5Bfilters%5D%5B0%5D%5Bcondition_type%5D=eq"
        );
    }
}

//! `searchCriteria`: how lists are asked for, and where a round through one stands.
//!
//! A round lists everything changed since `since`, by id: a row that changes meanwhile keeps its place. `currentPage` is not
//! used for it, because rows that move between pages would be missed.

use crate::wire;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use spindel_connect::{Api, CallError, Cursor, Page};
use spindel_model::{Change, Timestamp};

/// The largest that a shop with input limits allows is 300.
pub(crate) const PAGE: usize = 100;
/// `updated_at` has whole seconds, and rows appear when their transaction ends.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);

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
            updated_at: wire::At,
            #[serde(default)]
            created_at: wire::At,
        }
        let bare: Bare = spindel_connect::parse(raw.get().as_bytes())?;
        let updated_at = bare.updated_at.0.or(bare.created_at.0).unwrap_or_default();
        Ok(Self { id: bare.id.0, updated_at, raw })
    }

    pub fn read<T: DeserializeOwned>(&self) -> Result<T, spindel_connect::ParseError> {
        spindel_connect::parse(self.raw.get().as_bytes())
    }
}

/// Where a round stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Changed since then; `None` is from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Ids up to this one are done in this round; 0 begins a round.
    #[serde(default)]
    id: u64,
    /// The latest change that this round has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Timestamp>,
    /// When this round began: the next one begins no later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
}

impl Position {
    /// `first`: how far back the first round reaches; `None` for all there is.
    pub fn read(cursor: Option<&Cursor>, now: Timestamp, first: Option<SignedDuration>) -> Result<Self, CallError> {
        let Some(cursor) = cursor else {
            let since = first.and_then(|first| now.checked_sub(first).ok());
            return Ok(Self { since, began: Some(now), ..Self::default() });
        };
        let mut position: Self = read_cursor(cursor)?;
        if position.id == 0 {
            position.began = Some(now);
        }
        Ok(position)
    }

    pub fn since(at: Timestamp) -> Cursor {
        write_cursor(&Self { since: Some(at), ..Self::default() })
    }

    /// Since when this round looks.
    fn begins(&self) -> Timestamp {
        self.since.map(|it| it.checked_sub(OVERLAP).unwrap_or(it)).unwrap_or_default()
    }

    /// Whether what was made then is new to this round.
    pub fn is_new(&self, made: Option<Timestamp>) -> bool {
        made.is_some_and(|made| made >= self.begins())
    }

    /// Rows of a list that changed since, by id.
    pub async fn rows(&self, api: &Api, operation: &'static str, resource: &str) -> Result<Vec<Row>, CallError> {
        let search =
            Search::new().with("updated_at", "gteq", wire::text_of(self.begins())).with("entity_id", "gt", self.id.to_string());
        let rows: Vec<Box<RawValue>> = search.sorted("entity_id").page(PAGE, 1).list(api, operation, resource).await?;
        let rows = rows.into_iter().map(Row::of).collect::<Result<_, _>>();
        rows.map_err(|error: spindel_connect::ParseError| CallError::unexpected(operation, error.to_string()))
    }

    pub fn page(mut self, rows: &[Row], changes: Vec<Change>) -> Page {
        self.seen = self.seen.max(rows.iter().map(|it| it.updated_at).max());
        let last = rows.iter().filter_map(|it| it.id.parse().ok()).max().unwrap_or(self.id);
        // A list that does not go on would be asked for again and again.
        let more = rows.len() >= PAGE && last > self.id;
        if more {
            self.id = last;
        } else {
            let next = match (self.seen, self.began) {
                (Some(seen), Some(began)) => Some(seen.min(began)),
                (seen, _) => seen,
            };
            self = Self { since: self.since.max(next), ..Self::default() };
        }
        Page { changes, cursor: write_cursor(&self), more }
    }
}

pub(crate) fn read_cursor<T: DeserializeOwned>(cursor: &Cursor) -> Result<T, CallError> {
    let refused = |_| CallError::data("poll", "the cursor is not one of this connector: clear it to begin again");
    serde_json::from_str(&cursor.0).map_err(refused)
}

pub(crate) fn write_cursor(position: &impl Serialize) -> Cursor {
    Cursor(serde_json::to_string(position).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(id: u64, at: &str) -> Row {
        Row::of(RawValue::from_string(format!(r#"{{"entity_id":{id},"updated_at":"{at}"}}"#)).unwrap()).unwrap()
    }

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

    #[test]
    fn a_round_goes_on_by_id_and_the_next_begins_where_this_one_began() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let rows: Vec<Row> = (1..=PAGE as u64).map(|id| row(id, "2026-11-20 09:59:00")).collect();
        let page = Position::read(None, now, None).unwrap().page(&rows, Vec::new());
        assert!(page.more);
        let later: Timestamp = "2026-11-20T10:05:00Z".parse().unwrap();
        let second = Position::read(Some(&page.cursor), later, None).unwrap();
        assert_eq!((second.id, second.began), (PAGE as u64, Some(now)));
        let page = second.page(&[row(101, "2026-11-20 10:04:00")], Vec::new());
        assert!(!page.more);
        let next: Position = read_cursor(&page.cursor).unwrap();
        assert_eq!(next, Position { since: Some(now), ..Position::default() });
    }

    #[test]
    fn an_empty_round_keeps_its_place() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let since = Position::since(now);
        let page = Position::read(Some(&since), now, None).unwrap().page(&[], Vec::new());
        assert_eq!((page.cursor, page.more), (since, false));
    }

    #[test]
    fn a_full_page_that_does_not_go_on_ends_the_round() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let rows: Vec<Row> = (1..=PAGE as u64).map(|id| row(id, "2026-11-20 09:59:00")).collect();
        let position = Position { id: PAGE as u64, ..Position::read(None, now, None).unwrap() };
        assert!(!position.page(&rows, Vec::new()).more);
    }
}

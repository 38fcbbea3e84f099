//! What changed in Business Central since the last time.
//!
//! A round lists everything changed since `since`, by number. What is written while a long transaction runs appears late:
//! a round looks back a little further than the last one did.

mod shipment;
mod stock;

use crate::{
    BusinessCentral, read,
    wire::{self, List, quoted, with_query},
};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{Change, Customer, EntityKind, EntityRef, Price, Record, Timestamp, Topic, Version};

const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
const PAGE: usize = 100;

/// Where a round stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Position {
    /// Changed since then; `None` is from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Numbers up to this one are done in this round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// When this round began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
    /// The newest change of this round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<Timestamp>,
}

/// What a page is told by.
trait Row {
    fn number(&self) -> &str;
    fn changed_at(&self) -> Option<Timestamp>;
}

impl Position {
    fn read(cursor: Option<&Cursor>, now: Timestamp) -> Result<Self, CallError> {
        let mut position: Self = cursor.map_or(Ok(Self::default()), parse)?;
        if position.number.is_none() {
            position.began = Some(now);
        }
        Ok(position)
    }

    /// Conditions of a filter.
    fn terms(&self) -> Vec<String> {
        let since = self.since.map(|it| it.checked_sub(OVERLAP).unwrap_or(it));
        let since = since.map(|it| format!("lastModifiedDateTime ge {it}"));
        let after = self.number.as_ref().map(|it| format!("number gt {}", quoted(it)));
        since.into_iter().chain(after).collect()
    }

    /// After a page whose rows are these.
    fn after(mut self, rows: &[impl Row]) -> (Cursor, bool) {
        self.newest = self.newest.max(rows.iter().filter_map(Row::changed_at).max());
        let more = rows.len() >= PAGE;
        if more {
            self.number = rows.last().map(|it| it.number().to_owned());
        } else {
            // What changed while a long round ran belongs to the next one.
            let next = match (self.newest, self.began) {
                (Some(newest), Some(began)) => Some(newest.min(began)),
                (newest, _) => newest,
            };
            self = Self { since: self.since.max(next), ..Self::default() };
        }
        (cursor(&self), more)
    }
}

fn parse<T: DeserializeOwned>(cursor: &Cursor) -> Result<T, CallError> {
    serde_json::from_str(&cursor.0)
        .map_err(|_| CallError::data("poll", "the cursor is not one of this connector: clear it to begin again"))
}

fn cursor(position: &impl Serialize) -> Cursor {
    Cursor(serde_json::to_string(position).unwrap_or_default())
}

/// A round of what changed since then.
fn since(at: Timestamp) -> Cursor {
    cursor(&Position { since: Some(at), ..Position::default() })
}

impl BusinessCentral {
    /// One page of a collection, by number.
    async fn rows<T: DeserializeOwned>(
        &self,
        api: &Api,
        operation: &'static str,
        set: &str,
        terms: &[String],
        options: &[(&str, &str)],
    ) -> Result<Vec<T>, CallError> {
        let filter = terms.join(" and ");
        let top = PAGE.to_string();
        let mut all = Vec::new();
        if !filter.is_empty() {
            all.push(("$filter", filter.as_str()));
        }
        all.extend([("$orderby", "number"), ("$top", top.as_str())]);
        all.extend_from_slice(options);
        let found: List<T> = api.get(operation, with_query(self.path(set), &all)).fetch().await?;
        Ok(found.value)
    }
}

impl Row for wire::Item {
    fn number(&self) -> &str {
        &self.number
    }

    fn changed_at(&self) -> Option<Timestamp> {
        Some(self.last_modified_date_time)
    }
}

impl Row for wire::Customer {
    fn number(&self) -> &str {
        &self.number
    }

    fn changed_at(&self) -> Option<Timestamp> {
        self.last_modified_date_time
    }
}

impl Poll<Price> for BusinessCentral {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let position = Position::read(cursor, now)?;
        let select = [("$select", wire::Item::SELECT)];
        let items: Vec<wire::Item> = self.rows(api, "poll_prices", "items", &position.terms(), &select).await?;
        let change = |item: &wire::Item| {
            Some(Change {
                topic: Topic::PriceChanged,
                entity: EntityRef::new(EntityKind::Price, &item.id),
                version: Version::from(item.last_modified_date_time),
                record: Record::Price(read::price(item, self.currency)?),
            })
        };
        let changes = items.iter().filter_map(change).collect();
        let (cursor, more) = position.after(&items);
        Ok(Page { changes, cursor, more })
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(since(at))
    }
}

impl Poll<Customer> for BusinessCentral {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let position = Position::read(cursor, now)?;
        let found: Vec<wire::Customer> = self.rows(api, "poll_customers", "customers", &position.terms(), &[]).await?;
        let (cursor, more) = position.after(&found);
        let change = |it: wire::Customer| Change {
            topic: Topic::CustomerUpdated,
            entity: EntityRef::new(EntityKind::Customer, &it.id),
            version: it.last_modified_date_time.map(Version::from).unwrap_or_default(),
            record: Record::Customer(Box::new(read::customer(it))),
        };
        Ok(Page { changes: found.into_iter().map(change).collect(), cursor, more })
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(since(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told(String, Timestamp);

    impl Row for Told {
        fn number(&self) -> &str {
            &self.0
        }

        fn changed_at(&self) -> Option<Timestamp> {
            Some(self.1)
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn page(rows: usize, changed: &str) -> Vec<Told> {
        (0..rows).map(|it| Told(format!("{it:04}"), at(changed))).collect()
    }

    #[test]
    fn a_round_goes_on_by_number_and_the_next_one_looks_back_over_an_overlap() {
        let began = at("2026-11-20T10:00:00Z");
        let first = Position::read(None, began).unwrap();
        assert!(first.terms().is_empty());
        let (cursor, more) = first.after(&page(PAGE, "2026-11-20T09:00:00Z"));
        assert!(more);
        let second = Position::read(Some(&cursor), at("2026-11-20T10:01:00Z")).unwrap();
        assert_eq!(second.terms(), ["number gt '0099'"]);
        let (cursor, more) = second.after(&page(1, "2026-11-20T09:59:00Z"));
        assert!(!more);
        let next = Position::read(Some(&cursor), at("2026-11-20T10:05:00Z")).unwrap();
        assert_eq!(next.terms(), ["lastModifiedDateTime ge 2026-11-20T09:54:00Z"]);
    }

    #[test]
    fn what_changed_while_a_long_round_ran_belongs_to_the_next_round() {
        let (cursor, _) = Position::read(None, at("2026-11-20T10:00:00Z")).unwrap().after(&page(PAGE, "2026-11-20T09:00:00Z"));
        let last = Position::read(Some(&cursor), at("2026-11-20T10:30:00Z")).unwrap();
        let (cursor, _) = last.after(&page(1, "2026-11-20T10:29:00Z"));
        let next = Position::read(Some(&cursor), at("2026-11-20T10:31:00Z")).unwrap();
        assert_eq!(next.terms(), ["lastModifiedDateTime ge 2026-11-20T09:55:00Z"]);
    }

    #[test]
    fn a_gap_is_filled_from_the_moment_that_it_began() {
        let gap = Position::read(Some(&since(at("2026-11-20T09:00:00Z"))), at("2026-11-20T10:00:00Z")).unwrap();
        assert_eq!(gap.terms(), ["lastModifiedDateTime ge 2026-11-20T08:55:00Z"]);
    }

    #[test]
    fn a_round_without_changes_does_not_move_the_cursor() {
        let since = Position { since: Some(at("2026-11-20T09:00:00Z")), ..Position::default() };
        let (after, more) = Position::read(Some(&cursor(&since)), at("2026-11-20T10:00:00Z")).unwrap().after(&page(0, ""));
        assert_eq!((after, more), (cursor(&since), false));
    }
}

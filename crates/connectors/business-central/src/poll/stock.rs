//! Stock. An item does not move with its stock, so its ledger tells what moved, and the item how much there is.

use super::{PAGE, cursor, parse};
use crate::{
    BusinessCentral,
    wire::{Item, LedgerEntry, List, quoted, with_query},
};
use serde::{Deserialize, Serialize};
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{Change, EntityKind, EntityRef, Record, StockLevel, Timestamp, Topic, Version};
use std::collections::BTreeSet;

const OPERATION: &str = "poll_stock";
/// Entries of one page; more than [`LATE`], or a round would never end.
const ENTRIES: usize = 200;
/// Entry numbers are given before their transaction ends, so that a lower one may appear after a higher one.
const LATE: i64 = 50;
/// Items that are asked for by number in one call: its address must not grow too long.
const ASKED: usize = 40;

/// Where the poll stands: first all items, then what moved since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Position {
    /// The highest entry that is done.
    entry: i64,
    /// Entries that are done, as far as they are looked at again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<i64>,
    /// While all items are listed: numbers up to this one are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<String>,
}

impl Poll<StockLevel> for BusinessCentral {
    async fn page(&self, api: &Api, at: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let position: Position = match at {
            Some(cursor) => parse(cursor)?,
            // What moves while the items are listed is told again afterwards.
            None => Position { entry: self.last_entry(api).await?, seen: Vec::new(), item: Some(String::new()) },
        };
        match position.item.clone() {
            Some(after) => self.all_items(api, position, &after, now).await,
            None => self.moved_items(api, position, now).await,
        }
    }
}

impl BusinessCentral {
    async fn last_entry(&self, api: &Api) -> Result<i64, CallError> {
        let options = [("$orderby", "entryNumber desc"), ("$top", "1"), ("$select", "entryNumber,itemNumber")];
        let found: List<LedgerEntry> = api.get(OPERATION, with_query(self.path("itemLedgerEntries"), &options)).fetch().await?;
        Ok(found.value.first().map_or(0, |it| it.entry_number))
    }

    async fn all_items(&self, api: &Api, mut position: Position, after: &str, now: Timestamp) -> Result<Page, CallError> {
        let mut terms = vec!["type eq 'Inventory'".to_owned()];
        if !after.is_empty() {
            terms.push(format!("number gt {}", quoted(after)));
        }
        let items: Vec<Item> = self.rows(api, OPERATION, "items", &terms, &[("$select", Item::SELECT)]).await?;
        let more = items.len() >= PAGE;
        position.item = items.last().filter(|_| more).map(|it| it.number.clone());
        let changes = items.iter().map(|it| self.stock(it, now)).collect();
        Ok(Page { changes, cursor: cursor(&position), more })
    }

    async fn moved_items(&self, api: &Api, position: Position, now: Timestamp) -> Result<Page, CallError> {
        let from = format!("entryNumber gt {}", position.entry.saturating_sub(LATE));
        let top = ENTRIES.to_string();
        let options =
            [("$filter", from.as_str()), ("$orderby", "entryNumber"), ("$top", &top), ("$select", "entryNumber,itemNumber")];
        let entries: List<LedgerEntry> = api.get(OPERATION, with_query(self.path("itemLedgerEntries"), &options)).fetch().await?;
        let (moved, next) = position.after(&entries.value);
        let numbers: Vec<&str> = moved.into_iter().collect();
        let mut changes = Vec::new();
        for some in numbers.chunks(ASKED) {
            let filter = some.iter().map(|it| format!("number eq {}", quoted(it))).collect::<Vec<_>>().join(" or ");
            let items: Vec<Item> = self.rows(api, OPERATION, "items", &[filter], &[("$select", Item::SELECT)]).await?;
            // Services and the like have entries too, and no stock.
            let goods = items.iter().filter(|it| it.kind == "Inventory");
            changes.extend(goods.map(|it| self.stock(it, now)));
        }
        let more = entries.value.len() >= ENTRIES;
        Ok(Page { changes, cursor: cursor(&next), more })
    }

    /// As it is read now: the sum of all places.
    fn stock(&self, item: &Item, now: Timestamp) -> Change {
        let quantity = item.inventory.0.normalize();
        Change {
            topic: Topic::StockChanged,
            entity: EntityRef::new(EntityKind::Stock, &item.id),
            version: Version::from(now),
            record: Record::Stock(StockLevel {
                sku: Some(item.number.clone()),
                item_id: Some(item.id.clone()),
                location: self.config.location.clone(),
                available: Some(quantity),
                on_hand: Some(quantity),
                as_of: now,
            }),
        }
    }
}

impl Position {
    /// Items whose entries were not seen before, and where to go on.
    fn after<'a>(&self, entries: &'a [LedgerEntry]) -> (BTreeSet<&'a str>, Self) {
        let new = entries.iter().filter(|it| !self.seen.contains(&it.entry_number));
        let moved = new.map(|it| it.item_number.as_str()).filter(|it| !it.is_empty()).collect();
        let entry = entries.iter().map(|it| it.entry_number).max().unwrap_or(self.entry).max(self.entry);
        let again = |it: &i64| *it > entry.saturating_sub(LATE);
        let mut seen: BTreeSet<i64> = self.seen.iter().copied().filter(again).collect();
        seen.extend(entries.iter().map(|it| it.entry_number).filter(again));
        (moved, Self { entry, seen: seen.into_iter().collect(), item: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(rows: &[(i64, &str)]) -> Vec<LedgerEntry> {
        rows.iter().map(|(number, item)| LedgerEntry { entry_number: *number, item_number: (*item).to_owned() }).collect()
    }

    #[test]
    fn an_entry_that_appears_late_is_found_and_none_is_told_twice() {
        let start = Position { entry: 100, seen: vec![99, 100], item: None };
        let rows = entries(&[(99, "A"), (100, "B"), (103, "C")]);
        let (moved, next) = start.after(&rows);
        assert_eq!(moved.into_iter().collect::<Vec<_>>(), ["C"]);
        assert_eq!(next, Position { entry: 103, seen: vec![99, 100, 103], item: None });
        let rows = entries(&[(99, "A"), (100, "B"), (102, "D"), (103, "C")]);
        let (moved, next) = next.after(&rows);
        assert_eq!(moved.into_iter().collect::<Vec<_>>(), ["D"]);
        assert_eq!(next.entry, 103);
    }

    #[test]
    fn what_is_remembered_does_not_grow() {
        let mut position = Position { entry: 0, seen: Vec::new(), item: None };
        for round in 0..20 {
            let rows: Vec<_> = (0..ENTRIES as i64).map(|it| (round * ENTRIES as i64 + it, "A")).collect();
            position = position.after(&entries(&rows)).1;
            assert!(position.seen.len() <= LATE as usize);
        }
    }

    #[test]
    fn a_page_goes_further_than_it_looks_back() {
        assert!(ENTRIES as i64 > LATE);
    }
}

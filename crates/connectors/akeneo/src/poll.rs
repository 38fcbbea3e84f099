//! Finding what changed. The list of products holds all there is to find: a variant is in it when one of its models changed.

use crate::{
    Akeneo,
    product::MODEL,
    read::{Desk, below},
    wire::{Bare, Item, Listed},
};
use jiff::{SignedDuration, tz::TimeZone};
use serde_json::{json, value::RawValue};
use spindel_connect::{Api, CallError, Cursor, Page, Poll, Round};
use spindel_model::{Change, ErrorClass, Product, Record, Timestamp, Topic};
use std::collections::BTreeSet;

const OPERATION: &str = "poll_products";
/// Each of a page may belong to a model of its own, which takes three calls.
const PAGE: usize = 50;
/// Changes are found a little after the second they carry, and the two clocks differ.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
/// Where clocks are set back, an hour of the PIM's local time comes twice.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl Akeneo {
    fn first_path(&self, round: &Round<String>) -> String {
        let overlap = if self.time_zone == TimeZone::UTC { OVERLAP } else { OVERLAP + HOUR };
        let search = round.looks_back(overlap).map(|from| {
            let from = from.to_zoned(self.time_zone.clone());
            json!({ "updated": [{ "operator": ">", "value": from.strftime("%Y-%m-%d %H:%M:%S").to_string() }] })
        });
        self.products_path(search, PAGE)
    }

    /// What a row of the list tells; `None` for another variant of what was told already.
    async fn told(
        &self,
        desk: &mut Desk<'_>,
        row: &RawValue,
        models: &mut BTreeSet<String>,
    ) -> Result<Option<Change>, CallError> {
        let bare: Bare = spindel_connect::parse(row.get().as_bytes()).map_err(CallError::misfit(OPERATION))?;
        let root = match (bare.root_parent, &bare.parent) {
            (_, None) => None,
            (Some(root), Some(_)) => Some(root),
            (None, Some(parent)) => match desk.root_of(parent).await? {
                Some(root) => Some(root),
                None => return Ok(None),
            },
        };
        let (id, read) = match root {
            Some(root) => {
                if !models.insert(root.clone()) {
                    return Ok(None);
                }
                (format!("{MODEL}{root}"), desk.product(&root).await)
            }
            None => {
                let item = spindel_connect::parse::<Item>(row.get().as_bytes());
                let product = item.and_then(|it| self.simple(&it)).map_err(CallError::misfit(OPERATION));
                (bare.uuid, product.map(Some))
            }
        };
        match read {
            Ok(product) => Ok(product.map(|it| {
                let version = it.updated_at;
                Change::new(Topic::ProductUpdated, id, version, Record::Product(Box::new(it)))
            })),
            // It must not hold back the others: it is read again, and fails where it is seen.
            Err(error) if matches!(error.class, ErrorClass::Data | ErrorClass::Gone) => {
                Ok(Some(Change::new(Topic::ProductUpdated, id, bare.updated, Record::Nudge)))
            }
            Err(error) => Err(error),
        }
    }
}

impl Poll<Product> for Akeneo {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let round = Round::<String>::read(cursor, now, None)?;
        let path = round.place().cloned().unwrap_or_else(|| self.first_path(&round));
        let (rows, next) = api.get(OPERATION, path).fetch::<Listed<Box<RawValue>>>().await?.parts();
        let (mut desk, mut models) = (Desk::new(self, api, OPERATION), BTreeSet::new());
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            changes.extend(self.told(&mut desk, row, &mut models).await?);
        }
        // A page without rows ends the walk, whatever is linked behind it.
        let next = next.filter(|_| !rows.is_empty()).map(|it| below(OPERATION, &it)).transpose()?;
        // The list is in the order of keys and not of time.
        let began = round.began();
        Ok(round.page(changes, next, began))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<String>::since(at))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::connect;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn updated_after(zone: &str, since: &str) -> String {
        let akeneo = connect(json!({ "time_zone": zone })).unwrap().0;
        let cursor = Poll::<Product>::since(&akeneo, at(since)).unwrap();
        let path = akeneo.first_path(&Round::read(Some(&cursor), at(since), None).unwrap());
        let url = url::Url::parse(&format!("https://pim.example{path}")).unwrap();
        let search = url.query_pairs().find(|(name, _)| name == "search").unwrap().1.into_owned();
        let search: serde_json::Value = serde_json::from_str(&search).unwrap();
        search["updated"][0]["value"].as_str().unwrap().to_owned()
    }

    #[test]
    fn times_are_asked_for_in_the_zone_of_the_server_with_an_overlap() {
        assert_eq!(updated_after("UTC", "2026-11-20T10:00:00Z"), "2026-11-20 09:55:00");
        assert_eq!(updated_after("Europe/Oslo", "2026-07-20T10:00:00Z"), "2026-07-20 10:55:00");
        // Half past two comes twice in the night to the last Sunday of October; the first one is asked for.
        assert_eq!(updated_after("Europe/Oslo", "2026-10-25T01:35:00Z"), "2026-10-25 02:30:00");
    }
}

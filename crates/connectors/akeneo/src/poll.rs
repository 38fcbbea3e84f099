//! Finding what changed. The list of products holds all there is to find: a variant is in it when one of its models changed.

use crate::{
    Akeneo,
    product::MODEL,
    read::{Desk, below, misfit},
    receive::change,
    wire::{Bare, Item, Listed},
};
use jiff::{SignedDuration, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{Change, ErrorClass, Product, Record, Timestamp, Topic};
use std::collections::BTreeSet;

const OPERATION: &str = "poll_products";
/// Each of a page may belong to a model of its own, which takes three calls.
const PAGE: usize = 50;
/// Changes are found a little after the second they carry, and the two clocks differ.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
/// Where clocks are set back, an hour of the PIM's local time comes twice.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Where a walk stands. The list is in the order of keys and not of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Place {
    /// What changed from here on is of interest; `None` is everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The next page of this walk, as the PIM named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// When this walk began: the next one is about what changed from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
}

impl Place {
    fn of(cursor: Option<&Cursor>, now: Timestamp) -> Result<Self, CallError> {
        let mut place: Self = match cursor {
            Some(cursor) => serde_json::from_str(&cursor.0)
                .map_err(|_| CallError::new(OPERATION, ErrorClass::Bug, "the cursor is not one that this connector made"))?,
            None => Self::default(),
        };
        if place.next.is_none() || place.began.is_none() {
            (place.next, place.began) = (None, Some(now));
        }
        Ok(place)
    }

    fn page(self, changes: Vec<Change>, next: Option<String>) -> Page {
        let more = next.is_some();
        let place = match next {
            Some(_) => Self { next, ..self },
            None => Self { since: self.began, next: None, began: None },
        };
        Page { changes, cursor: place.cursor(), more }
    }

    fn cursor(&self) -> Cursor {
        Cursor(serde_json::to_string(self).unwrap_or_default())
    }
}

impl Akeneo {
    fn first_path(&self, since: Option<Timestamp>) -> String {
        let overlap = if self.time_zone == TimeZone::UTC { OVERLAP } else { OVERLAP + HOUR };
        let search = since.map(|since| {
            let from = since.checked_sub(overlap).unwrap_or(since).to_zoned(self.time_zone.clone());
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
        let bare: Bare = spindel_connect::parse(row.get().as_bytes()).map_err(misfit(OPERATION))?;
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
                let product = item.and_then(|it| self.simple(&it)).map_err(misfit(OPERATION));
                (bare.uuid, product.map(Some))
            }
        };
        match read {
            Ok(product) => Ok(product.map(|it| {
                let version = it.updated_at.into();
                change(Topic::ProductUpdated, id, version, Record::Product(Box::new(it)))
            })),
            // It must not hold back the others: it is read again, and fails where it is seen.
            Err(error) if matches!(error.class, ErrorClass::Data | ErrorClass::Gone) => {
                Ok(Some(change(Topic::ProductUpdated, id, bare.updated.into(), Record::Nudge)))
            }
            Err(error) => Err(error),
        }
    }
}

impl Poll<Product> for Akeneo {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let place = Place::of(cursor, now)?;
        let path = place.next.clone().unwrap_or_else(|| self.first_path(place.since));
        let (rows, next) = api.get(OPERATION, path).fetch::<Listed<Box<RawValue>>>().await?.parts();
        let (mut desk, mut models) = (Desk::new(self, api, OPERATION), BTreeSet::new());
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            changes.extend(self.told(&mut desk, row, &mut models).await?);
        }
        // A page without rows ends the walk, whatever is linked behind it.
        let next = next.filter(|_| !rows.is_empty()).map(|it| below(OPERATION, &it)).transpose()?;
        Ok(place.page(changes, next))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place { since: Some(at), ..Place::default() }.cursor())
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
        let path = connect(json!({ "time_zone": zone })).unwrap().0.first_path(Some(at(since)));
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

    #[test]
    fn the_next_walk_is_about_what_changed_since_this_one_began() {
        let place = Place::of(None, at("2026-11-20T10:00:00Z")).unwrap();
        let first = place.page(Vec::new(), Some("/api/rest/v1/products-uuid?search_after=a".into()));
        assert!(first.more);
        let second = Place::of(Some(&first.cursor), at("2026-11-20T10:30:00Z")).unwrap();
        assert_eq!(second.next.as_deref(), Some("/api/rest/v1/products-uuid?search_after=a"));
        let last = second.page(Vec::new(), None);
        assert!(!last.more);
        let next = Place::of(Some(&last.cursor), at("2026-11-20T10:35:00Z")).unwrap();
        assert_eq!((next.since, next.next), (Some(at("2026-11-20T10:00:00Z")), None));
    }

    #[test]
    fn a_gap_is_filled_from_a_moment_on_and_a_foreign_cursor_is_refused() {
        let akeneo = connect(json!({})).unwrap().0;
        let cursor = Poll::<Product>::since(&akeneo, at("2026-11-20T08:00:00Z")).unwrap();
        assert_eq!(Place::of(Some(&cursor), at("2026-11-20T10:00:00Z")).unwrap().since, Some(at("2026-11-20T08:00:00Z")));
        assert!(Place::of(Some(&Cursor("x".into())), at("2026-11-20T10:00:00Z")).is_err());
    }
}

//! What changed in Tryton since the last time: stock, prices, and shipments that left the warehouse.
//!
//! A round lists everything changed since `since`, by id. Rows carry the time at which they were written, and may appear
//! minutes after it, when their transaction ends: a round looks back a little further than the last one did.

mod price;
mod shipment;
mod stock;

use crate::wire;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spindel_connect::{CallError, Cursor};
use spindel_model::Timestamp;

const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
const PAGE: usize = 100;
/// Rows that belong to the records of a page, fetched this many at a time.
const PARTS: usize = 1000;

/// Where a round stands.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Position {
    /// Changed since then; `None` is from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Ids up to this one are done in this round; 0 begins a round.
    #[serde(default)]
    id: i64,
    /// Where the next round begins: no later than this one began, by either clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Timestamp>,
    /// When this round began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
    /// Of a price list: when it was changed that all its prices were last gone through …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<Timestamp>,
    /// … or are now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listing: Option<Timestamp>,
}

impl Position {
    fn read(cursor: Option<&Cursor>, now: Timestamp) -> Result<Self, CallError> {
        let Some(cursor) = cursor else { return Ok(Self { began: Some(now), ..Self::default() }) };
        let mut position: Self = serde_json::from_str(&cursor.0)
            .map_err(|_| CallError::data("poll", "the cursor is not one of this connector: clear it to begin again"))?;
        if position.id == 0 {
            position.began = Some(now);
        }
        Ok(position)
    }

    /// Where a round begins that is to find what changed at this time.
    fn at(at: Timestamp) -> Option<Cursor> {
        let position = Self { since: Some(at), ..Self::default() };
        serde_json::to_string(&position).ok().map(Cursor)
    }

    /// `since`, with overlap, as Tryton writes it.
    fn from(&self) -> Value {
        wire::moment(self.looks_back_to())
    }

    fn looks_back_to(&self) -> Timestamp {
        let beginning = Timestamp::UNIX_EPOCH;
        self.since.map_or(beginning, |it| it.checked_sub(OVERLAP).unwrap_or(it))
    }

    /// The version of what is read without a time of its own: older than what the next round finds changed, by either clock.
    fn began_at_the_latest(&self, now: Timestamp) -> Timestamp {
        let began = self.began.unwrap_or(now);
        began.checked_sub(OVERLAP).unwrap_or(began)
    }

    /// After a page whose rows are these.
    fn after(mut self, rows: &[(i64, Timestamp)]) -> (Cursor, bool) {
        let seen = rows.iter().map(|(_, at)| *at).max();
        self.next = self.next.max(seen);
        let more = rows.len() == PAGE;
        if more {
            self.id = rows.iter().map(|(id, _)| *id).max().unwrap_or(self.id);
        } else {
            let next = match (self.next, self.began) {
                (Some(next), Some(began)) => Some(next.min(began)),
                (next, _) => next,
            };
            self = Self { since: self.since.max(next), list: self.listing.or(self.list), ..Self::default() };
        }
        (Cursor(serde_json::to_string(&self).unwrap_or_default()), more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn full_page(from: i64, changed: &str) -> Vec<(i64, Timestamp)> {
        (from..from + PAGE as i64).map(|id| (id, at(changed))).collect()
    }

    #[test]
    fn a_round_goes_on_by_id_and_the_next_one_looks_back_over_an_overlap() {
        let began = at("2026-11-20T10:00:00Z");
        let (cursor, more) = Position::read(None, began).unwrap().after(&full_page(1, "2026-11-20T09:00:00Z"));
        assert!(more);
        let second = Position::read(Some(&cursor), at("2026-11-20T10:01:00Z")).unwrap();
        assert_eq!((second.id, second.since, second.began), (PAGE as i64, None, Some(began)));
        let (cursor, more) = second.after(&[(200, at("2026-11-20T09:59:00Z"))]);
        assert!(!more);
        let next = Position::read(Some(&cursor), at("2026-11-20T10:05:00Z")).unwrap();
        assert_eq!((next.id, next.looks_back_to()), (0, at("2026-11-20T09:54:00Z")));
    }

    #[test]
    fn what_changed_while_a_long_round_ran_belongs_to_the_next_round() {
        let began = at("2026-11-20T10:00:00Z");
        let (cursor, _) = Position::read(None, began).unwrap().after(&full_page(1, "2026-11-20T09:00:00Z"));
        let last = Position::read(Some(&cursor), at("2026-11-20T10:30:00Z")).unwrap();
        let (cursor, _) = last.after(&[(200, at("2026-11-20T10:29:00Z"))]);
        assert_eq!(Position::read(Some(&cursor), began).unwrap().looks_back_to(), at("2026-11-20T09:55:00Z"));
    }

    #[test]
    fn a_round_without_changes_does_not_move_the_cursor() {
        let cursor = Position::at(at("2026-11-20T09:00:00Z")).unwrap();
        let (after, more) = Position::read(Some(&cursor), at("2026-11-20T10:00:00Z")).unwrap().after(&[]);
        assert_eq!((after, more), (cursor, false));
    }

    #[test]
    fn a_gap_is_filled_from_the_moment_that_is_named() {
        let cursor = Position::at(at("2026-11-20T09:00:00Z")).unwrap();
        let position = Position::read(Some(&cursor), at("2026-11-20T10:00:00Z")).unwrap();
        assert_eq!(position.looks_back_to(), at("2026-11-20T08:55:00Z"));
    }
}

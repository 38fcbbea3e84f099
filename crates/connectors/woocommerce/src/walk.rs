//! How a list of what changed is walked: by id, page by page, and a little further back than the last time.
//!
//! Lists ordered by the time of change would lose the rows behind one that changes while they are walked: it moves to the
//! end, and all others move up. By id nothing moves but for deletions, and pages overlap for these.

use jiff::{SignedDuration, tz::TimeZone};
use serde::{Deserialize, Serialize};
use spindel_connect::{CallError, Cursor, Page};
use spindel_model::{Change, ErrorClass, Timestamp};

/// Changes are committed a little after the second they carry, and the two clocks differ.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);

/// Where a walk stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// What changed from here on is of interest; `None` is everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Rows that are done in this walk; 0 begins one.
    #[serde(default)]
    pub offset: usize,
    /// Newest change seen in this walk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Timestamp>,
    /// When this walk began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
}

impl Place {
    /// `first`: how far back the first walk goes, where not to the beginning.
    pub fn of(cursor: Option<&Cursor>, now: Timestamp, first: Option<SignedDuration>) -> Result<Self, CallError> {
        let mut place = match cursor {
            Some(cursor) => serde_json::from_str(&cursor.0)
                .map_err(|_| CallError::new("poll", ErrorClass::Bug, "the cursor is not one that this connector made"))?,
            None => Self::default(),
        };
        if place.offset == 0 {
            place.began = Some(now);
        }
        if place.since.is_none() {
            place.since = first.and_then(|back| now.checked_sub(back).ok());
        }
        Ok(place)
    }

    /// Where a walk over what changed since then begins.
    pub fn since(at: Timestamp) -> Cursor {
        let place = Self { since: Some(at), ..Self::default() };
        Cursor(serde_json::to_string(&place).unwrap_or_default())
    }

    pub fn from(&self) -> Option<Timestamp> {
        self.since.map(|since| since.checked_sub(OVERLAP).unwrap_or(since))
    }

    /// `since` with overlap, as WordPress reads it.
    pub fn modified_after(&self) -> Option<String> {
        self.from().map(|from| from.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S").to_string())
    }

    pub fn is_new(&self, modified: Timestamp) -> bool {
        self.from().is_none_or(|from| modified >= from)
    }

    /// After a page: `rows` were there of `size` asked for, and the newest of them changed at `seen`.
    pub fn page(mut self, changes: Vec<Change>, rows: usize, size: usize, seen: Option<Timestamp>) -> Page {
        self.seen = self.seen.max(seen);
        let more = rows >= size;
        if more {
            self.offset += size - size / 10;
        } else {
            // What changed while the walk was under way belongs to the next one too.
            let reached = self.seen.map(|seen| self.began.map_or(seen, |began| seen.min(began)));
            self = Self { since: self.since.max(reached), ..Self::default() };
        }
        Page { changes, cursor: Cursor(serde_json::to_string(&self).unwrap_or_default()), more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        at("2026-11-20T10:00:00Z")
    }

    #[test]
    fn pages_overlap_so_that_a_deleted_row_hides_none() {
        let place = Place::of(None, now(), Some(SignedDuration::from_hours(48))).unwrap();
        assert_eq!(place.modified_after().as_deref(), Some("2026-11-18T09:55:00"));
        let page = place.page(Vec::new(), 50, 50, Some(at("2026-11-20T09:00:00Z")));
        assert!(page.more);
        assert_eq!(Place::of(Some(&page.cursor), now(), None).unwrap().offset, 45);
    }

    #[test]
    fn the_next_walk_begins_where_this_one_had_seen_all() {
        let place = Place::of(None, now(), None).unwrap();
        let page = place.page(Vec::new(), 3, 50, Some(at("2026-11-20T09:00:00Z")));
        assert!(!page.more);
        let next = Place::of(Some(&page.cursor), at("2026-11-20T10:05:00Z"), None).unwrap();
        assert_eq!(next.modified_after().as_deref(), Some("2026-11-20T08:55:00"));
        assert_eq!(next.offset, 0);
    }

    #[test]
    fn a_walk_may_begin_further_back_than_usual() {
        let place =
            Place::of(Some(&Place::since(at("2026-11-01T00:00:00Z"))), now(), Some(SignedDuration::from_hours(48))).unwrap();
        assert_eq!(place.modified_after().as_deref(), Some("2026-10-31T23:55:00"));
    }

    #[test]
    fn a_clock_that_runs_ahead_at_the_shop_hides_nothing() {
        let page = Place::of(None, now(), None).unwrap().page(Vec::new(), 1, 50, Some(at("2026-11-20T12:00:00Z")));
        assert_eq!(Place::of(Some(&page.cursor), now(), None).unwrap().since, Some(now()));
    }

    #[test]
    fn a_walk_that_sees_nothing_stays_where_it_is() {
        let cursor = Cursor(r#"{"since":"2026-11-20T09:00:00Z"}"#.into());
        let page = Place::of(Some(&cursor), now(), None).unwrap().page(Vec::new(), 0, 50, None);
        assert_eq!(Place::of(Some(&page.cursor), now(), None).unwrap().since, Some(at("2026-11-20T09:00:00Z")));
        assert!(Place::of(Some(&Cursor("x".into())), now(), None).is_err());
    }
}

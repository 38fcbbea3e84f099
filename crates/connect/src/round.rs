//! Where a poll stands that asks again and again for what changed since a moment, page by page.
//!
//! A list in the order of changes would lose the rows behind one that changes while the list is walked. So a round goes by
//! something that does not move: the id, the number of rows, the vendor's own links.

use crate::{CallError, Cursor, Page};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use spindel_model::{Change, Timestamp};

/// A round over all that changed since a moment. `P` is a place in it: the last id, the rows that are done, the next link.
///
/// Rows carry the time of their change and may appear minutes after it, when their transaction ends; and two clocks differ.
/// So a round looks back a little further than where the one before ended ([`Round::looks_back`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round<P> {
    /// Changed since then; `None` is from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Up to here this round is done; `None` begins one.
    #[serde(default = "nowhere", skip_serializing_if = "Option::is_none")]
    place: Option<P>,
    /// The latest change that this round has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Timestamp>,
    /// When this round began: the next one begins no later, by either clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
}

fn nowhere<P>() -> Option<P> {
    None
}

impl<P: PartialEq + Serialize + DeserializeOwned> Round<P> {
    /// `first`: how far back the first round reaches; `None` for all there is.
    pub fn read(cursor: Option<&Cursor>, now: Timestamp, first: Option<SignedDuration>) -> Result<Self, CallError> {
        let mut round = match cursor {
            Some(cursor) => serde_json::from_str(&cursor.0)
                .map_err(|_| CallError::data("poll", "the cursor is not one of this connector: clear it to begin again"))?,
            None => Self::of(first.and_then(|first| now.checked_sub(first).ok())),
        };
        if round.place.is_none() {
            round.began = Some(now);
        }
        Ok(round)
    }

    /// Where a round begins that is to find what changed at this time; for [`crate::Poll::since`].
    pub fn since(at: Timestamp) -> Cursor {
        Self::of(Some(at)).cursor()
    }

    fn of(since: Option<Timestamp>) -> Self {
        Self { since, place: None, seen: None, began: None }
    }

    /// Up to where this round is done.
    pub fn place(&self) -> Option<&P> {
        self.place.as_ref()
    }

    /// When this round began.
    pub fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// What changed from then on belongs to this round; `None` is everything.
    pub fn looks_back(&self, overlap: SignedDuration) -> Option<Timestamp> {
        self.since.map(|since| since.checked_sub(overlap).unwrap_or(since))
    }

    /// Whether what was made then is new to this round.
    pub fn is_new(&self, made: Timestamp, overlap: SignedDuration) -> bool {
        self.looks_back(overlap).is_none_or(|from| made >= from)
    }

    /// After a page whose latest change is `seen`. The round goes on at `next`, unless that is where the page began: such a
    /// list would be asked for again and again.
    pub fn page(self, changes: Vec<Change>, next: Option<P>, seen: Option<Timestamp>) -> Page {
        let (round, more) = self.after(next, seen);
        Page { changes, cursor: round.cursor(), more }
    }

    fn after(mut self, next: Option<P>, seen: Option<Timestamp>) -> (Self, bool) {
        self.seen = self.seen.max(seen);
        match next.filter(|next| self.place.as_ref() != Some(next)) {
            Some(next) => (Self { place: Some(next), ..self }, true),
            None => {
                // What changed while the round was under way belongs to the next one too.
                let reached = self.seen.map(|seen| self.began.map_or(seen, |began| seen.min(began)));
                (Self::of(self.since.max(reached)), false)
            }
        }
    }

    fn cursor(&self) -> Cursor {
        Cursor(serde_json::to_string(self).unwrap_or_default())
    }
}

impl Round<i64> {
    /// Ids up to this one are done in this round.
    pub fn id(&self) -> i64 {
        self.place.unwrap_or_default()
    }

    /// [`Round::page`] of a list by id, of which at most `size` rows were asked for: ids, and when each row changed.
    pub fn rows(self, changes: Vec<Change>, rows: &[(i64, Timestamp)], size: usize) -> Page {
        let (next, seen) = last_of(rows, size);
        self.page(changes, next, seen)
    }

    /// [`Round::rows`] for a cursor that holds more than the round.
    pub fn after_rows(self, rows: &[(i64, Timestamp)], size: usize) -> (Self, bool) {
        let (next, seen) = last_of(rows, size);
        self.after(next, seen)
    }
}

fn last_of(rows: &[(i64, Timestamp)], size: usize) -> (Option<i64>, Option<Timestamp>) {
    let last = rows.iter().map(|(id, _)| *id).max();
    (last.filter(|_| rows.len() >= size), rows.iter().map(|(_, at)| *at).max())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 3;
    const OVERLAP: SignedDuration = SignedDuration::from_mins(5);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        at("2026-11-20T10:00:00Z")
    }

    fn rows(ids: impl IntoIterator<Item = i64>, changed: &str) -> Vec<(i64, Timestamp)> {
        ids.into_iter().map(|id| (id, at(changed))).collect()
    }

    fn read(cursor: &Cursor, now: &str) -> Round<i64> {
        Round::read(Some(cursor), at(now), None).unwrap()
    }

    #[test]
    fn a_round_goes_on_by_id_and_the_next_one_looks_back_over_an_overlap() {
        let page = Round::read(None, now(), None).unwrap().rows(Vec::new(), &rows([3, 1, 2], "2026-11-20T09:00:00Z"), PAGE);
        assert!(page.more);
        let second = read(&page.cursor, "2026-11-20T10:01:00Z");
        assert_eq!((second.id(), second.looks_back(OVERLAP), second.began()), (3, None, Some(now())));
        let page = second.rows(Vec::new(), &rows([200], "2026-11-20T09:59:00Z"), PAGE);
        assert!(!page.more);
        let next = read(&page.cursor, "2026-11-20T10:05:00Z");
        assert_eq!((next.id(), next.looks_back(OVERLAP)), (0, Some(at("2026-11-20T09:54:00Z"))));
        assert_eq!(next.began(), Some(at("2026-11-20T10:05:00Z")));
    }

    #[test]
    fn the_newest_change_of_an_earlier_page_counts() {
        let page = Round::read(None, now(), None).unwrap().rows(Vec::new(), &rows(1..=3, "2026-11-20T09:59:00Z"), PAGE);
        let page = read(&page.cursor, "2026-11-20T10:01:00Z").rows(Vec::new(), &rows([4], "2026-11-20T09:00:00Z"), PAGE);
        assert_eq!(page.cursor, Round::<i64>::since(at("2026-11-20T09:59:00Z")));
    }

    #[test]
    fn what_changes_while_a_round_is_under_way_belongs_to_the_next_one_too() {
        let ahead = rows([1], "2026-11-20T12:00:00Z");
        let page = Round::read(None, now(), None).unwrap().rows(Vec::new(), &ahead, PAGE);
        assert_eq!(page.cursor, Round::<i64>::since(now()));
    }

    #[test]
    fn an_empty_round_keeps_its_place() {
        let cursor = Round::<i64>::since(at("2026-11-20T09:00:00Z"));
        let page = read(&cursor, "2026-11-20T10:00:00Z").rows(Vec::new(), &[], PAGE);
        assert_eq!((page.cursor, page.more), (cursor, false));
    }

    #[test]
    fn a_round_never_goes_back_behind_where_it_began() {
        let cursor = Round::<i64>::since(at("2026-11-20T09:00:00Z"));
        let overlapping = rows([1], "2026-11-20T08:57:00Z");
        assert_eq!(read(&cursor, "2026-11-20T10:00:00Z").rows(Vec::new(), &overlapping, PAGE).cursor, cursor);
    }

    #[test]
    fn a_full_page_that_does_not_go_on_ends_the_round() {
        let full = rows(1..=3, "2026-11-20T09:59:00Z");
        let page = Round::read(None, now(), None).unwrap().rows(Vec::new(), &full, PAGE);
        assert!(page.more);
        assert!(!read(&page.cursor, "2026-11-20T10:01:00Z").rows(Vec::new(), &full, PAGE).more);
    }

    #[test]
    fn the_first_round_may_reach_back_less_far_than_to_the_beginning_and_a_cursor_may_reach_further() {
        let first = Some(SignedDuration::from_hours(48));
        let round = Round::<i64>::read(None, now(), first).unwrap();
        assert_eq!(round.looks_back(OVERLAP), Some(at("2026-11-18T09:55:00Z")));
        assert!(round.is_new(at("2026-11-18T09:55:00Z"), OVERLAP) && !round.is_new(at("2026-11-18T09:54:59Z"), OVERLAP));
        assert!(Round::<i64>::read(None, now(), None).unwrap().is_new(Timestamp::MIN, OVERLAP));
        let earlier = Round::<i64>::since(at("2026-11-01T00:00:00Z"));
        let round = Round::<i64>::read(Some(&earlier), now(), first).unwrap();
        assert_eq!(round.looks_back(OVERLAP), Some(at("2026-10-31T23:55:00Z")));
    }

    #[test]
    fn a_place_may_be_the_vendors_own_link() {
        let page = Round::read(None, now(), None).unwrap().page(Vec::new(), Some("/rows?after=a".to_owned()), None);
        assert!(page.more);
        let second = Round::<String>::read(Some(&page.cursor), at("2026-11-20T10:30:00Z"), None).unwrap();
        assert_eq!((second.place().map(String::as_str), second.began()), (Some("/rows?after=a"), Some(now())));
    }

    #[test]
    fn a_foreign_cursor_is_refused_with_the_remedy() {
        let error = Round::<i64>::read(Some(&Cursor("x".into())), now(), None).unwrap_err();
        assert!(error.message.contains("clear it"), "{error}");
    }
}

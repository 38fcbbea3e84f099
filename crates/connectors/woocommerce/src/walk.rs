//! How a list of what changed is walked: by id, and by the number of rows that are done.
//!
//! By id nothing moves but for deletions, and pages overlap for these.

use jiff::SignedDuration;
use spindel_connect::{Page, Round};
use spindel_model::{Change, Timestamp};

/// Changes are committed a little after the second they carry, and the two clocks differ.
pub(crate) const OVERLAP: SignedDuration = SignedDuration::from_mins(5);

/// Where a walk stands: so many rows are done.
pub(crate) type Place = Round<usize>;

/// Since when this walk looks, as WordPress reads it.
pub(crate) fn modified_after(place: &Place) -> Option<String> {
    place.looks_back(OVERLAP).map(crate::wire::gmt)
}

/// After a page: `rows` were there of `size` asked for, and the newest of them changed at `seen`.
pub(crate) fn page(place: Place, changes: Vec<Change>, rows: usize, size: usize, seen: Option<Timestamp>) -> Page {
    let offset = place.place().copied().unwrap_or_default();
    place.page(changes, (rows >= size).then_some(offset + size - size / 10), seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_overlap_so_that_a_deleted_row_hides_none() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let place = Place::read(None, now, Some(SignedDuration::from_hours(48))).unwrap();
        assert_eq!(modified_after(&place).as_deref(), Some("2026-11-18T09:55:00"));
        let first = page(place, Vec::new(), 50, 50, None);
        assert!(first.more);
        let second = Place::read(Some(&first.cursor), now, None).unwrap();
        assert_eq!(second.place(), Some(&45));
        let third = page(second, Vec::new(), 50, 50, None);
        assert_eq!(Place::read(Some(&third.cursor), now, None).unwrap().place(), Some(&90));
    }
}

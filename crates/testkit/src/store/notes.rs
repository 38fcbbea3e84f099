//! What is noted of events, by the latest word.

use super::fixture::*;
use spindel_model::Version;
use spindel_store::{EventPlan, Note, NoteFilter, NoteKey};

fn note(key: &str, version: i64, body: &str) -> Note {
    let key = NoteKey { book: "ledger".into(), connection: SHOP.into(), key: key.into() };
    Note { key, version: Version(version), at: at(version), look_at: None, body: body.into() }
}

async fn all(store: &Shared) -> Vec<Note> {
    store.notes(NoteFilter::all("ledger", SHOP)).await.unwrap()
}

pub async fn a_plan_notes_what_its_event_said(store: Shared) {
    let events = [accepted(&store).await, accepted(&store).await];
    let words = [vec![note("a", 1, "one"), note("b", 1, "two"), note("a", 2, "newer")], vec![note("a", 1, "late")]];
    // Side by side, as one group may plan both.
    let plans = events.into_iter().zip(words).map(|(event, notes)| EventPlan { notes, ..plan_of(event, vec![], at(0)) });
    let mut plans = plans.map(|plan| store.plan(plan));
    let (one, two) = (plans.next().unwrap(), plans.next().unwrap());
    tokio::try_join!(one, two).unwrap();
    assert_eq!(all(&store).await, [note("a", 2, "newer"), note("b", 1, "two")]);
}

pub async fn an_older_word_changes_no_note(store: Shared) {
    store.note(vec![note("a", 5, "five")]).await.unwrap();
    store.note(vec![note("a", 4, "four")]).await.unwrap();
    assert_eq!(all(&store).await, [note("a", 5, "five")]);
    store.note(vec![Note { look_at: Some(at(60)), ..note("a", 5, "five again") }]).await.unwrap();
    assert_eq!(all(&store).await, [Note { look_at: Some(at(60)), ..note("a", 5, "five again") }], "of equals the later one");
    let elsewhere = Note { key: NoteKey { book: "parcels".into(), ..note("a", 0, "").key }, ..note("a", 1, "another book") };
    store.note(vec![elsewhere.clone()]).await.unwrap();
    assert_eq!(all(&store).await.len(), 1);
    assert_eq!(store.notes(NoteFilter::all("parcels", SHOP)).await.unwrap(), [elsewhere]);
}

pub async fn notes_are_read_by_pages_and_by_when_they_are_due(store: Shared) {
    let due = |key: &str, when: i64| Note { look_at: Some(at(when)), ..note(key, 1, key) };
    let notes = vec![due("a", 30), note("b", 2, "b"), due("c", 10), due("d", 20)];
    store.note(notes.clone()).await.unwrap();
    let filter = NoteFilter { limit: 3, ..NoteFilter::all("ledger", SHOP) };
    assert_eq!(store.notes(filter.clone()).await.unwrap(), notes[..3]);
    let rest = NoteFilter { after: Some("c".into()), ..filter.clone() };
    assert_eq!(store.notes(rest).await.unwrap(), notes[3..]);
    assert_eq!(store.notes(NoteFilter { since: at(2), ..filter.clone() }).await.unwrap(), notes[1..2]);
    let by = |when| NoteFilter { due: Some(at(when)), limit: 2, ..NoteFilter::all("ledger", SHOP) };
    assert_eq!(store.notes(by(9)).await.unwrap(), []);
    assert_eq!(store.notes(by(40)).await.unwrap(), [due("c", 10), due("d", 20)], "the longest due first");
}

pub async fn old_notes_are_forgotten(store: Shared) {
    store.note((1..=5).map(|n| note(&n.to_string(), n, "")).collect()).await.unwrap();
    assert_eq!(store.forget_notes(at(4), 2).await.unwrap(), 2);
    assert_eq!(store.forget_notes(at(4), 2).await.unwrap(), 1);
    assert_eq!(store.forget_notes(at(4), 2).await.unwrap(), 0);
    assert_eq!(all(&store).await, [note("4", 4, ""), note("5", 5, "")]);
}

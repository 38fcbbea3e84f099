//! Duties, settings, and the end of what is old.

use super::fixture::*;
use spindel_model::{Cause, DeliveryId, Document, Rejected, State};

pub async fn a_duty_is_held_by_one_node_at_a_time(store: Shared) {
    let hold = |node: &'static str, now, until| store.hold_duty("poll", node, at(now), at(until));
    assert!(hold("a", 0, 10).await.unwrap());
    assert!(!hold("b", 5, 15).await.unwrap());
    assert!(hold("a", 9, 20).await.unwrap(), "it keeps what it has");
    assert!(!hold("b", 19, 30).await.unwrap());
    assert!(hold("b", 20, 30).await.unwrap(), "it ran out");
    assert!(store.hold_duty("prune", "a", at(0), at(10)).await.unwrap(), "another duty is another matter");
}

pub async fn a_setting_is_kept(store: Shared) {
    assert_eq!(store.setting("key").await.unwrap(), None);
    store.set_setting("key", vec![1, 2]).await.unwrap();
    store.set_setting("key", vec![3]).await.unwrap();
    assert_eq!(store.setting("key").await.unwrap(), Some(vec![3]));
}

pub async fn documents_are_kept_beside_their_delivery_until_they_are_old(store: Shared) {
    let label = |text: &str| Document { name: "label.pdf".into(), media_type: "application/pdf".into(), base64: text.into() };
    let (of, other) = (DeliveryId::new(), DeliveryId::new());
    assert_eq!(store.documents(of).await.unwrap(), []);
    store.keep_documents(of, vec![label("YQ=="), label("Yg==")], at(10)).await.unwrap();
    store.keep_documents(other, vec![label("Yw==")], at(20)).await.unwrap();
    assert_eq!(store.documents(of).await.unwrap(), [label("YQ=="), label("Yg==")]);
    store.keep_documents(of, vec![label("ZA==")], at(11)).await.unwrap();
    assert_eq!(store.documents(of).await.unwrap(), [label("ZA==")], "again, in place of what was there");
    store.prune(at(15), at(0), 100).await.unwrap();
    assert_eq!(store.documents(of).await.unwrap(), []);
    assert_eq!(store.documents(other).await.unwrap(), [label("Yw==")]);
}

pub async fn only_what_has_ended_is_deleted(store: Shared) {
    let ended = accepted(&store).await;
    let live = accepted(&store).await;
    let unplanned = accepted(&store).await;
    let (one, two) = (push("1", 1), push("2", 1));
    let (done, waiting) = (one.id, two.id);
    store.plan(plan_of(ended, vec![one], at(0))).await.unwrap();
    store.plan(plan_of(live, vec![two], at(0))).await.unwrap();
    end(&store, done, State::Delivered, at(10)).await;
    store.reject(rejected(0)).await.unwrap();
    store.reject(rejected(50)).await.unwrap();

    assert_eq!(store.prune(at(10), at(10), 100).await.unwrap(), 0, "it ended only just then");
    assert_eq!(store.prune(at(11), at(40), 100).await.unwrap(), 1);
    assert!(store.event(ended).await.unwrap().is_none());
    assert!(store.delivery(done).await.unwrap().is_none());
    assert!(store.event(live).await.unwrap().is_some());
    assert!(store.event(unplanned).await.unwrap().is_some());
    assert!(store.delivery(waiting).await.unwrap().is_some());
    assert_eq!(store.rejected(10).await.unwrap(), [rejected(50)]);
    let replayed = spindel_store::NewEvent { cause: Cause::Replay, ..event("again") };
    store.append(replayed).await.unwrap();
    assert_eq!(store.prune(at(100), at(100), 100).await.unwrap(), 0);
}

fn rejected(seconds: i64) -> Rejected {
    Rejected { connection: SHOP.into(), at: at(seconds), reason: "too old".into(), status: 401, size: 1 }
}

pub async fn a_probe_writes(store: Shared) {
    store.probe().await.unwrap();
    store.probe().await.unwrap();
}

//! One at a time and in order inside a lane; lanes beside each other.

use crate::{
    vendor::Answer,
    world::{Setup, World, order, until},
};
use spindel_model::State;

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_runs_one_at_a_time_and_in_order_and_lanes_run_beside_each_other() {
    let world = World::start(Setup { concurrency: 8, ..Setup::default() }).await;
    let lanes = ["a", "b", "c"];
    for lane in lanes {
        world.erp().next(lane, [Answer::Hang]);
    }
    for seconds in [3, 1, 5, 2, 4] {
        world.put(lanes.map(|lane| order(lane, seconds))).await;
    }
    until("every lane to have one out", async || world.erp().running().len() == lanes.len()).await;
    until("all to be planned", async || world.deliveries().await.len() == 15).await;
    for lane in lanes {
        world.erp().release(lane);
    }
    until("all to have ended", async || world.deliveries().await.iter().all(|it| it.state.is_end())).await;

    let (at_once, of_one) = world.erp().most();
    assert_eq!((at_once, of_one), (3, 1));
    let calls = world.erp().calls();
    for lane in lanes {
        let seen: Vec<i64> =
            calls.iter().filter(|call| call.id == lane).map(|call| call.note.as_ref().unwrap().parse().unwrap()).collect();
        // Who was out first stays first; the rest goes by version, and what is older than that is not sent any more.
        assert!(seen.is_sorted(), "{lane}: {seen:?}");
        assert_eq!(seen.last(), Some(&5));
        let ended: Vec<State> =
            world.deliveries().await.into_iter().filter(|it| it.entity.id == lane).map(|it| it.state).collect();
        assert_eq!(ended.iter().filter(|it| **it == State::Delivered).count(), seen.len());
        assert!(ended.iter().all(|it| matches!(it, State::Delivered | State::Stale)), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_come_together_go_out_in_order() {
    let world = World::start(Setup { concurrency: 8, ..Setup::default() }).await;
    world.put([4, 2, 5, 1, 3].map(|seconds| order("a", seconds))).await;
    world.until_all_delivered(5).await;
    let notes: Vec<String> = world.erp().calls().into_iter().filter_map(|call| call.note).collect();
    assert_eq!(notes, ["1", "2", "3", "4", "5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_one_lets_the_next_of_its_lane_go() {
    let world = World::start(Setup::default()).await;
    world.erp().next("a", [Answer::Fail(crate::world::failure(spindel_model::ErrorClass::Data))]);
    world.put([order("a", 1), order("a", 2)]).await;
    world.until_state("a", "delivered").await;
    let states: Vec<&str> = world.deliveries().await.iter().map(|it| it.state.name()).collect();
    assert_eq!(states, ["delivered", "dead"]);
}

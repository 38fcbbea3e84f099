//! The queue may forget anything at any moment: the store announces it again.

use crate::world::{ERP, Leaky, Setup, World, manual, order, until};
use spindel_queue::Channel;
use std::{sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_the_queue_lost_are_announced_again() {
    let world = World::start(Setup { clock: manual(), ..Setup::default() }).await;
    world.queue.lose(Some(|channel| matches!(channel, Channel::Deliver(_))));
    world.put((0..30).map(|number| order(&format!("o{number}"), 0))).await;
    until("the queue to have lost all", async || world.queue.lost() == 30).await;
    world.queue.lose(None);
    assert!(world.erp().calls().is_empty());

    world.advance(Duration::from_secs(60));
    world.until_all_delivered(30).await;
    assert_eq!(world.erp().calls().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_the_queue_lost_are_announced_again() {
    let world = World::start(Setup { clock: manual(), ..Setup::default() }).await;
    world.queue.lose(Some(|channel| *channel == Channel::Plan));
    for number in 0..10 {
        world.put([order(&format!("o{number}"), 0)]).await;
    }
    until("the queue to have lost all", async || world.queue.lost() == 10).await;
    world.queue.lose(None);
    assert!(world.deliveries().await.is_empty());

    world.advance(Duration::from_secs(6));
    world.until_all_delivered(10).await;
    assert_eq!(world.erp().calls().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_queue_after_a_restart_is_told_at_once() {
    let world = World::start(Setup { clock: manual(), ..Setup::default() }).await;
    world.queue.lose(Some(|channel| matches!(channel, Channel::Deliver(_))));
    world.put((0..30).map(|number| order(&format!("o{number}"), 0))).await;
    until("the queue to have lost all", async || world.queue.lost() == 30).await;
    world.engine.drain(Duration::from_secs(10)).await;

    world.another("a", &Arc::new(Leaky::default()), &world.vendors[ERP]).await;
    world.until_all_delivered(30).await;
    assert_eq!(world.erp().calls().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_queue_may_have_forgotten_is_announced_at_once() {
    let world = World::start(Setup { clock: manual(), ..Setup::default() }).await;
    world.queue.lose(Some(|_| true));
    world.put((0..30).map(|number| order(&format!("planned{number}"), 0))).await;
    until("the queue to have lost the event", async || world.queue.lost() == 1).await;
    world.queue.lose(Some(|channel| matches!(channel, Channel::Deliver(_))));
    world.advance(Duration::from_millis(1));
    world.queue.forget();
    until("the queue to have lost all deliveries", async || world.queue.lost() >= 31).await;
    world.queue.lose(None);
    assert!(world.erp().calls().is_empty());

    // A broker that comes back has lost both kinds; nobody waits for a timer.
    world.queue.forget();
    world.until_all_delivered(30).await;
}

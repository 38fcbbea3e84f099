//! A broker that cannot be reached, goes away in the middle, or loses a queue that is consumed.

use crate::world::{World, connected, erp, fresh, receive, receive_all, until};
use lapin::{
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use spindel_queue::{Queue, QueueError, RabbitMq};
use spindel_testkit::proxy::{Cut, Mode, Proxy};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_broker_out_of_reach_at_the_start_is_joined_when_it_comes() {
    let Some(world) = World::new() else { return };
    let proxy = Proxy::start(world.broker());
    proxy.set(Mode::Refuse);
    let queue = RabbitMq::connect(world.options_through(proxy.address));
    let begun = Instant::now();
    let mut consumer = queue.consume(&erp(), 10).await.unwrap();
    let refused = queue.publish(&erp(), fresh(1)).await;
    assert!(matches!(refused, Err(QueueError::Unavailable(_))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "nothing hangs");
    assert!(queue.trouble().is_some());
    assert_eq!(queue.depth(&erp()).await.unwrap(), 0);
    proxy.set(Mode::Pass);
    until("joined", async || queue.trouble().is_none()).await;
    assert!(*queue.resets().borrow() > 0, "what was refused is to be announced again");
    let messages = fresh(5);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    receive_all(&mut consumer, &messages).await;
}

#[tokio::test]
async fn what_the_broker_does_not_take_is_carried_inside() {
    let Some(world) = World::new() else { return };
    let proxy = Proxy::start(world.broker());
    let mut options = world.options_through(proxy.address);
    options.hand_over = true;
    let queue = connected(options).await;
    let mut consumer = queue.consume(&erp(), 10).await.unwrap();
    let before = fresh(3);
    queue.publish(&erp(), before.clone()).await.unwrap();
    receive_all(&mut consumer, &before).await;
    proxy.set(Mode::Refuse);
    proxy.cut(Cut::Reset);
    until("the outage is noticed", async || queue.trouble().is_some()).await;
    let during = fresh(20);
    let begun = Instant::now();
    queue.publish(&erp(), during.clone()).await.unwrap();
    assert_eq!(queue.depth(&erp()).await.unwrap(), 20);
    receive_all(&mut consumer, &during).await;
    let mut another = queue.consume(&erp(), 10).await.unwrap();
    let more = fresh(1);
    queue.publish(&erp(), more.clone()).await.unwrap();
    receive_all(&mut another, &more).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "nothing hangs");
    proxy.set(Mode::Pass);
    until("joined again", async || queue.trouble().is_none()).await;
    drop(another);
    let after = fresh(20);
    queue.publish(&erp(), after.clone()).await.unwrap();
    receive_all(&mut consumer, &after).await;
}

#[tokio::test]
async fn connections_cut_again_and_again_lose_nothing_that_was_confirmed() {
    let Some(world) = World::new() else { return };
    let proxy = Proxy::start(world.broker());
    let queue = connected(world.options_through(proxy.address)).await;
    let mut consumer = queue.consume(&erp(), 50).await.unwrap();
    let resets = *queue.resets().borrow();
    let (tell, mut confirmed) = tokio::sync::mpsc::unbounded_channel();
    let publishing = async {
        for round in 0..40 {
            let messages = fresh(25);
            // Those not confirmed may arrive all the same.
            let taken = queue.publish(&erp(), messages.clone()).await.is_ok();
            tell.send((taken, messages)).unwrap();
            if round % 10 == 5 {
                proxy.cut(if round % 20 == 5 { Cut::Reset } else { Cut::Finish });
                until("back", async || queue.trouble().is_none()).await;
            }
        }
        drop(tell);
    };
    let mut seen = std::collections::HashSet::new();
    let mut owed: std::collections::HashSet<spindel_queue::Message> = std::collections::HashSet::new();
    let receiving = async {
        loop {
            tokio::select! {
                told = confirmed.recv() => match told {
                    Some((true, messages)) => owed.extend(messages),
                    Some((false, _)) => {}
                    None => break,
                },
                some = consumer.receive(10, 10) => {
                    let some = some.unwrap();
                    consumer.acknowledge(&some).await.unwrap();
                    seen.extend(some);
                }
            }
        }
    };
    tokio::join!(publishing, receiving);
    assert!(owed.len() >= 500, "{} were confirmed", owed.len());
    while !owed.is_subset(&seen) {
        let some = receive(&mut consumer, 100).await;
        consumer.acknowledge(&some).await.unwrap();
        seen.extend(some);
    }
    assert!(*queue.resets().borrow() >= resets + 4);
    until("nothing is left", async || queue.depth(&erp()).await.unwrap() == 0).await;
}

#[tokio::test]
async fn a_queue_deleted_under_its_consumer_comes_back() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    let mut consumer = queue.consume(&erp(), 10).await.unwrap();
    let first = fresh(1);
    queue.publish(&erp(), first.clone()).await.unwrap();
    receive_all(&mut consumer, &first).await;
    let mut resets = queue.resets();
    resets.borrow_and_update();
    world.delete_queue("deliver.erp").await;
    tokio::time::timeout(crate::world::DEADLINE, resets.changed()).await.expect("resets grow").unwrap();
    let messages = fresh(20);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    receive_all(&mut consumer, &messages).await;
    assert_eq!(queue.trouble(), None);
}

#[tokio::test]
async fn a_consumer_that_is_ended_again_and_again_comes_back_more_slowly_each_time() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    let _consumer = queue.consume(&erp(), 10).await.unwrap();
    let (connection, mut stranger) = world.stranger().await;
    let (resets, begun) = (*queue.resets().borrow(), Instant::now());
    while begun.elapsed() < Duration::from_secs(6) {
        let declared =
            stranger.queue_declare(world.name("deliver.erp"), QueueDeclareOptions::durable().passive(), FieldTable::default());
        match declared.await {
            // Not before somebody consumes it: to delete a queue that is only being declared upsets the broker itself.
            Ok(queue) if queue.consumer_count() > 0 => {
                stranger.queue_delete(world.name("deliver.erp"), QueueDeleteOptions::default()).await.unwrap();
            }
            Ok(_) => {}
            // The broker closes a channel on which it was asked for what is not there.
            Err(_) => stranger = connection.create_channel().await.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Each time all that is due is announced again.
    let times = *queue.resets().borrow() - resets;
    assert!((2..=6).contains(&times), "it came back {times} times in six seconds");
    until("back for good", async || queue.trouble().is_none()).await;
}

#[tokio::test]
async fn a_broker_that_hangs_is_left_and_found_again() {
    let Some(world) = World::new() else { return };
    let proxy = Proxy::start(world.broker());
    let mut options = world.options_through(proxy.address);
    options.hand_over = true;
    options.heartbeat = Duration::from_secs(1);
    let queue = connected(options).await;
    let mut consumer = queue.consume(&erp(), 10).await.unwrap();
    proxy.set(Mode::Freeze);
    let messages = fresh(5);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    receive_all(&mut consumer, &messages).await;
    proxy.set(Mode::Pass);
    proxy.cut(Cut::Reset);
    until("found again", async || queue.trouble().is_none()).await;
    let later = fresh(5);
    queue.publish(&erp(), later.clone()).await.unwrap();
    receive_all(&mut consumer, &later).await;
}

//! RabbitMQ as the queue, against a real broker: the suite of all queues, and what only a broker can do.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod blocked;
mod changes;
mod outages;
mod speed;
mod tls;
mod world;

use lapin::{BasicProperties, options::*, types::FieldTable};
use spindel_queue::{Channel, Message, Queue, RabbitMq};
use std::time::Duration;
use world::{World, connected, erp, fresh, open, receive, receive_all, receives_nothing, until};

spindel_testkit::queue_suite!(open());

#[tokio::test]
async fn garbage_and_other_versions_are_dropped_and_harm_nobody() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    let mut consumer = queue.consume(&erp(), 10).await.unwrap();
    let (_connection, stranger) = world.stranger().await;
    for body in [&b"garbage"[..], b"", b"{\"v\":99,\"delivery\":\"dlv_1\"}", &[0xff; 5000]] {
        let (work, key) = (world.name("work"), world.name("deliver.erp"));
        let sent = stranger.basic_publish(work, key, BasicPublishOptions::default(), body, BasicProperties::default());
        sent.await.unwrap().await.unwrap();
    }
    let messages = fresh(1);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    assert_eq!(receive(&mut consumer, 10).await, messages);
    consumer.acknowledge(&messages).await.unwrap();
    drop(consumer);
    let mut consumer = queue.consume(&erp(), 10).await.unwrap();
    assert!(receives_nothing(&mut consumer).await, "all was acknowledged");
}

#[tokio::test]
async fn messages_hold_an_id_and_survive_a_restart() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    let messages = fresh(1);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    let (_connection, stranger) = world.stranger().await;
    let got = stranger.basic_get(world.name("deliver.erp"), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    let spindel_queue::Work::Deliver(id) = messages[0].work else { unreachable!() };
    assert_eq!(String::from_utf8_lossy(&got.data), format!(r#"{{"v":1,"delivery":"{id}"}}"#));
    assert_eq!(got.properties.delivery_mode(), &Some(2));
    assert_eq!(got.properties.content_type().as_ref().unwrap().as_str(), "application/json");
    assert!(got.properties.expiration().is_none());
}

#[tokio::test]
async fn what_comes_back_too_often_is_set_aside_and_counted() {
    let Some(world) = World::new() else { return };
    let mut options = world.options();
    options.delivery_limit = 1;
    let queue = connected(options).await;
    let messages = fresh(1);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    for _ in 0..2 {
        let mut consumer = queue.consume(&erp(), 10).await.unwrap();
        assert_eq!(receive(&mut consumer, 1).await, messages);
    }
    until("the dead letter is counted", async || queue.dead_letters() == 1).await;
    assert_eq!(queue.depth(&erp()).await.unwrap(), 0);
    let (_connection, stranger) = world.stranger().await;
    until("it was taken off the queue of dead letters", async || {
        let got =
            stranger.queue_declare(world.name("dead"), QueueDeclareOptions::durable().passive(), FieldTable::default()).await;
        got.unwrap().message_count() == 0
    })
    .await;
}

#[tokio::test]
async fn no_more_than_the_prefetch_is_held() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    let messages = fresh(20);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    let mut consumer = queue.consume(&erp(), 4).await.unwrap();
    let mut held = Vec::new();
    while let Ok(some) = tokio::time::timeout(Duration::from_millis(300), consumer.receive(20, 20)).await {
        held.extend(some.unwrap());
    }
    assert!((1..=4).contains(&held.len()), "{} are held", held.len());
    assert_eq!(queue.depth(&erp()).await.unwrap(), 20 - held.len(), "the rest is left to others");
    consumer.acknowledge(&held).await.unwrap();
    receive_all(&mut consumer, &messages[held.len()..]).await;
}

#[tokio::test]
async fn any_order_of_acknowledgements_is_understood() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    let messages = fresh(50);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    let mut consumer = queue.consume(&erp(), 100).await.unwrap();
    let mut held: Vec<Message> = Vec::new();
    while held.len() < 50 {
        held.extend(receive(&mut consumer, 50).await);
    }
    // Every third first, then from the back, all but the one in the middle; some of them twice.
    for at in (0..50).step_by(3).chain((0..50).rev()).filter(|at| *at != 25) {
        consumer.acknowledge(&held[at..=at]).await.unwrap();
    }
    // The prefetch lets so many through only when all these were understood.
    let more = fresh(49);
    queue.publish(&erp(), more.clone()).await.unwrap();
    let mut received = Vec::new();
    while received.len() < 49 {
        received.extend(receive(&mut consumer, 50).await);
    }
    assert_eq!(received, more);
    drop(consumer);
    let mut consumer = queue.consume(&erp(), 200).await.unwrap();
    let mut again = Vec::new();
    while again.len() < 50 {
        again.extend(receive(&mut consumer, 50).await);
    }
    received.push(held[25]);
    again.sort_by_key(|message| format!("{message:?}"));
    received.sort_by_key(|message| format!("{message:?}"));
    assert_eq!(again, received);
    assert!(receives_nothing(&mut consumer).await);
}

#[tokio::test]
async fn a_message_that_was_announced_twice_is_acknowledged_twice() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    let one = fresh(1);
    queue.publish(&erp(), [one.clone(), one.clone()].concat()).await.unwrap();
    let mut consumer = queue.consume(&erp(), 200).await.unwrap();
    let mut count = 0;
    while count < 2 {
        let some = receive(&mut consumer, 2).await;
        consumer.acknowledge(&some).await.unwrap();
        count += some.len();
    }
    drop(consumer);
    let mut consumer = queue.consume(&erp(), 200).await.unwrap();
    assert!(receives_nothing(&mut consumer).await);
}

#[tokio::test]
async fn a_queue_that_stands_with_other_arguments_is_used_as_it_is() {
    let Some(world) = World::new() else { return };
    let (_connection, stranger) = world.stranger().await;
    let declared = stranger.queue_declare(world.name("deliver.erp"), QueueDeclareOptions::durable(), FieldTable::default());
    declared.await.unwrap();
    let queue = connected(world.options()).await;
    let messages = fresh(3);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    let mut consumer = queue.consume(&erp(), 10).await.unwrap();
    receive_all(&mut consumer, &messages).await;
}

#[tokio::test]
async fn a_queue_without_consumers_that_was_deleted_is_made_anew() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    queue.publish(&Channel::Plan, fresh(1)).await.unwrap();
    let resets = *queue.resets().borrow();
    world.delete_queue("plan").await;
    let messages = fresh(30);
    queue.publish(&Channel::Plan, messages.clone()).await.unwrap();
    assert_eq!(queue.depth(&Channel::Plan).await.unwrap(), 30);
    assert!(*queue.resets().borrow() > resets, "what the queue held is gone");
    let mut consumer = queue.consume(&Channel::Plan, 50).await.unwrap();
    receive_all(&mut consumer, &messages).await;
}

#[tokio::test]
async fn an_exchange_that_was_deleted_is_made_anew() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    queue.publish(&erp(), fresh(1)).await.unwrap();
    let resets = *queue.resets().borrow();
    let (_connection, stranger) = world.stranger().await;
    stranger.exchange_delete(world.name("work"), ExchangeDeleteOptions::default()).await.unwrap();
    // The broker closes the channel over the first one.
    until("published again", async || queue.publish(&erp(), fresh(1)).await.is_ok()).await;
    assert!(*queue.resets().borrow() > resets);
}

#[tokio::test]
async fn what_is_held_for_too_long_is_let_go_of_before_the_broker_takes_offence() {
    let Some(world) = World::new() else { return };
    let mut options = world.options();
    options.hold_at_most = Duration::from_secs(1);
    let queue = connected(options).await;
    let messages = fresh(4);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    let mut consumer = queue.consume(&erp(), 8).await.unwrap();
    // One is in hand and three lie beside it, as while a destination rests.
    let held = receive(&mut consumer, 1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(receives_nothing(&mut consumer).await, "what nobody took is dropped, as the store announces it again");
    // Of what was let go of the broker is told nothing more, and what comes later comes as ever.
    consumer.acknowledge(&held).await.unwrap();
    let later = fresh(4);
    queue.publish(&erp(), later.clone()).await.unwrap();
    receive_all(&mut consumer, &later).await;
    drop(consumer);
    let mut consumer = queue.consume(&erp(), 8).await.unwrap();
    assert!(receives_nothing(&mut consumer).await, "the broker still holds what was let go of");
    assert_eq!(queue.trouble(), None);
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let Some(world) = World::new() else { return };
    let options = spindel_queue::Options::new(&world.address, Some("hunter2".into())).unwrap();
    let queue = RabbitMq::connect(options);
    let wrong = |trouble: &str| trouble.contains("ACCESS") && !trouble.contains("hunter2");
    until("the trouble is told", async || queue.trouble().is_some_and(|trouble| wrong(&trouble))).await;
}

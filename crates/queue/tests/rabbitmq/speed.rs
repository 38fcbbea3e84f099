//! How fast it is, for people: `cargo nextest run -p spindel-queue --run-ignored only --no-capture speed`.

use crate::world::{World, connected, erp, fresh, receive};
use futures::{StreamExt as _, stream};
use spindel_queue::Queue;
use std::time::Instant;

const COUNT: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn messages_a_second() {
    let Some(world) = World::new() else { return };
    let queue = connected(world.options()).await;
    for (together, at_once) in [(1, 64), (16, 16), (64, 8)] {
        let messages = fresh(COUNT / 4);
        let begun = Instant::now();
        let batches = stream::iter(messages.chunks(together).map(<[_]>::to_vec));
        batches.for_each_concurrent(at_once, async |batch| queue.publish(&erp(), batch).await.unwrap()).await;
        let rate = messages.len() as f64 / begun.elapsed().as_secs_f64();
        println!("confirmed, {together} together, {at_once} calls at once: {rate:.0}/s");
    }
    let (mut count, begun) = (0, Instant::now());
    let mut consumer = queue.consume(&erp(), 500).await.unwrap();
    while count < COUNT / 4 * 3 {
        let some = receive(&mut consumer, 64).await;
        consumer.acknowledge(&some).await.unwrap();
        count += some.len();
    }
    println!("received and acknowledged: {:.0}/s", count as f64 / begun.elapsed().as_secs_f64());
}

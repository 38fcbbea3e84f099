//! Work that is announced again and again, to two nodes that race for it.

use crate::{EVERY, ORDERS, cluster::Cluster};
use spindel_model::{DeliveryId, EventId};
use spindel_queue::{Channel, Message, Options, Queue as _, RabbitMq, Work};

#[tokio::test(flavor = "multi_thread")]
async fn work_announced_again_and_again_is_done_once() {
    let Some(cluster) = Cluster::start("duplicate deliveries from the broker").await else { return };
    let backend = cluster.backend();
    let address = format!("amqp://spindel@{}/{}", backend.services.amqp, backend.vhost);
    let broker = RabbitMq::connect(Options::new(&address, Some(backend.services.password.clone())).unwrap());
    let mut feed = cluster.feed(ORDERS, EVERY);
    let mut repeated = 0;
    for round in 1..=10 {
        feed.reached(10 * round).await;
        let events = newest(&cluster, &["events", "list"], |id: EventId| Work::Plan(id));
        let deliveries = newest(&cluster, &["deliveries", "list"], |id: DeliveryId| Work::Deliver(id));
        for (channel, work) in [(Channel::Plan, events), (Channel::Deliver("erp".into()), deliveries)] {
            // Next to each other, so that both nodes have it at the same time.
            let three_times = work.into_iter().flat_map(|work| [Message { work, fresh: true }; 3]);
            let messages: Vec<Message> = three_times.collect();
            repeated += messages.len();
            broker.publish(&channel, messages).await.unwrap();
        }
    }
    assert!(repeated > ORDERS, "only {repeated} messages were repeated");
    cluster.settle(feed).await;
}

/// What came last, the part of the work that is most likely under way.
fn newest<I: std::str::FromStr>(cluster: &Cluster, what: &[&str], work: fn(I) -> Work) -> Vec<Work> {
    let list = cluster.cli(&[what, &["--limit", "200"]].concat());
    let ids = list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().parse().ok().unwrap());
    ids.map(work).collect()
}

//! Changes on a topic exchange, for services that Spindel does not know.

use crate::world::{FLOWS, World, wait_for};
use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use serde_json::Value;
use spindel_simulators::shopify::Options;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// The shared broker's address; `None` where tests that need it are left out.
#[allow(clippy::print_stderr)]
fn broker() -> Option<url::Url> {
    match std::env::var("SPINDEL_TEST_AMQP") {
        Ok(address) => Some(address.parse().unwrap()),
        Err(_) if std::env::var_os("SPINDEL_TEST_SKIP_SERVICES").is_some() => {
            eprintln!("left out: SPINDEL_TEST_AMQP is not set");
            None
        }
        Err(_) => panic!("SPINDEL_TEST_AMQP is not set: run `./scripts/services up`, then `eval \"$(./scripts/services env)\"`"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_published_under_its_topic_and_its_shop_with_an_id_to_know_it_by() {
    let Some(broker) = broker() else { return };
    let exchange = format!("test-{}", uuid::Uuid::new_v4().simple());
    let (_connection, channel, queue) = listen(&broker, &exchange, FieldTable::default()).await;

    let world = start(&broker, &exchange).await;
    for _ in 0..5 {
        world.pair.shop.place_random_order().unwrap();
    }
    let orders: BTreeSet<String> = world.pair.shop.orders().into_iter().map(|order| order.name).collect();
    world.pair.shop.flush().await;

    let (mut numbers, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let until = Instant::now() + Duration::from_secs(30);
    while numbers != orders {
        assert!(Instant::now() < until, "{numbers:?} of {orders:?}\n{}", world.log());
        let Some(got) = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await.unwrap() else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let json: Value = serde_json::from_slice(&got.data).unwrap();
        assert_eq!(got.routing_key.as_str(), format!("{}.shop", json["type"].as_str().unwrap()));
        assert_eq!(got.properties.delivery_mode(), &Some(2), "a restart of the broker loses it");
        assert!(ids.insert(got.properties.message_id().as_ref().unwrap().to_string()), "an id came twice");
        numbers.insert(json["data"]["record"]["data"]["number"].as_str().unwrap().to_owned());
    }
    world.wait_until_clean(Duration::from_secs(30)).await;
    let arrived = world.deliveries("delivered");
    assert!(arrived.iter().filter(|delivery| delivery["to"] == "bus").count() >= orders.len());
    channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_queue_refuses_is_tried_again_until_there_is_room() {
    let Some(broker) = broker() else { return };
    let exchange = format!("test-{}", uuid::Uuid::new_v4().simple());
    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongInt(1));
    full.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let (_connection, channel, queue) = listen(&broker, &exchange, full).await;
    let world = start(&broker, &exchange).await;
    for _ in 0..5 {
        world.pair.shop.place_random_order().unwrap();
    }
    world.pair.shop.flush().await;
    let told = || {
        let open = world.deliveries("waiting,due").into_iter().filter(|delivery| delivery["to"] == "bus");
        let mut shown = open.map(|delivery| world.cli(&["deliveries", "show", delivery["id"].as_str().unwrap()]));
        shown.any(|detail| detail["attempts"].to_string().contains("negative confirm"))
    };
    wait_for("a delivery that tells why the broker did not keep it", Duration::from_secs(30), told).await;
    let until = Instant::now() + Duration::from_secs(60);
    while world.deliveries("delivered").iter().filter(|delivery| delivery["to"] == "bus").count() < 5 {
        assert!(Instant::now() < until, "not delivered\n{}", world.log());
        channel.queue_purge(queue.clone(), QueuePurgeOptions::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.deliveries("dead").len(), 0);
    channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
}

/// A queue of these arguments, bound for all orders, before Spindel comes.
async fn listen(broker: &url::Url, exchange: &str, arguments: FieldTable) -> (Connection, lapin::Channel, ShortString) {
    let connection = Connection::connect(broker.as_str(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    // As Spindel declares it, whoever comes first.
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.into(), ExchangeKind::Topic, durable, FieldTable::default()).await.unwrap();
    let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), own, arguments).await.unwrap().name().clone();
    let (key, options) = ("order.*.shop".into(), QueueBindOptions::default());
    channel.queue_bind(queue.clone(), exchange.into(), key, options, FieldTable::default()).await.unwrap();
    (connection, channel, queue)
}

async fn start(broker: &url::Url, exchange: &str) -> World {
    let mut world = World::prepare(FLOWS, Options::plus()).await;
    let mut address = broker.clone();
    let password = world.folder.path().join("bus_password");
    std::fs::write(&password, broker.password().unwrap()).unwrap();
    address.set_password(None).unwrap();
    let bus = format!(
        r#"
[connections.bus]
connector = "amqp"
url = "{address}"
password = {{ file = "{}" }}
exchange = "{exchange}"

[flows.orders-to-bus]
from = "shop"
on = ["order.created", "order.updated"]
to = "bus"
do = "send_change"
retry = {{ first = "200ms", factor = 2, max = "1s" }}
"#,
        password.display()
    );
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), config + &bus).unwrap();
    world.launch();
    world
}

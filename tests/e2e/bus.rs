//! Changes on a topic exchange, for services that Spindel does not know.

use crate::world::{FLOWS, World};
use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    options::{BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
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
    let connection = Connection::connect(broker.as_str(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    // As Spindel declares it, whoever comes first.
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, durable, FieldTable::default()).await.unwrap();
    let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), own, FieldTable::default()).await.unwrap().name().clone();
    let key = "order.*.shop".into();
    let bind =
        channel.queue_bind(queue.clone(), exchange.as_str().into(), key, QueueBindOptions::default(), FieldTable::default());
    bind.await.unwrap();

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
"#,
        password.display()
    );
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), config + &bus).unwrap();
    world.launch();
    world
}

//! A corner of the shared broker for one test: a prefix of its own, and nothing left behind.

use lapin::{Connection, ConnectionProperties, options::*};
use spindel_model::DeliveryId;
use spindel_queue::{Channel, Consumer, Message, Options, Queue, RabbitMq, Work};
use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

/// Longer than a broker under load takes for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub struct World {
    pub address: String,
    pub prefix: String,
}

impl World {
    /// `None`, and a line why, where there is no broker and that is allowed.
    pub fn new() -> Option<Self> {
        match std::env::var("SPINDEL_TEST_AMQP") {
            Ok(address) => Some(Self { address, prefix: format!("test-{}", DeliveryId::new()) }),
            Err(_) if std::env::var_os("SPINDEL_TEST_SKIP_SERVICES").is_some() => {
                println!("left out: SPINDEL_TEST_AMQP is not set");
                None
            }
            Err(_) => {
                panic!("SPINDEL_TEST_AMQP is not set: run `./scripts/services up`, then `eval \"$(./scripts/services env)\"`")
            }
        }
    }

    pub fn options(&self) -> Options {
        self.options_at(&self.address)
    }

    pub fn options_at(&self, address: &str) -> Options {
        let mut options = Options::new(address, None).unwrap();
        options.prefix = self.prefix.clone();
        options
    }

    /// Where the broker listens.
    pub fn broker(&self) -> SocketAddr {
        let (_, rest) = self.address.rsplit_once('@').unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    /// The same broker at another place.
    pub fn address_at(&self, scheme: &str, place: &str) -> String {
        let (before, after) = self.address.rsplit_once('@').unwrap();
        let (_, credentials) = before.split_once("://").unwrap();
        let (_, vhost) = after.split_once('/').unwrap();
        format!("{scheme}://{credentials}@{place}/{vhost}")
    }

    /// Through a proxy.
    pub fn options_through(&self, place: SocketAddr) -> Options {
        self.options_at(&self.address_at("amqp", &place.to_string()))
    }

    /// A connection that knows nothing of the queue under test.
    pub async fn stranger(&self) -> (Connection, lapin::Channel) {
        let connection = Connection::connect(&self.address, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    pub fn name(&self, rest: &str) -> lapin::types::ShortString {
        format!("{}.{rest}", self.prefix).into()
    }

    pub async fn delete_queue(&self, rest: &str) {
        let (_connection, channel) = self.stranger().await;
        channel.queue_delete(self.name(rest), QueueDeleteOptions::default()).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let (address, prefix) = (self.address.clone(), self.prefix.clone());
        // The test's own runtime may be on its way out.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let connection = Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
                let channel = connection.create_channel().await.unwrap();
                for queue in ["plan", "deliver.erp", "deliver.crm"] {
                    for again in ["", ".again"] {
                        let name = format!("{prefix}.{queue}{again}");
                        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
                    }
                }
                channel.queue_delete(format!("{prefix}.dead").into(), QueueDeleteOptions::default()).await.unwrap();
                for exchange in ["work", "dead", "changes"] {
                    let name = format!("{prefix}.{exchange}");
                    channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await.unwrap();
                }
                connection.close(200, "done".into()).await.unwrap();
            });
        });
        let _ = cleaning.join();
    }
}

/// Connected, or the test fails.
pub async fn connected(options: Options) -> RabbitMq {
    let queue = RabbitMq::connect(options);
    until("connected", async || queue.trouble().is_none()).await;
    queue
}

/// Waits for a condition.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}

pub fn erp() -> Channel {
    Channel::Deliver("erp".into())
}

pub fn fresh(count: usize) -> Vec<Message> {
    (0..count).map(|_| Message { work: Work::Deliver(DeliveryId::new()), fresh: true }).collect()
}

pub async fn receive(consumer: &mut Box<dyn Consumer>, max: usize) -> Vec<Message> {
    let received = tokio::time::timeout(DEADLINE, consumer.receive(max, max)).await;
    received.expect("a message before the deadline").unwrap()
}

/// Receives and acknowledges until all of these have come. Others may come again: an acknowledgement was lost.
pub async fn receive_all(consumer: &mut Box<dyn Consumer>, messages: &[Message]) {
    let mut missing: HashSet<Message> = messages.iter().copied().collect();
    while !missing.is_empty() {
        let some = receive(consumer, 100).await;
        consumer.acknowledge(&some).await.unwrap();
        missing.retain(|message| !some.contains(message));
    }
}

/// Nothing is there within a while that is long for a message under way.
pub async fn receives_nothing(consumer: &mut Box<dyn Consumer>) -> bool {
    tokio::time::timeout(Duration::from_millis(300), consumer.receive(100, 100)).await.is_err()
}

pub async fn open() -> Option<(Arc<dyn Queue>, World)> {
    let world = World::new()?;
    let queue = connected(world.options()).await;
    Some((Arc::new(queue), world))
}

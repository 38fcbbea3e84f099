//! Canonical changes for those who listen at the broker: the topic exchange `spindel.changes`.

use crate::rabbitmq::{Options, Outcome, Parcel, Publisher, Topology, json};
use bytes::Bytes;
use lapin::types::ShortString;
use std::sync::Arc;

/// Publishes to the topic exchange.
#[derive(Clone)]
pub struct Changes {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) topology: Topology,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// Nothing was sent.
    #[error("the broker takes no messages: {0}")]
    Unavailable(String),
    /// It may have arrived or not.
    #[error("the broker did not confirm the message in time")]
    Unknown,
    /// The broker said no, or the routing key is none.
    #[error("the broker refuses the message: {0}")]
    Refused(&'static str),
}

impl Changes {
    /// A connection of its own, to whatever broker, for one topic exchange, which is declared when it is missing. Returns at
    /// once, whether the broker is there or not. Needs a running Tokio.
    pub fn connect(options: Options, exchange: &str) -> Result<Self, ChangesError> {
        let exchange =
            ShortString::try_new(exchange).map_err(|_| ChangesError::Refused("the exchange's name is longer than 255 bytes"))?;
        let topology = Topology::of_changes(exchange);
        Ok(Self { publisher: Arc::new(Publisher::alone(options, topology.clone())), topology })
    }

    /// Waits for the connection, for a moment.
    pub async fn reach(&self) -> Result<(), ChangesError> {
        self.publisher.reach().await.map_err(ChangesError::Unavailable)
    }

    /// Resolves when the broker has it safe. Nobody may be listening: that is no error.
    pub async fn publish(&self, routing_key: &str, message_id: &str, body: Bytes) -> Result<(), ChangesError> {
        let short =
            |text: &str| ShortString::try_new(text).map_err(|_| ChangesError::Refused("a key or an id is longer than 255 bytes"));
        let parcel = Parcel {
            exchange: self.topology.changes(),
            key: short(routing_key)?,
            mandatory: false,
            properties: json().with_message_id(short(message_id)?),
            body: body.into(),
        };
        match self.publisher.publish_elsewhere(parcel).await.map_err(ChangesError::Unavailable)? {
            Outcome::Taken => Ok(()),
            Outcome::Unsent => Err(ChangesError::Unavailable("the connection was just lost".into())),
            Outcome::Unknown => Err(ChangesError::Unknown),
            Outcome::Refused | Outcome::Returned(_) => Err(ChangesError::Refused("negative confirm")),
        }
    }
}

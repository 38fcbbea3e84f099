//! Canonical changes for those who listen at a broker, on a topic exchange.

use crate::rabbitmq::{Options, Outcome, Parcel, Publisher, Topology, json};
use bytes::Bytes;
use lapin::types::ShortString;
use std::sync::Arc;

/// Publishes to the topic exchange.
#[derive(Clone)]
pub struct Changes {
    publisher: Arc<Publisher>,
    exchange: ShortString,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// Nothing was sent.
    #[error("the broker takes no messages: {0}")]
    Unavailable(String),
    /// It may have arrived or not.
    #[error("nobody knows whether the broker has the message: {0}")]
    Unknown(String),
    /// The broker could not keep it now. Of several queues that are bound for it, some may have it.
    #[error("the broker could not keep the message (negative confirm): a queue that is bound for it is full or fails")]
    Nacked,
    /// It is no message for this broker, now or later.
    #[error("the broker refuses the message: {0}")]
    Refused(&'static str),
}

impl Changes {
    /// A connection of its own, to whatever broker, for one topic exchange, which is declared when it is missing. Returns at
    /// once, whether the broker is there or not. Needs a running Tokio.
    pub fn connect(options: Options, exchange: &str) -> Result<Self, ChangesError> {
        let exchange =
            ShortString::try_new(exchange).map_err(|_| ChangesError::Refused("the exchange's name is longer than 255 bytes"))?;
        Ok(Self { publisher: Arc::new(Publisher::alone(options, Topology::of_changes(exchange.clone()))), exchange })
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
            exchange: self.exchange.clone(),
            key: short(routing_key)?,
            mandatory: false,
            properties: json().with_message_id(short(message_id)?),
            body: body.into(),
        };
        match self.publisher.publish_elsewhere(parcel).await.map_err(ChangesError::Unavailable)? {
            Outcome::Taken => Ok(()),
            Outcome::Unsent => Err(ChangesError::Unavailable("the connection was just lost".into())),
            Outcome::Unknown(why) => Err(ChangesError::Unknown(why)),
            // Nothing is returned that was not to be.
            Outcome::Refused | Outcome::Returned(_) => Err(ChangesError::Nacked),
        }
    }
}

//! What Klarna sends: unsigned calls that say only that something happened, or signed webhooks of the Klarna Network.

use crate::{
    Klarna, Webhooks,
    wire::{self, When, dispute},
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use spindel_connect::{ParseError, Proof, Receive, Secret, Verified};
use spindel_model::{Change, EntityKind, EntityRef, Record, Topic, Version};

/// Names the secret in the query of the URLs that Klarna is given.
const SECRET: &str = "secret";
const ORDER_ID: &str = "klarna_order_id";

/// A classic call with a body: the end of a fraud review, or a session of Klarna Payments that was authorised.
#[derive(Default, Deserialize)]
struct Notification {
    order_id: Option<String>,
    event_type: Option<String>,
    authorization_token: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Envelope<P> {
    metadata: Metadata,
    payload: P,
}

#[derive(Deserialize)]
struct Metadata {
    event_type: String,
    event_id: String,
    occurred_at: When,
}

/// Events of payments, as far as they name an order that Order Management knows.
#[derive(Deserialize)]
struct Payment {
    order_id: Option<String>,
}

impl Receive for Klarna {
    fn proof(&self, kept: &[Secret]) -> Proof {
        let with = |secrets: &[Secret]| secrets.iter().chain(kept).cloned().collect::<Vec<_>>();
        match self.webhooks {
            Webhooks::Classic => Proof::fetch_back(SECRET, &with(&self.callback_secrets)),
            Webhooks::Network => Proof::hmac("klarna-signature").secrets(&with(&self.signing_keys)),
        }
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        match self.webhooks {
            Webhooks::Classic => Ok(classic_topic(&notification(delivery)?)),
            Webhooks::Network => Ok(delivery.json::<Envelope<IgnoredAny>>()?.metadata.event_type),
        }
    }

    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        match self.webhooks {
            Webhooks::Classic => {
                let it = notification(delivery).ok()?;
                let topic = classic_topic(&it);
                // A push has no body that would tell it from that of another order.
                Some(format!("{topic}/{}", it.order_id.or_else(|| delivery.query(ORDER_ID))?))
            }
            Webhooks::Network => Some(delivery.json::<Envelope<IgnoredAny>>().ok()?.metadata.event_id),
        }
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        match self.webhooks {
            Webhooks::Classic => classic(delivery),
            Webhooks::Network => network(delivery),
        }
    }
}

fn notification(delivery: &Verified) -> Result<Notification, ParseError> {
    if delivery.body().iter().all(u8::is_ascii_whitespace) { Ok(Notification::default()) } else { delivery.json() }
}

fn classic_topic(it: &Notification) -> String {
    match (&it.event_type, &it.authorization_token) {
        (Some(event), _) => event.clone(),
        (None, Some(_)) => "authorization".to_owned(),
        (None, None) => "push".to_owned(),
    }
}

/// Anybody who saw the URL can call it, so that nothing of what is said counts but which order to look at.
fn classic(delivery: &Verified) -> Result<Vec<Change>, ParseError> {
    let it = notification(delivery)?;
    let Some(order_id) = it.order_id.or_else(|| delivery.query(ORDER_ID)) else {
        // Of an authorised session there is no order yet.
        if it.authorization_token.is_some() {
            return Ok(Vec::new());
        }
        let problem = format!("no order is named: the push URL must hold `{ORDER_ID}={{checkout.order.id}}`");
        return Err(ParseError::Content(problem));
    };
    Ok(vec![look_at(order_id, Version::default())?])
}

fn network(delivery: &Verified) -> Result<Vec<Change>, ParseError> {
    let metadata = delivery.json::<Envelope<IgnoredAny>>()?.metadata;
    if metadata.event_type.starts_with("payment.dispute.") {
        return Ok(vec![disputed(&metadata, &delivery.json::<Envelope<dispute::Told>>()?.payload)?]);
    }
    if !metadata.event_type.starts_with("payment.") {
        return Ok(Vec::new());
    }
    match wire::some(delivery.json::<Envelope<Payment>>()?.payload.order_id) {
        Some(order_id) => Ok(vec![look_at(order_id, metadata.occurred_at.0.into())?]),
        None => Ok(Vec::new()),
    }
}

/// The order's authorisation, to be read back.
fn look_at(order_id: String, version: Version) -> Result<Change, ParseError> {
    if !wire::is_id(&order_id) {
        return Err(ParseError::Content("the order that is named has no id of Klarna's form".to_owned()));
    }
    let entity = EntityRef::new(EntityKind::Transaction, order_id);
    Ok(Change { topic: Topic::TransactionCreated, entity, version, record: Record::Nudge })
}

/// Only the first webhook of a dispute says what it is about; after that it is read.
fn disputed(metadata: &Metadata, told: &dispute::Told) -> Result<Change, ParseError> {
    if !wire::is_id(&told.payment_dispute_id) {
        return Err(ParseError::Content("the dispute that is named has no id of Klarna's form".to_owned()));
    }
    let is_first = metadata.event_type == "payment.dispute.state-change.initiated";
    Ok(Change {
        topic: if is_first { Topic::DisputeCreated } else { Topic::DisputeUpdated },
        entity: EntityRef::new(EntityKind::Dispute, &told.payment_dispute_id),
        version: told.updated_at.0.into(),
        record: told.whole().map_or(Record::Nudge, |it| Record::Dispute(Box::new(it))),
    })
}

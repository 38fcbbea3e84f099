//! Webhooks: how they prove themselves, which event they belong to, and what they mean.

use crate::{
    Woocommerce,
    wire::{Id, Problem, customer, order, product},
};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use spindel_connect::{Answer, Incoming, ParseError, Proof, Receive, Secret, Verified};
use spindel_model::{Change, EntityRef, Record, Timestamp, Topic};

const SIGNATURE: &str = "x-wc-webhook-signature";
const TOPIC: &str = "x-wc-webhook-topic";

impl Receive for Woocommerce {
    /// HMAC-SHA256 over the raw body, base64. No time is signed: only deduplication stops a replay.
    fn proof(&self, kept: &[Secret]) -> Proof {
        let known = self.secrets.iter().chain(kept);
        let secrets: Vec<Secret> = known.flat_map(|it| [Some(it.clone()), escaped(it)]).flatten().collect();
        Proof::hmac(SIGNATURE).base64().secrets(&secrets)
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        Ok(delivery.header(TOPIC)?.to_owned())
    }

    /// The vendor's delivery id is made of the webhook and the second, and two different deliveries may share it. So the body
    /// decides; it carries its own time, but for deletions, which can come again after a restoration.
    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        let part = |name| delivery.optional_header(name).unwrap_or_default();
        let topic = part(TOPIC);
        let mut key = format!("{topic}@{}", part("x-wc-webhook-source"));
        if topic.ends_with(".deleted") {
            key = format!("{key}#{}", part("x-wc-webhook-delivery-id"));
        }
        Some(key)
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        match self.topic(delivery)?.as_str() {
            "order.created" => self.order(delivery, true),
            "order.updated" | "order.restored" => self.order(delivery, false),
            "order.deleted" => deleted(delivery, Topic::OrderDeleted),
            "product.created" => self.product(delivery, Topic::ProductCreated),
            "product.updated" | "product.restored" => self.product(delivery, Topic::ProductUpdated),
            "product.deleted" => deleted(delivery, Topic::ProductDeleted),
            "customer.created" => customer(delivery, Topic::CustomerCreated),
            "customer.updated" => customer(delivery, Topic::CustomerUpdated),
            "customer.deleted" => deleted(delivery, Topic::CustomerDeleted),
            // Genuine, and nothing that the canonical model has a word for: coupons, actions of plug-ins.
            _ => delivery.json::<serde::de::IgnoredAny>().map(|_| Vec::new()),
        }
    }

    /// When a webhook is saved the store sends `webhook_id=123`, unsigned, and wants exactly 200.
    fn challenge(&self, incoming: &Incoming) -> Option<Answer> {
        let id = incoming.body.strip_prefix(b"webhook_id=")?;
        let is_ping = !id.is_empty()
            && id.len() <= 20
            && id.iter().all(u8::is_ascii_digit)
            && incoming.method == http::Method::POST
            && !incoming.headers.contains_key(SIGNATURE);
        is_ping.then(|| Answer { status: StatusCode::OK, content_type: "text/plain", body: Bytes::from_static(b"ok\n") })
    }
}

/// Older versions sign with the secret as they store it: escaped for HTML.
fn escaped(secret: &Secret) -> Option<Secret> {
    let text = secret.expose();
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return None;
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Some(Secret::new(escaped.replace('"', "&quot;").replace('\'', "&#039;")))
}

/// The body, or what the shop says instead: webhooks are built with the rights of the user that made them.
fn resource<T: DeserializeOwned>(delivery: &Verified) -> Result<T, ParseError> {
    delivery.json().map_err(|misfit| match delivery.json::<Problem>() {
        Ok(problem) if problem.is_one() => ParseError::Content(format!(
            "instead of the record there is `{}`: the user that made the webhook lacks the rights; \
             give them back, then poll to fill the gap",
            problem.word()
        )),
        _ => misfit,
    })
}

impl Woocommerce {
    fn order(&self, delivery: &Verified, created: bool) -> Result<Vec<Change>, ParseError> {
        let it: order::Order = resource(delivery)?;
        if it.is_draft() {
            return Ok(Vec::new());
        }
        if it.is_in_trash() {
            let (id, version) = (it.id.0.clone(), it.modified()?);
            return Ok(vec![Change::new(Topic::OrderDeleted, id, version, Record::Deleted)]);
        }
        let topic = if created { Topic::OrderCreated } else { it.topic() };
        let order = it.canonical(&self.shop, None)?;
        Ok(vec![Change::new(topic, order.id.clone(), order.updated_at, Record::Order(Box::new(order)))])
    }

    /// A product comes without its variations: then it is read back. A variation comes as a product of its own.
    fn product(&self, delivery: &Verified, topic: Topic) -> Result<Vec<Change>, ParseError> {
        let it: product::Product = resource(delivery)?;
        if it.is_draft() {
            return Ok(Vec::new());
        }
        let modified = it.modified()?;
        let mut changes = match it.parent() {
            Some(parent) => vec![Change::new(Topic::ProductUpdated, parent, modified, Record::Nudge)],
            None if it.has_variations() => vec![Change::new(topic, it.id.0.clone(), modified, Record::Nudge)],
            None => {
                let product = it.canonical(&self.shop, &[])?;
                vec![Change::new(topic, it.id.0.clone(), modified, Record::Product(Box::new(product)))]
            }
        };
        let parent = it.parent();
        changes.extend(it.stock(&self.shop, parent.as_deref())?.map(|level| stock_change(&it.item_id(parent.as_deref()), level)));
        changes.extend(it.price(&self.shop)?.map(|price| price_change(&it.item_id(parent.as_deref()), price)));
        Ok(changes)
    }
}

pub(crate) fn stock_change(id: &str, level: spindel_model::StockLevel) -> Change {
    Change::new(Topic::StockChanged, id, level.as_of, Record::Stock(level))
}

pub(crate) fn price_change(id: &str, price: spindel_model::Price) -> Change {
    Change::new(Topic::PriceChanged, id, price.as_of, Record::Price(price))
}

fn customer(delivery: &Verified, topic: Topic) -> Result<Vec<Change>, ParseError> {
    let it: customer::Customer = resource(delivery)?;
    let version = it.modified().unwrap_or_default();
    Ok(vec![Change::new(topic, it.id.0.clone(), version, Record::Customer(Box::new(it.into())))])
}

/// Only the id comes, and no time: it counts as after everything.
fn deleted(delivery: &Verified, topic: Topic) -> Result<Vec<Change>, ParseError> {
    #[derive(Deserialize)]
    struct Deleted {
        id: Id,
    }
    let it: Deleted = resource(delivery)?;
    let entity = EntityRef::new(topic.entity(), it.id.0);
    Ok(vec![Change { topic, entity, version: Timestamp::MAX.into(), record: Record::Deleted }])
}

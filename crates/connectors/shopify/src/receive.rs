//! Webhooks: how they prove themselves, which event they belong to, and what they mean.

use crate::{
    Shopify,
    wire::{Id, catalog, catalog::level_id, customer, rest, rest_refund},
};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{ParseError, Proof, Receive, Secret, Verified};
use spindel_model::{Change, EntityKind, EntityRef, OrderRef, PrivacyRequest, Record, Timestamp, Topic, Version};

impl Receive for Shopify {
    /// HMAC-SHA256 over the raw body with the client secret, base64. No time is signed: only deduplication stops a replay.
    fn proof(&self, _kept: &[Secret]) -> Proof {
        Proof::hmac("shopify-hmac-sha256").or_header("x-shopify-hmac-sha256").base64().secrets(&self.secrets)
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        named(delivery, "topic").map(str::to_owned).ok_or(ParseError::Header("x-shopify-topic"))
    }

    /// One event id goes out once for each topic that it concerns, so the key holds the topic.
    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        let id = named(delivery, "event-id").or_else(|| named(delivery, "webhook-id"))?;
        Some(format!("{}:{id}", named(delivery, "topic")?))
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        self.check_shop(delivery)?;
        let topic = self.topic(delivery)?;
        Ok(match topic.as_str() {
            "orders/create" => vec![order(delivery, Topic::OrderCreated)?],
            "orders/updated" | "orders/partially_fulfilled" => vec![order(delivery, Topic::OrderUpdated)?],
            "orders/paid" => vec![order(delivery, Topic::OrderPaid)?],
            "orders/fulfilled" => vec![order(delivery, Topic::OrderFulfilled)?],
            "orders/cancelled" => vec![order(delivery, Topic::OrderCancelled)?],
            "orders/edited" => vec![order_edit(delivery)?],
            "orders/delete" => vec![deleted(delivery, Topic::OrderDeleted)?],
            "refunds/create" => vec![refund(delivery)?],
            "order_transactions/create" => transaction(delivery)?.into_iter().collect(),
            "fulfillments/create" => vec![shipment(delivery, Topic::ShipmentCreated)?],
            "fulfillments/update" => vec![shipment(delivery, Topic::ShipmentUpdated)?],
            "products/create" => vec![self.product(delivery, Topic::ProductCreated)?],
            "products/update" => vec![self.product(delivery, Topic::ProductUpdated)?],
            "products/delete" => vec![deleted(delivery, Topic::ProductDeleted)?],
            "inventory_levels/update" | "inventory_levels/connect" => vec![stock(delivery)?],
            "customers/create" => vec![customer(delivery, Topic::CustomerCreated)?],
            "customers/update" | "customers/enable" | "customers/disable" => {
                vec![customer(delivery, Topic::CustomerUpdated)?]
            }
            "customers/delete" => vec![deleted(delivery, Topic::CustomerDeleted)?],
            "shop/update" => vec![self.shop_change(delivery, Topic::ShopUpdated)?],
            "app/uninstalled" => vec![self.shop_change(delivery, Topic::AppUninstalled)?],
            "app/scopes_update" => vec![self.shop_change(delivery, Topic::AppScopesChanged)?],
            "customers/data_request" => vec![privacy(delivery, Topic::PrivacyDataRequested)?],
            "customers/redact" => vec![privacy(delivery, Topic::PrivacyCustomerRedacted)?],
            "shop/redact" => vec![privacy(delivery, Topic::PrivacyShopRedacted)?],
            // Genuine, and nothing that the canonical model has a word for.
            _ => delivery.json::<serde::de::IgnoredAny>().map(|_| Vec::new())?,
        })
    }
}

impl Shopify {
    /// One app secret signs for every shop that has the app: a wrong address must not mix two shops.
    fn check_shop(&self, delivery: &Verified) -> Result<(), ParseError> {
        match named(delivery, "shop-domain") {
            Some(sender) if !sender.eq_ignore_ascii_case(&self.shop) => Err(ParseError::Content(format!(
                "this webhook is from `{sender}`, and this connection is `{}`: send it to that shop's connection",
                self.shop
            ))),
            _ => Ok(()),
        }
    }

    fn product(&self, delivery: &Verified, topic: Topic) -> Result<Change, ParseError> {
        let it: catalog::Product = delivery.json()?;
        let version = version(delivery, it.updated_at);
        let id = it.id.0.clone();
        let record = if it.is_cut() { Record::Nudge } else { Record::Product(Box::new(it.canonical(self.currency))) };
        Ok(Change::new(topic, id, version, record))
    }

    /// The shop's record names its owner; only what concerns the connection is kept.
    fn shop_change(&self, delivery: &Verified, topic: Topic) -> Result<Change, ParseError> {
        #[derive(Deserialize)]
        struct Shop {
            id: Option<Id>,
            current: Option<Vec<String>>,
            previous: Option<Vec<String>>,
        }
        let it: Shop = delivery.json()?;
        let mut kept = json!({ "domain": self.shop });
        if let Some(id) = it.id {
            kept["id"] = id.0.into();
        }
        if let Some(scopes) = it.current {
            kept["scopes"] = scopes.into();
        }
        if let Some(scopes) = it.previous {
            kept["previous_scopes"] = scopes.into();
        }
        let version = triggered_at(delivery).map(Version::from).unwrap_or_default();
        Ok(Change::new(topic, self.shop.clone(), version, Record::Shop(kept)))
    }
}

/// A header of either generation: `shopify-…` of the newer events, `x-shopify-…` of the webhooks.
fn named<'a>(delivery: &'a Verified, name: &str) -> Option<&'a str> {
    delivery.optional_header(&format!("shopify-{name}")).or_else(|| delivery.optional_header(&format!("x-shopify-{name}")))
}

fn triggered_at(delivery: &Verified) -> Option<Timestamp> {
    named(delivery, "triggered-at")?.parse().ok()
}

/// `updated_at` has whole seconds, so what happened within one is ordered by when it was triggered, and for want of that
/// by what must come before what.
fn version(delivery: &Verified, updated_at: Timestamp) -> Version {
    let base = updated_at.as_microsecond();
    let finer = match triggered_at(delivery) {
        Some(at) => at.as_microsecond().saturating_sub(base).clamp(0, 999_999),
        None => match named(delivery, "topic").unwrap_or_default().rsplit_once('/') {
            Some((_, "create")) => 0,
            Some((_, "cancelled")) => 2,
            _ => 1,
        },
    };
    Version(base + finer)
}

fn order(delivery: &Verified, topic: Topic) -> Result<Change, ParseError> {
    let it: rest::Order = delivery.json()?;
    let version = version(delivery, it.updated_at);
    let order = it.draft()?.finish()?;
    Ok(Change::new(topic, order.id.clone(), version, Record::Order(Box::new(order))))
}

/// An edit lists what was added and removed, not how the order stands.
fn order_edit(delivery: &Verified) -> Result<Change, ParseError> {
    #[derive(Deserialize)]
    struct Edited {
        order_edit: Edit,
    }
    #[derive(Deserialize)]
    struct Edit {
        order_id: Id,
        committed_at: Timestamp,
    }
    let Edited { order_edit: it } = delivery.json()?;
    Ok(Change::new(Topic::OrderUpdated, it.order_id.0, version(delivery, it.committed_at), Record::Nudge))
}

/// Ids are never used again, so without the time of the deletion it comes after everything.
fn deleted(delivery: &Verified, topic: Topic) -> Result<Change, ParseError> {
    #[derive(Deserialize)]
    struct Deleted {
        id: Id,
    }
    let it: Deleted = delivery.json()?;
    let version = Version::from(triggered_at(delivery).unwrap_or(Timestamp::MAX));
    Ok(Change::new(topic, it.id.0, version, Record::Deleted))
}

fn refund(delivery: &Verified) -> Result<Change, ParseError> {
    let it: rest_refund::Refund = delivery.json()?;
    let version = version(delivery, it.created_at);
    let order = it.order_id.as_ref().map(|id| id.0.clone());
    let refund = it.draft(OrderRef { id: order, number: None }, None, None)?.refund;
    Ok(Change::new(Topic::RefundCreated, refund.id.clone(), version, Record::Refund(Box::new(refund))))
}

fn transaction(delivery: &Verified) -> Result<Option<Change>, ParseError> {
    let it: rest_refund::Payment = delivery.json()?;
    let at = it.at().ok_or_else(|| ParseError::Content(format!("transaction {} has no time", it.id.0)))?;
    let order = OrderRef { id: it.order_id.as_ref().map(|id| id.0.clone()), number: None };
    let version = version(delivery, at);
    Ok(it.canonical().map(|transaction| {
        Change::new(Topic::TransactionCreated, transaction.id.clone(), version, Record::Transaction { order, transaction })
    }))
}

fn shipment(delivery: &Verified, topic: Topic) -> Result<Change, ParseError> {
    let it: catalog::Fulfilment = delivery.json()?;
    let version = version(delivery, it.updated_at);
    Ok(Change::new(topic, it.id.0.clone(), version, Record::Shipment(Box::new(it.canonical()))))
}

fn stock(delivery: &Verified) -> Result<Change, ParseError> {
    let it: catalog::Level = delivery.json()?;
    let version = version(delivery, it.updated_at);
    let level = it.canonical();
    Ok(Change::new(Topic::StockChanged, level_id(&level), version, Record::Stock(level)))
}

fn customer(delivery: &Verified, topic: Topic) -> Result<Change, ParseError> {
    let it: customer::Customer = delivery.json()?;
    let at = it.updated_at.or_else(|| triggered_at(delivery)).unwrap_or_default();
    let version = version(delivery, at);
    Ok(Change::new(topic, it.id.0.clone(), version, Record::Customer(Box::new(it.into()))))
}

fn privacy(delivery: &Verified, topic: Topic) -> Result<Change, ParseError> {
    #[derive(Deserialize)]
    struct Request {
        shop_domain: String,
        customer: Option<Person>,
        #[serde(default)]
        orders_requested: Vec<Id>,
        #[serde(default)]
        orders_to_redact: Vec<Id>,
        data_request: Option<Numbered>,
    }
    #[derive(Deserialize)]
    struct Person {
        id: Option<Id>,
        email: Option<String>,
        phone: Option<String>,
    }
    #[derive(Deserialize)]
    struct Numbered {
        id: Id,
    }
    let it: Request = delivery.json()?;
    let orders = it.orders_requested.into_iter().chain(it.orders_to_redact);
    let (customer_id, email, phone) = match it.customer {
        Some(person) => (person.id.map(|id| id.0), person.email, person.phone),
        None => (None, None, None),
    };
    let request = PrivacyRequest {
        shop: it.shop_domain,
        customer_id,
        email,
        phone,
        orders: orders.map(|id| id.0).collect(),
        request_id: it.data_request.map(|it| it.id.0),
    };
    let id = request.request_id.as_ref().or(request.customer_id.as_ref()).unwrap_or(&request.shop).clone();
    let version = triggered_at(delivery).map(Version::from).unwrap_or_default();
    Ok(Change { topic, entity: EntityRef::new(EntityKind::Privacy, id), version, record: Record::Privacy(request) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "receive_tests.rs"]
mod tests;

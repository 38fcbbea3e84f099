//! What an event means: a topic, the entity it is about, and the record as it stood.

use crate::{
    Customer, Dispute, Order, OrderRef, Payout, Price, PrivacyRequest, Product, Refund, Shipment, StockLevel, Transaction,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One thing that happened to one entity, in the canonical model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub topic: Topic,
    pub entity: EntityRef,
    /// The source's own order of changes to this entity.
    pub version: Version,
    pub record: Record,
}

impl Change {
    /// Of the kind that changes of this topic are about.
    pub fn new(topic: Topic, id: impl Into<String>, version: impl Into<Version>, record: Record) -> Self {
        Self { topic, entity: EntityRef::new(topic.entity(), id), version: version.into(), record }
    }

    /// A shipment as it stands now.
    pub fn shipment(topic: Topic, shipment: Shipment) -> Self {
        Self::new(topic, shipment.id.clone(), shipment.updated_at, Record::Shipment(Box::new(shipment)))
    }
}

/// An entity of the source, by the source's own id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityRef {
    pub kind: EntityKind,
    pub id: String,
}

impl EntityRef {
    pub fn new(kind: EntityKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

/// `order:5523987001345`
impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

/// Orders the changes of one entity: microseconds of the source's own time, finer by the source's means.
///
/// Equal versions are ordered by arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl From<Timestamp> for Version {
    fn from(at: Timestamp) -> Self {
        Self(at.as_microsecond())
    }
}

/// An enum whose variants have one name on the wire, in the config and on the screen.
macro_rules! names {
    ($(#[$doc:meta])* $Name:ident, $what:literal { $($(#[$vdoc:meta])* $Variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $Name { $($(#[$vdoc])* #[serde(rename = $text)] $Variant,)* }
        impl $Name {
            /// Every value, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$Variant),*];
            pub const fn as_str(self) -> &'static str { match self { $(Self::$Variant => $text,)* } }
        }
        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
        }
        impl FromStr for $Name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text { $($text => Ok(Self::$Variant),)* _ => Err(UnknownName { what: $what, name: text.to_owned() }) }
            }
        }
    };
}
pub(crate) use names;

/// A name that is not on the list of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a {what}")]
pub struct UnknownName {
    pub what: &'static str,
    pub name: String,
}

names! {
    /// What happened. The part before the dot is the record.
    Topic, "topic" {
        OrderCreated = "order.created",
        OrderUpdated = "order.updated",
        OrderPaid = "order.paid",
        OrderFulfilled = "order.fulfilled",
        OrderCancelled = "order.cancelled",
        OrderDeleted = "order.deleted",
        RefundCreated = "refund.created",
        TransactionCreated = "transaction.created",
        /// An authorisation will lapse soon and nothing was captured.
        TransactionExpiring = "transaction.expiring",
        DisputeCreated = "dispute.created",
        DisputeUpdated = "dispute.updated",
        PayoutCreated = "payout.created",
        PayoutUpdated = "payout.updated",
        ShipmentCreated = "shipment.created",
        ShipmentUpdated = "shipment.updated",
        ProductCreated = "product.created",
        ProductUpdated = "product.updated",
        ProductDeleted = "product.deleted",
        StockChanged = "stock.changed",
        PriceChanged = "price.changed",
        CustomerCreated = "customer.created",
        CustomerUpdated = "customer.updated",
        CustomerDeleted = "customer.deleted",
        ShopUpdated = "shop.updated",
        AppUninstalled = "app.uninstalled",
        AppScopesChanged = "app.scopes_changed",
        PrivacyDataRequested = "privacy.data_requested",
        PrivacyCustomerRedacted = "privacy.customer_redacted",
        PrivacyShopRedacted = "privacy.shop_redacted",
    }
}

names! {
    EntityKind, "entity" {
        Order = "order",
        Refund = "refund",
        Transaction = "transaction",
        Dispute = "dispute",
        Payout = "payout",
        Shipment = "shipment",
        Product = "product",
        Stock = "stock",
        Price = "price",
        Customer = "customer",
        Shop = "shop",
        Privacy = "privacy",
    }
}

impl Topic {
    /// The kind of record that changes of this topic carry.
    pub fn entity(self) -> EntityKind {
        match self {
            Self::OrderCreated
            | Self::OrderUpdated
            | Self::OrderPaid
            | Self::OrderFulfilled
            | Self::OrderCancelled
            | Self::OrderDeleted => EntityKind::Order,
            Self::RefundCreated => EntityKind::Refund,
            Self::TransactionCreated | Self::TransactionExpiring => EntityKind::Transaction,
            Self::DisputeCreated | Self::DisputeUpdated => EntityKind::Dispute,
            Self::PayoutCreated | Self::PayoutUpdated => EntityKind::Payout,
            Self::ShipmentCreated | Self::ShipmentUpdated => EntityKind::Shipment,
            Self::ProductCreated | Self::ProductUpdated | Self::ProductDeleted => EntityKind::Product,
            Self::StockChanged => EntityKind::Stock,
            Self::PriceChanged => EntityKind::Price,
            Self::CustomerCreated | Self::CustomerUpdated | Self::CustomerDeleted => EntityKind::Customer,
            Self::ShopUpdated | Self::AppUninstalled | Self::AppScopesChanged => EntityKind::Shop,
            Self::PrivacyDataRequested | Self::PrivacyCustomerRedacted | Self::PrivacyShopRedacted => EntityKind::Privacy,
        }
    }
}

/// The entity as it stood, or only the word that it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Record {
    Order(Box<Order>),
    Refund(Box<Refund>),
    Transaction {
        order: OrderRef,
        transaction: Transaction,
    },
    Dispute(Box<Dispute>),
    Payout(Box<Payout>),
    Shipment(Box<Shipment>),
    Product(Box<Product>),
    Stock(StockLevel),
    Price(Price),
    Customer(Box<Customer>),
    Privacy(PrivacyRequest),
    /// The source said that it changed and not how: it is read back before it is carried on.
    Nudge,
    /// The entity is gone; only its id is known.
    Deleted,
    /// The shop or the app itself; vendor fields as they came.
    Shop(serde_json::Value),
}

impl Record {
    /// The source's own time of this state.
    pub fn as_of(&self) -> Option<Timestamp> {
        match self {
            Self::Order(it) => Some(it.updated_at),
            Self::Refund(it) => Some(it.created_at),
            Self::Transaction { transaction, .. } => Some(transaction.processed_at),
            Self::Dispute(it) => Some(it.updated_at),
            Self::Payout(it) => Some(it.updated_at),
            Self::Shipment(it) => Some(it.updated_at),
            Self::Product(it) => Some(it.updated_at),
            Self::Stock(it) => Some(it.as_of),
            Self::Price(it) => Some(it.as_of),
            Self::Customer(it) => it.updated_at,
            Self::Privacy(_) | Self::Nudge | Self::Deleted | Self::Shop(_) => None,
        }
    }
}

/// A business key under which people look for a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mention {
    pub kind: MentionKind,
    pub value: String,
}

names! {
    MentionKind, "search key" {
        OrderId = "order_id",
        OrderNumber = "order_number",
    }
}

/// An order number as people type it: without `#`, blanks and case.
pub fn normalised_number(number: &str) -> String {
    number.trim().trim_start_matches('#').to_lowercase()
}

impl Change {
    /// The orders under which a person may search for this change; no personal data.
    ///
    /// Each is a row in the store's index, so only what is searched for is listed.
    pub fn mentions(&self) -> Vec<Mention> {
        let order = match &self.record {
            Record::Order(it) => it.reference(),
            Record::Refund(it) => it.order.clone(),
            Record::Transaction { order, .. } => order.clone(),
            Record::Dispute(it) => it.order.clone(),
            Record::Shipment(it) => it.order.clone(),
            Record::Nudge | Record::Deleted if self.entity.kind == EntityKind::Order => {
                OrderRef { id: Some(self.entity.id.clone()), number: None }
            }
            _ => OrderRef::default(),
        };
        let id = order.id.map(|value| Mention { kind: MentionKind::OrderId, value });
        let number = order.number.map(|number| Mention { kind: MentionKind::OrderNumber, value: normalised_number(&number) });
        id.into_iter().chain(number).filter(|mention| !mention.value.is_empty()).collect()
    }
}

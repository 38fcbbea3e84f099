//! What a vendor can be asked to do, and how a change becomes such a request.

use crate::{
    Booking, Change, Customer, EntityKind, EntityRef, Money, Order, OrderRef, Price, Product, Record, Refund, Shipment,
    StockLevel, Transaction, change::names,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::UnknownName;

/// One kind of action, as a type: connectors implement what they can do per verb.
pub trait Verb: Serialize + Send + Sync + 'static {
    const KIND: ActionKind;
    /// This verb's part of an action; `None` for an action of another kind.
    fn of(action: &Action) -> Option<&Self>;
}

macro_rules! actions {
    ($($(#[$doc:meta])* $Name:ident = $text:literal { $($(#[$fdoc:meta])* $field:ident : $ty:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct $Name { $($(#[$fdoc])* pub $field: $ty),* }
            impl Verb for $Name {
                const KIND: ActionKind = ActionKind::$Name;
                fn of(action: &Action) -> Option<&Self> {
                    match action { Action::$Name(it) => Some(it), _ => None }
                }
            }
            impl From<$Name> for Action { fn from(it: $Name) -> Self { Self::$Name(it) } }
        )*
        /// One thing asked of a vendor.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "do")]
        pub enum Action { $(#[serde(rename = $text)] $Name($Name)),* }
        names! {
            /// The names of all actions.
            ActionKind, "action" { $($Name = $text,)* }
        }
        impl Action {
            pub fn kind(&self) -> ActionKind { match self { $(Self::$Name(_) => ActionKind::$Name),* } }

            /// Reads an action that is known to be of this kind, without looking at what it calls itself: many times quicker
            /// than finding out.
            pub fn of_kind(kind: ActionKind, json: &[u8]) -> serde_json::Result<Self> {
                match kind { $(ActionKind::$Name => serde_json::from_slice(json).map(Self::$Name)),* }
            }
        }
    };
}

actions! {
    /// Bring the order at the destination to the state of this one, cancelled included. Creates it when it is new.
    PushOrder = "push_order" { order: Box<Order> }
    CancelOrder = "cancel_order" {
        order: OrderRef,
        reason: Option<String>,
        at: Timestamp,
        /// Put the goods back on stock.
        restock: bool,
    }
    /// Book money that came in (or was authorised) for an order.
    RecordPayment = "record_payment" { order: OrderRef, transaction: Transaction }
    /// Book a refund that was made elsewhere.
    RecordRefund = "record_refund" { refund: Box<Refund> }
    /// Tell the provider that the shop has the order, under the order's own number.
    AcknowledgePayment = "acknowledge_payment" {
        order: OrderRef,
        /// The provider's reference of the payment; `None`: found by the order.
        payment: Option<String>,
    }
    /// Take money that was authorised.
    CapturePayment = "capture_payment" {
        order: OrderRef,
        payment: Option<String>,
        /// `None`: all that is authorised and not captured yet.
        amount: Option<Money>,
        /// What was sent, where the capture follows a shipment.
        shipment: Option<Box<Shipment>>,
    }
    /// Let go of what is authorised and not captured.
    CancelPayment = "cancel_payment" { order: OrderRef, payment: Option<String>, reason: Option<String> }
    /// Ask for more time to capture.
    ExtendAuthorization = "extend_authorization" { order: OrderRef, payment: Option<String> }
    /// Give money back: what of the refund has not gone out yet ([`Refund::outstanding`]).
    RefundOrder = "refund" { refund: Box<Refund> }
    UpsertCustomer = "upsert_customer" { customer: Box<Customer> }
    SetStock = "set_stock" {
        stock: StockLevel,
        /// Change it only from this quantity; `None`: whatever it is.
        expected: Option<i64>,
    }
    SetPrice = "set_price" { price: Price }
    UpsertProduct = "upsert_product" { product: Box<Product> }
    /// Mark goods as sent, with tracking.
    CreateFulfilment = "create_fulfilment" { shipment: Box<Shipment>, notify_customer: bool }
    /// Book a transport with a carrier, with its label.
    BookShipment = "book_shipment" { booking: Box<Booking> }
    /// Take a booking back.
    CancelShipment = "cancel_shipment" { order: OrderRef }
    /// Tell where a parcel is.
    RecordTracking = "record_tracking" { shipment: Box<Shipment> }
    /// Hand the change on as it is.
    SendChange = "send_change" { change: Box<Change> }
}

fn payment_of(order: &Order) -> Option<String> {
    order.payment().map(str::to_owned)
}

/// Whether an action describes how things are, or one thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A later one makes an earlier one needless: an older version ends as `stale`.
    State,
    /// Each one counts.
    Fact,
}

impl ActionKind {
    pub fn nature(self) -> Nature {
        match self {
            Self::PushOrder | Self::UpsertCustomer | Self::SetStock | Self::SetPrice | Self::UpsertProduct => Nature::State,
            Self::CancelOrder
            | Self::RecordPayment
            | Self::RecordRefund
            | Self::RefundOrder
            | Self::AcknowledgePayment
            | Self::CapturePayment
            | Self::CancelPayment
            | Self::ExtendAuthorization
            | Self::CreateFulfilment
            | Self::BookShipment
            | Self::CancelShipment
            | Self::RecordTracking
            | Self::SendChange => Nature::Fact,
        }
    }

    /// Of several waiting ones for one entity only the newest is sent. Never true for orders and payments.
    pub fn coalesces(self) -> bool {
        matches!(self, Self::SetStock | Self::SetPrice)
    }

    /// The records that this action can be made from.
    pub fn accepts(self) -> &'static [EntityKind] {
        match self {
            Self::PushOrder | Self::CancelOrder | Self::CancelPayment | Self::BookShipment | Self::CancelShipment => {
                &[EntityKind::Order]
            }
            Self::AcknowledgePayment | Self::ExtendAuthorization => &[EntityKind::Order, EntityKind::Transaction],
            Self::CapturePayment => &[EntityKind::Order, EntityKind::Shipment],
            Self::RecordPayment => &[EntityKind::Transaction],
            Self::RecordRefund | Self::RefundOrder => &[EntityKind::Refund],
            Self::UpsertCustomer => &[EntityKind::Customer, EntityKind::Order],
            Self::SetStock => &[EntityKind::Stock],
            Self::SetPrice => &[EntityKind::Price],
            Self::UpsertProduct => &[EntityKind::Product],
            Self::CreateFulfilment | Self::RecordTracking => &[EntityKind::Shipment],
            Self::SendChange => EntityKind::ALL,
        }
    }
}

/// A change that an action cannot be made from, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    #[error("{action} cannot be made from {topic}: it takes {}", names_of(action.accepts()))]
    Topic { action: ActionKind, topic: crate::Topic },
    #[error("the order has no customer")]
    NoCustomer,
    #[error("the order is not cancelled")]
    NotCancelled,
    #[error("nothing of the order is authorised and waits to be captured")]
    NothingToCapture,
    #[error("the amounts of the order's transactions do not add up in one currency")]
    MixedCurrencies,
    #[error("only a part of the order was sent, and the shipment says no amount: capture on the order's own change instead")]
    PartialShipment,
    #[error("the order has no goods to send")]
    NothingToShip,
    #[error("the order has no shipping address")]
    NoAddress,
    #[error("the source names the item without a SKU")]
    NoSku,
    #[error("the source does not track this item's stock")]
    Untracked,
    #[error("only the id of the deleted record is known")]
    Deleted,
    #[error("the record must be read back first")]
    Nudge,
}

fn names_of(kinds: &[EntityKind]) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

impl Action {
    /// The action of this kind that the change asks for.
    pub fn from_change(kind: ActionKind, change: &Change) -> Result<Self, Unsuitable> {
        if kind == ActionKind::SendChange {
            return Ok(SendChange { change: Box::new(change.clone()) }.into());
        }
        Ok(match (kind, &change.record) {
            (_, Record::Nudge) => return Err(Unsuitable::Nudge),
            (_, Record::Deleted) => return Err(Unsuitable::Deleted),
            (ActionKind::PushOrder, Record::Order(it)) => PushOrder { order: it.clone() }.into(),
            (ActionKind::CancelOrder, Record::Order(it)) => CancelOrder {
                order: it.reference(),
                reason: it.cancel_reason.clone(),
                at: it.cancelled_at.ok_or(Unsuitable::NotCancelled)?,
                restock: true,
            }
            .into(),
            (ActionKind::RecordPayment, Record::Transaction { order, transaction }) => {
                RecordPayment { order: order.clone(), transaction: transaction.clone() }.into()
            }
            (ActionKind::AcknowledgePayment, Record::Order(it)) => {
                AcknowledgePayment { order: it.reference(), payment: payment_of(it) }.into()
            }
            (ActionKind::AcknowledgePayment, Record::Transaction { order, transaction }) => {
                AcknowledgePayment { order: order.clone(), payment: transaction.reference.clone() }.into()
            }
            (ActionKind::ExtendAuthorization, Record::Order(it)) => {
                ExtendAuthorization { order: it.reference(), payment: payment_of(it) }.into()
            }
            (ActionKind::ExtendAuthorization, Record::Transaction { order, transaction }) => {
                ExtendAuthorization { order: order.clone(), payment: transaction.reference.clone() }.into()
            }
            (ActionKind::CapturePayment, Record::Order(it)) => {
                let amount = it.to_capture().map_err(|_| Unsuitable::MixedCurrencies)?;
                let amount = amount.filter(|it| it.amount > Decimal::ZERO).ok_or(Unsuitable::NothingToCapture)?;
                CapturePayment { order: it.reference(), payment: payment_of(it), amount: Some(amount), shipment: None }.into()
            }
            (ActionKind::CapturePayment, Record::Shipment(it)) => {
                if !it.lines.is_empty() && !it.completes_order {
                    return Err(Unsuitable::PartialShipment);
                }
                CapturePayment { order: it.order.clone(), payment: None, amount: None, shipment: Some(it.clone()) }.into()
            }
            (ActionKind::CancelPayment, Record::Order(it)) => {
                it.cancelled_at.ok_or(Unsuitable::NotCancelled)?;
                CancelPayment { order: it.reference(), payment: payment_of(it), reason: it.cancel_reason.clone() }.into()
            }
            (ActionKind::BookShipment, Record::Order(it)) => BookShipment { booking: Box::new(Booking::of(it)?) }.into(),
            (ActionKind::CancelShipment, Record::Order(it)) => {
                it.cancelled_at.ok_or(Unsuitable::NotCancelled)?;
                CancelShipment { order: it.reference() }.into()
            }
            (ActionKind::RecordTracking, Record::Shipment(it)) => RecordTracking { shipment: it.clone() }.into(),
            (ActionKind::RecordRefund, Record::Refund(it)) => RecordRefund { refund: it.clone() }.into(),
            (ActionKind::RefundOrder, Record::Refund(it)) => RefundOrder { refund: it.clone() }.into(),
            (ActionKind::UpsertCustomer, Record::Customer(it)) => UpsertCustomer { customer: it.clone() }.into(),
            (ActionKind::UpsertCustomer, Record::Order(it)) => {
                UpsertCustomer { customer: Box::new(it.customer.clone().ok_or(Unsuitable::NoCustomer)?) }.into()
            }
            (ActionKind::SetStock, Record::Stock(it)) => {
                it.available.ok_or(Unsuitable::Untracked)?;
                it.sku.as_ref().ok_or(Unsuitable::NoSku)?;
                SetStock { stock: it.clone(), expected: None }.into()
            }
            (ActionKind::SetPrice, Record::Price(it)) => SetPrice { price: it.clone() }.into(),
            (ActionKind::UpsertProduct, Record::Product(it)) => UpsertProduct { product: it.clone() }.into(),
            (ActionKind::CreateFulfilment, Record::Shipment(it)) => {
                CreateFulfilment { shipment: it.clone(), notify_customer: true }.into()
            }
            _ => return Err(Unsuitable::Topic { action: kind, topic: change.topic }),
        })
    }

    /// The entity whose actions at one destination run one at a time and in order.
    ///
    /// Payments, refunds and shipments run in the lane of their order.
    pub fn lane(&self) -> EntityRef {
        let order = |it: &OrderRef| {
            let key = it.id.clone().or_else(|| it.number.clone()).unwrap_or_default();
            EntityRef::new(EntityKind::Order, key)
        };
        match self {
            Self::PushOrder(it) => order(&it.order.reference()),
            Self::CancelOrder(it) => order(&it.order),
            Self::RecordPayment(it) => order(&it.order),
            Self::AcknowledgePayment(it) => order(&it.order),
            Self::CapturePayment(it) => order(&it.order),
            Self::CancelPayment(it) => order(&it.order),
            Self::ExtendAuthorization(it) => order(&it.order),
            Self::BookShipment(it) => order(&it.booking.order),
            Self::CancelShipment(it) => order(&it.order),
            Self::RecordTracking(it) => order(&it.shipment.order),
            Self::RecordRefund(it) => order(&it.refund.order),
            Self::RefundOrder(it) => order(&it.refund.order),
            Self::UpsertCustomer(it) => EntityRef::new(EntityKind::Customer, &it.customer.id),
            Self::SetStock(it) => EntityRef::new(
                EntityKind::Stock,
                format!("{}@{}", it.stock.sku.as_deref().unwrap_or_default(), it.stock.location),
            ),
            Self::SetPrice(it) => {
                EntityRef::new(EntityKind::Price, format!("{}/{}", it.price.sku, it.price.amount.currency.code()))
            }
            Self::UpsertProduct(it) => EntityRef::new(EntityKind::Product, &it.product.id),
            Self::CreateFulfilment(it) => order(&it.shipment.order),
            Self::SendChange(it) => it.change.lane(),
        }
    }
}

impl Change {
    /// The lane of this change when it is handed on whole: its order for what belongs to one, else its entity.
    pub fn lane(&self) -> EntityRef {
        let order = match &self.record {
            Record::Refund(it) => &it.order,
            Record::Transaction { order, .. } => order,
            Record::Dispute(it) => &it.order,
            Record::Shipment(it) => &it.order,
            _ => return self.entity.clone(),
        };
        match order.id.as_ref().or(order.number.as_ref()) {
            Some(id) => EntityRef::new(EntityKind::Order, id),
            None => self.entity.clone(),
        }
    }
}

//! An order of Order Management, with its captures and refunds, and the movements of money that they are.

use super::{Code, When, order_ref, some};
use serde::{Deserialize, Serialize};
use spindel_model::{
    Change, EntityKind, EntityRef, Money, OrderRef, Record, Timestamp, Topic, Transaction, TransactionKind, TransactionStatus,
    Version,
};

const GATEWAY: &str = "klarna";

#[derive(Deserialize)]
pub(crate) struct Order {
    pub order_id: String,
    pub status: String,
    pub fraud_status: Option<String>,
    pub order_amount: i64,
    #[serde(default)]
    pub captured_amount: i64,
    #[serde(default)]
    pub refunded_amount: i64,
    #[serde(default)]
    pub remaining_authorized_amount: i64,
    pub purchase_currency: Code,
    #[serde(default)]
    pub order_lines: Vec<Line>,
    pub merchant_reference1: Option<String>,
    pub klarna_reference: Option<String>,
    pub created_at: When,
    pub expires_at: Option<When>,
    #[serde(default)]
    pub captures: Vec<Capture>,
    #[serde(default)]
    pub refunds: Vec<Refund>,
}

/// What was sold. Given back to Klarna as it came, where the whole of it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Line {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub name: String,
    pub quantity: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity_unit: Option<String>,
    pub unit_price: i64,
    #[serde(default)]
    pub tax_rate: i64,
    pub total_amount: i64,
    #[serde(default)]
    pub total_discount_amount: i64,
    #[serde(default)]
    pub total_tax_amount: i64,
}

#[derive(Deserialize)]
pub(crate) struct Capture {
    pub capture_id: String,
    pub captured_amount: i64,
    pub captured_at: When,
    pub reference: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Refund {
    /// Missing in what was refunded long ago.
    pub refund_id: Option<String>,
    pub refunded_amount: i64,
    pub refunded_at: When,
    pub reference: Option<String>,
}

/// Which movement of an order is meant: `ORDER`, `ORDER/captures/CAPTURE` or `ORDER/refunds/REFUND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Movement<'a> {
    Authorization,
    Capture(&'a str),
    Refund(&'a str),
}

/// The order's id and the movement in the id of a transaction.
pub(crate) fn movement(id: &str) -> Option<(&str, Movement<'_>)> {
    let mut parts = id.split('/');
    let (order, list, one, rest) = (parts.next()?, parts.next(), parts.next(), parts.next());
    match (list, one, rest) {
        (None, ..) => Some((order, Movement::Authorization)),
        (Some("captures"), Some(one), None) => Some((order, Movement::Capture(one))),
        (Some("refunds"), Some(one), None) => Some((order, Movement::Refund(one))),
        _ => None,
    }
}

impl Order {
    pub fn money(&self, minor: i64) -> Money {
        Money::from_minor(minor, self.purchase_currency.0)
    }

    pub fn reference(&self) -> OrderRef {
        order_ref(self.merchant_reference1.clone(), Some(&self.order_id))
    }

    pub fn number(&self) -> Option<&str> {
        self.klarna_reference.as_deref().filter(|it| !it.is_empty())
    }

    /// Nothing can be taken any more, and nothing is held.
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "CANCELLED" | "EXPIRED" | "CLOSED")
    }

    pub fn is_under_review(&self) -> bool {
        self.fraud_status.as_deref() == Some("PENDING")
    }

    /// One movement of it; `None` when there is no such one.
    pub fn transaction(&self, which: Movement<'_>, test: bool) -> Option<Transaction> {
        match which {
            Movement::Authorization => Some(self.authorization(test)),
            Movement::Capture(id) => {
                let it = self.captures.iter().find(|it| it.capture_id == id)?;
                Some(self.taken(TransactionKind::Capture, id, it.captured_amount, it.captured_at.0, test))
            }
            Movement::Refund(id) => {
                let it = self.refunds.iter().find(|it| it.refund_id.as_deref() == Some(id))?;
                Some(self.taken(TransactionKind::Refund, id, it.refunded_amount, it.refunded_at.0, test))
            }
        }
    }

    fn authorization(&self, test: bool) -> Transaction {
        let status = match (self.status.as_str(), self.fraud_status.as_deref()) {
            ("CANCELLED" | "EXPIRED", _) | (_, Some("REJECTED" | "STOPPED")) => TransactionStatus::Failure,
            (_, Some("PENDING")) => TransactionStatus::Pending,
            _ => TransactionStatus::Success,
        };
        Transaction {
            id: self.order_id.clone(),
            parent_id: None,
            gateway: GATEWAY.to_owned(),
            kind: TransactionKind::Authorization,
            status,
            amount: self.money(self.order_amount),
            processed_at: self.created_at.0,
            reference: Some(self.order_id.clone()),
            // What is captured or let go of does not lapse.
            expires_at: self.expires_at.filter(|_| self.remaining_authorized_amount > 0).map(|it| it.0),
            test,
        }
    }

    /// A capture or a refund that succeeded.
    pub fn taken(&self, kind: TransactionKind, id: &str, minor: i64, at: Timestamp, test: bool) -> Transaction {
        Transaction {
            id: id.to_owned(),
            parent_id: Some(self.order_id.clone()),
            gateway: GATEWAY.to_owned(),
            kind,
            status: TransactionStatus::Success,
            amount: self.money(minor),
            processed_at: at,
            reference: Some(self.order_id.clone()),
            expires_at: None,
            test,
        }
    }

    /// A capture or a refund as if Klarna had told of it.
    pub fn told(&self, transaction: Transaction) -> Change {
        let list = if transaction.kind == TransactionKind::Refund { "refunds" } else { "captures" };
        Change {
            topic: Topic::TransactionCreated,
            entity: EntityRef::new(EntityKind::Transaction, format!("{}/{list}/{}", self.order_id, transaction.id)),
            version: Version::from(transaction.processed_at),
            record: Record::Transaction { order: self.reference(), transaction },
        }
    }
}

impl Line {
    pub fn is_shipping(&self) -> bool {
        self.kind.as_deref() == Some("shipping_fee")
    }

    /// So many of it. `None` when the discount cannot be divided, as nobody knows which of them it is on.
    pub fn part(&self, quantity: i64) -> Option<Self> {
        if quantity == self.quantity {
            return Some(self.clone());
        }
        if quantity <= 0 || quantity > self.quantity {
            return None;
        }
        let discount = self.total_discount_amount.checked_mul(quantity)?;
        if discount % self.quantity != 0 {
            return None;
        }
        let discount = discount / self.quantity;
        let total = self.unit_price.checked_mul(quantity)?.checked_sub(discount)?;
        let tax = included_tax(total, self.tax_rate)?;
        Some(Self { quantity, total_amount: total, total_discount_amount: discount, total_tax_amount: tax, ..self.clone() })
    }
}

/// `total` − `total` × 10000 / (10000 + `rate`), rounded half up: Klarna allows a difference of one.
fn included_tax(total: i64, rate: i64) -> Option<i64> {
    let (total, whole) = (i128::from(total), 10_000 + i128::from(rate));
    if whole <= 0 {
        return None;
    }
    let net = (2 * total * 10_000 + whole).div_euclid(2 * whole);
    i64::try_from(total - net).ok()
}

/// The lines that this amount is for, where they are known and add up to it; Klarna refuses any that do not.
///
/// `goods` are pairs of SKU and quantity; with none given, the whole order is meant.
pub(crate) fn lines_of(order: &[Line], goods: &[(Option<&str>, i64)], with_shipping: bool, amount: i64) -> Option<Vec<Line>> {
    let lines = if goods.is_empty() && !with_shipping {
        order.to_vec()
    } else {
        let mut lines = Vec::new();
        for (sku, quantity) in goods {
            let sku = some(sku.map(str::to_owned))?;
            let mut same = order.iter().filter(|it| it.reference.as_deref() == Some(sku.as_str()));
            let line = same.next()?;
            if same.next().is_some() {
                return None;
            }
            lines.push(line.part(*quantity)?);
        }
        if with_shipping {
            lines.extend(order.iter().filter(|it| it.is_shipping()).cloned());
        }
        lines
    };
    const MOST_LINES: usize = 1000;
    let sum = lines.iter().try_fold(0_i64, |sum, it| sum.checked_add(it.total_amount))?;
    (sum == amount && !lines.is_empty() && lines.len() <= MOST_LINES).then_some(lines)
}

//! Orders: what was sold, what of it was captured, given back and let go, and what may still be done.

use crate::{
    klarna::{State, api::Problem, short_name},
    shopify::Refused,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A line of an order. Amounts are in minor units and have their tax in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `physical`, `shipping_fee`, `discount` …
    pub kind: String,
    pub sku: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price: i64,
    /// 2500 is 25 %.
    pub tax_rate: i64,
    pub discount: i64,
}

impl Line {
    pub fn goods(sku: &str, name: &str, quantity: i64, unit_price: i64) -> Self {
        Self { kind: "physical".into(), sku: sku.into(), name: name.into(), quantity, unit_price, tax_rate: 2_500, discount: 0 }
    }

    pub fn shipping(name: &str, price: i64) -> Self {
        Self { kind: "shipping_fee".into(), ..Self::goods("FREIGHT", name, 1, price) }
    }

    fn total(&self) -> i64 {
        self.quantity * self.unit_price - self.discount
    }

    fn json(&self) -> Value {
        json!({
            "type": self.kind, "reference": self.sku, "name": self.name, "quantity": self.quantity, "quantity_unit": "pcs",
            "unit_price": self.unit_price, "tax_rate": self.tax_rate, "total_amount": self.total(),
            "total_discount_amount": self.discount, "total_tax_amount": tax(self.total(), self.tax_rate),
        })
    }
}

/// What of an amount is tax; Klarna allows a difference of one.
fn tax(total: i64, rate: i64) -> i64 {
    let whole = 10_000 + rate;
    total - (2 * total * 10_000 + whole).div_euclid(2 * whole)
}

/// Lines of a capture or a refund must come to its amount, and each to its own.
fn check_lines(lines: &[Value], amount: i64) -> Result<(), Problem> {
    let bad = |what: String| Problem::new(400, "BAD_VALUE", what);
    let number = |line: &Value, field: &str| line[field].as_i64().ok_or_else(|| bad(format!("Bad value: {field}")));
    let mut sum = 0;
    for line in lines {
        let (quantity, price, total) = (number(line, "quantity")?, number(line, "unit_price")?, number(line, "total_amount")?);
        let discount = line["total_discount_amount"].as_i64().unwrap_or_default();
        if line["name"].as_str().is_none_or(str::is_empty) || total != quantity * price - discount {
            return Err(bad("Bad value: order_lines.total_amount".into()));
        }
        let (rate, told) = (line["tax_rate"].as_i64().unwrap_or_default(), line["total_tax_amount"].as_i64().unwrap_or_default());
        if (told - tax(total, rate)).abs() > 1 {
            return Err(bad("Bad value: order_lines.total_tax_amount".into()));
        }
        sum += total;
    }
    match lines.is_empty() || sum == amount {
        true => Ok(()),
        false => Err(bad("Bad value: the amount is not the sum of the order lines".into())),
    }
}

/// An order as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    pub id: String,
    /// The shop's number (`merchant_reference1`), where it has one.
    pub number: Option<String>,
    /// `merchant_reference2`.
    pub second_reference: Option<String>,
    pub amount: i64,
    pub currency: String,
    /// `AUTHORIZED`, `PART_CAPTURED`, `CAPTURED`, `CANCELLED`, `EXPIRED`.
    pub state: String,
    pub captured: i64,
    pub refunded: i64,
    /// What can still be captured.
    pub remaining: i64,
    pub acknowledged: bool,
    /// How many lines each capture has, and the tracking numbers that came with it.
    pub captures: Vec<(usize, Vec<String>)>,
}

pub(crate) struct Order {
    pub id: String,
    pub number: Option<String>,
    pub second_reference: Option<String>,
    pub currency: String,
    pub country: String,
    pub lines: Vec<Line>,
    pub amount: i64,
    pub released: i64,
    /// `ACCEPTED`, `PENDING` or `REJECTED`.
    pub fraud: &'static str,
    /// `CANCELLED` or `EXPIRED`.
    pub over: Option<&'static str>,
    pub acknowledged: bool,
    pub created: Timestamp,
    pub expires: Timestamp,
    pub captures: Vec<Taken>,
    pub refunds: Vec<Taken>,
}

/// A capture or a refund.
pub(crate) struct Taken {
    pub id: String,
    pub amount: i64,
    pub at: Timestamp,
    pub asked: Taking,
}

/// What is asked of a capture or a refund.
#[derive(Default)]
pub(crate) struct Taking {
    pub amount: i64,
    pub reference: Option<String>,
    pub description: Option<String>,
    pub lines: Vec<Value>,
    pub shipping_info: Vec<Value>,
}

impl Taking {
    pub(crate) fn of(amount: i64) -> Self {
        Self { amount, ..Self::default() }
    }

    /// `field` is where the amount stands.
    pub(crate) fn read(body: &Value, field: &str) -> Result<Self, Problem> {
        let bad = |field: &str| Problem::new(400, "BAD_VALUE", format!("Bad value: {field}"));
        let amount = body[field].as_i64().filter(|it| *it > 0).ok_or_else(|| bad(field))?;
        let text = |field: &str| match body[field].as_str() {
            Some(it) if it.chars().count() > 255 => Err(bad(field)),
            other => Ok(other.map(str::to_owned)),
        };
        let list = |field: &str| body[field].as_array().cloned().unwrap_or_default();
        Ok(Self {
            amount,
            reference: text("reference")?,
            description: text("description")?,
            lines: list("order_lines"),
            shipping_info: list("shipping_info"),
        })
    }
}

impl Order {
    fn captured(&self) -> i64 {
        self.captures.iter().map(|it| it.amount).sum()
    }

    fn refunded(&self) -> i64 {
        self.refunds.iter().map(|it| it.amount).sum()
    }

    fn remaining(&self) -> i64 {
        if self.over.is_some() || self.fraud == "REJECTED" { 0 } else { self.amount - self.captured() - self.released }
    }

    fn status(&self) -> &'static str {
        match (self.over, self.captured(), self.remaining()) {
            (Some(over), ..) => over,
            (None, 0, _) => "AUTHORIZED",
            (None, _, 0) => "CAPTURED",
            _ => "PART_CAPTURED",
        }
    }

    pub(crate) fn view(&self) -> OrderView {
        let numbers = |it: &Taken| {
            let texts = it.asked.shipping_info.iter().filter_map(|it| it["tracking_number"].as_str());
            texts.map(str::to_owned).collect()
        };
        OrderView {
            id: self.id.clone(),
            number: self.number.clone(),
            second_reference: self.second_reference.clone(),
            amount: self.amount,
            currency: self.currency.clone(),
            state: self.status().to_owned(),
            captured: self.captured(),
            refunded: self.refunded(),
            remaining: self.remaining(),
            acknowledged: self.acknowledged,
            captures: self.captures.iter().map(|it| (it.asked.lines.len(), numbers(it))).collect(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let address = json!({
            "given_name": "Test", "family_name": "Person", "street_address": "Fjellveien 1", "postal_code": "5003",
            "city": "Bergen", "country": self.country.to_lowercase(), "email": "test.person@example.no",
        });
        let lines: Vec<Value> = self.lines.iter().map(Line::json).collect();
        let captures: Vec<Value> = (1..).zip(&self.captures).map(|(number, it)| self.capture_json(number, it)).collect();
        let refunds: Vec<Value> = self.refunds.iter().map(refund_json).collect();
        json!({
            "order_id": self.id, "status": self.status(), "fraud_status": self.fraud, "order_amount": self.amount,
            "original_order_amount": self.amount, "captured_amount": self.captured(), "refunded_amount": self.refunded(),
            "remaining_authorized_amount": self.remaining(), "purchase_currency": self.currency,
            "purchase_country": self.country, "locale": "nb-NO", "order_lines": lines,
            // An empty text where there is nothing, as Klarna writes it.
            "merchant_reference1": self.number.as_deref().unwrap_or_default(),
            "merchant_reference2": self.second_reference.as_deref().unwrap_or_default(),
            "klarna_reference": short_name(&self.id), "billing_address": address, "shipping_address": address,
            "created_at": millis(self.created), "expires_at": millis(self.expires), "captures": captures, "refunds": refunds,
            "initial_payment_method": { "type": "INVOICE", "description": "Pay later" },
        })
    }

    pub(crate) fn capture_json(&self, number: usize, it: &Taken) -> Value {
        json!({
            "capture_id": it.id, "klarna_reference": format!("{}-{number}", short_name(&self.id)),
            "captured_amount": it.amount, "captured_at": it.at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
            "description": it.asked.description, "reference": it.asked.reference, "order_lines": it.asked.lines,
            "shipping_info": it.asked.shipping_info, "refunded_amount": 0,
        })
    }
}

pub(crate) fn refund_json(it: &Taken) -> Value {
    json!({
        "refund_id": it.id, "refunded_amount": it.amount, "refunded_at": millis(it.at), "description": it.asked.description,
        "reference": it.asked.reference, "order_lines": it.asked.lines, "credit_invoice": false,
    })
}

/// `2026-11-20T10:15:00.000Z`
pub(crate) fn millis(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

impl State {
    pub(crate) fn place(&mut self, currency: &str, number: Option<&str>, lines: &[Line], accepted: bool) -> String {
        let id = self.new_uuid();
        let order = Order {
            id: id.clone(),
            number: number.map(str::to_owned),
            second_reference: None,
            currency: currency.to_uppercase(),
            country: self.options.country.clone(),
            lines: lines.to_vec(),
            amount: lines.iter().map(Line::total).sum(),
            released: 0,
            fraud: if accepted { "ACCEPTED" } else { "PENDING" },
            over: None,
            acknowledged: false,
            created: self.now(),
            expires: self.in_days(self.options.capture_days),
            captures: Vec::new(),
            refunds: Vec::new(),
        };
        self.orders.insert(id.clone(), order);
        self.push(&id);
        self.tell_transaction("authorized", &id);
        id
    }

    pub(crate) fn find(&mut self, id: &str) -> Result<&mut Order, Problem> {
        let missing = || Problem::new(404, "NO_SUCH_ORDER", format!("No such order: {id}"));
        self.orders.get_mut(id).ok_or_else(missing)
    }

    pub(crate) fn end_review(&mut self, id: &str, accepted: bool) -> Result<(), Refused> {
        let order = self.find(id).map_err(Problem::refused)?;
        if order.fraud != "PENDING" {
            return Err(Refused(format!("{id} is not under review")));
        }
        order.fraud = if accepted { "ACCEPTED" } else { "REJECTED" };
        self.notify_review(id, accepted);
        Ok(())
    }

    pub(crate) fn expire(&mut self, id: &str) -> Result<(), Refused> {
        let now = self.now();
        let order = self.find(id).map_err(Problem::refused)?;
        if order.remaining() <= 0 {
            return Err(Refused(format!("{id} holds nothing that could lapse")));
        }
        (order.over, order.expires) = (Some("EXPIRED"), now);
        self.tell_transaction("expired", id);
        Ok(())
    }

    /// Answers the capture's id.
    pub(crate) fn capture(&mut self, id: &str, asked: Taking) -> Result<String, Problem> {
        let order = self.find(id)?;
        let no = |why: &str| Problem::new(403, "CAPTURE_NOT_ALLOWED", why);
        check_lines(&asked.lines, asked.amount)?;
        if order.fraud != "ACCEPTED" {
            return Err(no("The order has not been accepted."));
        }
        if let Some(over) = order.over {
            return Err(no(&format!("The order is {over}.")));
        }
        if asked.amount > order.remaining() {
            return Err(no("Captured amount cannot be higher than the remaining authorized amount."));
        }
        let (capture, at, amount) = (self.new_uuid(), self.now(), asked.amount);
        self.find(id)?.captures.push(Taken { id: capture.clone(), amount, at, asked });
        self.settle_capture(id, &capture, amount);
        self.tell_transaction("captured", id);
        Ok(capture)
    }

    /// Answers the refund's id.
    pub(crate) fn refund(&mut self, id: &str, asked: Taking) -> Result<String, Problem> {
        let order = self.find(id)?;
        check_lines(&asked.lines, asked.amount)?;
        if asked.amount > order.captured() - order.refunded() {
            let why = "Refund amount is higher than the captured amount that is left.";
            return Err(Problem::new(403, "REFUND_NOT_ALLOWED", why));
        }
        let (refund, at, amount) = (self.new_uuid(), self.now(), asked.amount);
        self.find(id)?.refunds.push(Taken { id: refund.clone(), amount, at, asked });
        self.settle_refund(id, &refund, amount);
        self.tell_transaction("refunded", id);
        Ok(refund)
    }

    pub(crate) fn cancel(&mut self, id: &str) -> Result<(), Problem> {
        let order = self.find(id)?;
        if !order.captures.is_empty() || order.over.is_some() {
            return Err(Problem::new(403, "CANCEL_NOT_ALLOWED", "The order has captures or is closed."));
        }
        order.over = Some("CANCELLED");
        self.tell_transaction("closed", id);
        Ok(())
    }

    pub(crate) fn release(&mut self, id: &str) -> Result<(), Problem> {
        let order = self.find(id)?;
        if order.captures.is_empty() || order.over.is_some() {
            return Err(Problem::new(403, "NOT_ALLOWED", "The order is cancelled or has no captures."));
        }
        order.released += order.remaining();
        Ok(())
    }

    pub(crate) fn extend(&mut self, id: &str) -> Result<(), Problem> {
        let until = self.in_days(self.options.capture_days);
        let order = self.find(id)?;
        if order.over.is_some() {
            return Err(Problem::new(403, "NOT_ALLOWED", "The order is expired or cancelled."));
        }
        order.expires = until;
        Ok(())
    }
}

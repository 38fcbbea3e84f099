//! Orders and what becomes of them, as the API tells them.

mod act;
mod place;
mod refund;

pub(crate) use act::{add_track, cancel, capture, comment, invoice, ship};
pub use place::{OrderSpec, Payment};
pub(crate) use refund::refund;

use super::{
    http::Problem,
    state::{State, num},
};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Map, Value, json};

/// One row. A configurable product has two, a bundle one more than it has parts.
#[derive(Clone)]
pub(crate) struct Item {
    pub id: u64,
    pub parent: Option<u64>,
    pub product: u64,
    pub kind: &'static str,
    pub sku: String,
    pub name: String,
    pub qty: Decimal,
    pub invoiced: Decimal,
    pub shipped: Decimal,
    pub canceled: Decimal,
    pub refunded: Decimal,
    pub net: Decimal,
    pub gross: Decimal,
    pub tax: Decimal,
    pub discount: Decimal,
    /// Its amounts count; else they are nothing, or the sum of others.
    pub counts: bool,
}

#[derive(Clone)]
pub(crate) struct Order {
    pub id: u64,
    pub number: String,
    pub state: &'static str,
    pub store: u64,
    pub created_at: String,
    pub updated_at: String,
    pub items: Vec<Item>,
    pub freight: Decimal,
    pub freight_tax: Decimal,
    pub freight_refunded: Decimal,
    pub freight_tax_refunded: Decimal,
    pub freight_invoiced: bool,
    pub method: String,
    pub authorized: Option<Decimal>,
    pub transaction: Option<String>,
    pub paid: Decimal,
    pub refunded: Decimal,
    pub histories: Vec<Value>,
    pub coupon: Option<String>,
    pub email: String,
    pub customer: Option<u64>,
    /// What one of the base currency is in the order's.
    pub rate: Decimal,
    pub currency: String,
}

#[derive(Clone)]
pub(crate) struct Invoice {
    pub id: u64,
    pub order: u64,
    pub open: bool,
    pub total: Decimal,
    pub refunded: Decimal,
    pub transaction: Option<String>,
    /// Row and quantity.
    pub items: Vec<(u64, Decimal)>,
    pub at: String,
}

#[derive(Clone)]
pub(crate) struct Shipment {
    pub id: u64,
    pub order: u64,
    pub items: Vec<(u64, Decimal)>,
    pub tracks: Vec<Value>,
    pub comments: Vec<Value>,
    pub source: String,
    pub created_at: String,
    pub updated_at: String,
}

#[derive(Clone)]
pub(crate) struct Memo {
    pub id: u64,
    pub order: u64,
    pub items: Vec<Value>,
    pub freight: Decimal,
    pub freight_tax: Decimal,
    pub positive: Decimal,
    pub negative: Decimal,
    pub total: Decimal,
    pub transaction: Option<String>,
    pub comments: Vec<Value>,
    pub at: String,
}

pub(crate) fn cents(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

impl Item {
    pub fn payable(&self) -> Decimal {
        self.net + self.tax - self.discount
    }

    pub fn to_refund(&self) -> Decimal {
        self.invoiced - self.refunded
    }

    pub fn to_send(&self) -> Decimal {
        (self.qty - self.shipped - self.refunded - self.canceled).max(Decimal::ZERO)
    }
}

impl Order {
    pub fn counted(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|it| it.counts)
    }

    pub fn total(&self) -> Decimal {
        self.counted().map(Item::payable).sum::<Decimal>() + self.freight + self.freight_tax
    }

    pub fn due(&self) -> Decimal {
        if self.state == "canceled" { Decimal::ZERO } else { self.total() - self.paid }
    }

    /// Whether this row is sent, or the one that it belongs to, or its parts.
    pub fn is_sent_as(&self, item: &Item, bundles_apart: bool) -> bool {
        let parent = item.parent.and_then(|id| self.items.iter().find(|it| it.id == id));
        match parent {
            Some(parent) => parent.kind == "bundle" && bundles_apart,
            None => !(item.kind == "bundle" && bundles_apart),
        }
    }

    /// New, processing, complete or closed, by what was paid, sent and given back.
    pub fn settle(&mut self, bundles_apart: bool) {
        let sent = self.items.iter().filter(|it| self.is_sent_as(it, bundles_apart)).all(|it| it.to_send().is_zero());
        let any_sent = self.items.iter().any(|it| !it.shipped.is_zero());
        let invoiced = self.counted().all(|it| it.invoiced + it.canceled >= it.qty);
        self.state = match () {
            () if self.state == "canceled" => "canceled",
            () if self.paid > Decimal::ZERO && self.refunded >= self.paid => "closed",
            () if sent && invoiced => "complete",
            () if self.paid > Decimal::ZERO || any_sent => "processing",
            () => self.state,
        };
    }

    fn json(&self, base: &str) -> Value {
        let mut it = Map::new();
        let mut plain = |name: &str, value: Value| it.insert(name.to_owned(), value);
        plain("entity_id", self.id.into());
        plain("increment_id", self.number.clone().into());
        plain("state", self.state.into());
        plain("status", self.state.into());
        plain("store_id", self.store.into());
        plain("store_name", "Main Website\nMain Website Store\nDefault Store View".into());
        plain("created_at", self.created_at.clone().into());
        plain("updated_at", self.updated_at.clone().into());
        plain("customer_is_guest", u8::from(self.customer.is_none()).into());
        plain("customer_id", self.customer.into());
        plain("customer_email", self.email.clone().into());
        plain("customer_firstname", "Kari".into());
        plain("customer_lastname", "Nordmann".into());
        plain("base_currency_code", base.into());
        plain("order_currency_code", self.currency.clone().into());
        plain("base_to_order_rate", num(self.rate));
        plain("coupon_code", self.coupon.clone().into());
        plain("shipping_description", "Bring - Hjemlevering".into());
        let discount: Decimal = self.counted().map(|it| it.discount).sum();
        let net: Decimal = self.counted().map(|it| it.net).sum();
        let tax: Decimal = self.counted().map(|it| it.tax).sum::<Decimal>() + self.freight_tax;
        let canceled = self.state == "canceled";
        for (name, amount) in [
            ("grand_total", self.total()),
            ("subtotal", net),
            ("discount_amount", -discount),
            ("tax_amount", tax),
            ("shipping_amount", self.freight),
            ("shipping_tax_amount", self.freight_tax),
            ("shipping_incl_tax", self.freight + self.freight_tax),
            ("total_due", self.due()),
        ] {
            self.both(&mut it, name, Some(amount));
        }
        let some = |amount: Decimal| Some(amount).filter(|it| !it.is_zero());
        self.both(&mut it, "total_paid", some(self.paid));
        self.both(&mut it, "total_refunded", some(self.refunded));
        self.both(&mut it, "shipping_refunded", some(self.freight_refunded));
        self.both(&mut it, "shipping_tax_refunded", some(self.freight_tax_refunded));
        self.both(&mut it, "total_canceled", Some(self.total()).filter(|_| canceled));
        it.insert("items".into(), self.items.iter().map(|item| self.item_json(item)).collect());
        let address = json!({ "firstname": "Kari", "lastname": "Nordmann", "street": ["Storgata 1"], "city": "Oslo",
            "postcode": "0155", "country_id": "NO", "telephone": "+4791234567", "email": self.email });
        it.insert("billing_address".into(), address.clone());
        it.insert("payment".into(), self.payment_json());
        it.insert("status_histories".into(), self.histories.clone().into());
        it.insert("extension_attributes".into(), json!({
            "shipping_assignments": [{ "shipping": { "address": address, "method": "bring_home",
                "total": { "shipping_amount": num(self.freight) } }, "items": [] }],
            "applied_taxes": [{ "code": "MVA-25", "title": "MVA", "percent": 25, "amount": num(self.of(tax)), "base_amount": num(tax) }],
        }));
        it.into()
    }

    fn payment_json(&self) -> Value {
        let mut it = Map::new();
        it.insert("method".into(), self.method.clone().into());
        it.insert("last_trans_id".into(), self.transaction.clone().into());
        it.insert("additional_information".into(), json!(["Card"]));
        self.both(&mut it, "amount_ordered", Some(self.total()));
        self.both(&mut it, "amount_authorized", self.authorized);
        it.into()
    }

    fn item_json(&self, item: &Item) -> Value {
        let mut it = Map::new();
        for (name, value) in [("item_id", item.id), ("order_id", self.id), ("product_id", item.product)] {
            it.insert(name.into(), value.into());
        }
        if let Some(parent) = item.parent {
            it.insert("parent_item_id".into(), parent.into());
        }
        it.insert("product_type".into(), item.kind.into());
        it.insert("sku".into(), item.sku.clone().into());
        it.insert("name".into(), item.name.clone().into());
        it.insert("is_virtual".into(), 0.into());
        it.insert("weight".into(), num(Decimal::new(35, 2)));
        for (name, amount) in [
            ("qty_ordered", item.qty),
            ("qty_invoiced", item.invoiced),
            ("qty_shipped", item.shipped),
            ("qty_canceled", item.canceled),
            ("qty_refunded", item.refunded),
            ("tax_percent", if item.tax.is_zero() { Decimal::ZERO } else { Decimal::from(25) }),
        ] {
            it.insert(name.into(), num(amount));
        }
        let each = |amount: Decimal| amount.checked_div(item.qty).map(cents);
        self.both(&mut it, "price", each(item.net));
        self.both(&mut it, "price_incl_tax", each(item.gross));
        self.both(&mut it, "row_total", Some(item.net));
        self.both(&mut it, "row_total_incl_tax", Some(item.gross));
        self.both(&mut it, "tax_amount", Some(item.tax));
        self.both(&mut it, "discount_amount", Some(item.discount));
        it.into()
    }

    /// In the order's currency.
    pub fn of(&self, amount: Decimal) -> Decimal {
        if self.rate == Decimal::ONE { amount } else { cents(amount * self.rate) }
    }

    fn both(&self, it: &mut Map<String, Value>, name: &str, amount: Option<Decimal>) {
        it.insert(format!("base_{name}"), amount.map(num).into());
        it.insert(name.to_owned(), amount.map(|amount| num(self.of(amount))).into());
    }
}

pub(crate) fn orders(state: &State) -> Vec<Value> {
    state.orders.values().map(|it| it.json(&state.options.currency)).collect()
}

pub(crate) fn order(state: &State, id: u64) -> Result<Value, Problem> {
    state.orders.get(&id).map(|it| it.json(&state.options.currency)).ok_or_else(Problem::no_entity)
}

pub(crate) fn order_of_invoice(state: &State, invoice: u64) -> Result<u64, Problem> {
    state.invoices.get(&invoice).map(|it| it.order).ok_or_else(Problem::no_entity)
}

pub(crate) fn invoices(state: &State) -> Vec<Value> {
    let row = |it: &Invoice| {
        let items: Vec<Value> = it.items.iter().map(|(id, qty)| json!({ "order_item_id": id, "qty": num(*qty) })).collect();
        json!({ "entity_id": it.id, "order_id": it.order, "state": if it.open { 1 } else { 2 }, "base_grand_total": num(it.total),
            "grand_total": num(it.total), "base_total_refunded": num(it.refunded), "transaction_id": it.transaction,
            "created_at": it.at, "updated_at": it.at, "items": items })
    };
    state.invoices.values().map(row).collect()
}

pub(crate) fn shipments(state: &State) -> Vec<Value> {
    let row = |it: &Shipment| {
        let items: Vec<Value> = it.items.iter().map(|(id, qty)| json!({ "order_item_id": id, "qty": num(*qty) })).collect();
        json!({ "entity_id": it.id, "increment_id": format!("{:09}", it.id), "order_id": it.order, "created_at": it.created_at,
            "updated_at": it.updated_at, "items": items, "tracks": it.tracks, "comments": it.comments, "packages": [],
            "extension_attributes": { "source_code": it.source } })
    };
    state.shipments.values().map(row).collect()
}

pub(crate) fn memos(state: &State) -> Vec<Value> {
    let row = |it: &Memo| {
        let order = state.orders.get(&it.order);
        let of = |amount: Decimal| order.map_or(amount, |order| order.of(amount));
        let currency = order.map(|it| it.currency.clone());
        let mut row = json!({ "entity_id": it.id, "increment_id": format!("{:09}", it.id), "order_id": it.order, "state": 2,
            "created_at": it.at, "updated_at": it.at, "base_currency_code": state.options.currency, "order_currency_code": currency,
            "transaction_id": it.transaction, "items": it.items, "comments": it.comments });
        for (name, amount) in [
            ("grand_total", it.total),
            ("shipping_amount", it.freight),
            ("shipping_tax_amount", it.freight_tax),
            ("adjustment_positive", it.positive),
            ("adjustment_negative", it.negative),
        ] {
            row[format!("base_{name}")] = num(amount);
            row[name] = num(of(amount));
        }
        row
    };
    state.memos.values().map(row).collect()
}

/// What observers of an order are told.
pub(crate) fn tell_order(state: &mut State, id: u64) {
    let Some(order) = state.orders.get(&id) else { return };
    let fields = json!({ "entity_id": id, "increment_id": order.number, "state": order.state, "total_paid": num(order.paid),
        "total_due": num(order.due()), "created_at": order.created_at, "updated_at": order.updated_at });
    state.tell("sales_order_save_commit_after", fields);
}

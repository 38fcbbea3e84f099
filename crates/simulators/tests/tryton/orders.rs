//! Orders as a shop has them: whole, with taxes rounded by line, in currencies of two, no and three decimals.

use serde_json::{Value, json};
use spindel_model::{Currency, Decimal, Money, Timestamp, exponent};

/// One line: SKU, pieces, price of one as the buyer sees it, taken off the line.
pub type Line<'a> = (&'a str, i64, &'a str, &'a str);

pub struct Spec<'a> {
    pub id: String,
    pub currency: Currency,
    pub included: bool,
    pub lines: Vec<Line<'a>>,
    pub shipping: Option<&'a str>,
    pub tip: Option<&'a str>,
    /// Cash rounding, in minor units.
    pub rounding: i64,
    pub customer: bool,
    /// When it was placed; the rest follows.
    pub at: Timestamp,
}

impl<'a> Spec<'a> {
    pub fn of(id: &str, currency: Currency, included: bool, lines: Vec<Line<'a>>, at: Timestamp) -> Self {
        Self { id: id.to_owned(), currency, included, lines, shipping: None, tip: None, rounding: 0, customer: true, at }
    }
}

fn rate() -> Decimal {
    Decimal::new(25, 2)
}

fn money(amount: Decimal, currency: Currency) -> Value {
    json!(Money::new(amount, currency).rounded())
}

fn bag(amount: Decimal, currency: Currency) -> Value {
    json!({ "shop": money(amount, currency), "presentment": money(amount, currency) })
}

pub fn tax_of(amount: Decimal, currency: Currency, included: bool) -> Decimal {
    let tax = if included { amount * rate() / (Decimal::ONE + rate()) } else { amount * rate() };
    tax.round_dp_with_strategy(exponent(currency), rust_decimal::RoundingStrategy::MidpointAwayFromZero)
}

impl Spec<'_> {
    fn tax(&self, amount: Decimal) -> Value {
        let tax = tax_of(amount, self.currency, self.included);
        json!([{ "title": "MVA", "rate": "0.25", "amount": bag(tax, self.currency), "included": self.included }])
    }

    /// The order as JSON of the model, and what it costs.
    pub fn order(&self) -> (Value, Decimal) {
        let parse = |text: &str| text.parse::<Decimal>().unwrap();
        let here = |amount| bag(amount, self.currency);
        let (mut net, mut tax, mut off, mut lines) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO, Vec::new());
        for (at, (sku, quantity, price, discount)) in self.lines.iter().enumerate() {
            let (price, discount) = (parse(price), parse(discount));
            let total = price * Decimal::from(*quantity) - discount;
            net += total;
            off += discount;
            tax += tax_of(total, self.currency, self.included);
            let shares = if discount.is_zero() { json!([]) } else { json!([{ "discount": 0, "amount": here(discount) }]) };
            lines.push(json!({
                "id": format!("{}-{at}", self.id), "sku": sku, "title": format!("Thing {sku}"), "kind": "physical",
                "quantity": quantity.to_string(), "quantity_ordered": quantity.to_string(), "unit_price": here(price),
                "discounts": shares, "taxes": self.tax(total), "total": here(total),
            }));
        }
        let goods = net;
        let shipping = self.shipping.map(|it| {
            let price = parse(it);
            net += price;
            tax += tax_of(price, self.currency, self.included);
            json!({ "id": "s1", "title": "Post", "price": here(price), "taxes": self.tax(price), "total": here(price) })
        });
        let charges = self.tip.map(|it| {
            net += parse(it);
            json!({ "kind": "tip", "title": "Tip", "total": here(parse(it)) })
        });
        let rounding = Money::from_minor(self.rounding, self.currency).amount;
        let grand = net + rounding + if self.included { Decimal::ZERO } else { tax };
        let address = json!({ "first_name": "Kari", "last_name": "Nordmann", "line1": "Storgata 1", "line2": "Oppgang B",
            "postal_code": "0155", "city": "Oslo", "country": "NO" });
        let customer = json!({ "id": "C-1", "email": "kari@example.no", "first_name": "Kari", "last_name": "Nordmann" });
        let order = json!({
            "id": self.id, "number": format!("#{}", self.id), "placed_at": self.at,
            "updated_at": self.at, "payment_state": "paid", "fulfilment_state": "unfulfilled",
            "currency": self.currency, "presentment_currency": self.currency, "prices_include_tax": self.included,
            "customer": if self.customer { customer } else { Value::Null }, "email": "kari@example.no",
            "billing_address": address, "shipping_address": address, "lines": lines,
            "shipping_lines": shipping.into_iter().collect::<Vec<_>>(), "charges": charges.into_iter().collect::<Vec<_>>(),
            "discounts": [{ "code": "HOST", "title": "Autumn", "kind": "code" }],
            "totals": { "subtotal": here(goods), "discount": here(off), "shipping": here(Decimal::ZERO), "tax": here(tax),
                "rounding": here(rounding), "grand": here(grand), "refunded": here(Decimal::ZERO) },
        });
        (order, grand)
    }

    pub fn push(&self) -> (Value, Decimal) {
        let (order, grand) = self.order();
        (json!({ "do": "push_order", "order": order }), grand)
    }

    pub fn payment(&self, id: &str, amount: Decimal) -> Value {
        json!({ "do": "record_payment", "order": self.reference(), "transaction": {
            "id": format!("{}-{id}", self.id), "gateway": "vipps", "kind": "capture", "status": "success",
            "amount": money(amount, self.currency), "processed_at": self.at } })
    }

    /// Some pieces of the first line, shipping and goodwill; what it gives back in all.
    pub fn refund(&self, id: &str, pieces: i64, shipping: bool, goodwill: &str) -> (Value, Decimal) {
        let parse = |text: &str| text.parse::<Decimal>().unwrap();
        let here = |amount| bag(amount, self.currency);
        let (_, quantity, price, discount) = self.lines[0];
        let whole = parse(price) * Decimal::from(quantity) - parse(discount);
        let subtotal = Money::new(whole * Decimal::from(pieces) / Decimal::from(quantity), self.currency).rounded().amount;
        let tax = tax_of(subtotal, self.currency, self.included);
        let gross = |amount| if self.included { amount } else { amount + tax_of(amount, self.currency, false) };
        let post = if shipping { gross(parse(self.shipping.unwrap())) } else { Decimal::ZERO };
        let goods = if self.included { subtotal } else { subtotal + tax };
        let total = goods + post + parse(goodwill);
        let lines = json!([{ "line_id": format!("{}-0", self.id), "sku": self.lines[0].0, "quantity": pieces.to_string(),
            "subtotal": here(subtotal), "tax": here(tax), "restock": "return" }]);
        let adjustments = if parse(goodwill).is_zero() {
            json!([])
        } else {
            json!([{ "reason": "Goodwill", "amount": here(parse(goodwill)) }])
        };
        let refund = json!({ "id": id, "order": self.reference(), "created_at": self.at,
            "lines": if pieces == 0 { json!([]) } else { lines }, "shipping": if shipping { here(post) } else { Value::Null },
            "adjustments": adjustments, "total": here(total) });
        (json!({ "do": "record_refund", "refund": refund }), total)
    }

    pub fn reference(&self) -> Value {
        json!({ "id": self.id, "number": format!("#{}", self.id) })
    }
}

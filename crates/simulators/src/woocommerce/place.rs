//! Orders as buyers place them: lines, coupon, freight and tax, added up as the vendor does.

use super::{
    resource::{Fields, amount, fields, filled, money},
    state::{Refused, State, refuse},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Norwegian VAT, the one rate of this shop.
const RATE: Decimal = Decimal::from_parts(25, 0, 0, false, 2);
pub(crate) const RATE_ID: u64 = 1;

/// What somebody buys. Start from `OrderSpec::of`.
#[derive(Clone, Debug)]
pub struct OrderSpec {
    /// SKU and quantity.
    pub lines: Vec<(String, u32)>,
    /// Code, and percent off the goods.
    pub coupon: Option<(String, u32)>,
    /// Freight without tax.
    pub shipping: Decimal,
    pub email: String,
    /// Paid at once; else it waits as `pending`.
    pub paid: bool,
    /// A basket that nobody has sent yet (`checkout-draft`).
    pub draft: bool,
    pub payment_method: String,
}

impl OrderSpec {
    pub fn of(lines: &[(&str, u32)]) -> Self {
        Self {
            lines: lines.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect(),
            coupon: None,
            shipping: Decimal::new(3920, 2),
            email: "kari@example.no".into(),
            paid: true,
            draft: false,
            payment_method: "stripe".into(),
        }
    }
}

impl State {
    pub fn place(&mut self, spec: &OrderSpec) -> Result<u64, Refused> {
        if spec.lines.is_empty() {
            return refuse("an order needs a line");
        }
        let lines = spec.lines.iter().map(|(sku, quantity)| self.line(sku, *quantity, spec)).collect::<Result<Vec<_>, _>>()?;
        let id = self.new_id();
        let status = if spec.draft { "checkout-draft" } else { "pending" };
        let mut order = fields(json!({
            "id": id, "parent_id": 0, "number": id.to_string(), "order_key": order_key(id), "created_via": "checkout",
            "version": "10.3.0", "status": status, "currency": self.options.currency, "currency_symbol": "kr",
            "prices_include_tax": self.options.prices_include_tax, "date_paid": null, "date_paid_gmt": null,
            "date_completed": null, "date_completed_gmt": null, "customer_id": 0, "customer_ip_address": "192.0.2.7",
            "customer_user_agent": "Mozilla/5.0", "customer_note": "", "billing": person(&spec.email), "shipping": person(""),
            "payment_method": spec.payment_method, "payment_method_title": "Kort", "transaction_id": "", "cart_hash": "",
            "meta_data": [], "line_items": lines, "fee_lines": [], "refunds": [],
        }));
        self.stamp(&mut order, "date_created");
        self.stamp(&mut order, "date_modified");
        self.add_up(&mut order, spec);
        self.orders.insert(id, order);
        if spec.draft {
            return Ok(id);
        }
        // Both come within the second, with the same body.
        self.tell("order.created", id);
        if spec.paid {
            self.set_transaction(id, &format!("pi_{id}"));
            self.set_status(id, "processing")?;
        } else {
            self.tell_order(id);
        }
        Ok(id)
    }

    /// Amounts of a line go without tax, whatever the prices do.
    pub fn set_transaction(&mut self, order: u64, transaction: &str) {
        if let Some(order) = self.orders.get_mut(&order) {
            order.insert("transaction_id".into(), transaction.into());
        }
    }

    fn line(&mut self, sku: &str, quantity: u32, spec: &OrderSpec) -> Result<Value, Refused> {
        let product = self.product_of(sku)?;
        let (price, parent) = (amount(product, "price"), product["parent_id"].as_u64().unwrap_or_default());
        let (own, name) = (product["id"].as_u64().unwrap_or_default(), filled(product, "name"));
        let (product_id, variation_id) = if parent == 0 { (own, 0) } else { (parent, own) };
        let entered = price * Decimal::from(quantity);
        let percent = spec.coupon.as_ref().map_or(0, |(_, percent)| *percent);
        let reduced = entered * (Decimal::ONE_HUNDRED - Decimal::from(percent)) / Decimal::ONE_HUNDRED;
        let (subtotal, subtotal_tax) = self.split(entered);
        let (total, total_tax) = self.split(reduced);
        // A float, as PHP reckons it.
        let float: f64 = total.to_string().parse().unwrap_or_default();
        Ok(json!({
            "id": self.new_id(), "name": name, "product_id": product_id, "variation_id": variation_id, "quantity": quantity,
            "tax_class": "", "subtotal": money(subtotal), "subtotal_tax": money(subtotal_tax), "total": money(total),
            "total_tax": money(total_tax), "sku": sku, "price": float / f64::from(quantity.max(1)), "image": { "id": "", "src": "" },
            "parent_name": null, "meta_data": [],
            "taxes": [{ "id": RATE_ID, "total": total_tax.normalize().to_string(), "subtotal": subtotal_tax.normalize().to_string() }],
        }))
    }

    /// Without tax, and the tax.
    fn split(&self, entered: Decimal) -> (Decimal, Decimal) {
        if self.options.prices_include_tax {
            let net = (entered / (Decimal::ONE + RATE)).round_dp(2);
            (net, entered.round_dp(2) - net)
        } else {
            (entered.round_dp(2), (entered * RATE).round_dp(2))
        }
    }

    fn add_up(&mut self, order: &mut Fields, spec: &OrderSpec) {
        let lines = super::resource::list(order, "line_items").to_vec();
        let sum = |name| lines.iter().filter_map(Value::as_object).map(|it| amount(it, name)).sum::<Decimal>();
        let (goods, tax) = (sum("total"), sum("total_tax"));
        let (taken, taken_tax) = (sum("subtotal") - goods, sum("subtotal_tax") - tax);
        let freight_tax = (spec.shipping * RATE).round_dp(2);
        let mut set = |name: &str, value: Value| order.insert(name.to_owned(), value);
        set("discount_total", money(taken).into());
        set("discount_tax", money(taken_tax).into());
        set("shipping_total", money(spec.shipping).into());
        set("shipping_tax", money(freight_tax).into());
        set("cart_tax", money(tax).into());
        set("total_tax", money(tax + freight_tax).into());
        set("total", money(goods + tax + spec.shipping + freight_tax).into());
        let rate = json!({
            "id": self.new_id(), "rate_code": "NO-MVA-1", "rate_id": RATE_ID, "label": "MVA", "compound": false,
            "tax_total": money(tax), "shipping_tax_total": money(freight_tax), "rate_percent": 25, "meta_data": [],
        });
        set("tax_lines", json!([rate]));
        let freight = json!({
            "id": self.new_id(), "method_title": "Bring", "method_id": "flat_rate", "instance_id": "2",
            "total": money(spec.shipping), "total_tax": money(freight_tax), "meta_data": [],
            "taxes": [{ "id": RATE_ID, "total": freight_tax.normalize().to_string(), "subtotal": "" }],
        });
        set("shipping_lines", json!([freight]));
        let coupon = spec.coupon.as_ref().map(|(code, _)| {
            let taken = taken.normalize().to_string();
            json!({ "id": self.new_id(), "code": code, "discount": taken, "discount_tax": money(taken_tax), "meta_data": [] })
        });
        set("coupon_lines", coupon.into_iter().collect());
    }
}

fn order_key(id: u64) -> String {
    format!("wc_order_{:013x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12)
}

/// Who has no e-mail here is the one that the goods go to.
fn person(email: &str) -> Value {
    let mut person = json!({
        "first_name": "Kari", "last_name": "Nordmann", "company": "", "address_1": "Bjørnstjerne Bjørnsons gate 1", "address_2": "",
        "city": "Oslo", "state": "", "postcode": "0155", "country": "NO", "phone": "+4791234567",
    });
    if !email.is_empty() {
        person["email"] = email.into();
    }
    person
}

//! How an order comes to be: what is bought, at which prices, and how it is paid.

use super::{Item, Order, cents, tell_order};
use crate::magento::state::{Refused, State};
use rust_decimal::Decimal;

const TAX: Decimal = Decimal::from_parts(25, 0, 0, false, 2);

/// How the buyer pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// The payment method holds the money until an invoice takes it.
    Authorized,
    /// Taken at once, with an invoice.
    Taken,
    /// By bank transfer: somebody books it once it is there.
    Offline,
}

/// What is bought. Start from [`OrderSpec::of`].
#[derive(Clone, Debug)]
pub struct OrderSpec {
    /// SKU and quantity. The SKU of a variant is bought through its product.
    pub lines: Vec<(String, u32)>,
    /// Off every line.
    pub discount_percent: u32,
    pub coupon: Option<String>,
    /// With tax.
    pub freight: Decimal,
    pub payment: Payment,
    /// An account; without one, a guest.
    pub customer: Option<String>,
}

impl OrderSpec {
    pub fn of(lines: &[(&str, u32)]) -> Self {
        Self {
            lines: lines.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect(),
            discount_percent: 0,
            coupon: None,
            freight: Decimal::from(49),
            payment: Payment::Taken,
            customer: None,
        }
    }
}

/// Net, gross and tax of a row, after its discount.
struct Amounts {
    net: Decimal,
    gross: Decimal,
    tax: Decimal,
    discount: Decimal,
}

fn amounts(price: Decimal, quantity: Decimal, spec: &OrderSpec, included: bool) -> Amounts {
    let row = price * quantity;
    let (net, gross) = if included { (cents(row / (Decimal::ONE + TAX)), row) } else { (row, cents(row * (Decimal::ONE + TAX))) };
    let discount = cents(net * Decimal::new(i64::from(spec.discount_percent), 2));
    let tax = if spec.discount_percent == 0 { gross - net } else { cents((net - discount) * TAX) };
    Amounts { net, gross, tax, discount }
}

impl State {
    pub fn place(&mut self, spec: &OrderSpec) -> Result<u64, Refused> {
        let mut items = Vec::new();
        for (sku, quantity) in &spec.lines {
            self.rows(sku, Decimal::from(*quantity), spec, &mut items)?;
        }
        let (id, now) = (self.next_id(), self.stamp());
        let freight = cents(spec.freight / (Decimal::ONE + TAX));
        let customer = spec
            .customer
            .as_ref()
            .and_then(|email| self.customers.iter().find(|(_, it)| it["email"].as_str() == Some(email)).map(|(id, _)| *id));
        let (currency, rate) =
            self.options.order_currency.clone().unwrap_or_else(|| (self.options.currency.clone(), Decimal::ONE));
        let mut order = Order {
            id,
            number: format!("{:09}", self.orders.len() + 1),
            state: "new",
            store: 1,
            created_at: now.clone(),
            updated_at: now,
            items,
            freight,
            freight_tax: spec.freight - freight,
            freight_refunded: Decimal::ZERO,
            freight_tax_refunded: Decimal::ZERO,
            freight_invoiced: false,
            method: if spec.payment == Payment::Offline { "banktransfer" } else { "klarna_kp" }.to_owned(),
            authorized: None,
            transaction: (spec.payment != Payment::Offline).then(|| format!("txn-{id}")),
            paid: Decimal::ZERO,
            refunded: Decimal::ZERO,
            histories: Vec::new(),
            coupon: spec.coupon.clone(),
            email: spec.customer.clone().unwrap_or_else(|| "kari@example.no".to_owned()),
            customer,
            rate,
            currency,
        };
        if spec.payment == Payment::Authorized {
            (order.authorized, order.state) = (Some(order.total()), "processing");
        }
        self.orders.insert(id, order);
        tell_order(self, id);
        if spec.payment == Payment::Taken {
            super::invoice(self, id, &serde_json::json!({ "capture": true })).map_err(|it| Refused(it.message))?;
        }
        Ok(id)
    }

    /// The rows of what is bought.
    fn rows(&mut self, sku: &str, quantity: Decimal, spec: &OrderSpec, items: &mut Vec<Item>) -> Result<(), Refused> {
        let product = self.product(sku)?.clone();
        let price = product.price.unwrap_or_default();
        match sku {
            "SET" => {
                let parts = [("SKU-01", Decimal::TWO), ("SKU-02", Decimal::ONE)];
                let whole = self.row(sku, None, "bundle", quantity, None, spec)?;
                let (parent, first) = (whole.id, items.len());
                items.push(whole);
                for (part, each) in parts {
                    let price = self.product(part)?.price;
                    items.push(self.row(part, Some(parent), "simple", quantity * each, price, spec)?);
                }
                let sum = |of: fn(&Item) -> Decimal| items[first + 1..].iter().map(of).sum::<Decimal>();
                let (net, gross, tax) = (sum(|it| it.net), sum(|it| it.gross), sum(|it| it.tax));
                let whole = &mut items[first];
                (whole.net, whole.gross, whole.tax, whole.counts) = (net, gross, tax, false);
            }
            "BOX" => {
                let whole = self.row(sku, None, "bundle", quantity, Some(price), spec)?;
                let parent = whole.id;
                items.push(whole);
                for (part, each) in [("SKU-01", Decimal::TWO), ("SKU-03", Decimal::ONE)] {
                    items.push(self.row(part, Some(parent), "simple", quantity * each, None, spec)?);
                }
            }
            _ if product.visibility == 1 => {
                let parent_id = self.products.values().find(|it| {
                    it.extension.get("configurable_product_links").is_some_and(|links| {
                        links.as_array().is_some_and(|links| links.iter().any(|id| id.as_u64() == Some(product.id)))
                    })
                });
                let parent_id = parent_id.map(|it| it.id).ok_or_else(|| Refused(format!("{sku} is no variant of a product")))?;
                let mut whole = self.row(sku, None, "configurable", quantity, Some(price), spec)?;
                whole.product = parent_id;
                let parent = whole.id;
                items.push(whole);
                items.push(self.row(sku, Some(parent), "simple", quantity, None, spec)?);
            }
            _ => items.push(self.row(sku, None, "simple", quantity, Some(price), spec)?),
        }
        Ok(())
    }

    fn row(
        &mut self,
        sku: &str,
        parent: Option<u64>,
        kind: &'static str,
        qty: Decimal,
        price: Option<Decimal>,
        spec: &OrderSpec,
    ) -> Result<Item, Refused> {
        let product = self.product(sku)?;
        let (id_of, name) = (product.id, product.value(0, "name").and_then(|it| it.as_str()).unwrap_or_default().to_owned());
        let Amounts { net, gross, tax, discount } =
            amounts(price.unwrap_or_default(), qty, spec, self.options.prices_include_tax);
        Ok(Item {
            id: self.next_id(),
            parent,
            product: id_of,
            kind,
            sku: sku.to_owned(),
            name,
            qty,
            invoiced: Decimal::ZERO,
            shipped: Decimal::ZERO,
            canceled: Decimal::ZERO,
            refunded: Decimal::ZERO,
            net,
            gross,
            tax,
            discount,
            counts: price.is_some(),
        })
    }
}

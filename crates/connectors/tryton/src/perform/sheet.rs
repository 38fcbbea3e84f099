//! An order as lines of a sale: goods, shipping, charges, rounding. No I/O.
//!
//! Prices are without tax in Tryton, and what a line is sold for is one number: discounts are in it already.

use crate::{Config, wire};
use spindel_connect::{CallError, Maps, ProductKey};
use spindel_model::{BookIn, Decimal, DiscountShare, MoneyBag, Order, TaxLine, exponent};
use std::collections::BTreeSet;

const OPERATION: &str = "push_order";
/// Digits of prices in Tryton, unless its own configuration says otherwise.
const PRICE_DIGITS: u32 = 4;

/// One line of the sale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// What the note names it by: `line 4110`.
    pub key: String,
    /// `None` for a line of text.
    pub product: Option<ProductKey>,
    pub title: String,
    pub quantity: Decimal,
    /// Of one, without tax.
    pub price: Decimal,
    pub taxes: Vec<i64>,
}

/// All lines, with what they must add up to.
pub(super) struct Sheet {
    pub rows: Vec<Row>,
    /// How far rounding may lead away from the source's total: half a minor unit for each line and tax, and one more;
    /// and half of the last digit of a price for each piece.
    pub tolerance: Decimal,
}

/// What the rows are made with.
pub(super) struct Books<'a> {
    pub config: &'a Config,
    pub maps: &'a Maps,
}

impl Books<'_> {
    pub fn sheet(&self, order: &Order) -> Result<Sheet, CallError> {
        let mut rows = self.goods(order)?;
        rows.extend(self.shipping(order)?);
        rows.extend(self.charges(order)?);
        let rounding = self.amount(order.totals.rounding);
        if !rounding.is_zero() {
            rows.push(self.rounding(rounding)?);
        }
        if rows.is_empty() {
            rows.push(nothing_left());
        }
        Ok(Sheet { tolerance: tolerance(order, &rows, self.config.book_in), rows })
    }

    /// The line that makes Tryton's total equal to the source's.
    pub fn rounding(&self, amount: Decimal) -> Result<Row, CallError> {
        Ok(Row {
            key: "rounding".into(),
            product: Some(product(&self.config.rounding_product, "rounding_product", "the order needs a rounding line")?),
            title: "Rounding".into(),
            quantity: Decimal::ONE,
            price: amount,
            taxes: Vec::new(),
        })
    }

    fn goods(&self, order: &Order) -> Result<Vec<Row>, CallError> {
        let mut rows = Vec::new();
        for line in order.lines.iter().filter(|line| !line.quantity.is_zero()) {
            let sku = line.sku.as_ref().filter(|sku| !sku.trim().is_empty());
            let what = || format!("line {} ({}) has no SKU", line.id, line.title);
            rows.push(Row {
                key: format!("line {}", line.id),
                product: Some(match sku {
                    Some(sku) => ProductKey::Sku(sku.clone()),
                    None => product(&self.config.custom_product, "custom_product", &what())?,
                }),
                title: self.title(order, &line.title, &line.discounts),
                quantity: line.quantity,
                price: price(self.net(line.total, &line.taxes), line.quantity)?,
                taxes: self.taxes(order, &line.taxes)?,
            });
        }
        Ok(rows)
    }

    fn shipping(&self, order: &Order) -> Result<Vec<Row>, CallError> {
        let row = |line: &spindel_model::ShippingLine| {
            Ok(Row {
                key: format!("shipping {}", line.id),
                product: Some(product(&self.config.shipping_product, "shipping_product", "the order has a shipping line")?),
                title: self.title(order, &line.title, &line.discounts),
                quantity: Decimal::ONE,
                price: self.net(line.total, &line.taxes),
                taxes: self.taxes(order, &line.taxes)?,
            })
        };
        order.shipping_lines.iter().map(row).collect()
    }

    fn charges(&self, order: &Order) -> Result<Vec<Row>, CallError> {
        let row = |(index, charge): (usize, &spindel_model::Charge)| {
            let why = "the order has a tip, a duty or a fee";
            Ok(Row {
                key: format!("charge {index}"),
                product: Some(product(&self.config.charge_product, "charge_product", why)?),
                title: charge.title.clone(),
                quantity: Decimal::ONE,
                price: self.net(charge.total, &charge.taxes),
                taxes: self.taxes(order, &charge.taxes)?,
            })
        };
        order.charges.iter().enumerate().map(row).collect()
    }

    /// The title, and below it what was taken off: the price does not show it.
    fn title(&self, order: &Order, title: &str, shares: &[DiscountShare]) -> String {
        let mut text = title.to_owned();
        for share in shares {
            let amount = self.amount(share.amount);
            let Some(discount) = order.discounts.get(share.discount).filter(|_| !amount.is_zero()) else { continue };
            let name = discount.code.as_ref().unwrap_or(&discount.title);
            text.push_str(&format!("\n{name}: {}", -amount));
        }
        text
    }

    fn net(&self, total: MoneyBag, taxes: &[TaxLine]) -> Decimal {
        let included = taxes.iter().filter(|it| it.included).map(|it| self.amount(it.amount));
        self.amount(total) - included.sum::<Decimal>()
    }

    /// Ids of `account.tax`, in order and each once.
    fn taxes(&self, order: &Order, taxes: &[TaxLine]) -> Result<Vec<i64>, CallError> {
        let mut ids = BTreeSet::new();
        for tax in taxes {
            let key = tax.map_key(order.tax_country());
            let value = self.maps.require(OPERATION, "tax", &key)?;
            ids.insert(wire::mapped_id(OPERATION, "tax", &key, value)?);
        }
        Ok(ids.into_iter().collect())
    }

    fn amount(&self, money: MoneyBag) -> Decimal {
        money.get(self.config.book_in).amount
    }
}

/// An order from which everything was taken: a line of text to carry the mark.
fn nothing_left() -> Row {
    let title = "Nothing is left of this order".into();
    Row { key: "empty".into(), product: None, title, quantity: Decimal::ZERO, price: Decimal::ZERO, taxes: Vec::new() }
}

/// The price of one, as far as Tryton can hold it.
pub(super) fn price(net: Decimal, quantity: Decimal) -> Result<Decimal, CallError> {
    let price = net.checked_div(quantity).ok_or_else(|| CallError::data(OPERATION, "an amount is out of range"))?;
    Ok(price.round_dp(PRICE_DIGITS).normalize())
}

/// A product of the settings, or an error that names the key and why it is needed.
pub(super) fn product(setting: &Option<ProductKey>, key: &str, why: &str) -> Result<ProductKey, CallError> {
    let problem = || CallError::config(OPERATION, format!("{why}: set `{key}` of this connection to a product in Tryton"));
    setting.clone().ok_or_else(problem)
}

fn tolerance(order: &Order, rows: &[Row], book_in: BookIn) -> Decimal {
    let taxes = order.lines.iter().map(|it| it.taxes.len());
    let taxes = taxes.chain(order.shipping_lines.iter().map(|it| it.taxes.len()));
    let taxes: usize = taxes.chain(order.charges.iter().map(|it| it.taxes.len())).sum();
    let half = Decimal::new(5, exponent(order.totals.grand.get(book_in).currency) + 1);
    let pieces: Decimal = rows.iter().map(|it| it.quantity.abs()).sum();
    half * Decimal::from(rows.len() + taxes + 1) + Decimal::new(5, PRICE_DIGITS + 1) * pieces
}

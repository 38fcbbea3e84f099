//! An order as lines of an Odoo order: goods, discounts, shipping, charges, rounding. No I/O.

use crate::{Config, ProductKey, identity::part};
use spindel_connect::{CallError, Maps};
use spindel_model::{BookIn, Decimal, MoneyBag, Order, TaxLine, exponent};
use std::collections::{BTreeMap, BTreeSet};

const OPERATION: &str = "push_order";

/// One line of the Odoo order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// External id, without namespace.
    pub name: String,
    pub product: ProductKey,
    pub title: String,
    pub quantity: Decimal,
    pub price: Decimal,
    pub taxes: Vec<i64>,
}

/// All lines, with what they must add up to.
pub struct Sheet {
    pub rows: Vec<Row>,
    /// How far Odoo's own rounding may lead away from the source's: half a minor unit for each line and tax, and one more.
    pub tolerance: Decimal,
}

/// What the rows are made with.
pub struct Books<'a> {
    pub config: &'a Config,
    pub maps: &'a Maps,
    /// External id of the order, without namespace.
    pub order: &'a str,
}

impl Books<'_> {
    pub fn sheet(&self, order: &Order) -> Result<Sheet, CallError> {
        let mut discounts = Discounts::default();
        let mut rows = self.goods(order, &mut discounts)?;
        let mut delivery = self.shipping(order, &mut discounts)?;
        rows.extend(self.discounts(discounts)?);
        rows.append(&mut delivery);
        rows.extend(self.charges(order)?);
        let rounding = self.amount(order.totals.rounding);
        if !rounding.is_zero() {
            rows.push(self.rounding(rounding)?);
        }
        Ok(Sheet { tolerance: tolerance(order, rows.len(), self.config.book_in), rows })
    }

    /// The line that makes Odoo's total equal to the source's.
    pub fn rounding(&self, amount: Decimal) -> Result<Row, CallError> {
        Ok(Row {
            name: rounding_name(self.order),
            product: product(&self.config.rounding_product, "rounding_product", "the order needs a rounding line")?,
            title: "Rounding".into(),
            quantity: Decimal::ONE,
            price: amount,
            taxes: Vec::new(),
        })
    }

    fn goods(&self, order: &Order, discounts: &mut Discounts) -> Result<Vec<Row>, CallError> {
        let mut rows = Vec::new();
        for line in order.lines.iter().filter(|line| !line.quantity.is_zero()) {
            let taxes = self.taxes(order, &line.taxes)?;
            let price = self.amount(line.unit_price);
            let full = price.checked_mul(line.quantity).ok_or_else(|| CallError::data(OPERATION, "an amount is out of range"))?;
            discounts.add(&taxes, full - self.amount(line.total), order, line.discounts.iter().map(|it| it.discount));
            let sku = line.sku.as_ref().filter(|sku| !sku.trim().is_empty());
            let what = || format!("line {} ({}) has no SKU", line.id, line.title);
            rows.push(Row {
                name: part(self.order, "line", &line.id),
                product: match sku {
                    Some(sku) => ProductKey::Sku(sku.clone()),
                    None => product(&self.config.custom_product, "custom_product", &what())?,
                },
                title: line.title.clone(),
                quantity: line.quantity,
                price,
                taxes,
            });
        }
        Ok(rows)
    }

    fn shipping(&self, order: &Order, discounts: &mut Discounts) -> Result<Vec<Row>, CallError> {
        let mut rows = Vec::new();
        for line in &order.shipping_lines {
            let taxes = self.taxes(order, &line.taxes)?;
            let price = self.amount(line.price);
            discounts.add(&taxes, price - self.amount(line.total), order, line.discounts.iter().map(|it| it.discount));
            rows.push(Row {
                name: part(self.order, "shipping", &line.id),
                product: product(&self.config.shipping_product, "shipping_product", "the order has a shipping line")?,
                title: line.title.clone(),
                quantity: Decimal::ONE,
                price,
                taxes,
            });
        }
        Ok(rows)
    }

    /// One line for each set of taxes, as an amount: a percentage would be rounded again by Odoo.
    fn discounts(&self, discounts: Discounts) -> Result<Vec<Row>, CallError> {
        let mut rows = Vec::new();
        for (taxes, (amount, titles)) in discounts.0.into_iter().filter(|(_, (amount, _))| !amount.is_zero()) {
            let ids: Vec<String> = taxes.iter().map(ToString::to_string).collect();
            let titles: Vec<String> = titles.into_iter().collect();
            rows.push(Row {
                name: part(self.order, "discount", &if ids.is_empty() { "none".to_owned() } else { ids.join("x") }),
                product: product(&self.config.discount_product, "discount_product", "the order has a discount")?,
                title: if titles.is_empty() { "Discount".into() } else { titles.join(", ") },
                quantity: Decimal::ONE,
                price: -amount,
                taxes,
            });
        }
        Ok(rows)
    }

    fn charges(&self, order: &Order) -> Result<Vec<Row>, CallError> {
        let row = |(index, charge): (usize, &spindel_model::Charge)| {
            Ok(Row {
                name: part(self.order, "charge", &index.to_string()),
                product: product(&self.config.charge_product, "charge_product", "the order has a tip, a duty or a fee")?,
                title: charge.title.clone(),
                quantity: Decimal::ONE,
                price: self.amount(charge.total),
                taxes: self.taxes(order, &charge.taxes)?,
            })
        };
        order.charges.iter().enumerate().map(row).collect()
    }

    /// Ids of `account.tax`, in order and each once.
    fn taxes(&self, order: &Order, taxes: &[TaxLine]) -> Result<Vec<i64>, CallError> {
        let mut ids = BTreeSet::new();
        for tax in taxes {
            let key = tax.map_key(order.tax_country());
            let value = self.maps.require(OPERATION, "tax", &key)?;
            ids.insert(crate::wire::mapped_id(OPERATION, "tax", &key, value)?);
        }
        Ok(ids.into_iter().collect())
    }

    fn amount(&self, money: MoneyBag) -> Decimal {
        money.get(self.config.book_in).amount
    }
}

/// What is taken off, by set of taxes, and why.
#[derive(Default)]
struct Discounts(BTreeMap<Vec<i64>, (Decimal, BTreeSet<String>)>);

impl Discounts {
    fn add(&mut self, taxes: &[i64], amount: Decimal, order: &Order, of: impl Iterator<Item = usize>) {
        let (sum, titles) = self.0.entry(taxes.to_vec()).or_default();
        *sum += amount;
        let discounts = of.filter_map(|index| order.discounts.get(index));
        titles.extend(discounts.map(|it| it.code.as_ref().unwrap_or(&it.title).clone()).filter(|it| !it.is_empty()));
    }
}

pub fn rounding_name(order: &str) -> String {
    format!("{order}_rounding")
}

/// A product of the settings, or an error that names the key and why it is needed.
pub fn product(setting: &Option<ProductKey>, key: &str, why: &str) -> Result<ProductKey, CallError> {
    let problem = || CallError::config(OPERATION, format!("{why}: set `{key}` of this connection to a product in Odoo"));
    setting.clone().ok_or_else(problem)
}

fn tolerance(order: &Order, rows: usize, book_in: BookIn) -> Decimal {
    let taxes = order.lines.iter().map(|it| it.taxes.len());
    let taxes = taxes.chain(order.shipping_lines.iter().map(|it| it.taxes.len()));
    let taxes: usize = taxes.chain(order.charges.iter().map(|it| it.taxes.len())).sum();
    let half = Decimal::new(5, exponent(order.totals.grand.get(book_in).currency) + 1);
    half * Decimal::from(rows + taxes + 1)
}

/// `1`, `799.20`, `0.1235`: what a cell of `load` holds.
pub fn cell(number: Decimal) -> String {
    number.to_string()
}

/// `31,32`
pub fn ids_cell(ids: &[i64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

//! An order as lines of an Odoo order: goods, discounts, shipping, charges, rounding. No I/O.

use crate::{Config, identity::part};
use spindel_connect::{CallError, Maps, ProductKey};
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use spindel_connect::{Connector, Fixture};
    use spindel_model::ErrorClass;

    fn fixture(name: &str) -> Value {
        let found = crate::Odoo::FIXTURES.iter().find(|it| it.name == name);
        let Some(Fixture { json, .. }) = found else { panic!("no fixture {name}") };
        serde_json::from_str(json).unwrap()
    }

    fn order() -> Order {
        serde_json::from_value(fixture("push_order_new")["actions"][0]["order"].clone()).unwrap()
    }

    fn maps() -> Maps {
        serde_json::from_value(json!({ "tax": { "NO/25/included": "31", "NO/15/included": "32" } })).unwrap()
    }

    fn sheet(settings: Value, order: &Order) -> Result<Sheet, CallError> {
        let config: Config = serde_json::from_value(settings).unwrap();
        Books { config: &config, maps: &maps(), order: "shop_order_1" }.sheet(order)
    }

    #[test]
    fn the_rows_add_up_to_the_order_before_taxes_that_prices_exclude() {
        let order = order();
        let rows = sheet(fixture("config"), &order).unwrap().rows;
        let sum: Decimal = rows.iter().map(|it| it.price * it.quantity).sum();
        assert_eq!(sum, order.totals.grand.shop.amount);
    }

    #[test]
    fn discounts_are_one_negative_row_for_each_set_of_taxes() {
        let mut order = order();
        let share = order.lines[0].discounts[0].clone();
        order.lines[1].discounts.push(share.clone());
        order.lines[1].total = order.lines[1].total.try_sub(share.amount).unwrap();
        let rows = sheet(fixture("config"), &order).unwrap().rows;
        let found: Vec<_> =
            rows.iter().filter(|it| it.name.contains("_discount_")).map(|it| (it.price, it.taxes.clone())).collect();
        let amount = -share.amount.shop.amount;
        assert_eq!(found, [(amount, vec![31]), (amount, vec![32])]);
    }

    #[test]
    fn a_line_that_was_edited_away_is_no_row() {
        let mut order = order();
        order.lines[1].quantity = Decimal::ZERO;
        let rows = sheet(fixture("config"), &order).unwrap().rows;
        assert!(rows.iter().all(|it| it.product != ProductKey::Sku("TE-03".into())));
    }

    #[test]
    fn a_product_that_is_not_set_is_named_by_its_key() {
        for key in ["shipping_product", "discount_product"] {
            let mut settings = fixture("config");
            settings.as_object_mut().unwrap().remove(key);
            let error = sheet(settings, &order()).err().unwrap();
            assert_eq!(error.class, ErrorClass::Config);
            assert!(error.message.contains(key), "{error}");
        }
    }

    #[test]
    fn a_line_without_sku_takes_the_product_that_is_set_for_such_lines() {
        let mut order = order();
        order.lines[0].sku = None;
        let error = sheet(fixture("config"), &order).err().unwrap();
        assert!(error.class == ErrorClass::Config && error.message.contains("custom_product"), "{error}");
        let mut settings = fixture("config");
        settings["custom_product"] = json!(77);
        assert_eq!(sheet(settings, &order).unwrap().rows[0].product, ProductKey::Id(77));
    }
}

//! An order as lines of a sales order: goods, shipping, charges, in the way that its prices hold tax there. No I/O.

use crate::{
    Config, Object,
    mark::{Mark, digest, key},
    wire::{NewLine, Number},
};
use serde_json::json;
use spindel_connect::{CallError, Maps};
use spindel_model::{Decimal, Money, MoneyBag, Order, TaxLine, exponent};
use std::collections::BTreeSet;

const OPERATION: &str = "push_order";
/// Digits after the point that a unit price can have.
const PRICE_DIGITS: u32 = 5;

/// One line of the sales order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub key: String,
    /// Of what the source says, whatever the settings make of it.
    pub digest: String,
    pub object: Object,
    pub title: String,
    pub quantity: Decimal,
    pub unit_price: Decimal,
    /// For all of the quantity.
    pub discount: Decimal,
    pub tax_code: Option<String>,
}

impl Row {
    pub fn mark(&self, order: &str, head: &str) -> Mark {
        Mark { key: self.key.clone(), order: order.to_owned(), row: self.digest.clone(), head: head.to_owned() }
    }

    pub fn is_on(&self, kind: &str, number: &str) -> bool {
        let (own_kind, own_number) = self.object.parts();
        own_kind == kind && own_number.eq_ignore_ascii_case(number)
    }

    /// What a line is booked on cannot be changed once it is there.
    pub fn line<'a>(&'a self, mark: &Mark, is_new: bool) -> NewLine<'a> {
        let (kind, number) = self.object.parts();
        NewLine {
            line_type: is_new.then_some(kind),
            line_object_number: is_new.then_some(number),
            tax_code: self.tax_code.as_deref(),
            description: &self.title,
            description2: mark.to_string(),
            quantity: Number(self.quantity),
            unit_price: Number(self.unit_price),
            discount_amount: Number(self.discount),
        }
    }
}

/// All lines, and how far Business Central's own rounding may lead away from the source's.
#[derive(Debug)]
pub struct Sheet {
    pub rows: Vec<Row>,
    pub tolerance: Decimal,
}

/// What the rows are made with.
pub struct Books<'a> {
    pub config: &'a Config,
    pub maps: &'a Maps,
    /// Whether prices of this sales order hold tax.
    pub includes_tax: bool,
}

/// A line of the source, whatever kind it is.
struct Given<'a> {
    kind: char,
    id: String,
    title: &'a str,
    sku: Option<&'a str>,
    quantity: Decimal,
    /// Of one, before discounts.
    unit: MoneyBag,
    /// After discounts.
    total: MoneyBag,
    taxes: &'a [TaxLine],
}

impl Books<'_> {
    pub fn sheet(&self, order: &Order) -> Result<Sheet, CallError> {
        let mut rows = Vec::new();
        let mut taxes = 0;
        for given in lines_of(order) {
            taxes += given.taxes.len();
            rows.push(self.row(order, &given)?);
        }
        let rounding = order.totals.rounding.get(self.config.book_in);
        let half = Decimal::new(5, exponent(rounding.currency) + 1);
        let tolerance = half * Decimal::from(rows.len() + taxes + 1) + rounding.amount.abs();
        Ok(Sheet { rows, tolerance })
    }

    fn row(&self, order: &Order, given: &Given<'_>) -> Result<Row, CallError> {
        let priced = self.priced(given)?;
        let booked = json!([
            given.sku,
            given.title,
            given.quantity,
            given.unit.get(self.config.book_in),
            given.total.get(self.config.book_in),
            given.taxes.iter().map(|it| (it.rate, it.included, it.amount.get(self.config.book_in))).collect::<Vec<_>>(),
        ]);
        Ok(Row {
            key: key(given.kind, &given.id),
            digest: digest(booked.to_string().as_bytes()),
            object: self.object(given)?,
            title: shortened(given.title),
            quantity: given.quantity,
            unit_price: priced.unit,
            discount: priced.discount,
            tax_code: self.tax_code(order, given.taxes)?,
        })
    }

    fn object(&self, given: &Given<'_>) -> Result<Object, CallError> {
        let config = self.config;
        match (given.kind, given.sku) {
            ('L', Some(sku)) => Ok(Object::Item(sku.to_owned())),
            ('L', None) => {
                let why = format!("line {} ({}) has no SKU", given.id, given.title);
                object(OPERATION, &config.custom, "custom", &why)
            }
            ('S', _) => object(OPERATION, &config.shipping, "shipping", "the order has a shipping line"),
            _ => object(OPERATION, &config.charge, "charge", "the order has a tip, a duty or a fee"),
        }
    }

    /// Price of one, and discount for all, so that the line is worth what it is worth in the source: with the source's own tax
    /// added or taken off, where the two hold tax differently.
    fn priced(&self, given: &Given<'_>) -> Result<Priced, CallError> {
        let book_in = self.config.book_in;
        let range = || CallError::data(OPERATION, "an amount is out of range");
        let (unit, total) = (given.unit.get(book_in), given.total.get(book_in));
        let full = unit.amount.checked_mul(given.quantity).ok_or_else(range)?;
        let taxes = given.taxes.iter().filter(|it| it.included != self.includes_tax);
        let sign = if self.includes_tax { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
        let (mut target, mut rates) = (total.amount, Decimal::ZERO);
        for tax in taxes {
            target = target.checked_add(sign * tax.amount.get(book_in).amount).ok_or_else(range)?;
            rates += tax.rate;
        }
        let factor = if !total.is_zero() {
            target.checked_div(total.amount)
        } else if self.includes_tax {
            Some(Decimal::ONE + rates)
        } else {
            Decimal::ONE.checked_div(Decimal::ONE + rates)
        };
        let is_discounted = full != total.amount;
        let holds_it_differently = given.taxes.iter().any(|it| it.included != self.includes_tax);
        let price = match (is_discounted, holds_it_differently) {
            (_, false) => unit.amount,
            (false, true) => target.checked_div(given.quantity).ok_or_else(range)?,
            (true, true) => factor.and_then(|it| unit.amount.checked_mul(it)).ok_or_else(range)?,
        };
        let price = rounded(price, PRICE_DIGITS);
        let line = Money::new(price.checked_mul(given.quantity).ok_or_else(range)?, unit.currency).rounded();
        let discount = if is_discounted { (line.amount - target).max(Decimal::ZERO) } else { Decimal::ZERO };
        Ok(Priced { unit: price, discount })
    }

    /// The code for all taxes of a line: Business Central has one.
    fn tax_code(&self, order: &Order, taxes: &[TaxLine]) -> Result<Option<String>, CallError> {
        let mut codes = BTreeSet::new();
        for tax in taxes {
            codes.insert(self.maps.require(OPERATION, "tax", &tax.map_key(order.tax_country()))?);
        }
        let mut codes = codes.into_iter();
        match (codes.next(), codes.next()) {
            (Some(code), None) => Ok(Some(code.to_owned())),
            (None, _) => Ok(no_tax(self.maps)),
            (Some(_), Some(_)) => {
                let problem = "a line has several taxes with different codes in [maps.tax], and Business Central takes one for each \
                               line: give all of them the same code";
                Err(CallError::config(OPERATION, problem))
            }
        }
    }
}

struct Priced {
    unit: Decimal,
    discount: Decimal,
}

fn lines_of(order: &Order) -> Vec<Given<'_>> {
    let goods = order.lines.iter().filter(|it| !it.quantity.is_zero()).map(|it| Given {
        kind: 'L',
        id: it.id.clone(),
        title: &it.title,
        sku: it.sku.as_deref().map(str::trim).filter(|sku| !sku.is_empty()),
        quantity: it.quantity,
        unit: it.unit_price,
        total: it.total,
        taxes: &it.taxes,
    });
    let delivery = order.shipping_lines.iter().map(|it| Given {
        kind: 'S',
        id: it.id.clone(),
        title: &it.title,
        sku: None,
        quantity: Decimal::ONE,
        unit: it.price,
        total: it.total,
        taxes: &it.taxes,
    });
    let charges = order.charges.iter().enumerate().map(|(index, it)| Given {
        kind: 'C',
        id: index.to_string(),
        title: &it.title,
        sku: None,
        quantity: Decimal::ONE,
        unit: it.total,
        total: it.total,
        taxes: &it.taxes,
    });
    goods.chain(delivery).chain(charges).collect()
}

/// Code of what is not taxed; without it, Business Central takes what the account or the item has.
pub fn no_tax(maps: &Maps) -> Option<String> {
    maps.find("tax", "none").map(str::to_owned)
}

/// What a line is booked on by the settings, or an error that names the key and why it is needed.
pub fn object(operation: &'static str, setting: &Option<Object>, key: &str, why: &str) -> Result<Object, CallError> {
    let problem = || {
        CallError::config(operation, format!("{why}: set `{key}` of this connection, as in `{key} = {{ account = \"3410\" }}`"))
    };
    setting.clone().ok_or_else(problem)
}

/// As long as a description can be.
pub fn shortened(title: &str) -> String {
    title.chars().take(100).collect()
}

/// Half away from zero.
pub fn rounded(number: Decimal, digits: u32) -> Decimal {
    // Money rounds to the digits of its currency; prices have more of them.
    let factor = Decimal::from(10_i64.pow(digits));
    let scaled = number.checked_mul(factor).map(|it| Money::new(it, spindel_model::Currency::JPY).rounded().amount);
    scaled.and_then(|it| it.checked_div(factor)).map_or(number, |it| it.normalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use spindel_connect::{Connector, Fixture};
    use spindel_model::{Currency, ErrorClass};

    fn fixture(name: &str) -> Value {
        let found = crate::BusinessCentral::FIXTURES.iter().find(|it| it.name == name);
        let Some(Fixture { json, .. }) = found else { panic!("no fixture {name}") };
        serde_json::from_str(json).unwrap()
    }

    fn order() -> Order {
        serde_json::from_value(fixture("push_order_new")["actions"][0]["order"].clone()).unwrap()
    }

    fn sheet_of(settings: Value, order: &Order, includes_tax: bool) -> Result<Sheet, CallError> {
        let config: Config = serde_json::from_value(settings).unwrap();
        let maps = serde_json::from_value(fixture("push_order_new")["maps"].clone()).unwrap();
        Books { config: &config, maps: &maps, includes_tax }.sheet(order)
    }

    /// What Business Central makes of the rows: lines rounded one by one, VAT once for each code.
    fn total(rows: &[Row], currency: Currency, includes_tax: bool) -> Decimal {
        let round = |amount| Money::new(amount, currency).rounded().amount;
        let worth = |row: &Row| round(row.unit_price * row.quantity) - row.discount;
        if includes_tax {
            return rows.iter().map(worth).sum();
        }
        let mut sum = Decimal::ZERO;
        for (code, rate) in [(Some("MVA25"), 25), (Some("MVA15"), 15), (Some("MVA0"), 0), (None, 0)] {
            let net: Decimal = rows.iter().filter(|it| it.tax_code.as_deref() == code).map(worth).sum();
            sum += net + round(net * Decimal::new(rate, 2));
        }
        sum
    }

    /// The example, in another currency and at other prices; the tax of each line is rounded as shops do.
    fn priced(currency: Currency, unit: &str, quantity: u32, off: &str) -> Order {
        let mut order = order();
        let bag = |amount: Decimal| MoneyBag::single(Money::new(amount, currency).rounded());
        let unit: Decimal = unit.parse().unwrap();
        let quantity = Decimal::from(quantity);
        let worth = unit * quantity - off.parse::<Decimal>().unwrap();
        let tax = |amount: Decimal, rate: i64| bag(amount * Decimal::from(rate) / Decimal::from(100 + rate));
        let mut grand = Decimal::ZERO;
        for (line, rate) in order.lines.iter_mut().zip([25, 15]) {
            (line.quantity, line.unit_price, line.total) = (quantity, bag(unit), bag(worth));
            line.taxes[0].amount = tax(worth, rate);
            grand += worth;
        }
        let delivery = &mut order.shipping_lines[0];
        (delivery.price, delivery.total) = (bag(unit), bag(unit));
        delivery.taxes[0].amount = tax(unit, 25);
        order.totals.rounding = bag(Decimal::ZERO);
        order.totals.grand = bag(grand + unit);
        order
    }

    #[test]
    fn totals_agree_in_every_currency_but_for_what_a_rounding_line_explains() {
        for (code, unit, off) in [
            ("NOK", "799.20", "159.84"),
            ("SEK", "99.50", "0"),
            ("DKK", "0.35", "0.10"),
            ("EUR", "19.99", "3.33"),
            ("JPY", "1280", "77"),
            ("KWD", "4.125", "0.333"),
        ] {
            let currency: Currency = code.parse().unwrap();
            for quantity in [1, 2, 3, 7, 99] {
                let order = priced(currency, unit, quantity, off);
                let grand = order.totals.grand.shop.amount;
                let held = sheet_of(fixture("config"), &order, true).unwrap();
                assert_eq!(total(&held.rows, currency, true), grand, "{code} {quantity}, VAT in the prices");
                let added = sheet_of(fixture("config"), &order, false).unwrap();
                let missing = (grand - total(&added.rows, currency, false)).abs();
                assert!(missing <= added.tolerance, "{code} {quantity}: {missing} > {}", added.tolerance);
            }
        }
    }

    #[test]
    fn the_shops_own_tax_is_taken_off_to_the_minor_unit() {
        let rows = sheet_of(fixture("config"), &order(), false).unwrap().rows;
        let worth: Vec<String> =
            rows.iter().map(|it| (rounded(it.unit_price * it.quantity, 2) - it.discount).normalize().to_string()).collect();
        assert_eq!(worth, ["1150.85", "127.83", "63.2"]);
    }

    #[test]
    fn a_line_that_costs_nothing_is_given_away_and_not_free_of_price() {
        let mut order = order();
        order.lines[0].total = order.lines[0].total.try_sub(order.lines[0].total).unwrap();
        order.lines[0].taxes[0].amount = order.lines[0].total;
        let row = &sheet_of(fixture("config"), &order, false).unwrap().rows[0];
        assert_eq!((row.unit_price.to_string(), row.discount.to_string()), ("639.36".into(), "1278.72".into()));
    }

    #[test]
    fn a_digest_follows_the_source_and_not_the_settings() {
        let digest =
            |order: &Order, includes_tax| sheet_of(fixture("config"), order, includes_tax).unwrap().rows[0].digest.clone();
        assert_eq!(digest(&order(), true), digest(&order(), false));
        let mut other = order();
        other.lines[0].title = "Ullgenser, blå".into();
        assert_ne!(digest(&order(), true), digest(&other, true));
    }

    #[test]
    fn a_line_that_was_edited_away_is_no_row() {
        let mut order = order();
        order.lines[1].quantity = Decimal::ZERO;
        let rows = sheet_of(fixture("config"), &order, false).unwrap().rows;
        assert!(rows.iter().all(|it| !it.is_on("Item", "TE-03")));
    }

    #[test]
    fn what_is_not_set_is_named_by_its_key() {
        let mut order = order();
        order.lines[0].sku = Some(" ".into());
        let error = sheet_of(fixture("config"), &order, false).unwrap_err();
        assert!(error.class == ErrorClass::Config && error.message.contains("`custom`"), "{error}");
        order.lines[0].sku = Some("A".into());
        let mut settings = fixture("config");
        settings.as_object_mut().unwrap().remove("shipping");
        let error = sheet_of(settings, &order, false).unwrap_err();
        assert!(error.class == ErrorClass::Config && error.message.contains("`shipping`"), "{error}");
    }

    #[test]
    fn several_taxes_of_a_line_need_the_same_code() {
        let mut order = order();
        let other = order.lines[1].taxes[0].clone();
        order.lines[0].taxes.push(other);
        let error = sheet_of(fixture("config"), &order, false).unwrap_err();
        assert_eq!(error.class, ErrorClass::Config);
    }

    #[test]
    fn a_line_without_tax_says_so() {
        let mut order = order();
        order.lines[0].taxes.clear();
        let rows = sheet_of(fixture("config"), &order, false).unwrap().rows;
        assert_eq!((rows[0].tax_code.as_deref(), rows[0].unit_price.to_string()), (Some("MVA0"), "799.2".into()));
    }
}

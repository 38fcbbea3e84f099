//! An order with its lines, taxes, discounts, shipping, addresses, both currencies and transactions.

use crate::{Attributes, Customer, Money, MoneyBag, MoneyError, Refund};
use iso_currency::Currency;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An order as it stands: quantities and totals are those after edits and before refunds.
///
/// The sum of its parts is its total: lines + shipping lines + charges (+ tax where prices exclude it) +
/// `totals.rounding` = `totals.grand`; [`Order::residue`] checks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The source's own id, as text (Shopify's exceed 2^53).
    pub id: String,
    /// What people call it: `#1042`.
    pub number: String,
    pub placed_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    pub payment_state: PaymentState,
    pub fulfilment_state: FulfilmentState,
    /// Placed with a test gateway; never a real sale.
    #[serde(default)]
    pub test: bool,
    /// `web`, `pos` … as the source names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_channel: Option<String>,
    pub currency: Currency,
    pub presentment_currency: Currency,
    pub prices_include_tax: bool,
    #[serde(default)]
    pub tax_exempt: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Customer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_address: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
    pub lines: Vec<OrderLine>,
    #[serde(default)]
    pub shipping_lines: Vec<ShippingLine>,
    #[serde(default)]
    pub discounts: Vec<Discount>,
    #[serde(default)]
    pub charges: Vec<Charge>,
    #[serde(default)]
    pub transactions: Vec<Transaction>,
    #[serde(default)]
    pub refunds: Vec<Refund>,
    pub totals: Totals,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub attributes: Attributes,
}

/// Normalised payment state; the source's own word stays in `attributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    Pending,
    Authorized,
    PartiallyPaid,
    Paid,
    PartiallyRefunded,
    Refunded,
    Voided,
    Expired,
}

/// Normalised fulfilment state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentState {
    Unfulfilled,
    Partial,
    Fulfilled,
    Restocked,
}

/// One sold item. A snapshot: never read again from the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderLine {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_id: Option<String>,
    pub title: String,
    pub kind: LineKind,
    /// Weight of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grams: Option<Decimal>,
    /// After edits, before refunds: what the ERP books.
    pub quantity: Decimal,
    /// As first ordered.
    pub quantity_ordered: Decimal,
    #[serde(default)]
    pub quantity_refunded: Decimal,
    /// List price of one, with or without tax as the order says.
    pub unit_price: MoneyBag,
    /// This line's share of the order's discounts, for `quantity`.
    #[serde(default)]
    pub discounts: Vec<DiscountShare>,
    #[serde(default)]
    pub taxes: Vec<TaxLine>,
    /// `quantity` × `unit_price` − discounts.
    pub total: MoneyBag,
    #[serde(default)]
    pub attributes: Attributes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    Physical,
    Digital,
    GiftCard,
}

/// A tax on a line, a shipping line or a charge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaxLine {
    pub title: String,
    /// As a fraction: 0.25 is 25 %.
    pub rate: Decimal,
    pub amount: MoneyBag,
    /// The price already contains it.
    pub included: bool,
}

impl TaxLine {
    /// Key of this tax in `[maps.tax]`: country, percent, and whether prices include it, as in `NO/25/included`.
    pub fn map_key(&self, country: &str) -> String {
        let percent = (self.rate * Decimal::ONE_HUNDRED).normalize();
        let included = if self.included { "included" } else { "excluded" };
        format!("{country}/{percent}/{included}")
    }
}

/// Why the price was lowered. The money is on the lines, as [`DiscountShare`]s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discount {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub title: String,
    pub kind: DiscountKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountKind {
    Code,
    Automatic,
    Manual,
    Script,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiscountShare {
    /// Index into [`Order::discounts`].
    pub discount: usize,
    /// Positive: what is taken off.
    pub amount: MoneyBag,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShippingLine {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub title: String,
    /// The carrier's id of the pick-up point that the buyer chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup_point: Option<String>,
    pub price: MoneyBag,
    #[serde(default)]
    pub discounts: Vec<DiscountShare>,
    #[serde(default)]
    pub taxes: Vec<TaxLine>,
    /// `price` − discounts.
    pub total: MoneyBag,
}

/// Money on an order that is neither goods nor shipping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    pub kind: ChargeKind,
    pub title: String,
    pub total: MoneyBag,
    #[serde(default)]
    pub taxes: Vec<TaxLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeKind {
    Tip,
    Duty,
    Fee,
}

/// Totals after edits and before refunds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Lines after discounts, with or without tax as the order says.
    pub subtotal: MoneyBag,
    pub discount: MoneyBag,
    pub shipping: MoneyBag,
    pub tax: MoneyBag,
    /// What is needed to make the parts equal the whole: cash rounding, or the source's own rounding of taxes.
    pub rounding: MoneyBag,
    pub grand: MoneyBag,
    pub refunded: MoneyBag,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Address {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// ISO 3166-1, two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl Address {
    /// First and last name, or the company, or nothing.
    pub fn name(&self) -> Option<String> {
        let full = [self.first_name.as_deref(), self.last_name.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        if full.is_empty() { self.company.clone() } else { Some(full) }
    }
}

/// One movement of money at the payment provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    pub gateway: String,
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    pub amount: Money,
    pub processed_at: Timestamp,
    /// The provider's own reference of the payment that this movement belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When an authorisation lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    pub test: bool,
}

impl Transaction {
    /// Authorisations and voids move no money, and refunds bring none.
    pub fn brings_money(&self) -> bool {
        let kind = matches!(self.kind, TransactionKind::Capture | TransactionKind::Sale);
        kind && self.status == TransactionStatus::Success
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    Authorization,
    Capture,
    Sale,
    Void,
    Refund,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionStatus {
    Pending,
    Success,
    Failure,
    Error,
}

/// Names an order without carrying it: at least one of the two is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

impl Order {
    pub fn physical_lines(&self) -> impl Iterator<Item = &OrderLine> {
        self.lines.iter().filter(|line| line.kind == LineKind::Physical && line.quantity > Decimal::ZERO)
    }

    /// The provider's reference of the payment: of its authorisation, else of the first movement that names one.
    pub fn payment(&self) -> Option<&str> {
        let held = self.transactions.iter().filter(|it| it.status == TransactionStatus::Success);
        let authorised = held.clone().filter(|it| it.kind == TransactionKind::Authorization);
        authorised.chain(held).find_map(|it| it.reference.as_deref())
    }

    /// What is authorised for this order and not captured yet, and no more than the order costs now.
    /// `None` when nothing was authorised.
    pub fn to_capture(&self) -> Result<Option<Money>, MoneyError> {
        let sum = |kinds: &[TransactionKind], currency| {
            self.transactions
                .iter()
                .filter(|it| it.status == TransactionStatus::Success && kinds.contains(&it.kind))
                .try_fold(Money::zero(currency), |sum, it| sum.try_add(it.amount))
        };
        let authorised = |it: &&Transaction| it.status == TransactionStatus::Success && it.kind == TransactionKind::Authorization;
        let Some(first) = self.transactions.iter().find(authorised) else { return Ok(None) };
        let currency = first.amount.currency;
        let grand = &self.totals.grand;
        let due = if grand.shop.currency == currency { grand.shop } else { grand.presentment };
        let held = sum(&[TransactionKind::Authorization], currency)?;
        let wanted = if due.currency == currency && due.amount < held.amount { due } else { held };
        let taken = sum(&[TransactionKind::Capture, TransactionKind::Sale], currency)?;
        Ok(Some(wanted.try_sub(taken)?))
    }

    pub fn reference(&self) -> OrderRef {
        OrderRef { id: Some(self.id.clone()), number: Some(self.number.clone()) }
    }

    /// Country that decides the tax: shipping address, else billing address, else `ZZ`.
    pub fn tax_country(&self) -> &str {
        [&self.shipping_address, &self.billing_address]
            .into_iter()
            .flatten()
            .find_map(|address| address.country.as_deref())
            .unwrap_or("ZZ")
    }

    /// Grand total less the sum of the parts, rounding line included: zero for an order that adds up.
    pub fn residue(&self) -> Result<MoneyBag, MoneyError> {
        let mut sum = self.totals.rounding;
        for line in &self.lines {
            sum = sum.try_add(line.total)?;
        }
        for line in &self.shipping_lines {
            sum = sum.try_add(line.total)?;
        }
        for charge in &self.charges {
            sum = sum.try_add(charge.total)?;
        }
        if !self.prices_include_tax {
            sum = sum.try_add(self.totals.tax)?;
        }
        self.totals.grand.try_sub(sum)
    }
}

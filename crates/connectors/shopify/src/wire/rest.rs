//! Webhook bodies of orders: the shapes of the REST resources.

use super::{
    Address, Currencies, Id, Pair, Set,
    customer::Customer,
    filled,
    order::{Draft, DraftLine, Sums},
    pairs, rest_refund, split_tags,
    state::{cancel_reason, fulfilment_state, payment_state},
};
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{
    Attributes, Charge, ChargeKind, Currency, Decimal, Discount, DiscountKind, DiscountShare, Exact, LineKind, MoneyBag,
    OrderLine, OrderRef, ShippingLine, TaxLine, Timestamp, Totals,
};

/// `orders/*`
#[derive(Deserialize)]
pub(crate) struct Order {
    id: Id,
    name: String,
    created_at: Timestamp,
    processed_at: Option<Timestamp>,
    pub updated_at: Timestamp,
    cancelled_at: Option<Timestamp>,
    cancel_reason: Option<String>,
    closed_at: Option<Timestamp>,
    financial_status: Option<String>,
    fulfillment_status: Option<String>,
    #[serde(default)]
    test: bool,
    source_name: Option<String>,
    source_identifier: Option<String>,
    location_id: Option<Id>,
    currency: Currency,
    presentment_currency: Option<Currency>,
    #[serde(default)]
    taxes_included: bool,
    #[serde(default)]
    tax_exempt: bool,
    #[serde(default)]
    duties_included: bool,
    customer: Option<Customer>,
    customer_locale: Option<String>,
    email: Option<String>,
    contact_email: Option<String>,
    phone: Option<String>,
    billing_address: Option<Address>,
    shipping_address: Option<Address>,
    note: Option<String>,
    tags: Option<String>,
    #[serde(default)]
    note_attributes: Vec<Pair>,
    #[serde(default)]
    payment_gateway_names: Vec<String>,
    #[serde(default)]
    line_items: Vec<Line>,
    #[serde(default)]
    shipping_lines: Vec<Shipping>,
    #[serde(default)]
    discount_applications: Vec<Application>,
    #[serde(default)]
    refunds: Vec<rest_refund::Refund>,
    total_price: Option<Exact>,
    total_price_set: Option<Set>,
    total_tax: Option<Exact>,
    total_tax_set: Option<Set>,
    current_total_price: Option<Exact>,
    current_total_price_set: Option<Set>,
    current_total_tax: Option<Exact>,
    current_total_tax_set: Option<Set>,
    total_tip_received: Option<Exact>,
    total_tip_received_set: Option<Set>,
    current_total_duties_set: Option<Set>,
    current_total_additional_fees_set: Option<Set>,
    total_cash_rounding_payment_adjustment_set: Option<Set>,
}

#[derive(Deserialize)]
struct Line {
    id: Id,
    sku: Option<String>,
    product_id: Option<Id>,
    variant_id: Option<Id>,
    title: Option<String>,
    name: Option<String>,
    variant_title: Option<String>,
    grams: Option<Exact>,
    quantity: Exact,
    current_quantity: Option<Exact>,
    #[serde(default)]
    gift_card: bool,
    #[serde(default = "yes")]
    requires_shipping: bool,
    price: Option<Exact>,
    price_set: Option<Set>,
    #[serde(default)]
    properties: Vec<Pair>,
    #[serde(default)]
    discount_allocations: Vec<Allocation>,
    #[serde(default)]
    tax_lines: Vec<Tax>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Allocation {
    amount: Option<Exact>,
    amount_set: Option<Set>,
    discount_application_index: usize,
}

#[derive(Deserialize)]
struct Tax {
    #[serde(default)]
    title: String,
    rate: Option<Exact>,
    price: Option<Exact>,
    price_set: Option<Set>,
}

#[derive(Deserialize)]
struct Shipping {
    id: Id,
    code: Option<String>,
    title: Option<String>,
    price: Option<Exact>,
    price_set: Option<Set>,
    #[serde(default)]
    is_removed: bool,
    #[serde(default)]
    discount_allocations: Vec<Allocation>,
    #[serde(default)]
    tax_lines: Vec<Tax>,
}

#[derive(Deserialize)]
struct Application {
    #[serde(rename = "type", default)]
    kind: String,
    code: Option<String>,
    title: Option<String>,
}

impl Order {
    pub fn draft(self) -> Result<Draft, ParseError> {
        let currencies = Currencies { shop: self.currency, presentment: self.presentment_currency.unwrap_or(self.currency) };
        let included = self.taxes_included;
        let placed = Sums {
            total: currencies.bag("total_price", self.total_price_set, self.total_price)?,
            tax: currencies.bag("total_tax", self.total_tax_set, self.total_tax)?,
        };
        let current = Sums {
            total: currencies.bag(
                "current_total_price",
                self.current_total_price_set.or(self.total_price_set),
                self.current_total_price.or(self.total_price),
            )?,
            tax: currencies.bag(
                "current_total_tax",
                self.current_total_tax_set.or(self.total_tax_set),
                self.current_total_tax.or(self.total_tax),
            )?,
        };
        let charges = [
            (ChargeKind::Tip, "Tip", currencies.bag("total_tip_received", self.total_tip_received_set, self.total_tip_received)?),
            (ChargeKind::Duty, "Duties", dutiable(self.duties_included, self.current_total_duties_set, currencies)),
            (ChargeKind::Fee, "Fees", currencies.bag("fees", self.current_total_additional_fees_set, None)?),
        ];
        let reference = OrderRef { id: Some(self.id.0.clone()), number: Some(self.name.clone()) };
        let refunds = self
            .refunds
            .into_iter()
            .map(|refund| refund.draft(reference.clone(), Some(currencies), Some(included)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut customer = self.customer.map(spindel_model::Customer::from);
        if let Some(customer) = &mut customer {
            customer.locale = filled(self.customer_locale);
        }
        let mut attributes = Attributes::new();
        let mut note = |name: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value);
            }
        };
        note("financial_status", self.financial_status.clone().map(Into::into));
        note("fulfillment_status", self.fulfillment_status.clone().map(Into::into));
        note("gateways", (!self.payment_gateway_names.is_empty()).then(|| self.payment_gateway_names.into()));
        note("source_identifier", filled(self.source_identifier).map(Into::into));
        note("location_id", self.location_id.map(|id| id.0.into()));
        note("note_attributes", pairs(self.note_attributes));
        let order = spindel_model::Order {
            id: self.id.0,
            number: self.name,
            placed_at: self.processed_at.unwrap_or(self.created_at),
            updated_at: self.updated_at,
            cancelled_at: self.cancelled_at,
            cancel_reason: cancel_reason(self.cancel_reason),
            closed_at: self.closed_at,
            payment_state: payment_state(self.financial_status.as_deref()),
            fulfilment_state: fulfilment_state(self.fulfillment_status.as_deref()),
            test: self.test,
            source_channel: filled(self.source_name),
            currency: currencies.shop,
            presentment_currency: currencies.presentment,
            prices_include_tax: included,
            tax_exempt: self.tax_exempt,
            customer,
            email: filled(self.email).or(filled(self.contact_email)),
            phone: filled(self.phone),
            billing_address: self.billing_address.map(Into::into),
            shipping_address: self.shipping_address.map(Into::into),
            lines: Vec::new(),
            shipping_lines: self
                .shipping_lines
                .into_iter()
                .filter(|line| !line.is_removed)
                .map(|line| line.canonical(currencies, included))
                .collect::<Result<_, _>>()?,
            discounts: self.discount_applications.into_iter().map(Into::into).collect(),
            charges: charges_of(charges),
            transactions: Vec::new(),
            refunds: Vec::new(),
            totals: no_totals(currencies),
            note: filled(self.note),
            tags: split_tags(self.tags),
            attributes,
        };
        let lines = self.line_items.into_iter().map(|line| line.draft(currencies, included)).collect::<Result<_, _>>()?;
        let cash_rounding = currencies.bag("cash_rounding", self.total_cash_rounding_payment_adjustment_set, None)?;
        Ok(Draft { order, lines, refunds, current, placed, cash_rounding })
    }
}

/// Duties that the prices already contain are no charge of their own.
pub(super) fn dutiable(included: bool, set: Option<Set>, currencies: Currencies) -> MoneyBag {
    set.filter(|_| !included).map_or(currencies.zero(), Into::into)
}

pub(super) fn charges_of(found: [(ChargeKind, &str, MoneyBag); 3]) -> Vec<Charge> {
    let some = found.into_iter().filter(|(_, _, total)| !total.shop.is_zero() || !total.presentment.is_zero());
    some.map(|(kind, title, total)| Charge { kind, title: title.to_owned(), total, taxes: Vec::new() }).collect()
}

/// Until [`Draft::finish`] computes them.
pub(super) fn no_totals(currencies: Currencies) -> Totals {
    let zero = currencies.zero();
    Totals { subtotal: zero, discount: zero, shipping: zero, tax: zero, rounding: zero, grand: zero, refunded: zero }
}

pub(super) fn line_kind(gift_card: bool, requires_shipping: bool) -> LineKind {
    match (gift_card, requires_shipping) {
        (true, _) => LineKind::GiftCard,
        (false, true) => LineKind::Physical,
        (false, false) => LineKind::Digital,
    }
}

impl Line {
    fn draft(self, currencies: Currencies, included: bool) -> Result<DraftLine, ParseError> {
        let mut attributes = Attributes::new();
        if let Some(variant) = filled(self.variant_title) {
            attributes.insert("variant_title".into(), variant.into());
        }
        if let Some(properties) = pairs(self.properties) {
            attributes.insert("properties".into(), properties);
        }
        let line = OrderLine {
            id: self.id.0,
            sku: filled(self.sku),
            product_id: self.product_id.map(|id| id.0),
            variant_id: self.variant_id.map(|id| id.0),
            title: filled(self.title).or(filled(self.name)).unwrap_or_default(),
            kind: line_kind(self.gift_card, self.requires_shipping),
            grams: self.grams.map(|it| it.0),
            quantity: Decimal::ZERO,
            quantity_ordered: Decimal::ZERO,
            quantity_refunded: Decimal::ZERO,
            unit_price: currencies.bag("price", self.price_set, self.price)?,
            discounts: shares(self.discount_allocations, currencies)?,
            taxes: taxes(self.tax_lines, currencies, included)?,
            total: currencies.zero(),
            attributes,
        };
        let current = self.current_quantity.unwrap_or(self.quantity).0;
        Ok(DraftLine { line, ordered: self.quantity.0, current })
    }
}

fn shares(allocations: Vec<Allocation>, currencies: Currencies) -> Result<Vec<DiscountShare>, ParseError> {
    let share = |it: Allocation| {
        let amount = currencies.bag("amount", it.amount_set, it.amount)?;
        Ok(DiscountShare { discount: it.discount_application_index, amount })
    };
    allocations.into_iter().map(share).collect()
}

fn taxes(lines: Vec<Tax>, currencies: Currencies, included: bool) -> Result<Vec<TaxLine>, ParseError> {
    let tax = |it: Tax| {
        let amount = currencies.bag("price", it.price_set, it.price)?;
        Ok(TaxLine { title: it.title, rate: it.rate.unwrap_or_default().0, amount, included })
    };
    lines.into_iter().map(tax).collect()
}

impl Shipping {
    fn canonical(self, currencies: Currencies, included: bool) -> Result<ShippingLine, ParseError> {
        let price = currencies.bag("price", self.price_set, self.price)?;
        let discounts = shares(self.discount_allocations, currencies)?;
        Ok(ShippingLine {
            id: self.id.0,
            code: filled(self.code),
            title: self.title.unwrap_or_default(),
            pickup_point: None,
            price,
            taxes: taxes(self.tax_lines, currencies, included)?,
            total: less(price, &discounts)?,
            discounts,
        })
    }
}

pub(super) fn less(price: MoneyBag, discounts: &[DiscountShare]) -> Result<MoneyBag, ParseError> {
    discounts.iter().try_fold(price, |left, it| left.try_sub(it.amount)).map_err(super::unaddable)
}

impl From<Application> for Discount {
    fn from(it: Application) -> Self {
        let kind = match it.kind.as_str() {
            "discount_code" => DiscountKind::Code,
            "manual" => DiscountKind::Manual,
            "script" => DiscountKind::Script,
            _ => DiscountKind::Automatic,
        };
        let title = filled(it.title).or_else(|| it.code.clone()).unwrap_or_default();
        Self { code: filled(it.code), title, kind }
    }
}

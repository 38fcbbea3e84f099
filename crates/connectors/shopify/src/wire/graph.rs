//! Orders and refunds of the GraphQL API.
//!
//! Unlike webhooks they carry the order's transactions, and amounts of transactions are those of the shop's own currency
//! where a webhook names one of the two; both give the same order otherwise.

use super::{
    Address, Currencies, Id, Pair, Set,
    catalog::Ref,
    customer::GraphCustomer,
    filled,
    order::{Draft, DraftLine, DraftRefund, Sums},
    pairs,
    payment::Payment,
    refund::{Paid, RefundDraft, restock},
    rest::{charges_of, dutiable, less, line_kind, no_totals},
    state::{cancel_reason, fulfilment_state, payment_state},
};
use crate::graphql::Nodes;
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{
    Attributes, ChargeKind, Currency, Decimal, Discount, DiscountKind, DiscountShare, Exact, MoneyBag, OrderLine, OrderRef,
    RefundLine, ShippingLine, TaxLine, Timestamp,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    id: Id,
    name: String,
    created_at: Timestamp,
    processed_at: Option<Timestamp>,
    updated_at: Timestamp,
    cancelled_at: Option<Timestamp>,
    cancel_reason: Option<String>,
    closed_at: Option<Timestamp>,
    display_financial_status: Option<String>,
    display_fulfillment_status: Option<String>,
    #[serde(default)]
    test: bool,
    source_name: Option<String>,
    source_identifier: Option<String>,
    #[serde(default)]
    payment_gateway_names: Vec<String>,
    currency_code: Currency,
    presentment_currency_code: Currency,
    taxes_included: bool,
    #[serde(default)]
    tax_exempt: bool,
    #[serde(default)]
    duties_included: bool,
    email: Option<String>,
    phone: Option<String>,
    note: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    custom_attributes: Vec<Pair>,
    customer: Option<GraphCustomer>,
    billing_address: Option<Address>,
    shipping_address: Option<Address>,
    total_price_set: Set,
    total_tax_set: Option<Set>,
    current_total_price_set: Set,
    current_total_tax_set: Option<Set>,
    total_tip_received_set: Option<Set>,
    current_total_duties_set: Option<Set>,
    current_total_additional_fees_set: Option<Set>,
    total_cash_rounding_adjustment: Option<CashRounding>,
    discount_applications: Nodes<Application>,
    shipping_lines: Nodes<Shipping>,
    #[serde(default)]
    transactions: Vec<Payment>,
    pub refunds: Vec<Ref>,
    pub line_items: Nodes<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CashRounding {
    payment_set: Option<Set>,
}

#[derive(Deserialize)]
pub(crate) struct Application {
    #[serde(rename = "__typename", default)]
    kind: String,
    index: usize,
    code: Option<String>,
    title: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    id: Id,
    sku: Option<String>,
    title: String,
    variant_title: Option<String>,
    quantity: Exact,
    current_quantity: Exact,
    #[serde(default)]
    is_gift_card: bool,
    #[serde(default)]
    requires_shipping: bool,
    product: Option<Ref>,
    variant: Option<Ref>,
    #[serde(default)]
    custom_attributes: Vec<Pair>,
    original_unit_price_set: Set,
    #[serde(default)]
    discount_allocations: Vec<Allocation>,
    #[serde(default)]
    tax_lines: Vec<Tax>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Allocation {
    allocated_amount_set: Set,
    discount_application: ApplicationRef,
}

#[derive(Deserialize)]
struct ApplicationRef {
    index: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tax {
    title: String,
    rate: Option<Exact>,
    price_set: Set,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shipping {
    id: Option<Id>,
    code: Option<String>,
    title: String,
    #[serde(default)]
    is_removed: bool,
    original_price_set: Set,
    #[serde(default)]
    discount_allocations: Vec<Allocation>,
    #[serde(default)]
    tax_lines: Vec<Tax>,
}

impl Order {
    /// `refunds` are those that the order names, read one by one.
    pub fn draft(self, refunds: Vec<Refund>) -> Result<Draft, ParseError> {
        let currencies = Currencies { shop: self.currency_code, presentment: self.presentment_currency_code };
        let included = self.taxes_included;
        let bag = |set: Option<Set>| set.map_or(currencies.zero(), MoneyBag::from);
        let placed = Sums { total: self.total_price_set.into(), tax: bag(self.total_tax_set) };
        let current = Sums { total: self.current_total_price_set.into(), tax: bag(self.current_total_tax_set) };
        let charges = [
            (ChargeKind::Tip, "Tip", bag(self.total_tip_received_set)),
            (ChargeKind::Duty, "Duties", dutiable(self.duties_included, self.current_total_duties_set, currencies)),
            (ChargeKind::Fee, "Fees", bag(self.current_total_additional_fees_set)),
        ];
        let reference = OrderRef { id: Some(self.id.0.clone()), number: Some(self.name.clone()) };
        let refunds =
            refunds.into_iter().map(|refund| refund.draft(reference.clone(), currencies, included)).collect::<Result<_, _>>()?;
        let mut attributes = Attributes::new();
        let mut note = |name: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value);
            }
        };
        let word = |word: &Option<String>| word.as_ref().map(|word| word.to_ascii_lowercase().into());
        note("financial_status", word(&self.display_financial_status));
        note("fulfillment_status", word(&self.display_fulfillment_status));
        note("gateways", (!self.payment_gateway_names.is_empty()).then(|| self.payment_gateway_names.into()));
        note("source_identifier", filled(self.source_identifier).map(Into::into));
        note("note_attributes", pairs(self.custom_attributes));
        let mut applications = self.discount_applications.nodes;
        applications.sort_by_key(|application| application.index);
        // An allocation names its discount by Shopify's own index, the canonical order by place.
        let places: Vec<usize> = applications.iter().map(|application| application.index).collect();
        let order = spindel_model::Order {
            id: self.id.0,
            number: self.name,
            placed_at: self.processed_at.unwrap_or(self.created_at),
            updated_at: self.updated_at,
            cancelled_at: self.cancelled_at,
            cancel_reason: cancel_reason(self.cancel_reason),
            closed_at: self.closed_at,
            payment_state: payment_state(self.display_financial_status.as_deref()),
            fulfilment_state: fulfilment_state(self.display_fulfillment_status.as_deref()),
            test: self.test,
            source_channel: filled(self.source_name),
            currency: currencies.shop,
            presentment_currency: currencies.presentment,
            prices_include_tax: included,
            tax_exempt: self.tax_exempt,
            customer: self.customer.map(Into::into),
            email: filled(self.email),
            phone: filled(self.phone),
            billing_address: self.billing_address.map(Into::into),
            shipping_address: self.shipping_address.map(Into::into),
            lines: Vec::new(),
            shipping_lines: self
                .shipping_lines
                .nodes
                .into_iter()
                .filter(|line| !line.is_removed)
                .map(|line| line.canonical(included, &places))
                .collect::<Result<_, _>>()?,
            discounts: applications.into_iter().map(Into::into).collect(),
            charges: charges_of(charges),
            transactions: self.transactions.into_iter().filter_map(Payment::canonical).collect(),
            refunds: Vec::new(),
            totals: no_totals(currencies),
            note: filled(self.note),
            tags: self.tags,
            attributes,
        };
        let lines = self.line_items.nodes.into_iter().map(|line| line.draft(currencies, included, &places)).collect();
        let cash_rounding = bag(self.total_cash_rounding_adjustment.and_then(|it| it.payment_set));
        Ok(Draft { order, lines, refunds, current, placed, cash_rounding })
    }
}

impl From<Application> for Discount {
    fn from(it: Application) -> Self {
        let kind = match it.kind.as_str() {
            "DiscountCodeApplication" => DiscountKind::Code,
            "ManualDiscountApplication" => DiscountKind::Manual,
            "ScriptDiscountApplication" => DiscountKind::Script,
            _ => DiscountKind::Automatic,
        };
        let title = filled(it.title).or_else(|| it.code.clone()).unwrap_or_default();
        Self { code: filled(it.code), title, kind }
    }
}

fn shares(allocations: Vec<Allocation>, places: &[usize]) -> Vec<DiscountShare> {
    let share = |it: Allocation| {
        let index = it.discount_application.index;
        let discount = places.iter().position(|place| *place == index).unwrap_or(index);
        DiscountShare { discount, amount: it.allocated_amount_set.into() }
    };
    allocations.into_iter().map(share).collect()
}

fn taxes(lines: Vec<Tax>, included: bool) -> Vec<TaxLine> {
    let tax = |it: Tax| TaxLine { title: it.title, rate: it.rate.unwrap_or_default().0, amount: it.price_set.into(), included };
    lines.into_iter().map(tax).collect()
}

impl Line {
    fn draft(self, currencies: Currencies, included: bool, places: &[usize]) -> DraftLine {
        let mut attributes = Attributes::new();
        if let Some(variant) = filled(self.variant_title) {
            attributes.insert("variant_title".into(), variant.into());
        }
        if let Some(properties) = pairs(self.custom_attributes) {
            attributes.insert("properties".into(), properties);
        }
        let line = OrderLine {
            id: self.id.0,
            sku: filled(self.sku),
            product_id: self.product.map(|it| it.id.0),
            variant_id: self.variant.map(|it| it.id.0),
            title: self.title,
            kind: line_kind(self.is_gift_card, self.requires_shipping),
            grams: None,
            quantity: Decimal::ZERO,
            quantity_ordered: Decimal::ZERO,
            quantity_refunded: Decimal::ZERO,
            unit_price: self.original_unit_price_set.into(),
            discounts: shares(self.discount_allocations, places),
            taxes: taxes(self.tax_lines, included),
            total: currencies.zero(),
            attributes,
        };
        DraftLine { line, ordered: self.quantity.0, current: self.current_quantity.0 }
    }
}

impl Shipping {
    fn canonical(self, included: bool, places: &[usize]) -> Result<ShippingLine, ParseError> {
        let price = self.original_price_set.into();
        let discounts = shares(self.discount_allocations, places);
        Ok(ShippingLine {
            id: self.id.map(|id| id.0).unwrap_or_default(),
            code: filled(self.code),
            title: self.title,
            pickup_point: None,
            price,
            taxes: taxes(self.tax_lines, included),
            total: less(price, &discounts)?,
            discounts,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refund {
    id: Id,
    created_at: Option<Timestamp>,
    processed_at: Timestamp,
    note: Option<String>,
    pub refund_line_items: Nodes<RefundItem>,
    refund_shipping_lines: Nodes<RefundShipping>,
    order_adjustments: Nodes<Adjustment>,
    transactions: Nodes<Payment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefundItem {
    quantity: Exact,
    restock_type: String,
    line_item: RefundedLine,
    location: Option<Ref>,
    subtotal_set: Set,
    total_tax_set: Set,
}

#[derive(Deserialize)]
struct RefundedLine {
    id: Id,
    sku: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefundShipping {
    subtotal_amount_set: Set,
    tax_amount_set: Set,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Adjustment {
    reason: Option<String>,
    amount_set: Set,
    tax_amount_set: Set,
}

impl Refund {
    fn draft(self, order: OrderRef, currencies: Currencies, included: bool) -> Result<DraftRefund, ParseError> {
        let given_back = |set: Set| currencies.zero().try_sub(set.into()).map_err(super::unaddable);
        let adjustments = self
            .order_adjustments
            .nodes
            .into_iter()
            .map(|it| {
                let reason = it.reason.map_or("adjustment".into(), |reason| reason.to_ascii_lowercase());
                Ok((reason, given_back(it.amount_set)?, given_back(it.tax_amount_set)?))
            })
            .collect::<Result<_, ParseError>>()?;
        let paid = self.transactions.nodes.iter().filter(|it| it.is_payout()).map(|it| MoneyBag::from(it.amount_set));
        let paid = paid.reduce(|sum, bag| sum.try_add(bag).unwrap_or(sum));
        let draft = RefundDraft {
            id: self.id.0,
            order,
            created_at: self.created_at.unwrap_or(self.processed_at),
            note: filled(self.note),
            lines: self.refund_line_items.nodes.into_iter().map(Into::into).collect(),
            shipping: self
                .refund_shipping_lines
                .nodes
                .into_iter()
                .map(|it| (it.subtotal_amount_set.into(), it.tax_amount_set.into()))
                .collect(),
            adjustments,
            duties: currencies.zero(),
            transactions: self.transactions.nodes.into_iter().filter_map(Payment::canonical).collect(),
            paid: Paid { shop: paid.map(|bag| bag.shop.amount), presentment: paid.map(|bag| bag.presentment.amount) },
            tax_on_top: !included,
        };
        draft.finish(currencies)
    }
}

impl From<RefundItem> for RefundLine {
    fn from(it: RefundItem) -> Self {
        Self {
            line_id: it.line_item.id.0,
            sku: filled(it.line_item.sku),
            quantity: it.quantity.0,
            subtotal: it.subtotal_set.into(),
            tax: it.total_tax_set.into(),
            restock: restock(&it.restock_type),
            location_id: it.location.map(|it| super::gid("Location", &it.id.0)),
        }
    }
}

//! Orders. Every amount stands there twice, in the website's base currency and in the order's own.

use super::{
    Amount, Comment, Id, Utc,
    address::Address,
    filled,
    item::{Item, Parts, Rows},
    some_id,
    sum::{Both, Currencies},
};
use crate::Shop;
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{
    Attributes, Currency, Customer, Decimal, Money, MoneyBag, OrderLine, OrderRef, ShippingLine, Timestamp, Topic, Totals,
};

#[derive(Clone, Deserialize)]
pub(crate) struct Order {
    pub entity_id: Id,
    pub(super) increment_id: Option<String>,
    pub state: Option<String>,
    pub(super) status: Option<String>,
    pub(super) store_id: Option<Id>,
    pub(super) store_name: Option<String>,
    #[serde(default)]
    pub created_at: Utc,
    #[serde(default)]
    pub(super) updated_at: Utc,
    pub(super) customer_id: Option<Id>,
    pub(super) customer_email: Option<String>,
    pub(super) customer_firstname: Option<String>,
    pub(super) customer_lastname: Option<String>,
    pub(super) customer_taxvat: Option<String>,
    pub(super) customer_note: Option<String>,
    pub(super) coupon_code: Option<String>,
    pub(super) discount_description: Option<String>,
    pub base_currency_code: Currency,
    pub order_currency_code: Currency,
    #[serde(default)]
    pub(super) grand_total: Amount,
    #[serde(default)]
    pub(super) base_grand_total: Amount,
    #[serde(default)]
    pub(super) tax_amount: Amount,
    #[serde(default)]
    pub(super) base_tax_amount: Amount,
    #[serde(default)]
    pub(super) shipping_amount: Amount,
    #[serde(default)]
    pub(super) base_shipping_amount: Amount,
    #[serde(default)]
    pub(super) shipping_tax_amount: Amount,
    #[serde(default)]
    pub(super) base_shipping_tax_amount: Amount,
    #[serde(default)]
    pub(super) shipping_incl_tax: Amount,
    #[serde(default)]
    pub(super) base_shipping_incl_tax: Amount,
    #[serde(default)]
    pub(super) shipping_discount_amount: Amount,
    #[serde(default)]
    pub(super) base_shipping_discount_amount: Amount,
    #[serde(default)]
    pub(super) shipping_discount_tax_compensation_amount: Amount,
    #[serde(default)]
    pub(super) base_shipping_discount_tax_compensation_amnt: Amount,
    #[serde(default)]
    pub(super) base_shipping_refunded: Amount,
    pub(super) shipping_description: Option<String>,
    #[serde(default)]
    pub(super) total_paid: Amount,
    #[serde(default)]
    pub base_total_due: Amount,
    #[serde(default)]
    pub total_due: Amount,
    #[serde(default)]
    pub(super) total_refunded: Amount,
    #[serde(default)]
    pub(super) base_total_refunded: Amount,
    #[serde(default)]
    pub(super) total_canceled: Amount,
    #[serde(default)]
    pub(super) base_total_canceled: Amount,
    #[serde(default)]
    pub(super) tax_canceled: Amount,
    #[serde(default)]
    pub(super) base_tax_canceled: Amount,
    #[serde(default)]
    pub(super) shipping_canceled: Amount,
    #[serde(default)]
    pub(super) base_shipping_canceled: Amount,
    #[serde(default)]
    pub items: Vec<Item>,
    pub(super) billing_address: Option<Address>,
    pub(super) payment: Option<Payment>,
    pub status_histories: Option<Vec<Comment>>,
    pub(super) extension_attributes: Option<Box<Extension>>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Payment {
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) amount_authorized: Amount,
    pub(super) last_trans_id: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Extension {
    pub(super) shipping_assignments: Vec<Assignment>,
    pub(super) applied_taxes: Vec<AppliedTax>,
    pub(super) item_applied_taxes: Vec<ItemTaxes>,
    pub(super) pickup_location_code: Option<String>,
    pub(super) gift_cards_amount: Amount,
    pub(super) base_gift_cards_amount: Amount,
    pub(super) customer_balance_amount: Amount,
    pub(super) base_customer_balance_amount: Amount,
    pub(super) reward_currency_amount: Amount,
    pub(super) base_reward_currency_amount: Amount,
    pub(super) gw_price: Amount,
    pub(super) gw_base_price: Amount,
    pub(super) gw_tax_amount: Amount,
    pub(super) gw_base_tax_amount: Amount,
    pub(super) gw_items_price: Amount,
    pub(super) gw_items_base_price: Amount,
    pub(super) gw_items_tax_amount: Amount,
    pub(super) gw_items_base_tax_amount: Amount,
    pub(super) gw_card_price: Amount,
    pub(super) gw_card_base_price: Amount,
    pub(super) gw_card_tax_amount: Amount,
    pub(super) gw_card_base_tax_amount: Amount,
}

#[derive(Clone, Deserialize)]
pub(super) struct Assignment {
    pub(super) shipping: Option<Shipping>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Shipping {
    pub(super) address: Option<Address>,
    pub(super) method: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(super) struct AppliedTax {
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) percent: Amount,
    #[serde(default)]
    pub(super) amount: Amount,
    #[serde(default)]
    pub(super) base_amount: Amount,
}

#[derive(Clone, Deserialize)]
pub(super) struct ItemTaxes {
    pub(super) item_id: Option<Id>,
    #[serde(rename = "type")]
    pub(super) of: Option<String>,
    #[serde(default)]
    pub(super) applied_taxes: Vec<AppliedTax>,
}

/// What an order's own words say about it.
pub(crate) struct Standing<'a> {
    pub state: Option<&'a str>,
    pub paid: bool,
}

impl Standing<'_> {
    /// There is one word for every change of an order: it is told by how the order stands now.
    pub fn topic(&self) -> Topic {
        match self.state {
            Some("canceled") => Topic::OrderCancelled,
            Some("complete") => Topic::OrderFulfilled,
            Some("processing") if self.paid => Topic::OrderPaid,
            _ => Topic::OrderUpdated,
        }
    }
}

impl Order {
    pub fn number(&self) -> String {
        filled(self.increment_id.clone()).unwrap_or_else(|| self.entity_id.0.clone())
    }

    pub fn reference(&self) -> OrderRef {
        OrderRef { id: Some(self.entity_id.0.clone()), number: Some(self.number()) }
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows(&self.items)
    }

    pub fn currencies(&self) -> Currencies {
        Currencies { shop: self.base_currency_code, seen: self.order_currency_code }
    }

    pub fn is_cancelled(&self) -> bool {
        self.state.as_deref() == Some("canceled")
    }

    fn modified(&self) -> Result<Timestamp, ParseError> {
        let missing = || ParseError::Content(format!("order {} has no time: expected `updated_at`", self.entity_id.0));
        self.updated_at.0.or(self.created_at.0).ok_or_else(missing)
    }

    /// The provider's reference of the payment.
    pub fn payment(&self) -> Option<String> {
        filled(self.payment.as_ref()?.last_trans_id.clone())
    }

    pub fn gateway(&self) -> String {
        self.payment.as_ref().and_then(|it| filled(it.method.clone())).unwrap_or_else(|| "unknown".to_owned())
    }

    pub fn is_paid(&self) -> bool {
        self.total_due.or_zero() <= Decimal::ZERO && self.total_paid.or_zero() > Decimal::ZERO
    }

    pub fn topic(&self) -> Topic {
        Standing { state: self.state.as_deref(), paid: self.is_paid() }.topic()
    }

    pub(super) fn extension(&self) -> std::borrow::Cow<'_, Extension> {
        use std::borrow::Cow;
        self.extension_attributes.as_deref().map_or_else(|| Cow::Owned(Extension::default()), Cow::Borrowed)
    }

    pub fn canonical(&self, shop: &Shop) -> Result<spindel_model::Order, ParseError> {
        let updated_at = self.modified()?;
        let extension = self.extension();
        let taxes = |row: &Item, tax: Both| self.taxes(shop, row, tax);
        let parts = Parts { currencies: self.currencies(), shop, taxes: &taxes, cancelled: self.is_cancelled() };
        let lines: Vec<OrderLine> = self.rows().counted().map(|row| self.rows().line(row, &parts)).collect();
        let shipping_lines: Vec<ShippingLine> = self.shipping(shop, &extension).into_iter().collect();
        let billing = self.billing_address.as_ref().and_then(Address::canonical);
        let assigned = extension.shipping_assignments.iter().find_map(|it| it.shipping.as_ref()?.address.as_ref());
        let mut order = spindel_model::Order {
            id: self.entity_id.0.clone(),
            number: self.number(),
            placed_at: self.created_at.0.unwrap_or(updated_at),
            updated_at,
            // There is no time of its own for it.
            cancelled_at: self.is_cancelled().then_some(updated_at),
            cancel_reason: None,
            closed_at: (self.state.as_deref() == Some("closed")).then_some(updated_at),
            payment_state: self.payment_state(&extension),
            fulfilment_state: self.fulfilment_state(),
            test: false,
            source_channel: self.store_name.as_deref().and_then(|it| filled(it.lines().last().map(str::to_owned))),
            currency: self.base_currency_code,
            presentment_currency: self.order_currency_code,
            prices_include_tax: shop.prices_include_tax,
            tax_exempt: false,
            customer: self.customer(billing.clone()),
            email: filled(self.customer_email.clone()),
            phone: self.billing_address.as_ref().and_then(Address::phone),
            shipping_address: assigned.and_then(Address::canonical).or_else(|| billing.clone()),
            billing_address: billing,
            totals: self.totals(&extension, &lines, &shipping_lines),
            discounts: self.discounts(&lines, &shipping_lines),
            lines,
            shipping_lines,
            charges: self.wrapping(shop, &extension).into_iter().collect(),
            transactions: self.transactions(&extension),
            refunds: Vec::new(),
            note: filled(self.customer_note.clone()),
            tags: Vec::new(),
            attributes: self.attributes(),
        };
        self.settle(&mut order)?;
        Ok(order)
    }

    /// What rounding explains is put in its place; more than that, a part is missing.
    fn settle(&self, order: &mut spindel_model::Order) -> Result<(), ParseError> {
        let id = &self.entity_id.0;
        let unaddable = |error| ParseError::Content(format!("amounts of order {id} cannot be added: {error}"));
        let rest = order.residue().map_err(unaddable)?;
        let slack = self.currencies().slack(order.lines.len() + order.shipping_lines.len() + order.charges.len() + 1);
        if rest.shop.amount.abs() > slack.shop || rest.presentment.amount.abs() > slack.seen {
            return Err(ParseError::Content(format!(
                "order {id} does not add up: its total is {} and its parts make {}; \
                 an extension puts something on it that the API does not tell",
                order.totals.grand.presentment,
                Money::new(order.totals.grand.presentment.amount - rest.presentment.amount, self.order_currency_code).scaled(),
            )));
        }
        order.totals.rounding = self.currencies().bag(Both { shop: rest.shop.amount, seen: rest.presentment.amount });
        Ok(())
    }

    /// What was cancelled of an order that goes on.
    pub(super) fn dropped(&self, base: Amount, plain: Amount) -> Both {
        if self.is_cancelled() { Both::default() } else { Both::of(base, plain) }
    }

    fn totals(&self, extension: &Extension, lines: &[OrderLine], shipping: &[ShippingLine]) -> Totals {
        let bag = |both| self.currencies().bag(both);
        let both = |it: &MoneyBag| Both { shop: it.shop.amount, seen: it.presentment.amount };
        let shares = lines.iter().flat_map(|it| &it.discounts).map(|it| both(&it.amount)).sum();
        let grand = Both::of(self.base_grand_total, self.grand_total) + extension.credits().map(|(_, it)| it).into_iter().sum();
        Totals {
            subtotal: bag(lines.iter().map(|it| both(&it.total)).sum()),
            discount: bag(shares),
            shipping: bag(shipping.iter().map(|it| both(&it.total)).sum()),
            tax: bag(Both::of(self.base_tax_amount, self.tax_amount) - self.dropped(self.base_tax_canceled, self.tax_canceled)),
            rounding: bag(Both::default()),
            grand: bag(grand - self.dropped(self.base_total_canceled, self.total_canceled)),
            refunded: bag(Both::of(self.base_total_refunded, self.total_refunded)),
        }
    }

    /// Guests are no customers: the order itself has their address.
    fn customer(&self, billing: Option<spindel_model::Address>) -> Option<Customer> {
        Some(Customer {
            id: some_id(self.customer_id.as_ref())?,
            email: filled(self.customer_email.clone()),
            phone: self.billing_address.as_ref().and_then(Address::phone),
            first_name: filled(self.customer_firstname.clone()),
            last_name: filled(self.customer_lastname.clone()),
            default_address: billing,
            locale: None,
            tags: Vec::new(),
            tax_exempt: false,
            email_consent: spindel_model::Consent::default(),
            sms_consent: spindel_model::Consent::default(),
            updated_at: None,
            attributes: Attributes::new(),
        })
    }

    fn attributes(&self) -> Attributes {
        let store = self.store_id.as_ref().map(|it| it.0.clone());
        let method = self.payment.as_ref().and_then(|it| it.method.clone());
        let named = [
            ("state", &self.state),
            ("status", &self.status),
            ("store_id", &store),
            ("payment_method", &method),
            ("customer_taxvat", &self.customer_taxvat),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), filled(value.clone())?.into()))).collect()
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;

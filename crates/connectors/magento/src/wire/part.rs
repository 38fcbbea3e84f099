//! The parts of an order that are no rows: freight, gift wrapping, taxes, discounts, payments, and how far it is.

use super::{
    filled,
    item::Item,
    order::{AppliedTax, Extension, Order},
    sum::Both,
};
use crate::Shop;
use spindel_model::{
    Charge, ChargeKind, Decimal, Discount, DiscountKind, DiscountShare, FulfilmentState, Money, OrderLine, PaymentState,
    ShippingLine, TaxLine, Transaction, TransactionKind, TransactionStatus,
};

impl Order {
    /// The rules and coupons that lowered an order are told together.
    pub(super) fn discounts(&self, lines: &[OrderLine], shipping: &[ShippingLine]) -> Vec<Discount> {
        let mut shares = lines.iter().flat_map(|it| &it.discounts).chain(shipping.iter().flat_map(|it| &it.discounts));
        if shares.next().is_none() {
            return Vec::new();
        }
        let code = filled(self.coupon_code.clone());
        let title = filled(self.discount_description.clone()).or_else(|| code.clone()).unwrap_or_else(|| "Discount".to_owned());
        vec![Discount { kind: if code.is_some() { DiscountKind::Code } else { DiscountKind::Automatic }, code, title }]
    }

    pub fn shipping_tax(&self) -> Both {
        Both::of(self.base_shipping_tax_amount, self.shipping_tax_amount)
    }

    fn shipping_paid(&self) -> Both {
        let compensation =
            Both::of(self.base_shipping_discount_tax_compensation_amnt, self.shipping_discount_tax_compensation_amount);
        let discount = Both::of(self.base_shipping_discount_amount, self.shipping_discount_amount).abs();
        Both::of(self.base_shipping_amount, self.shipping_amount) + self.shipping_tax() + compensation - discount
    }

    /// What the freight gives back as a whole, tax included, in base currency; `None` once a part of it was.
    pub fn shipping_left(&self) -> Option<Decimal> {
        self.base_shipping_refunded.or_zero().is_zero().then(|| self.shipping_paid().shop)
    }

    pub(super) fn shipping(&self, shop: &Shop, extension: &Extension) -> Option<ShippingLine> {
        let title = filled(self.shipping_description.clone());
        let (paid, tax) = (self.shipping_paid(), self.shipping_tax());
        if title.is_none() && paid.is_zero() {
            return None;
        }
        let dropped = self.dropped(self.base_shipping_canceled, self.shipping_canceled);
        let whole = Both::of(self.base_shipping_amount, self.shipping_amount);
        let gone = !dropped.is_zero() && dropped == whole;
        let (total, listed) = match shop.prices_include_tax {
            true => (paid, Both::of(self.base_shipping_incl_tax, self.shipping_incl_tax)),
            false => (paid - tax, whole),
        };
        let discounted = !Both::of(self.base_shipping_discount_amount, self.shipping_discount_amount).is_zero();
        let price = if discounted { listed } else { total };
        let (total, price, tax) = if gone { (Both::default(), Both::default(), Both::default()) } else { (total, price, tax) };
        let bag = |both| self.currencies().bag(both);
        let off = price - total;
        Some(ShippingLine {
            id: format!("{}/shipping", self.entity_id.0),
            code: extension.shipping_assignments.iter().find_map(|it| filled(it.shipping.as_ref()?.method.clone())),
            title: title.unwrap_or_default(),
            pickup_point: filled(extension.pickup_location_code.clone()),
            price: bag(price),
            discounts: if off.is_zero() { Vec::new() } else { vec![DiscountShare { discount: 0, amount: bag(off) }] },
            taxes: self.shipping_taxes(shop, extension, tax),
            total: bag(total),
        })
    }

    fn tax_line(&self, shop: &Shop, title: Option<String>, rate: Decimal, amount: Both) -> TaxLine {
        let title = filled(title).unwrap_or_else(|| "Tax".to_owned());
        TaxLine { title, rate: rate.normalize(), amount: self.currencies().bag(amount), included: shop.prices_include_tax }
    }

    /// Of an item by its own taxes where they are told and make up what it pays, else by its percentage.
    pub(super) fn taxes(&self, shop: &Shop, row: &Item, tax: Both) -> Vec<TaxLine> {
        if tax.is_zero() {
            return Vec::new();
        }
        let extension = self.extension();
        let own = extension.item_applied_taxes.iter().find(|it| it.item_id.as_ref() == Some(&row.item_id));
        if let Some(lines) = own.and_then(|own| self.told(shop, &own.applied_taxes, tax)) {
            return lines;
        }
        let same = |it: &&AppliedTax| it.percent.or_zero() / Decimal::ONE_HUNDRED == row.tax_rate();
        let title = extension.applied_taxes.iter().find(same).and_then(|it| it.title.clone());
        vec![self.tax_line(shop, title, row.tax_rate(), tax)]
    }

    fn shipping_taxes(&self, shop: &Shop, extension: &Extension, tax: Both) -> Vec<TaxLine> {
        if tax.is_zero() {
            return Vec::new();
        }
        let own = extension.item_applied_taxes.iter().find(|it| it.of.as_deref() == Some("shipping"));
        if let Some(lines) = own.and_then(|own| self.told(shop, &own.applied_taxes, tax)) {
            return lines;
        }
        let (title, rate) = match extension.applied_taxes.as_slice() {
            [one] => (one.title.clone(), one.percent.or_zero() / Decimal::ONE_HUNDRED),
            _ => {
                let net = self.shipping_paid() - self.shipping_tax();
                (None, tax.seen.checked_div(net.seen).unwrap_or_default().round_dp(2))
            }
        };
        vec![self.tax_line(shop, title, rate, tax)]
    }

    fn told(&self, shop: &Shop, applied: &[AppliedTax], tax: Both) -> Option<Vec<TaxLine>> {
        let amount = |it: &AppliedTax| Both::of(it.base_amount, it.amount);
        if applied.is_empty() || applied.iter().map(amount).sum::<Both>() != tax {
            return None;
        }
        let line =
            |it: &AppliedTax| self.tax_line(shop, it.title.clone(), it.percent.or_zero() / Decimal::ONE_HUNDRED, amount(it));
        Some(applied.iter().map(line).collect())
    }

    pub(super) fn wrapping(&self, shop: &Shop, extension: &Extension) -> Option<Charge> {
        let (net, tax) = (extension.wrapping(), extension.wrapping_tax());
        if net.is_zero() {
            return None;
        }
        let total = if shop.prices_include_tax { net + tax } else { net };
        let rate = tax.seen.checked_div(net.seen).unwrap_or_default().round_dp(2);
        let taxes = if tax.is_zero() { Vec::new() } else { vec![self.tax_line(shop, None, rate, tax)] };
        Some(Charge { kind: ChargeKind::Fee, title: "Gift wrapping".to_owned(), total: self.currencies().bag(total), taxes })
    }

    pub(super) fn payment_state(&self, extension: &Extension) -> PaymentState {
        let (refunded, grand) = (self.total_refunded.or_zero(), self.grand_total.or_zero());
        let paid = self.total_paid.or_zero();
        let credited = extension.credits().iter().any(|(_, it)| !it.is_zero());
        if !refunded.is_zero() {
            return if refunded >= grand { PaymentState::Refunded } else { PaymentState::PartiallyRefunded };
        }
        let authorized = self.payment.as_ref().is_some_and(|it| !it.amount_authorized.or_zero().is_zero());
        match () {
            () if self.is_cancelled() => PaymentState::Voided,
            () if self.is_paid() || (grand.is_zero() && credited) => PaymentState::Paid,
            () if !paid.is_zero() => PaymentState::PartiallyPaid,
            () if authorized => PaymentState::Authorized,
            () => PaymentState::Pending,
        }
    }

    pub(super) fn fulfilment_state(&self) -> FulfilmentState {
        let sent = self.items.iter().any(|it| it.is_sent() && !it.qty_shipped.or_zero().is_zero());
        let open = self.rows().counted().filter(|it| it.is_sent()).any(|it| self.is_open(it));
        match (sent, open) {
            (false, _) => FulfilmentState::Unfulfilled,
            (true, true) => FulfilmentState::Partial,
            (true, false) => FulfilmentState::Fulfilled,
        }
    }

    /// A bundle is sent as a whole or in its parts, and then only those say so.
    fn is_open(&self, line: &Item) -> bool {
        let open = |it: &Item| !it.to_send().is_zero();
        let mut parts = self.rows().parts(line).peekable();
        open(line) && self.rows().parent(line).is_none_or(open) && (parts.peek().is_none() || parts.any(open))
    }

    /// What the order says of its payment. It has no times of its own: they happened once it was placed.
    pub(super) fn transactions(&self, extension: &Extension) -> Vec<Transaction> {
        let Some(processed_at) = self.created_at.0 else { return Vec::new() };
        let authorized = self.payment.as_ref().map(|it| it.amount_authorized.or_zero()).unwrap_or_default();
        let paid = self.total_paid.or_zero();
        let transaction = |name: &str, gateway: String, kind, amount: Decimal, reference: Option<String>| Transaction {
            id: format!("{}/{name}", self.entity_id.0),
            parent_id: None,
            gateway,
            kind,
            status: TransactionStatus::Success,
            amount: Money::new(amount, self.order_currency_code).scaled(),
            processed_at,
            reference,
            expires_at: None,
            test: false,
        };
        let mut all = Vec::new();
        if !authorized.is_zero() {
            all.push(transaction("authorized", self.gateway(), TransactionKind::Authorization, authorized, self.payment()));
        }
        if !paid.is_zero() {
            let kind = if authorized.is_zero() { TransactionKind::Sale } else { TransactionKind::Capture };
            all.push(transaction("paid", self.gateway(), kind, paid, self.payment()));
        }
        for (name, amount) in extension.credits() {
            if !amount.is_zero() {
                all.push(transaction(name, name.to_owned(), TransactionKind::Sale, amount.seen, None));
            }
        }
        all
    }
}

impl Extension {
    /// What was paid with what the buyer had in the shop; Magento takes it off the total.
    pub(super) fn credits(&self) -> [(&'static str, Both); 3] {
        [
            ("gift_card", Both::of(self.base_gift_cards_amount, self.gift_cards_amount).abs()),
            ("store_credit", Both::of(self.base_customer_balance_amount, self.customer_balance_amount).abs()),
            ("reward_points", Both::of(self.base_reward_currency_amount, self.reward_currency_amount).abs()),
        ]
    }

    fn wrapping(&self) -> Both {
        Both::of(self.gw_base_price, self.gw_price)
            + Both::of(self.gw_items_base_price, self.gw_items_price)
            + Both::of(self.gw_card_base_price, self.gw_card_price)
    }

    fn wrapping_tax(&self) -> Both {
        Both::of(self.gw_base_tax_amount, self.gw_tax_amount)
            + Both::of(self.gw_items_base_tax_amount, self.gw_items_tax_amount)
            + Both::of(self.gw_card_base_tax_amount, self.gw_card_tax_amount)
    }
}

//! One order: what was bought, what is left of it, what was paid; its totals at placement and now.

use crate::shopify::{
    catalog::Address,
    pricing::{Amount, Currencies, Reduction},
};
use jiff::Timestamp;
use rust_decimal::Decimal;

pub(crate) struct Order {
    pub id: u64,
    pub number: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub cancelled_at: Option<Timestamp>,
    /// Lower case, as webhooks carry it.
    pub cancel_reason: Option<String>,
    pub customer: u64,
    pub email: String,
    pub address: Address,
    pub taxes_included: bool,
    pub currencies: Currencies,
    pub lines: Vec<Line>,
    pub shipping: Option<Shipping>,
    pub discounts: Vec<Discount>,
    pub tip: Amount,
    /// As placed; never changes again.
    pub placed: Totals,
    pub transactions: Vec<Transaction>,
    pub refunds: Vec<Refund>,
    pub fulfilments: Vec<Fulfilment>,
    pub fulfilment_order: u64,
    pub note: Option<String>,
    pub tags: Vec<String>,
}

pub(crate) struct Line {
    pub id: u64,
    pub fulfilment_order_line: u64,
    pub product_id: u64,
    pub variant_id: u64,
    pub inventory_item_id: u64,
    pub sku: String,
    pub title: String,
    pub variant_title: String,
    pub vendor: String,
    pub grams: u64,
    pub unit_price: Amount,
    /// As first ordered; of a line that an edit added, as added.
    pub quantity: u32,
    /// Left after edits and refunds.
    pub current: u32,
    pub fulfilled: u32,
    /// For `quantity`.
    pub shares: Vec<Share>,
    /// For `quantity`.
    pub tax: Tax,
    pub added_by_edit: bool,
}

pub(crate) struct Shipping {
    pub id: u64,
    pub code: String,
    pub title: String,
    pub price: Amount,
    pub shares: Vec<Share>,
    pub tax: Tax,
}

pub(crate) struct Discount {
    pub code: Option<String>,
    pub title: String,
    pub reduction: Reduction,
    pub on_shipping: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub discount: usize,
    pub amount: Amount,
}

#[derive(Clone, Copy)]
pub(crate) struct Tax {
    pub rate: Decimal,
    pub amount: Amount,
}

pub(crate) const TAX_TITLE: &str = "MVA";

/// What a line, or a shipping line, is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worth {
    pub gross: Amount,
    pub discount: Amount,
    pub net: Amount,
    pub tax: Amount,
}

impl Worth {
    /// What the buyer pays for it.
    pub(crate) fn due(&self, taxes_included: bool) -> Amount {
        if taxes_included { self.net } else { self.net + self.tax }
    }

    pub(crate) fn less(&self, other: &Self) -> Self {
        Self {
            gross: self.gross - other.gross,
            discount: self.discount - other.discount,
            net: self.net - other.net,
            tax: self.tax - other.tax,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Lines before discounts.
    pub items: Amount,
    /// On lines and on shipping.
    pub discounts: Amount,
    /// Lines after discounts.
    pub subtotal: Amount,
    /// Before its discounts.
    pub shipping: Amount,
    pub shipping_discounted: Amount,
    pub tax: Amount,
    pub total: Amount,
}

pub(crate) struct Transaction {
    pub id: u64,
    pub parent_id: Option<u64>,
    /// `authorization`, `capture`, `sale`, `void` or `refund`.
    pub kind: &'static str,
    /// `success`, or `pending` for what a buyer promised to pay in a way that the shop does not see.
    pub status: &'static str,
    pub gateway: String,
    /// What the payment is called towards its provider; all transactions of one payment have the same.
    pub payment_id: String,
    pub amount: Amount,
    pub processed_at: Timestamp,
}

pub(crate) struct Refund {
    pub id: u64,
    pub created_at: Timestamp,
    pub note: Option<String>,
    pub lines: Vec<RefundLine>,
    /// `net` and `tax` of the shipping given back.
    pub shipping: Worth,
    /// Paid out beyond lines and shipping (negative: less); zero when no money moved.
    pub discrepancy: Amount,
    /// Ids of [`Order::transactions`].
    pub transactions: Vec<u64>,
}

pub(crate) struct RefundLine {
    pub id: u64,
    /// Index into [`Order::lines`].
    pub line: usize,
    pub quantity: u32,
    /// `return`, `cancel` or `no_restock`.
    pub restock: &'static str,
    pub location: Option<u64>,
    pub worth: Worth,
}

pub(crate) struct Fulfilment {
    pub id: u64,
    /// Index into [`Order::lines`], and quantity.
    pub lines: Vec<(usize, u32)>,
    pub company: Option<String>,
    pub numbers: Vec<String>,
    pub urls: Vec<String>,
    pub location: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Where the parcel was, in the order of telling.
    pub events: Vec<Event>,
}

/// One thing that happened to a parcel.
pub(crate) struct Event {
    pub id: u64,
    /// `IN_TRANSIT`
    pub status: String,
    pub message: Option<String>,
    pub happened_at: Timestamp,
    pub created_at: Timestamp,
}

impl Fulfilment {
    /// What happened last, whenever it was told.
    pub(crate) fn newest_event(&self) -> Option<&Event> {
        self.events.iter().max_by_key(|event| event.happened_at)
    }
}

impl Line {
    /// This line with `quantity` of what was ordered.
    pub(crate) fn worth(&self, quantity: u32, currencies: &Currencies) -> Worth {
        let (part, whole) = (Decimal::from(quantity), Decimal::from(self.quantity));
        let gross = self.unit_price.times(quantity);
        let discount = self.shares.iter().map(|share| currencies.share(share.amount, part, whole)).sum();
        Worth { gross, discount, net: gross - discount, tax: currencies.share(self.tax.amount, part, whole) }
    }

    pub(crate) fn fulfillable(&self) -> u32 {
        self.current.saturating_sub(self.fulfilled)
    }
}

impl Shipping {
    pub(crate) fn worth(&self) -> Worth {
        let discount = self.shares.iter().map(|share| share.amount).sum();
        Worth { gross: self.price, discount, net: self.price - discount, tax: self.tax.amount }
    }
}

impl Order {
    pub(crate) fn name(&self) -> String {
        format!("#{}", self.number)
    }

    /// Totals of lines at the quantities that `quantity` names, and of what `shipping` is worth.
    pub(crate) fn totals(&self, quantity: impl Fn(&Line) -> u32, shipping: Worth) -> Totals {
        let mut sum = Totals { shipping: shipping.gross, shipping_discounted: shipping.net, ..Totals::default() };
        sum.discounts = shipping.discount;
        sum.tax = shipping.tax;
        for line in &self.lines {
            let worth = line.worth(quantity(line), &self.currencies);
            sum.items += worth.gross;
            sum.discounts += worth.discount;
            sum.subtotal += worth.net;
            sum.tax += worth.tax;
        }
        sum.total = sum.subtotal + sum.shipping_discounted + self.tip;
        if !self.taxes_included {
            sum.total += sum.tax;
        }
        sum
    }

    /// After edits and refunds; nothing is left of a cancelled order. Money paid out beyond what lines and shipping were
    /// worth does not lower it.
    pub(crate) fn current(&self) -> Totals {
        if self.cancelled_at.is_some() {
            return Totals::default();
        }
        self.totals(|line| line.current, self.shipping_left())
    }

    /// One for each rate, over lines and shipping, as placed.
    pub(crate) fn placed_taxes(&self) -> Vec<Tax> {
        let placed = self.lines.iter().filter(|line| !line.added_by_edit).map(|line| line.tax);
        let mut taxes: Vec<Tax> = Vec::new();
        for tax in placed.chain(self.shipping.iter().map(|shipping| shipping.tax)) {
            match taxes.iter_mut().find(|sum| sum.rate == tax.rate) {
                Some(sum) => sum.amount += tax.amount,
                None => taxes.push(tax),
            }
        }
        taxes
    }

    pub(crate) fn shipping_left(&self) -> Worth {
        let Some(shipping) = &self.shipping else { return Worth::default() };
        self.refunds.iter().fold(shipping.worth(), |left, refund| left.less(&refund.shipping))
    }

    pub(crate) fn received(&self) -> Amount {
        self.moved(&["sale", "capture"])
    }

    pub(crate) fn refunded(&self) -> Amount {
        self.moved(&["refund"])
    }

    fn moved(&self, kinds: &[&str]) -> Amount {
        self.transactions
            .iter()
            .filter(|transaction| transaction.status == "success" && kinds.contains(&transaction.kind))
            .map(|transaction| transaction.amount)
            .sum()
    }

    /// Still to be paid; never below zero.
    pub(crate) fn outstanding(&self) -> Amount {
        let beyond: Amount = self.refunds.iter().map(|refund| refund.discrepancy).sum();
        let owed = self.current().total - (self.received() - self.refunded()) - beyond;
        if owed.shop.is_sign_negative() { Amount::ZERO } else { owed }
    }

    /// As webhooks spell it.
    pub(crate) fn financial_status(&self) -> &'static str {
        let (received, refunded) = (self.received(), self.refunded());
        if self.transactions.iter().any(|transaction| transaction.kind == "void") {
            return "voided";
        }
        if received.is_zero() {
            let promised = self.transactions.iter().any(|transaction| transaction.status == "pending");
            return match (self.placed.total.is_zero(), promised) {
                (true, _) => "paid",
                (false, true) => "pending",
                (false, false) => "authorized",
            };
        }
        if refunded.shop >= received.shop {
            return "refunded";
        }
        if refunded.shop > Decimal::ZERO {
            return "partially_refunded";
        }
        if self.outstanding().is_zero() { "paid" } else { "partially_paid" }
    }

    /// As webhooks spell it: nothing when unfulfilled.
    pub(crate) fn fulfilment_status(&self) -> Option<&'static str> {
        let open: u32 = self.lines.iter().map(Line::fulfillable).sum();
        if self.fulfilments.is_empty() {
            return None;
        }
        Some(if open == 0 { "fulfilled" } else { "partial" })
    }

    pub(crate) fn transaction(&self, id: u64) -> Option<&Transaction> {
        self.transactions.iter().find(|transaction| transaction.id == id)
    }

    /// The money that a refund could be paid from: the newest sale or capture.
    pub(crate) fn payment(&self) -> Option<&Transaction> {
        let income = |it: &&Transaction| it.status == "success" && matches!(it.kind, "sale" | "capture");
        self.transactions.iter().rev().find(income)
    }
}

//! Refunds and cancellations: lines and shipping taken off an order, money given back, goods put back.

use crate::shopify::{
    order::{Order, Refund, RefundLine, Transaction, Worth},
    pricing::Amount,
    rest,
    spec::{RefundSpec, Restock},
    state::{Refused, State, refuse},
};
use serde_json::Value;

/// What a refund gives back, when it is not all of what its lines and shipping are worth.
pub(crate) struct Payout {
    pub parent: Option<u64>,
    pub gateway: String,
    pub amount: Amount,
}

/// A refund worked out by the caller: the control surface refunds in full, the API says how much.
pub(crate) struct RefundOrder {
    pub lines: Vec<(usize, u32, Restock, Option<u64>)>,
    /// What of the shipping is given back, at most what is left.
    pub shipping: Option<Amount>,
    pub note: Option<String>,
    /// `None`: exactly what lines and shipping are worth, if the order is paid.
    pub payouts: Option<Vec<Payout>>,
}

impl State {
    pub(crate) fn refund_in_full(&mut self, id: u64, spec: &RefundSpec) -> Result<u64, Refused> {
        let location = self.main_location();
        let order = self.open_order(id)?;
        if order.payment().is_none() {
            return refuse(format!("order {} is not paid: there is nothing to refund", order.name()));
        }
        let shipping = spec.shipping.then(|| order.shipping_left().net);
        let lines = spec.lines.iter().map(|(line, quantity)| (*line, *quantity, spec.restock, Some(location)));
        let refund = RefundOrder { lines: lines.collect(), shipping, note: spec.note.clone(), payouts: None };
        self.refund(id, refund)
    }

    pub(crate) fn refund(&mut self, id: u64, refund: RefundOrder) -> Result<u64, Refused> {
        let refund_id = self.record_refund(id, refund)?;
        self.changed(id, |state, order| refund_topics(state, order, refund_id))?;
        Ok(refund_id)
    }

    /// Books the refund and moves the goods; the caller announces it.
    fn record_refund(&mut self, id: u64, asked: RefundOrder) -> Result<u64, Refused> {
        let (refund_id, now) = (self.new_id(), self.now());
        let new_ids: Vec<u64> = asked.lines.iter().map(|_| self.new_id()).collect();
        let transactions = asked.payouts.as_ref().map_or(1, Vec::len);
        let new_transactions: Vec<u64> = (0..transactions).map(|_| self.new_id()).collect();
        let order = self.open_order(id)?;
        check_refund(order, &asked.lines)?;
        let (mut lines, mut goods) = (Vec::new(), Vec::new());
        for ((index, quantity, restock, location), line_id) in asked.lines.iter().zip(&new_ids) {
            let currencies = order.currencies;
            let line = &mut order.lines[*index];
            let open = line.fulfillable().min(*quantity);
            let before = line.worth(line.current, &currencies);
            line.current -= quantity;
            let worth = before.less(&line.worth(line.current, &currencies));
            goods.push((line.inventory_item_id, *quantity, open, *restock, *location));
            lines.push(RefundLine {
                id: *line_id,
                line: *index,
                quantity: *quantity,
                restock: restock.word(),
                location: *location,
                worth,
            });
        }
        let shipping = asked.shipping.map_or(Worth::default(), |net| shipping_part(order, net));
        let worth: Amount =
            lines.iter().map(|line| line.worth.due(order.taxes_included)).sum::<Amount>() + shipping.due(order.taxes_included);
        let mut payouts = asked.payouts.unwrap_or_else(|| full_payout(order, worth));
        // Told in the buyer's currency alone, the whole worth is the whole worth in the shop's too.
        if let [payout] = payouts.as_mut_slice()
            && payout.amount.presentment == worth.presentment
        {
            payout.amount = worth;
        }
        let paid_out: Amount = payouts.iter().map(|payout| payout.amount).sum();
        let discrepancy = if payouts.is_empty() { Amount::ZERO } else { paid_out - worth };
        let mut refund =
            Refund { id: refund_id, created_at: now, note: asked.note, lines, shipping, discrepancy, transactions: Vec::new() };
        for (payout, transaction_id) in payouts.into_iter().zip(new_transactions) {
            refund.transactions.push(transaction_id);
            let parent = payout.parent.and_then(|id| order.transaction(id));
            let payment_id = parent.map(|parent| parent.payment_id.clone()).unwrap_or_default();
            order.transactions.push(Transaction {
                id: transaction_id,
                parent_id: payout.parent,
                kind: "refund",
                status: "success",
                gateway: payout.gateway,
                payment_id,
                amount: payout.amount,
                processed_at: now,
            });
        }
        self.open_order(id)?.refunds.push(refund);
        for (item, quantity, open, restock, location) in goods {
            let back = if restock == Restock::No { 0 } else { i64::from(quantity) };
            self.move_stock(item, location, back, -i64::from(open));
        }
        Ok(refund_id)
    }

    /// Cancels: everything left is taken off, and given back if `money_back` and paid.
    pub(crate) fn cancel(
        &mut self,
        id: u64,
        reason: &str,
        restock: bool,
        money_back: bool,
        note: Option<String>,
    ) -> Result<(), Refused> {
        let (void, now, location) = (self.new_id(), self.now(), self.main_location());
        let order = self.open_order(id)?;
        if !order.fulfilments.is_empty() {
            return refuse(format!("order {} has fulfilments and cannot be cancelled", order.name()));
        }
        let restock = if restock { Restock::Cancel } else { Restock::No };
        let open = order.lines.iter().enumerate().filter(|(_, line)| line.current > 0);
        let lines = open.map(|(index, line)| (index, line.current, restock, Some(location))).collect();
        let paid = order.payment().map(|payment| (payment.id, payment.gateway.clone()));
        let payouts = match paid {
            Some((parent, gateway)) if money_back => {
                vec![Payout { parent: Some(parent), gateway, amount: order.received() - order.refunded() }]
            }
            _ => Vec::new(),
        };
        let shipping = Some(order.shipping_left().net);
        if order.payment().is_none() {
            let voided = order.transactions.first().map(|held| Transaction {
                id: void,
                parent_id: Some(held.id),
                kind: "void",
                status: "success",
                gateway: held.gateway.clone(),
                payment_id: held.payment_id.clone(),
                amount: held.amount,
                processed_at: now,
            });
            order.transactions.extend(voided);
        }
        let refund = RefundOrder { lines, shipping, note, payouts: Some(payouts) };
        let refund = self.record_refund(id, refund)?;
        let order = self.open_order(id)?;
        order.cancelled_at = Some(now);
        order.cancel_reason = Some(reason.to_lowercase());
        self.changed(id, |state, order| {
            let mut topics = vec![("orders/cancelled", rest::order(state, order))];
            topics.extend(refund_topics(state, order, refund));
            topics
        })
    }
}

fn check_refund(order: &Order, lines: &[(usize, u32, Restock, Option<u64>)]) -> Result<(), Refused> {
    for (index, line) in order.lines.iter().enumerate() {
        let asked: u32 = lines.iter().filter(|(asked, ..)| *asked == index).map(|(_, quantity, ..)| quantity).sum();
        if asked > line.current {
            return refuse(format!("line {} has {} left, cannot refund {asked}", line.id, line.current));
        }
    }
    match lines.iter().find(|(index, ..)| *index >= order.lines.len()) {
        Some((index, ..)) => refuse(format!("order {} has no line {index}", order.name())),
        None => Ok(()),
    }
}

/// This much of the shipping that is left, with its part of the tax.
fn shipping_part(order: &Order, net: Amount) -> Worth {
    let left = order.shipping_left();
    if net == left.net {
        return left;
    }
    Worth { gross: net, discount: Amount::ZERO, net, tax: order.currencies.share(left.tax, net.shop, left.net.shop) }
}

fn full_payout(order: &Order, amount: Amount) -> Vec<Payout> {
    match order.payment() {
        Some(payment) if !amount.is_zero() => {
            vec![Payout { parent: Some(payment.id), gateway: payment.gateway.clone(), amount }]
        }
        _ => Vec::new(),
    }
}

fn refund_topics(state: &State, order: &Order, refund: u64) -> Vec<(&'static str, Value)> {
    let Some(refund) = order.refunds.iter().find(|made| made.id == refund) else { return Vec::new() };
    let mut topics = vec![("refunds/create", rest::refund(state, order, refund))];
    for id in &refund.transactions {
        if let Some(transaction) = order.transaction(*id) {
            topics.push(("order_transactions/create", rest::transaction(state, order, transaction)));
        }
    }
    topics
}

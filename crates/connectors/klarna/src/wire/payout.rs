//! A payout and the rows that it is made of.

use super::{Code, When, order_ref, some};
use serde::Deserialize;
use spindel_model::{Currency, Money, MoneyError, Payout, PayoutLine, PayoutLineKind, PayoutState, Timestamp};
use std::collections::HashMap;

#[derive(Deserialize)]
pub(crate) struct Payouts {
    pub payouts: Vec<Settled>,
}

#[derive(Deserialize)]
pub(crate) struct Settled {
    pub payment_reference: String,
    pub payout_date: When,
    currency_code: Code,
    merchant_settlement_type: Option<String>,
    totals: Totals,
}

#[derive(Deserialize)]
struct Totals {
    settlement_amount: i64,
}

#[derive(Deserialize)]
pub(crate) struct Rows {
    pub transactions: Vec<Row>,
}

/// One movement. Which way it goes stands in its type, whatever its sign.
#[derive(Deserialize)]
pub(crate) struct Row {
    #[serde(rename = "type")]
    kind: String,
    detailed_type: Option<String>,
    amount: i64,
    capture_id: Option<String>,
    refund_id: Option<String>,
    order_id: Option<String>,
    #[serde(alias = "merchant_reference_1")]
    merchant_reference1: Option<String>,
    sale_date: Option<When>,
    capture_date: Option<When>,
    currency_code: Code,
}

/// What a type of row means: its kind, and whether it is money to the shop. `None`: as the sign of the amount says.
fn meaning(kind: &str) -> (PayoutLineKind, Option<bool>) {
    match kind {
        "SALE" => (PayoutLineKind::Charge, Some(true)),
        "RETURN" => (PayoutLineKind::Refund, Some(false)),
        "REVERSAL" => (PayoutLineKind::Dispute, Some(false)),
        "REVERSAL_MERCHANT_PROTECTION" => (PayoutLineKind::Dispute, Some(true)),
        "FEE" | "COMMISSION" | "TAX" => (PayoutLineKind::Fee, Some(false)),
        "FEE_REFUND" => (PayoutLineKind::Fee, Some(true)),
        "CHARGE" | "HOLDBACK" => (PayoutLineKind::Adjustment, Some(false)),
        "CREDIT" | "RELEASE" => (PayoutLineKind::Adjustment, Some(true)),
        _ => (PayoutLineKind::Adjustment, None),
    }
}

impl Settled {
    /// The payout with its lines. What they do not explain (debts carried over, rows in another currency) is a line of its own,
    /// so that the lines always come to what reaches the bank.
    pub fn payout(&self, rows: &[Row]) -> Result<Payout, MoneyError> {
        let currency = self.currency_code.0;
        let amount = Money::from_minor(self.totals.settlement_amount, currency);
        let mut seen = HashMap::new();
        let mut lines = Vec::with_capacity(rows.len() + 1);
        let mut rest = amount;
        // Of a gross settlement the fees are invoiced and not taken off.
        let gross = self.merchant_settlement_type.as_deref() == Some("GROSS");
        for row in rows.iter().filter(|it| it.currency_code.0 == currency) {
            let line = row.line(self.payout_date.0, &mut seen);
            if gross && line.kind == PayoutLineKind::Fee {
                continue;
            }
            rest = rest.try_sub(line.net)?;
            lines.push(line);
        }
        if !rest.is_zero() {
            lines.push(self.rest(rest));
        }
        Ok(Payout {
            id: self.payment_reference.clone(),
            state: PayoutState::Paid,
            amount,
            paid_at: Some(self.payout_date.0),
            updated_at: self.payout_date.0,
            lines,
        })
    }

    fn rest(&self, rest: Money) -> PayoutLine {
        PayoutLine {
            id: "rest".to_owned(),
            kind: PayoutLineKind::Adjustment,
            payment: None,
            transaction: None,
            order: spindel_model::OrderRef::default(),
            gross: rest,
            fee: Money::from_minor(0, rest.currency),
            net: rest,
            at: self.payout_date.0,
        }
    }
}

impl Row {
    fn line(&self, paid_at: Timestamp, seen: &mut HashMap<String, u32>) -> PayoutLine {
        let (kind, to_shop) = meaning(&self.kind);
        let net = self.signed(to_shop, self.currency_code.0);
        let zero = Money::from_minor(0, net.currency);
        let (gross, fee) = match kind {
            PayoutLineKind::Fee => (zero, Money::new(-net.amount, net.currency)),
            _ => (net, zero),
        };
        let order_id = some(self.order_id.clone());
        PayoutLine {
            id: self.id(seen),
            kind,
            order: order_ref(self.merchant_reference1.clone(), order_id.as_deref()),
            payment: order_id,
            transaction: self.transaction(),
            gross,
            fee,
            net,
            at: self.capture_date.or(self.sale_date).map_or(paid_at, |it| it.0),
        }
    }

    fn signed(&self, to_shop: Option<bool>, currency: Currency) -> Money {
        let minor = match to_shop {
            Some(true) => self.amount.saturating_abs(),
            Some(false) => -self.amount.saturating_abs(),
            None => self.amount,
        };
        Money::from_minor(minor, currency)
    }

    /// A refund where there is one: rows of refunds may name the capture as well.
    fn transaction(&self) -> Option<String> {
        let refund = some(self.refund_id.clone()).filter(|_| self.kind != "SALE");
        refund.or_else(|| some(self.capture_id.clone()))
    }

    /// Rows have no id: type and what they are about, and a count where that is not enough.
    fn id(&self, seen: &mut HashMap<String, u32>) -> String {
        let kind = some(self.detailed_type.clone()).unwrap_or_else(|| self.kind.clone());
        let about = self.transaction().or_else(|| some(self.order_id.clone())).unwrap_or_default();
        let id = format!("{kind}/{about}").to_ascii_lowercase();
        let times = seen.entry(id.clone()).and_modify(|it| *it += 1).or_insert(1);
        if *times == 1 { id } else { format!("{id}/{times}") }
    }
}

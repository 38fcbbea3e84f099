//! Settlements: a row for whatever moves money, and payouts that are made of rows.

use crate::klarna::{State, short_name};
use jiff::Timestamp;
use serde_json::{Value, json};

/// One movement. Its amount is positive; the type says which way it goes.
#[derive(Clone)]
pub(crate) struct Row {
    kind: &'static str,
    detailed: &'static str,
    amount: i64,
    currency: String,
    order: String,
    number: Option<String>,
    capture: Option<String>,
    refund: Option<String>,
    dispute: Option<String>,
    sold: Timestamp,
    at: Timestamp,
}

/// A payout and its sums, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutView {
    pub reference: String,
    /// What reaches the bank.
    pub amount: i64,
    pub currency: String,
    pub rows: usize,
    pub sales: i64,
    pub returns: i64,
    pub fees: i64,
    pub reversals: i64,
    /// What was owed from before and is repaid by this one.
    pub repaid: i64,
}

pub(crate) struct Payout {
    pub reference: String,
    currency: String,
    at: Timestamp,
    rows: Vec<Row>,
    amount: i64,
    opening_debt: i64,
    repaid: i64,
    deposit: i64,
    gross: bool,
}

impl Payout {
    fn sum(&self, kind: &str) -> i64 {
        self.rows.iter().filter(|it| it.kind == kind).map(|it| it.amount).sum()
    }

    pub(crate) fn view(&self) -> PayoutView {
        PayoutView {
            reference: self.reference.clone(),
            amount: self.amount,
            currency: self.currency.clone(),
            rows: self.rows.len(),
            sales: self.sum("SALE"),
            returns: self.sum("RETURN"),
            fees: self.sum("FEE"),
            reversals: self.sum("REVERSAL"),
            repaid: self.repaid,
        }
    }

    fn json(&self, state: &State) -> Value {
        json!({
            "totals": {
                "sale_amount": self.sum("SALE"), "return_amount": self.sum("RETURN"), "fee_amount": self.sum("FEE"),
                "reversal_amount": self.sum("REVERSAL"), "repay_amount": self.repaid, "deposit_amount": self.deposit,
                "opening_debt_balance_amount": self.opening_debt,
                "closing_debt_balance_amount": self.opening_debt - self.repaid + self.deposit, "commission_amount": 0,
                "commission_reversal_amount": 0, "holdback_amount": 0, "release_amount": 0, "tax_amount": 0,
                "tax_refund_amount": 0, "fee_correction_amount": 0, "fee_refund_amount": 0, "charge_amount": 0,
                "credit_amount": 0, "settlement_amount": self.amount,
            },
            "payment_reference": self.reference, "payout_date": seconds(self.at), "currency_code": self.currency,
            "merchant_settlement_type": if self.gross { "GROSS" } else { "NET" }, "merchant_id": state.options.merchant_id,
            "transactions": format!("https://api.klarna.com/settlements/v1/transactions?payment_reference={}", self.reference),
        })
    }

    fn row_json(&self, row: &Row, country: &str) -> Value {
        let mut json = json!({
            "type": row.kind, "detailed_type": row.detailed, "amount": row.amount, "order_id": row.order,
            "short_order_id": short_name(&row.order), "merchant_reference1": row.number.as_deref().unwrap_or_default(),
            "merchant_reference2": "", "capture_id": row.capture.as_deref().unwrap_or_default(),
            "refund_id": row.refund.as_deref().unwrap_or_default(), "sale_date": seconds(row.sold),
            "capture_date": seconds(row.at), "payment_reference": self.reference, "currency_code": row.currency,
            "purchase_country": country, "vat_rate": 0, "vat_amount": 0,
        });
        if let Some(dispute) = &row.dispute {
            json["reversal_reference"] = dispute.as_str().into();
        }
        json
    }
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl State {
    fn row(&self, order: &str, kind: &'static str, detailed: &'static str, amount: i64) -> Option<Row> {
        let order = self.orders.get(order)?;
        Some(Row {
            kind,
            detailed,
            amount,
            currency: order.currency.clone(),
            order: order.id.clone(),
            number: order.number.clone(),
            capture: None,
            refund: None,
            dispute: None,
            sold: order.created,
            at: self.now(),
        })
    }

    pub(crate) fn settle_capture(&mut self, order: &str, capture: &str, amount: i64) {
        let (share, fixed) = self.options.fee;
        // Half up, in whole units.
        let percentage = (amount * share + 5_000) / 10_000;
        for (kind, detailed, amount) in
            [("SALE", "PURCHASE", amount), ("FEE", "PURCHASE_FEE_PERCENTAGE", percentage), ("FEE", "PURCHASE_FEE_FIXED", fixed)]
        {
            let row = self.row(order, kind, detailed, amount).filter(|it| it.amount > 0);
            self.unsettled.extend(row.map(|it| Row { capture: Some(capture.to_owned()), ..it }));
        }
    }

    pub(crate) fn settle_refund(&mut self, order: &str, refund: &str, amount: i64) {
        let row = self.row(order, "RETURN", "PURCHASE_RETURN", amount);
        self.unsettled.extend(row.map(|it| Row { refund: Some(refund.to_owned()), ..it }));
    }

    pub(crate) fn settle_reversal(&mut self, order: &str, capture: &str, amount: i64, dispute: &str) {
        let row = self.row(order, "REVERSAL", "PURCHASE_REVERSAL", amount);
        let (capture, dispute) = (Some(capture.to_owned()), Some(dispute.to_owned()));
        self.unsettled.extend(row.map(|it| Row { capture, dispute, ..it }));
    }

    pub(crate) fn pay_out(&mut self, currency: &str) -> Option<String> {
        let currency = currency.to_uppercase();
        let (rows, later): (Vec<Row>, Vec<Row>) = self.unsettled.drain(..).partition(|it| it.currency == currency);
        self.unsettled = later;
        if rows.is_empty() {
            return None;
        }
        let reference = self.new_reference(8);
        let opening_debt = self.debts.get(&currency).copied().unwrap_or_default();
        let gross = self.options.gross;
        let signed = |it: &Row| match it.kind {
            "SALE" => it.amount,
            "FEE" if gross => 0,
            _ => -it.amount,
        };
        let sum: i64 = rows.iter().map(signed).sum();
        let repaid = opening_debt.min(sum.max(0));
        let deposit = (-sum).max(0);
        let amount = sum.max(0) - repaid;
        self.debts.insert(currency.clone(), opening_debt - repaid + deposit);
        let at = self.now();
        let payout = Payout { reference: reference.clone(), currency, at, rows, amount, opening_debt, repaid, deposit, gross };
        self.payouts.push(payout);
        Some(reference)
    }

    pub(crate) fn payout_json(&self, reference: &str) -> Option<Value> {
        self.payouts.iter().find(|it| it.reference == reference).map(|it| it.json(self))
    }

    /// Between the two dates, in one currency if one is given.
    pub(crate) fn payouts_json(&self, from: Option<Timestamp>, until: Option<Timestamp>, currency: Option<&str>) -> Vec<Value> {
        let fits = |it: &&Payout| {
            from.is_none_or(|from| it.at >= from)
                && until.is_none_or(|until| it.at <= until)
                && currency.is_none_or(|code| it.currency == code)
        };
        self.payouts.iter().filter(fits).map(|it| it.json(self)).collect()
    }

    pub(crate) fn rows_json(&self, reference: Option<&str>, order: Option<&str>) -> Vec<Value> {
        let wanted = self.payouts.iter().filter(|it| reference.is_none_or(|reference| it.reference == reference));
        let rows = wanted.flat_map(|payout| payout.rows.iter().map(move |row| (payout, row)));
        let rows = rows.filter(|(_, row)| order.is_none_or(|order| row.order == order));
        rows.map(|(payout, row)| payout.row_json(row, &self.options.country)).collect()
    }
}

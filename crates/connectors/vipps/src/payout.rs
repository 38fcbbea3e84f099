//! One payout made of ledger entries. Its lines always add up to what reaches the bank: what Vipps does not explain is a
//! line of its own.

use crate::{Vipps, wire::Entry};
use spindel_connect::CallError;
use spindel_model::{
    Change, EntityKind, EntityRef, Money, MoneyError, OrderRef, Payout, PayoutLine, PayoutLineKind, PayoutState, Record, Topic,
    Version,
};

impl Vipps {
    /// `entries` are those since the payout before, `fees` the details of what was taken in sum.
    pub(crate) fn payout(&self, ledger: &str, entry: &Entry, entries: &[Entry], fees: Vec<Entry>) -> Result<Change, CallError> {
        let amount = Money::from_minor(entry.amount.saturating_abs(), entry.currency);
        let id = format!("{ledger}/{}", entry.id());
        let mut lines = self.lines(entries, fees);
        let rest = unexplained(amount, &lines).map_err(|error| {
            CallError::data("read_ledger", format!("payout {id}: {error}; a ledger is expected to have one currency"))
        })?;
        if !rest.is_zero() {
            lines.push(PayoutLine {
                id: format!("{}-rest", entry.id()),
                kind: PayoutLineKind::Adjustment,
                payment: None,
                transaction: None,
                order: OrderRef::default(),
                gross: rest,
                fee: Money::from_minor(0, rest.currency),
                net: rest,
                at: entry.time,
            });
        }
        // Vipps tells when it sends the money, and nothing after that.
        let state = PayoutState::InTransit;
        let payout = Payout { id: id.clone(), state, amount, paid_at: None, updated_at: entry.time, lines };
        let entity = EntityRef::new(EntityKind::Payout, id);
        let record = Record::Payout(Box::new(payout));
        Ok(Change { topic: Topic::PayoutCreated, entity, version: Version::from(entry.time), record })
    }

    fn lines(&self, entries: &[Entry], fees: Vec<Entry>) -> Vec<PayoutLine> {
        let mut groups = groups(fees);
        let mut lines = Vec::with_capacity(entries.len());
        for entry in entries {
            let details = if entry.takes_fees() { take_details(entry, &mut groups) } else { None };
            match details {
                Some(details) => {
                    // The cost is positive, whichever sign the ledger of fees gives it.
                    let sign = if sum(&details) == entry.amount { -1 } else { 1 };
                    lines.extend(details.iter().map(|it| self.fee_line(it, it.amount.saturating_mul(sign))));
                }
                None if entry.takes_fees() => lines.push(self.fee_line(entry, entry.amount.saturating_neg())),
                None => lines.push(self.line(entry, kind(&entry.entry_type))),
            }
        }
        lines
    }

    fn line(&self, entry: &Entry, kind: PayoutLineKind) -> PayoutLine {
        let money = Money::from_minor(entry.amount, entry.currency);
        PayoutLine {
            id: format!("{}-{}", entry.id(), entry.entry_type),
            kind,
            payment: entry.reference.clone(),
            transaction: entry.psp_reference.clone(),
            order: self.order_of_entry(entry),
            gross: money,
            fee: Money::from_minor(0, entry.currency),
            net: money,
            at: entry.time,
        }
    }

    fn fee_line(&self, entry: &Entry, cost: i64) -> PayoutLine {
        PayoutLine {
            gross: Money::from_minor(0, entry.currency),
            fee: Money::from_minor(cost, entry.currency),
            net: Money::from_minor(cost.saturating_neg(), entry.currency),
            ..self.line(entry, PayoutLineKind::Fee)
        }
    }

    /// A ledger may settle for several sales units: their references are their own.
    fn order_of_entry(&self, entry: &Entry) -> OrderRef {
        let own = entry.recipient_handle.as_deref().is_none_or(|it| it.strip_prefix("api:") == Some(self.msn.as_str()));
        let of_an_order =
            matches!(kind(&entry.entry_type), PayoutLineKind::Charge | PayoutLineKind::Refund | PayoutLineKind::Dispute)
                || entry.entry_type == "capture-fee";
        match &entry.reference {
            Some(reference) if own && of_an_order && self.naming.is_by_reference() => self.naming.order(reference),
            _ => OrderRef::default(),
        }
    }
}

fn kind(entry_type: &str) -> PayoutLineKind {
    match entry_type {
        "capture" => PayoutLineKind::Charge,
        "refund" => PayoutLineKind::Refund,
        "retained-disputed-capture" | "returned-disputed-capture" => PayoutLineKind::Dispute,
        // Also those that come one day.
        _ => PayoutLineKind::Adjustment,
    }
}

fn unexplained(amount: Money, lines: &[PayoutLine]) -> Result<Money, MoneyError> {
    lines.iter().try_fold(amount, |rest, line| rest.try_sub(line.net))
}

/// The details between one taking of fees and the next.
fn groups(fees: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut groups = vec![Vec::new()];
    for entry in fees {
        if entry.takes_fees() {
            groups.push(Vec::new());
        } else if let Some(group) = groups.last_mut() {
            group.push(entry);
        }
    }
    groups
}

/// The details that are, to the minor unit, what was taken; of several such the ones of the same day.
fn take_details(taken: &Entry, groups: &mut Vec<Vec<Entry>>) -> Option<Vec<Entry>> {
    let fits = |group: &&Vec<Entry>| {
        let one_currency = group.iter().all(|it| it.currency == taken.currency);
        !group.is_empty() && one_currency && sum(group).saturating_abs() == taken.amount.saturating_abs()
    };
    let same_day = |group: &Vec<Entry>| fits(&group) && group.last().is_some_and(|it| it.ledger_date == taken.ledger_date);
    let at = groups.iter().position(same_day).or_else(|| groups.iter().position(|group| fits(&group)))?;
    Some(groups.remove(at))
}

fn sum(entries: &[Entry]) -> i64 {
    entries.iter().fold(0, |sum: i64, it| sum.saturating_add(it.amount))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::connect;
    use serde_json::json;

    fn entry(entry_type: &str, psp: &str, currency: &str, amount: i64) -> Entry {
        serde_json::from_value(json!({
            "pspReference": psp, "time": "2026-11-18T10:00:00.000000Z", "ledgerDate": "2026-11-18", "entryType": entry_type,
            "reference": "acme-order-1042", "currency": currency, "amount": amount, "balanceBefore": 0, "balanceAfter": 0,
            "recipientHandle": "api:123456",
        }))
        .unwrap()
    }

    fn payout(entries: &[Entry], fees: Vec<Entry>, paid: &Entry) -> Payout {
        let vipps = connect(json!({ "reference_prefix": "acme-order-" })).unwrap().0;
        match vipps.payout("302321", paid, entries, fees).unwrap().record {
            Record::Payout(it) => *it,
            other => panic!("{other:?}"),
        }
    }

    fn sum_of_lines(payout: &Payout) -> Money {
        let zero = Money::from_minor(0, payout.amount.currency);
        payout.lines.iter().try_fold(zero, |sum, line| sum.try_add(line.net)).unwrap()
    }

    #[test]
    fn lines_add_up_to_the_payout_in_every_currency() {
        for (currency, amount) in [
            ("NOK", "437.00 NOK"),
            ("SEK", "437.00 SEK"),
            ("DKK", "437.00 DKK"),
            ("EUR", "437.00 EUR"),
            ("JPY", "43700 JPY"),
            ("KWD", "43.700 KWD"),
        ] {
            let entries = [
                entry("capture", "1", currency, 44_700),
                entry("refund", "2", currency, -500),
                entry("fees-retained", "3", currency, -600),
            ];
            let told = payout(&entries, Vec::new(), &entry("payout-scheduled", "4", currency, -43_700));
            assert_eq!(told.amount.to_string(), amount);
            // 100 were left over from before.
            assert_eq!(told.lines.len(), 4);
            assert_eq!(told.lines[3].kind, PayoutLineKind::Adjustment);
            assert_eq!(sum_of_lines(&told), told.amount);
            assert!(told.lines.iter().all(|it| it.gross.try_sub(it.fee).unwrap() == it.net));
        }
    }

    #[test]
    fn fees_are_told_one_by_one_where_they_explain_what_was_taken() {
        for sign in [1, -1] {
            let entries = [entry("capture", "1", "NOK", 44_700), entry("fees-retained", "3", "NOK", -600)];
            let fees = vec![
                entry("capture-fee", "9", "NOK", sign * 77),
                entry("fees-retained", "8", "NOK", -sign * 77),
                entry("capture-fee", "1", "NOK", sign * 400),
                entry("capture-fee", "2", "NOK", sign * 200),
                entry("fees-retained", "3", "NOK", -sign * 600),
            ];
            let told = payout(&entries, fees, &entry("payout-scheduled", "4", "NOK", -44_100));
            let costs: Vec<_> =
                told.lines.iter().filter(|it| it.kind == PayoutLineKind::Fee).map(|it| it.fee.to_minor()).collect();
            assert_eq!(costs, [Some(400), Some(200)]);
            assert_eq!(told.lines[1].transaction.as_deref(), Some("1"));
            assert_eq!(sum_of_lines(&told), told.amount);
        }
    }

    #[test]
    fn fees_that_do_not_explain_what_was_taken_are_told_in_sum() {
        let entries = [entry("capture", "1", "NOK", 44_700), entry("fees-retained", "3", "NOK", -600)];
        let told =
            payout(&entries, vec![entry("capture-fee", "1", "NOK", -599)], &entry("payout-scheduled", "4", "NOK", -44_100));
        assert_eq!(told.lines.len(), 2);
        assert_eq!(told.lines[1].fee.to_string(), "6.00 NOK");
        assert_eq!(sum_of_lines(&told), told.amount);
    }

    #[test]
    fn an_entry_of_another_sales_unit_names_no_order_of_this_shop() {
        let mut other = entry("capture", "1", "NOK", 100);
        other.recipient_handle = Some("api:654321".into());
        let own = entry("capture", "2", "NOK", 100);
        let told = payout(&[other, own], Vec::new(), &entry("scheduled-for-payout", "4", "NOK", -200));
        assert_eq!(told.lines[0].order, OrderRef::default());
        assert_eq!(told.lines[1].order.number.as_deref(), Some("1042"));
        assert_eq!(told.lines[1].payment.as_deref(), Some("acme-order-1042"));
    }

    #[test]
    fn entries_in_two_currencies_are_refused_rather_than_added() {
        let vipps = connect(json!({})).unwrap().0;
        let paid = entry("payout-scheduled", "4", "NOK", -100);
        assert!(vipps.payout("302321", &paid, &[entry("capture", "1", "EUR", 100)], Vec::new()).is_err());
    }
}

//! Three-way matching: what was sold, what moved at the provider, and what was paid out must be the same, order by order.

use crate::{LedgerEntry, LedgerKind};
use iso_currency::Currency;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// How long each side may take before it is missed.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub now: Timestamp,
    /// Between an order and its payment.
    pub payment: SignedDuration,
    /// Between a payment and its payout.
    pub payout: SignedDuration,
}

/// An order, or a payment, whose sides do not agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unmatched {
    pub why: Mismatch,
    /// By its number, without `#`.
    pub order: Option<String>,
    /// The provider's reference.
    pub payment: Option<String>,
    /// Sums by currency, without those that are zero.
    pub sold: Sums,
    pub moved: Sums,
    pub paid_out: Sums,
    /// When the last of it happened.
    pub since: Timestamp,
}

pub type Sums = BTreeMap<Currency, Decimal>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// Paid, says the shop; no provider knows of it.
    NoPayment,
    /// Money that no order asked for.
    NoOrder,
    /// Both know of it, and not of the same amount.
    AmountsDiffer,
    /// Captured, and in no payout.
    NotPaidOut,
    /// Paid out, and no movement is known.
    NoTransaction,
    /// In a payout, with another amount.
    PayoutDiffers,
}

/// What a person is told.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoPayment => "no payment at any provider",
            Self::NoOrder => "no order asks for it",
            Self::AmountsDiffer => "order and payment differ",
            Self::NotPaidOut => "in no payout",
            Self::NoTransaction => "paid out without a payment",
            Self::PayoutDiffers => "payment and payout differ",
        })
    }
}

/// What does not match and had its time, the oldest first.
pub fn unmatched<'a>(entries: impl IntoIterator<Item = &'a LedgerEntry>, patience: Patience) -> Vec<Unmatched> {
    let mut unmatched: Vec<_> = groups(entries).iter().filter_map(|group| group.mismatch(patience)).collect();
    unmatched.sort_by(|a, b| (a.since, &a.order, &a.payment).cmp(&(b.since, &b.order, &b.payment)));
    unmatched
}

/// All that belongs together: by the payment's reference, or the order's number.
#[derive(Default)]
struct Group<'a>(Vec<&'a LedgerEntry>);

fn groups<'a>(entries: impl IntoIterator<Item = &'a LedgerEntry>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut of_key: HashMap<(bool, &str), usize> = HashMap::new();
    for entry in entries {
        let payment = entry.payment.as_deref().map(|it| (true, it));
        let order = entry.order.as_deref().map(|it| (false, it));
        let keys = [payment, order].into_iter().flatten().filter(|(_, key)| !key.is_empty()).collect::<Vec<_>>();
        let mut known: Vec<usize> = keys.iter().filter_map(|key| of_key.get(key).copied()).collect();
        known.dedup();
        let into = known.first().copied().unwrap_or(groups.len());
        if into == groups.len() {
            groups.push(Group::default());
        }
        // An entry that knows both joins what stood apart.
        for other in known.into_iter().skip(1) {
            let moved = std::mem::take(&mut groups[other].0);
            groups[into].0.extend(moved);
            of_key.values_mut().filter(|at| **at == other).for_each(|at| *at = into);
        }
        groups[into].0.push(entry);
        of_key.extend(keys.into_iter().map(|key| (key, into)));
    }
    groups.retain(|group| !group.0.is_empty());
    groups
}

impl Group<'_> {
    fn mismatch(&self, patience: Patience) -> Option<Unmatched> {
        let sold = self.sum(&[LedgerKind::Order]);
        let moved = self.sum(&[LedgerKind::Capture, LedgerKind::Refund]);
        let paid_out = self.sum(&[LedgerKind::Charged, LedgerKind::GivenBack]);
        let since = self.0.iter().map(|it| it.at).max()?;
        let had = |time: SignedDuration| patience.now.duration_since(since) >= time;
        let any = |kinds: &[LedgerKind]| self.0.iter().any(|it| kinds.contains(&it.kind));
        let at_provider = any(&[LedgerKind::Capture, LedgerKind::Refund]);
        let converted = paid_out.keys().any(|currency| !moved.contains_key(currency));
        let why = if had(patience.payment) && sold != moved && !(moved.is_empty() && !at_provider && !paid_out.is_empty()) {
            match (any(&[LedgerKind::Order]), at_provider) {
                (true, true) => Mismatch::AmountsDiffer,
                (true, false) => Mismatch::NoPayment,
                (false, _) => Mismatch::NoOrder,
            }
        } else if !at_provider && !paid_out.is_empty() && had(patience.payment) {
            Mismatch::NoTransaction
        } else if moved != paid_out && had(patience.payout) {
            match paid_out.is_empty() && !any(&[LedgerKind::Charged, LedgerKind::GivenBack]) {
                true => Mismatch::NotPaidOut,
                // A payout in the bank's currency says nothing about the amount in the buyer's.
                false if converted => return None,
                false => Mismatch::PayoutDiffers,
            }
        } else {
            return None;
        };
        let named = |of: fn(&LedgerEntry) -> Option<&String>| self.0.iter().find_map(|it| of(it)).cloned();
        let (order, payment) = (named(|it| it.order.as_ref()), named(|it| it.payment.as_ref()));
        Some(Unmatched { why, order, payment, sold, moved, paid_out, since })
    }

    fn sum(&self, kinds: &[LedgerKind]) -> Sums {
        let mut sums = Sums::new();
        for entry in self.0.iter().filter(|it| kinds.contains(&it.kind)) {
            *sums.entry(entry.amount.currency).or_default() += entry.amount.amount;
        }
        sums.retain(|_, sum| !sum.is_zero());
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Money;

    const NOK: Currency = Currency::NOK;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    fn entry(kind: LedgerKind, id: &str, minor: i64) -> LedgerEntry {
        let amount = Money::from_minor(minor, NOK);
        LedgerEntry {
            kind,
            id: id.into(),
            order: None,
            payment: None,
            gateway: None,
            amount,
            at: at(0),
            expires_at: None,
            payout: None,
        }
    }

    fn of(order: &str, payment: &str, mut entry: LedgerEntry) -> LedgerEntry {
        entry.order = Some(order.into()).filter(|it: &String| !it.is_empty());
        entry.payment = Some(payment.into()).filter(|it: &String| !it.is_empty());
        entry
    }

    fn judge(entries: &[LedgerEntry], hours: i64) -> Vec<(Mismatch, Option<String>)> {
        let patience =
            Patience { now: at(hours), payment: SignedDuration::from_hours(24), payout: SignedDuration::from_hours(240) };
        unmatched(entries, patience).into_iter().map(|it| (it.why, it.order)).collect()
    }

    fn whole() -> Vec<LedgerEntry> {
        vec![
            of("1001", "", entry(LedgerKind::Order, "o1", 40_000)),
            of("", "pi_1", entry(LedgerKind::Charged, "txn_1", 50_000)),
            of("", "pi_1", entry(LedgerKind::GivenBack, "txn_2", -10_000)),
            of("1001", "pi_1", entry(LedgerKind::Capture, "ch_1", 50_000)),
            of("1001", "pi_1", entry(LedgerKind::Refund, "re_1", -10_000)),
        ]
    }

    #[test]
    fn what_was_sold_moved_and_paid_out_alike_matches() {
        assert_eq!(judge(&whole(), 1000), []);
    }

    #[test]
    fn each_side_that_is_missing_is_named_when_it_had_its_time() {
        let without = |gone: &[LedgerKind]| whole().into_iter().filter(|it| !gone.contains(&it.kind)).collect::<Vec<_>>();
        let (moved, paid) = ([LedgerKind::Capture, LedgerKind::Refund], [LedgerKind::Charged, LedgerKind::GivenBack]);
        let number = Some("1001".to_owned());
        assert_eq!(judge(&without(&paid), 239), []);
        assert_eq!(judge(&without(&paid), 240), [(Mismatch::NotPaidOut, number.clone())]);
        let both = [moved, paid].concat();
        assert_eq!(judge(&without(&both), 23), []);
        assert_eq!(judge(&without(&both), 24), [(Mismatch::NoPayment, number.clone())]);
        assert_eq!(judge(&without(&[LedgerKind::Order]), 24), [(Mismatch::NoOrder, number.clone())]);
        let apart = [(Mismatch::NoPayment, number.clone()), (Mismatch::NoTransaction, None)];
        let mut found = judge(&without(&moved), 24);
        found.sort();
        assert_eq!(found, apart);
        assert_eq!(judge(&without(&[LedgerKind::Refund]), 24), [(Mismatch::AmountsDiffer, number.clone())]);
        assert_eq!(judge(&without(&[LedgerKind::GivenBack]), 240), [(Mismatch::PayoutDiffers, number)]);
    }

    #[test]
    fn an_order_that_nobody_paid_and_an_authorisation_ask_for_nothing() {
        let entries = [
            of("1002", "pi_2", entry(LedgerKind::Order, "o2", 0)),
            of("1002", "pi_2", entry(LedgerKind::Authorization, "pi_2", 30_000)),
        ];
        assert_eq!(judge(&entries, 1000), []);
    }

    #[test]
    fn a_payout_in_another_currency_counts_as_paid_out() {
        let mut entries = whole();
        for it in entries.iter_mut().filter(|it| matches!(it.kind, LedgerKind::Charged | LedgerKind::GivenBack)) {
            it.amount = Money::new(it.amount.amount, Currency::EUR);
        }
        assert_eq!(judge(&entries, 1000), []);
    }

    #[test]
    fn many_payments_of_one_order_are_one_account() {
        let mut entries = vec![of("1003", "", entry(LedgerKind::Order, "o3", 300))];
        for n in 0..3 {
            entries.push(of("", &format!("pi_{n}"), entry(LedgerKind::Charged, &format!("t{n}"), 100)));
            entries.push(of("1003", &format!("pi_{n}"), entry(LedgerKind::Capture, &format!("c{n}"), 100)));
        }
        assert_eq!(judge(&entries, 1000), []);
        entries.pop();
        assert_eq!(judge(&entries, 1000).len(), 2);
    }
}

//! The account: the ends compared with each other, without asking who stands between them.

use crate::roles::{Booked, BookedState, Held, Parcel, Sold};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::HashMap;

/// The account of shop and ERP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    pub in_shop: usize,
    /// In the ERP once, with the shop's state and amount.
    pub right: usize,
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    /// Cancelled at one end only, or not confirmed in the ERP.
    pub wrong_state: Vec<String>,
    pub wrong_amount: Vec<Difference>,
    /// Orders of the ERP that the shop never had.
    pub unknown: usize,
}

/// One order whose amounts differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub order: String,
    pub shop: String,
    pub erp: String,
}

impl Account {
    pub fn of(sold: &[Sold], booked: Vec<Booked>) -> Self {
        let mut by_number: HashMap<String, Vec<Booked>> = HashMap::new();
        for order in booked {
            by_number.entry(order.number.clone()).or_default().push(order);
        }
        let mut account = Self::default();
        for order in sold {
            account.in_shop += 1;
            account.judge(order, &by_number.remove(&order.number).unwrap_or_default());
        }
        account.unknown = by_number.values().map(Vec::len).sum();
        account
    }

    fn judge(&mut self, order: &Sold, found: &[Booked]) {
        let name = order.number.clone();
        let [only] = found else {
            if found.is_empty() {
                self.lost.push(name)
            } else {
                self.doubled.push(name)
            }
            return;
        };
        if only.state != if order.cancelled { BookedState::Cancelled } else { BookedState::Confirmed } {
            self.wrong_state.push(name);
            return;
        }
        // A cancelled order is owed nothing at either end; what its lines say is history.
        let owed = only.total - only.credited;
        if !order.cancelled && (owed != order.owed || only.currency != order.currency) {
            self.wrong_amount.push(Difference {
                order: name,
                shop: format!("{} {}", order.owed, order.currency),
                erp: format!("{owed} {}", only.currency),
            });
            return;
        }
        self.right += 1;
    }

    /// Everything the shop has is in the ERP once and equal, and nothing else is there.
    pub fn is_clean(&self) -> bool {
        self.right == self.in_shop && self.unknown == 0
    }
}

/// The account of shop and payment provider: captured is what was sent, given back is what came back, and of what was
/// cancelled nothing is held any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Money {
    pub payments: usize,
    pub right: usize,
    /// Sums of all payments.
    pub captured: Decimal,
    pub refunded: Decimal,
    pub wrong: Vec<WrongPayment>,
}

/// One payment that is not as the shop has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrongPayment {
    pub order: String,
    /// `captured`, `refunded` or `held`.
    pub what: &'static str,
    pub expected: Decimal,
    pub found: Decimal,
}

impl Money {
    pub fn of(sold: &[Sold], held: Vec<Held>) -> Self {
        let by_reference: HashMap<String, Held> = held.into_iter().map(|it| (it.reference.clone(), it)).collect();
        let mut money = Self::default();
        for order in sold {
            let Some(payment) = order.payment.as_ref().and_then(|it| by_reference.get(it)) else { continue };
            money.payments += 1;
            money.captured += payment.captured;
            money.refunded += payment.refunded;
            match wrong(order, payment) {
                Some(wrong) => money.wrong.push(wrong),
                None => money.right += 1,
            }
        }
        money
    }

    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }
}

fn wrong(order: &Sold, payment: &Held) -> Option<WrongPayment> {
    let was_sent = order.sent && !order.cancelled;
    let of_sent = |amount| if was_sent { amount } else { Decimal::ZERO };
    let held = if order.cancelled { Decimal::ZERO } else { payment.held };
    let compared = [
        ("captured", of_sent(order.worth), payment.captured),
        ("refunded", of_sent(order.given_back), payment.refunded),
        ("held", held, payment.held),
    ];
    let (what, expected, found) = compared.into_iter().find(|(_, expected, found)| expected != found)?;
    Some(WrongPayment { order: order.number.clone(), what, expected, found })
}

/// The account of shop and carrier: what was paid is booked once, and the shop knows that it has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parcels {
    pub to_send: usize,
    /// Booked once, sent, and known to have arrived.
    pub right: usize,
    pub not_booked: Vec<String>,
    pub doubled: Vec<String>,
    pub not_delivered: Vec<String>,
}

impl Parcels {
    pub fn of(sold: &[Sold], parcels: &[Parcel]) -> Self {
        let mut booked: HashMap<&str, usize> = HashMap::new();
        for parcel in parcels {
            *booked.entry(&parcel.order).or_default() += 1;
        }
        let mut account = Self::default();
        for order in sold {
            let times = booked.get(order.bare_number()).copied().unwrap_or_default();
            let name = || order.number.clone();
            if times > 1 {
                account.doubled.push(name());
            }
            // What was cancelled may have its label already; it is never handed in.
            if order.cancelled || !(order.paid || order.payment.is_some()) {
                continue;
            }
            account.to_send += 1;
            match times {
                0 => account.not_booked.push(name()),
                1 if order.sent && order.delivered => account.right += 1,
                1 => account.not_delivered.push(name()),
                _ => {}
            }
        }
        account
    }

    pub fn is_clean(&self) -> bool {
        self.right == self.to_send && self.doubled.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sold(number: &str) -> Sold {
        Sold {
            id: number.into(),
            number: number.into(),
            cancelled: false,
            worth: Decimal::from(100),
            given_back: Decimal::from(30),
            owed: Decimal::from(70),
            currency: "NOK".into(),
            paid: true,
            payment: Some(format!("payment of {number}")),
            sent: true,
            delivered: true,
        }
    }

    fn held(number: &str, held: i64, captured: i64, refunded: i64) -> Held {
        let [held, captured, refunded] = [held, captured, refunded].map(Decimal::from);
        Held { reference: format!("payment of {number}"), held, captured, refunded }
    }

    fn what_is_wrong(order: Sold, payment: Held) -> Option<&'static str> {
        Money::of(&[order], vec![payment]).wrong.pop().map(|it| it.what)
    }

    #[test]
    fn a_payment_is_right_when_captured_is_what_was_sent_and_refunded_is_what_came_back() {
        assert_eq!(what_is_wrong(sold("1"), held("1", 0, 100, 30)), None);
        assert_eq!(what_is_wrong(sold("1"), held("1", 0, 70, 30)), Some("captured"));
        assert_eq!(what_is_wrong(sold("1"), held("1", 0, 100, 60)), Some("refunded"));
        assert_eq!(what_is_wrong(Sold { sent: false, ..sold("1") }, held("1", 100, 0, 0)), None);
        assert_eq!(what_is_wrong(Sold { sent: false, ..sold("1") }, held("1", 0, 100, 0)), Some("captured"));
    }

    #[test]
    fn of_a_cancelled_order_nothing_may_be_held() {
        let cancelled = || Sold { cancelled: true, sent: false, ..sold("1") };
        assert_eq!(what_is_wrong(cancelled(), held("1", 0, 0, 0)), None);
        assert_eq!(what_is_wrong(cancelled(), held("1", 100, 0, 0)), Some("held"));
    }

    #[test]
    fn a_parcel_is_right_when_it_was_booked_once_and_arrived() {
        let parcel = |order: &str| Parcel { booking: "7".into(), order: order.into(), delivered: true };
        let account = |order: Sold, times: usize| Parcels::of(&[order], &vec![parcel("1"); times]);
        assert!(account(sold("1"), 1).is_clean());
        assert!(account(sold("#1"), 1).is_clean(), "with the sign that people know it by");
        assert_eq!(account(sold("1"), 0).not_booked, ["1"]);
        assert_eq!(account(sold("1"), 2).doubled, ["1"]);
        assert_eq!(account(Sold { delivered: false, ..sold("1") }, 1).not_delivered, ["1"]);
        assert!(account(Sold { cancelled: true, sent: false, delivered: false, ..sold("1") }, 1).is_clean());
    }
}

//! What the demo found out, for programs and for people.

use super::{cast::Cast, story::Told};
use crate::output::Out;
use serde::Serialize;
use spindel_simulators::account::{Account, Money, Parcels};
use std::collections::BTreeMap;

type Faults = BTreeMap<&'static str, u64>;

/// All that the demo found out, as `--json` prints it.
#[derive(Serialize)]
pub struct Report {
    pub seed: u64,
    pub vendors: Cast,
    pub told: Told,
    pub webhooks_sent: u64,
    pub webhooks_acknowledged: u64,
    pub duplicates_sent: u64,
    pub forgeries_sent: u64,
    pub forgeries_accepted: u64,
    pub erp_faults: Faults,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payments_faults: Option<Faults>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_faults: Option<Faults>,
    #[serde(flatten)]
    pub account: Account,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parcels: Option<Parcels>,
    pub seconds: f64,
    pub clean: bool,
}

impl Report {
    pub fn print(&self, out: &Out) {
        out.line("");
        out.line(&out.bold("What happened"));
        out.table(&[], self.happened());
        out.line("");
        out.line(&out.bold("The account, drawn up from all ends"));
        let mut rows = self.orders();
        rows.extend(self.money.iter().flat_map(money));
        rows.extend(self.parcels.iter().flat_map(parcels));
        rows.push(row("forgeries accepted", self.forgeries_accepted));
        out.table(&[], rows);
        let examples: Vec<String> = self.examples().take(10).collect();
        if !examples.is_empty() {
            out.line(&format!("for example: {}", examples.join(", ")));
        }
        out.line(&format!("seed {}, {:.1} s", self.seed, self.seconds));
    }

    fn happened(&self) -> Vec<Vec<String>> {
        let told = &self.told;
        let changes = format!("{}, {}, {}, {}", told.placed, told.edited, told.cancelled, told.refunded);
        let mut rows = vec![vec!["orders placed, edited, cancelled, refunded".into(), changes]];
        if told.sent > 0 {
            rows.push(row("orders packed and marked as sent by hand", told.sent));
        }
        rows.push(vec!["webhooks sent, of them doubled".into(), format!("{}, {}", self.webhooks_sent, self.duplicates_sent)]);
        rows.push(row("forged webhooks sent", self.forgeries_sent));
        let failed = |faults: &Faults| faults.values().sum::<u64>();
        rows.push(row("calls that the ERP failed or cut", failed(&self.erp_faults)));
        rows.extend(self.payments_faults.as_ref().map(|it| row("calls that the payment provider failed or cut", failed(it))));
        rows.extend(self.carrier_faults.as_ref().map(|it| row("calls that the carrier cut or kept waiting", failed(it))));
        rows
    }

    fn orders(&self) -> Vec<Vec<String>> {
        let account = &self.account;
        vec![
            row("orders in the shop", account.in_shop),
            row("in the ERP exactly once, equal in state and amount", account.right),
            row("lost", account.lost.len()),
            row("doubled", account.doubled.len()),
            row("differing in amount", account.wrong_amount.len()),
            row("cancelled at one end only, or not confirmed", account.wrong_state.len()),
            row("in the ERP and never in the shop", account.unknown),
        ]
    }

    fn examples(&self) -> impl Iterator<Item = String> {
        let account = &self.account;
        let orders = account.lost.iter().chain(&account.doubled).chain(&account.wrong_state).cloned();
        let amounts = account.wrong_amount.iter().map(|one| format!("{} (shop {}, ERP {})", one.order, one.shop, one.erp));
        let payments = self.money.iter().flat_map(|it| &it.wrong);
        let payments = payments.map(|one| format!("{} ({} is {}, should be {})", one.order, one.what, one.found, one.expected));
        let parcels = self.parcels.iter().flat_map(|it| it.not_booked.iter().chain(&it.doubled).chain(&it.not_delivered));
        orders.chain(amounts).chain(payments).chain(parcels.map(|order| format!("{order} (parcel)")))
    }
}

fn money(money: &Money) -> Vec<Vec<String>> {
    vec![
        row("payments held by the provider", money.payments),
        row("captured what was sent, refunded what came back", money.right),
        vec!["captured, refunded".into(), format!("{}, {}", money.captured, money.refunded)],
        row("captured or refunded wrongly", money.wrong.len()),
    ]
}

fn parcels(parcels: &Parcels) -> Vec<Vec<String>> {
    vec![
        row("paid orders to send", parcels.to_send),
        row("booked once, sent, and arrived in the shop's eyes", parcels.right),
        row("not booked", parcels.not_booked.len()),
        row("booked twice", parcels.doubled.len()),
        row("never arrived", parcels.not_delivered.len()),
    ]
}

fn row(what: &str, number: impl ToString) -> Vec<String> {
    vec![what.to_owned(), number.to_string()]
}

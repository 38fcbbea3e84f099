//! `spindel payments`: what was sold, what was paid and what was paid out, held against each other.

use super::{load, opened};
use crate::{
    cli::{Global, PaymentsCommand},
    output::{NOTHING_MATCHED, Out},
};
use jiff::SignedDuration;
use spindel_model::{Clock, LedgerEntry, LedgerKind, Patience, Payments, Sums, Timestamp, Unmatched, unmatched};
use spindel_store::Store;
use std::{process::ExitCode, time::Duration};

pub async fn run(global: &Global, command: PaymentsCommand, out: &Out) -> anyhow::Result<ExitCode> {
    let PaymentsCommand::Unmatched { since } = command;
    let loaded = match load(&global.config, out) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let Some(payments) = loaded.settings.payments else {
        out.refuse("the config does not say whose payments are to be matched", "add [payments] with `orders` and `providers`");
        return Ok(ExitCode::from(NOTHING_MATCHED));
    };
    let store = opened!(global, out);
    let now = Clock::system().now();
    let entries = entries(&*store, &payments, now.checked_sub(since).unwrap_or(Timestamp::MIN)).await?;
    let patience = Patience { now, payment: signed(payments.payment_after), payout: signed(payments.payout_after) };
    let found = unmatched(&entries, patience);
    out.show(&found, |out| print(&found, entries.len(), out));
    Ok(ExitCode::SUCCESS)
}

async fn entries(store: &dyn Store, payments: &Payments, since: Timestamp) -> anyhow::Result<Vec<LedgerEntry>> {
    let mut entries = Vec::new();
    for connection in payments.orders.iter().chain(&payments.providers) {
        entries.extend(spindel_sync::ledger(store, connection, since).await?);
    }
    let elsewhere = |it: &LedgerEntry| it.gateway.as_ref().is_some_and(|gateway| payments.except.contains(gateway));
    entries.retain(|it| it.kind != LedgerKind::Order || !elsewhere(it));
    Ok(entries)
}

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

fn print(found: &[Unmatched], entries: usize, out: &Out) {
    if found.is_empty() {
        out.line(&format!("all agree: {entries} entries of orders, payments and payouts"));
        return;
    }
    let named = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".into());
    let row = |it: &Unmatched| {
        let sums = [&it.sold, &it.moved, &it.paid_out].map(text);
        [vec![named(&it.order), named(&it.payment), it.why.to_string()], sums.to_vec()].concat()
    };
    out.table(&["order", "payment", "what is wrong", "sold", "paid", "paid out"], found.iter().map(row));
}

fn text(sums: &Sums) -> String {
    match sums.is_empty() {
        true => "-".into(),
        false => sums.iter().map(|(currency, sum)| format!("{sum} {}", currency.code())).collect::<Vec<_>>().join(", "),
    }
}

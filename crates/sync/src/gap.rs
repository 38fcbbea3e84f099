//! What silent webhooks left out: noted before they are mended, so that it is asked for even if that is the last thing done, and
//! forgotten only when it was asked for.

use crate::{PollError, Poller, poll::polls};
use jiff::SignedDuration;
use spindel_connect::Cursor;
use spindel_engine::Account;
use spindel_model::{Cause, EntityKind, Timestamp};
use spindel_store::{EventFilter, Store, StoreError};

/// How much is asked for again from before the last event: clocks differ, and vendors are late.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// What was sound at one check may have been silent since.
pub(crate) const BETWEEN_CHECKS: SignedDuration = SignedDuration::from_hours(1);
/// Events in which a silent topic is looked for: where it was not told of, all else was.
const PAGE: usize = 50;
const MOST_PAGES: usize = 20;
/// Filling one takes at most about so long; after that another node may do it.
const HELD_FOR: SignedDuration = SignedDuration::from_mins(10);

fn key(connection: &str) -> String {
    format!("webhook_gap {connection}")
}

/// Notes that these topics were silent, since whenever the last of them was heard of. A vendor that never told anything yet
/// left nothing out.
pub(crate) async fn owe(store: &dyn Store, connection: &str, silent: &[&str], now: Timestamp) -> Result<(), StoreError> {
    let heard = if silent.is_empty() { None } else { last_heard(store, connection, silent).await? };
    let Some(heard) = heard else { return Ok(()) };
    let check = now.checked_sub(BETWEEN_CHECKS).unwrap_or(heard);
    let since = [Some(heard), Some(check), owed(store, connection).await?].into_iter().flatten().min().unwrap_or(heard);
    store.set_setting(&key(connection), since.to_string().into_bytes()).await
}

/// Since when something is to be asked for, if it is.
pub async fn owed(store: &dyn Store, connection: &str) -> Result<Option<Timestamp>, StoreError> {
    let noted = store.setting(&key(connection)).await?;
    Ok(noted.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()))
}

/// The newest webhook of these topics; where there was none lately, the newest of any.
async fn last_heard(store: &dyn Store, connection: &str, silent: &[&str]) -> Result<Option<Timestamp>, StoreError> {
    let connection = Some(connection.to_owned());
    let mut filter = EventFilter { connection, cause: Some(Cause::Webhook), limit: PAGE, ..EventFilter::default() };
    let mut newest = None;
    for _ in 0..MOST_PAGES {
        let page = store.events(filter.clone()).await?;
        newest = newest.or(page.first().map(|event| event.received_at));
        if let Some(event) = page.iter().find(|event| silent.contains(&event.topic.as_str())) {
            return Ok(Some(event.received_at));
        }
        filter.before = page.last().map(|event| event.id);
        if page.len() < PAGE {
            break;
        }
    }
    Ok(newest)
}

impl Poller {
    /// Asks for all that changed since shortly before the webhooks fell silent, where flows want it and the vendor can be asked.
    /// Answers how many changes were new.
    pub(crate) async fn fill_gap(&self, account: &Account) -> Result<usize, PollError> {
        let Some(noted) = owed(&*self.store, &account.name).await? else { return Ok(0) };
        let now = self.clock.now();
        if !self.store.hold_duty(&key(&account.name), &self.node, now, now + HELD_FOR).await? {
            return Ok(0);
        }
        let since = noted.saturating_sub(OVERLAP).unwrap_or(noted);
        let mut all = 0;
        for kind in self.told_of(&account.name) {
            let cursor = account.connection.poll_since(kind, since).filter(|_| polls(account, kind));
            let new = match cursor {
                Some(cursor) => self.gap(account, kind, cursor).await?,
                // A carrier is asked about each parcel that is under way.
                None if kind == EntityKind::Shipment && account.connection.tracks().is_some() => {
                    self.follow_parcels(account).await?
                }
                None => {
                    tracing::warn!(
                        connection = account.name, record = %kind, %since,
                        "webhooks were silent, and this vendor cannot be asked what changed since: compare both ends"
                    );
                    continue;
                }
            };
            tracing::info!(connection = account.name, record = %kind, %since, new, "filled the gap that silent webhooks left");
            all += new;
        }
        // Unless they fell silent once more.
        if owed(&*self.store, &account.name).await? == Some(noted) {
            self.store.set_setting(&key(&account.name), Vec::new()).await?;
        }
        Ok(all)
    }

    /// From a cursor on that is no part of any regular poll.
    async fn gap(&self, account: &Account, kind: EntityKind, cursor: Cursor) -> Result<usize, PollError> {
        let (mut all, mut from) = (0, Some(cursor));
        while from.is_some() {
            let round = self.pages(account, kind, from, &format!("gap {kind}")).await?;
            all += round.new;
            from = round.left;
        }
        Ok(all)
    }

    /// The kinds of record that flows carry from there.
    fn told_of(&self, connection: &str) -> Vec<EntityKind> {
        let mut kinds = Vec::new();
        for flow in self.engine.wiring().flows.iter().filter(|flow| flow.from == connection) {
            for kind in flow.on.iter().map(|topic| topic.entity()) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        kinds
    }
}

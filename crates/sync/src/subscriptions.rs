//! Webhook subscriptions: which the vendor has, which are missing, switched off or about to end; repaired on demand and on a
//! schedule, and the gap filled that they left.

use crate::{PollError, Poller, poll::polls};
use jiff::SignedDuration;
use serde::Serialize;
use spindel_connect::{CallError, Registered, Secret, Subscription};
use spindel_engine::Account;
use spindel_model::{EntityKind, Timestamp};
use spindel_store::{EventFilter, Store, StoreError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One that ends sooner than this is renewed now.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(24);
/// Between two checks of one connection.
const EVERY: Duration = Duration::from_secs(3600);
const DUTY_SLACK: SignedDuration = SignedDuration::from_mins(5);
/// How much is asked for again from before the last event: clocks differ, and vendors are late.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// Secrets that are kept for one connection: the newest, and those that may still be in use.
const MOST_SECRETS: usize = 4;

/// One topic, and where the vendor sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub topic: String,
    /// Addresses that the vendor sends it to; empty when it is missing.
    pub addresses: Vec<String>,
    /// Whether the vendor sends to this Spindel's address.
    pub state: Health,
    /// Until when, where the vendor forgets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Active,
    Missing,
    /// The vendor gave up on it.
    Inactive,
    EndsSoon,
    /// Just now.
    Registered,
    Repaired,
}

impl Standing {
    fn is_sound(&self) -> bool {
        matches!(self.state, Health::Active | Health::Registered | Health::Repaired)
    }
}

/// What the vendor has for this connection; nothing when it has no subscriptions that can be listed. Without an address only the
/// topics can be compared.
pub async fn standings(
    account: &Account,
    address: Option<&str>,
    now: Timestamp,
) -> Option<Result<Vec<(Standing, Option<Subscription>)>, CallError>> {
    let listed = match account.connection.subscriptions(&account.api)?.await {
        Ok(listed) => listed,
        Err(error) => return Some(Err(error)),
    };
    let wanted = account.connection.subscription_topics();
    let mut topics: Vec<&str> = wanted.to_vec();
    for one in &listed {
        if !topics.contains(&one.topic.as_str()) {
            topics.push(&one.topic);
        }
    }
    let standing = |topic: &str| {
        let of_topic: Vec<&Subscription> = listed.iter().filter(|it| it.topic == topic).collect();
        let ours = of_topic.iter().find(|it| address.is_none_or(|address| it.address == address)).copied();
        let soon = |at: Timestamp| at < now.saturating_add(ENDS_SOON).unwrap_or(Timestamp::MAX);
        let state = match ours {
            None if wanted.contains(&topic) => Health::Missing,
            None => Health::Active,
            Some(it) if !it.active => Health::Inactive,
            Some(it) if it.expires_at.is_some_and(soon) => Health::EndsSoon,
            Some(_) => Health::Active,
        };
        let addresses = of_topic.iter().map(|it| it.address.clone()).collect();
        let expires_at = ours.and_then(|it| it.expires_at);
        (Standing { topic: topic.to_owned(), addresses, state, expires_at, problem: None }, ours.cloned())
    };
    Some(Ok(topics.into_iter().map(standing).collect()))
}

/// Registers what is missing, and switches on or renews what is not sound. Secrets that the vendor gives are kept in the store
/// before anything else is asked.
pub async fn repair(
    store: &dyn Store,
    account: &Account,
    address: &str,
    standings: Vec<(Standing, Option<Subscription>)>,
) -> Result<Vec<Standing>, StoreError> {
    let mut repaired = Vec::with_capacity(standings.len());
    for (mut standing, subscription) in standings {
        let topic = standing.topic.clone();
        let (calling, done) = match (&subscription, standing.state) {
            (Some(it), Health::Inactive | Health::EndsSoon) => (account.connection.repair(&account.api, it), Health::Repaired),
            (_, Health::Missing) => (account.connection.subscribe(&account.api, &topic, address), Health::Registered),
            _ => {
                repaired.push(standing);
                continue;
            }
        };
        let result = match calling {
            Some(calling) => calling.await,
            None => Err(CallError::config("subscribe", "this connector cannot do that")),
        };
        match result {
            Ok(Registered { subscription, secret }) => {
                if let Some(secret) = secret {
                    keep_secret(store, &account.name, &secret).await?;
                }
                standing.state = done;
                standing.expires_at = subscription.expires_at;
                if !standing.addresses.contains(&subscription.address) {
                    standing.addresses.push(subscription.address);
                }
            }
            Err(error) => standing.problem = Some(error.to_string()),
        }
        repaired.push(standing);
    }
    Ok(repaired)
}

fn secrets_key(connection: &str) -> String {
    format!("webhook_secrets {connection}")
}

/// Secrets that vendors gave at a subscription, newest first.
pub async fn kept_secrets(store: &dyn Store, connection: &str) -> Result<Vec<Secret>, StoreError> {
    let kept = store.setting(&secrets_key(connection)).await?;
    let texts: Vec<String> = kept.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    Ok(texts.into_iter().map(Secret::new).collect())
}

async fn keep_secret(store: &dyn Store, connection: &str, secret: &Secret) -> Result<(), StoreError> {
    let kept = kept_secrets(store, connection).await?;
    let others = kept.iter().map(Secret::expose).filter(|it| *it != secret.expose());
    let all: Vec<&str> = std::iter::once(secret.expose()).chain(others).take(MOST_SECRETS).collect();
    store.set_setting(&secrets_key(connection), serde_json::to_vec(&all).unwrap_or_default()).await
}

/// Looks after the subscriptions of every connection that has any, on one node at a time.
pub struct Keeper {
    pub poller: Poller,
    /// `https://hooks.example.no/in/`, before the connection's name.
    pub inbox: String,
}

impl Keeper {
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let names: Vec<String> = self.poller.engine.wiring().accounts.keys().cloned().collect();
            for name in names {
                tokio::select! {
                    () = stop.cancelled() => return,
                    checked = self.check(&name) => {
                        if let Err(error) = checked {
                            tracing::warn!(connection = name, %error, "subscriptions could not be checked; the next check is in an hour");
                        }
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One check of one connection; answers how many subscriptions were mended.
    pub async fn check(&self, name: &str) -> Result<usize, PollError> {
        let Poller { engine, store, clock, node } = &self.poller;
        let wiring = engine.wiring();
        let Some(account) = wiring.account(name).filter(|it| !it.connection.subscription_topics().is_empty()) else {
            return Ok(0);
        };
        let now = clock.now();
        let until = now + SignedDuration::try_from(EVERY).unwrap_or(DUTY_SLACK) - DUTY_SLACK;
        if !store.hold_duty(&format!("subscriptions {name}"), node, now, until).await? {
            return Ok(0);
        }
        let address = format!("{}{name}", self.inbox);
        let Some(found) = standings(account, Some(&address), now).await else { return Ok(0) };
        let found = found?;
        let silent = found.iter().any(|(it, _)| matches!(it.state, Health::Missing | Health::Inactive));
        if found.iter().all(|(it, _)| it.is_sound()) {
            return Ok(0);
        }
        // Before the repair: what comes from now on is no gap.
        let last = self.last_event(name).await?;
        let standings = repair(&**store, account, &address, found).await?;
        for it in &standings {
            match (&it.problem, it.state) {
                (Some(problem), _) => {
                    tracing::error!(connection = name, topic = it.topic, problem, "a webhook subscription is not sound")
                }
                (None, Health::Registered | Health::Repaired) => {
                    tracing::warn!(connection = name, topic = it.topic, state = ?it.state, "a webhook subscription was mended");
                }
                _ => {}
            }
        }
        let mended = standings.iter().filter(|it| matches!(it.state, Health::Registered | Health::Repaired)).count();
        metrics::counter!("spindel_subscriptions_mended_total", "connection" => name.to_owned()).increment(mended as u64);
        if let (true, true, Some(last)) = (silent, mended > 0, last) {
            self.fill(account, last).await?;
        }
        Ok(mended)
    }

    async fn last_event(&self, connection: &str) -> Result<Option<Timestamp>, StoreError> {
        let filter = EventFilter { connection: Some(connection.to_owned()), limit: 1, ..EventFilter::default() };
        Ok(self.poller.store.events(filter).await?.first().map(|event| event.received_at))
    }

    /// Asks for all that changed since shortly before the last event, where flows want it and the vendor can be asked.
    async fn fill(&self, account: &Account, last: Timestamp) -> Result<(), PollError> {
        let since = last.saturating_sub(OVERLAP).unwrap_or(last);
        for kind in self.wanted(&account.name) {
            match account.connection.poll_since(kind, since).filter(|_| polls(account, kind)) {
                Some(cursor) => {
                    let new = self.poller.gap(account, kind, cursor).await?;
                    tracing::info!(connection = account.name, record = %kind, %since, new, "filled the gap that silent webhooks left");
                }
                None => tracing::warn!(
                    connection = account.name, record = %kind, %since,
                    "webhooks were silent, and this vendor cannot be asked what changed since: compare both ends"
                ),
            }
        }
        Ok(())
    }

    /// The kinds of record that flows carry from there.
    fn wanted(&self, connection: &str) -> Vec<EntityKind> {
        let mut kinds = Vec::new();
        for flow in self.poller.engine.wiring().flows.iter().filter(|flow| flow.from == connection) {
            for kind in flow.on.iter().map(|topic| topic.entity()) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        kinds
    }
}

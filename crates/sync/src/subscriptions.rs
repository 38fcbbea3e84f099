//! Webhook subscriptions: which the vendor has, which are missing, switched off or about to end; and their repair.

use crate::gap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use spindel_connect::{CallError, Registered, Secret, Subscription};
use spindel_engine::Account;
use spindel_model::Timestamp;
use spindel_store::{Store, StoreError};

/// One that ends sooner than this is renewed now.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(24);
/// Secrets that are kept for one topic: the newest, and the one that may still be in use.
const SECRETS_OF_A_TOPIC: usize = 2;

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
    pub(crate) fn is_sound(&self) -> bool {
        matches!(self.state, Health::Active | Health::Registered | Health::Repaired)
    }

    /// By this repair.
    pub(crate) fn is_mended(&self) -> bool {
        matches!(self.state, Health::Registered | Health::Repaired)
    }

    /// The vendor tells nothing of it here.
    fn is_silent(&self) -> bool {
        matches!(self.state, Health::Missing | Health::Inactive)
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
/// before anything else is asked; and before all, that there is a gap to be filled.
pub async fn repair(
    store: &dyn Store,
    account: &Account,
    address: &str,
    standings: Vec<(Standing, Option<Subscription>)>,
    now: Timestamp,
) -> Result<Vec<Standing>, StoreError> {
    let silent: Vec<&str> = standings.iter().filter(|(it, _)| it.is_silent()).map(|(it, _)| it.topic.as_str()).collect();
    gap::owe(store, &account.name, &silent, now).await?;
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
                    keep_secret(store, &account.name, &topic, &secret).await?;
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

#[derive(Serialize, Deserialize)]
struct Kept {
    topic: String,
    secret: String,
}

async fn kept(store: &dyn Store, connection: &str) -> Result<Vec<Kept>, StoreError> {
    let kept = store.setting(&secrets_key(connection)).await?;
    Ok(kept.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default())
}

/// Secrets that vendors gave at a subscription, newest first.
pub async fn kept_secrets(store: &dyn Store, connection: &str) -> Result<Vec<Secret>, StoreError> {
    Ok(kept(store, connection).await?.into_iter().map(|it| Secret::new(it.secret)).collect())
}

/// A vendor may give one for each topic.
async fn keep_secret(store: &dyn Store, connection: &str, topic: &str, secret: &Secret) -> Result<(), StoreError> {
    let new = Kept { topic: topic.to_owned(), secret: secret.expose().to_owned() };
    let mut all = kept(store, connection).await?;
    all.retain(|it| it.secret != new.secret);
    all.insert(0, new);
    let mut of_topic = 0;
    all.retain(|it| {
        of_topic += usize::from(it.topic == topic);
        it.topic != topic || of_topic <= SECRETS_OF_A_TOPIC
    });
    store.set_setting(&secrets_key(connection), serde_json::to_vec(&all).unwrap_or_default()).await
}

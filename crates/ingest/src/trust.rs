//! What requests are proved with beyond the settings: secrets that vendors gave at a subscription, and keys that they publish.
//! Both are read seldom and kept in memory: whoever sends forgeries must not make this Spindel ask anybody anything each time.

use spindel_connect::{BoxFuture, Secret};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Where they come from.
pub trait Sources: Send + Sync {
    /// Secrets that the vendor gave this connection, newest first.
    fn secrets<'a>(&'a self, connection: &'a str) -> BoxFuture<'a, Result<Vec<Secret>, String>>;
    /// The public key (PEM) at an address that the connector allows; `None` when there is none.
    fn published_key<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Option<String>, String>>;
}

/// Secrets are read again after this.
const SECRETS_FOR: Duration = Duration::from_secs(60);
/// When a proof fails, they are read again unless they are as new as this: one may have been given a moment ago.
const SECRETS_DOUBTED_AFTER: Duration = Duration::from_secs(5);
const SECRETS_WITHIN: Duration = Duration::from_millis(1500);
const KEYS_FOR: Duration = Duration::from_secs(24 * 3600);
/// A key that is not there may be there soon.
const NO_KEY_FOR: Duration = Duration::from_secs(60);
const KEY_WITHIN: Duration = Duration::from_secs(5);
/// Of one connection.
const MOST_KEYS: usize = 8;
const MOST_MISSING_KEYS: usize = 32;
/// Fetches of one connection in [`NO_KEY_FOR`]; genuine requests need one for each new key.
const MOST_FETCHES: usize = 8;

/// A memory of [`Sources`].
pub struct Trust {
    sources: Arc<dyn Sources>,
    secrets: Mutex<HashMap<String, Read>>,
    keys: Mutex<HashMap<String, Keys>>,
    /// One fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Read {
    at: Instant,
    secrets: Vec<Secret>,
}

/// Published keys of one connection.
#[derive(Default)]
struct Keys {
    there: Vec<(String, String, Instant)>,
    missing: Vec<(String, Instant)>,
    fetches: Vec<Instant>,
}

/// How much older than now secrets may be.
#[derive(Clone, Copy)]
pub(crate) enum Doubt {
    None,
    /// A proof failed with them.
    Some,
}

/// Keys for one request.
#[derive(Default)]
pub(crate) struct Found {
    pub keys: Vec<(String, String)>,
    /// Some could not be asked for: what fails without them may be genuine.
    pub unreachable: bool,
}

impl Trust {
    pub fn new(sources: Arc<dyn Sources>) -> Self {
        Self { sources, secrets: Mutex::default(), keys: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    pub(crate) async fn secrets(&self, connection: &str, doubt: Doubt) -> Result<Vec<Secret>, String> {
        let good_for = match doubt {
            Doubt::None => SECRETS_FOR,
            Doubt::Some => SECRETS_DOUBTED_AFTER,
        };
        let known = self.secrets.lock().unwrap_or_else(PoisonError::into_inner).get(connection).cloned();
        if let Some(known) = known.as_ref().filter(|it| it.at.elapsed() < good_for) {
            return Ok(known.secrets.clone());
        }
        let read = tokio::time::timeout(SECRETS_WITHIN, self.sources.secrets(connection)).await;
        match (read.unwrap_or_else(|_| Err("no answer in time".to_owned())), known) {
            (Ok(secrets), _) => {
                let read = Read { at: Instant::now(), secrets: secrets.clone() };
                self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.to_owned(), read);
                Ok(secrets)
            }
            // What was true a minute ago is better than refusing everybody.
            (Err(_), Some(known)) => Ok(known.secrets),
            (Err(why), None) => Err(format!("the kept webhook secrets cannot be read: {why}")),
        }
    }

    pub(crate) async fn keys(&self, connection: &str, addresses: &[String]) -> Found {
        let mut found = Found::default();
        for address in addresses {
            if let Some(known) = self.known(connection, address) {
                found.keys.extend(known.map(|pem| (address.clone(), pem)));
                continue;
            }
            let _turn = self.fetching.lock().await;
            // Whoever had the turn before may have fetched the same.
            if let Some(known) = self.known(connection, address) {
                found.keys.extend(known.map(|pem| (address.clone(), pem)));
                continue;
            }
            match self.fetch(connection, address).await {
                Some(fetched) => found.keys.extend(fetched.map(|pem| (address.clone(), pem))),
                None => found.unreachable = true,
            }
        }
        found
    }

    /// `Some(None)`: known not to be there.
    fn known(&self, connection: &str, address: &str) -> Option<Option<String>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = keys.get(connection)?;
        let there = keys.there.iter().find(|(one, _, at)| one == address && at.elapsed() < KEYS_FOR);
        let missing = || keys.missing.iter().any(|(one, at)| one == address && at.elapsed() < NO_KEY_FOR);
        there.map(|(_, pem, _)| Some(pem.clone())).or_else(|| missing().then_some(None))
    }

    /// `None`: it could not be asked for, or not now.
    async fn fetch(&self, connection: &str, address: &str) -> Option<Option<String>> {
        let now = Instant::now();
        {
            let mut all = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            let keys = all.entry(connection.to_owned()).or_default();
            keys.fetches.retain(|at| at.elapsed() < NO_KEY_FOR);
            if keys.fetches.len() >= MOST_FETCHES {
                return None;
            }
            keys.fetches.push(now);
        }
        let asked = tokio::time::timeout(KEY_WITHIN, self.sources.published_key(address)).await;
        let fetched = match asked.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(fetched) => fetched,
            Err(why) => {
                tracing::warn!(connection, why, "a published key of the vendor could not be fetched");
                return None;
            }
        };
        let mut all = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = all.entry(connection.to_owned()).or_default();
        match &fetched {
            Some(pem) => {
                keys.there.retain(|(one, ..)| one != address);
                keys.there.push((address.to_owned(), pem.clone(), now));
                let over = keys.there.len().saturating_sub(MOST_KEYS);
                keys.there.drain(..over);
            }
            None => {
                keys.missing.retain(|(one, _)| one != address);
                keys.missing.push((address.to_owned(), now));
                let over = keys.missing.len().saturating_sub(MOST_MISSING_KEYS);
                keys.missing.drain(..over);
            }
        }
        Some(fetched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Asked {
        secrets: AtomicUsize,
        keys: AtomicUsize,
        down: std::sync::atomic::AtomicBool,
    }

    impl Sources for Asked {
        fn secrets<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Secret>, String>> {
            Box::pin(async {
                if self.down.load(Ordering::SeqCst) {
                    return Err("down".to_owned());
                }
                let number = self.secrets.fetch_add(1, Ordering::SeqCst);
                Ok(vec![Secret::new(format!("s{number}"))])
            })
        }

        fn published_key<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Option<String>, String>> {
            Box::pin(async move {
                self.keys.fetch_add(1, Ordering::SeqCst);
                if self.down.load(Ordering::SeqCst) {
                    return Err("down".to_owned());
                }
                Ok((!address.ends_with("none")).then(|| format!("pem of {address}")))
            })
        }
    }

    async fn secret(trust: &Trust, doubt: Doubt) -> Result<String, String> {
        trust.secrets("shop", doubt).await.map(|all| all[0].expose().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_are_read_once_a_minute_and_sooner_when_they_are_doubted() {
        let asked = Arc::new(Asked::default());
        let trust = Trust::new(Arc::clone(&asked) as _);
        for (wait, doubt, read) in [
            (0, Doubt::None, "s0"),
            (59, Doubt::None, "s0"),
            (1, Doubt::None, "s1"),
            (4, Doubt::Some, "s1"),
            (1, Doubt::Some, "s2"),
        ] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            assert_eq!(secret(&trust, doubt).await.unwrap(), read);
        }
        asked.down.store(true, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(120)).await;
        assert_eq!(secret(&trust, Doubt::None).await.unwrap(), "s2", "a store that is down makes no genuine request a forgery");
        assert!(trust.secrets("other", Doubt::None).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_fetched_once_a_day_and_a_missing_one_once_a_minute() {
        let asked = Arc::new(Asked::default());
        let trust = Trust::new(Arc::clone(&asked) as _);
        let count = |fetches| assert_eq!(asked.keys.load(Ordering::SeqCst), fetches);
        let both = ["https://a/k1".to_owned(), "https://a/none".to_owned()];
        for _ in 0..20 {
            let found = trust.keys("shop", &both).await;
            assert_eq!(found.keys, [("https://a/k1".to_owned(), "pem of https://a/k1".to_owned())]);
            assert!(!found.unreachable);
        }
        count(2);
        tokio::time::advance(Duration::from_secs(61)).await;
        trust.keys("shop", &both).await;
        count(3);
        tokio::time::advance(KEYS_FOR).await;
        trust.keys("shop", &both).await;
        count(5);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_who_name_many_keys_are_not_fetched_for_and_push_no_key_out() {
        let asked = Arc::new(Asked::default());
        let trust = Trust::new(Arc::clone(&asked) as _);
        trust.keys("shop", &["https://a/k1".to_owned()]).await;
        for number in 0..1000 {
            trust.keys("shop", &[format!("https://a/{number}/none")]).await;
        }
        assert_eq!(asked.keys.load(Ordering::SeqCst), MOST_FETCHES);
        assert_eq!(trust.keys("shop", &["https://a/k1".to_owned()]).await.keys.len(), 1);
        assert!(trust.keys("shop", &["https://a/k2".to_owned()]).await.unreachable, "it may be genuine");
        assert!(!trust.keys("other", &["https://a/k2".to_owned()]).await.unreachable);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_eight_keys_are_kept_and_an_unreachable_vendor_is_no_missing_key() {
        let asked = Arc::new(Asked::default());
        let trust = Trust::new(Arc::clone(&asked) as _);
        for number in 0..20 {
            trust.keys("shop", &[format!("https://a/{number}")]).await;
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        assert_eq!(trust.keys.lock().unwrap()["shop"].there.len(), MOST_KEYS);
        asked.down.store(true, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(trust.keys("shop", &["https://a/new".to_owned()]).await.unreachable);
        asked.down.store(false, Ordering::SeqCst);
        assert_eq!(trust.keys("shop", &["https://a/new".to_owned()]).await.keys.len(), 1);
    }
}

//! What carriers said lately, by carrier and question; bounded.

use sha2::{Digest as _, Sha256};
use spindel_model::{Rate, RateRequest};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Answers that are kept in all; the oldest half goes when there are more.
const MOST: usize = 4096;

pub(crate) type Key = [u8; 32];

/// The same for the same goods to the same place: who lives there does not matter, and is not kept.
pub(crate) fn key(carrier: &str, request: &RateRequest) -> Key {
    let place = |it: &spindel_model::Address| serde_json::json!([it.country, it.postal_code, it.city, it.region]);
    let items: Vec<_> = request.items.iter().map(|it| serde_json::json!([it.sku, it.quantity, it.grams, it.price])).collect();
    let question = serde_json::json!([
        carrier,
        request.currency,
        request.locale,
        request.origin.as_ref().map(place),
        place(&request.destination),
        items
    ]);
    Sha256::digest(question.to_string().as_bytes()).into()
}

#[derive(Default)]
pub(crate) struct Answers(Mutex<HashMap<Key, (Instant, Vec<Rate>)>>);

impl Answers {
    /// No older than this.
    pub fn fresh(&self, key: &Key, within: Duration) -> Option<Vec<Rate>> {
        let answers = self.all();
        let (at, rates) = answers.get(key)?;
        (at.elapsed() <= within).then(|| rates.clone())
    }

    pub fn keep(&self, key: Key, rates: Vec<Rate>) {
        let mut answers = self.all();
        if answers.len() >= MOST {
            let mut times: Vec<Instant> = answers.values().map(|(at, _)| *at).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            answers.retain(|_, (at, _)| *at > middle);
        }
        answers.insert(key, (Instant::now(), rates));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, (Instant, Vec<Rate>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One shop's desk: its carriers, its deadline, its table.

use crate::{
    Fallback,
    answers::{Answers, Key, key},
    fallback,
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use spindel_connect::{Api, Connection};
use spindel_model::{Rate, RateRequest, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::Instant};

/// A late or failing carrier's last word is still worth more than a table, for this long.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Questions to one carrier at the same time; more are answered by what is known.
const AT_ONCE: usize = 64;

/// `[rates.NAME]`
pub struct Desk {
    pub carriers: Vec<Carrier>,
    /// From the question to the answer.
    pub deadline: Duration,
    /// How long an answer is good for the same question.
    pub keep: Duration,
    pub fallback: Vec<Fallback>,
    answers: Arc<Answers>,
}

/// A connection that says what it costs.
#[derive(Clone)]
pub struct Carrier {
    pub name: String,
    pub connection: Arc<dyn Connection>,
    pub api: Api,
    slots: Arc<Semaphore>,
}

impl Carrier {
    pub fn new(name: impl Into<String>, connection: Arc<dyn Connection>, api: Api) -> Self {
        Self { name: name.into(), connection, api, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Desk {
    pub fn new(carriers: Vec<Carrier>, deadline: Duration, keep: Duration, fallback: Vec<Fallback>) -> Self {
        Self { carriers, deadline, keep, fallback, answers: Arc::default() }
    }

    /// Rates of all carriers, cheapest first. Never later than the deadline, and never empty where there is a table.
    pub async fn rates(&self, request: &RateRequest, now: Timestamp) -> Vec<Rate> {
        let until = Instant::now() + self.deadline;
        let mut asked: FuturesUnordered<_> = self.carriers.iter().map(|carrier| self.ask(carrier, request, until)).collect();
        let mut rates = Vec::new();
        while let Some(answer) = asked.next().await {
            rates.extend(answer);
        }
        rates.retain(|rate| rate.price.currency == request.currency);
        if rates.is_empty() {
            metrics::counter!("spindel_rates_fallback_total").increment(1);
            let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
            rates = fallback::rates(&self.fallback, request, today);
        }
        rates.sort_by_key(|rate| rate.price.amount);
        rates
    }

    async fn ask(&self, carrier: &Carrier, request: &RateRequest, until: Instant) -> Vec<Rate> {
        let key = key(&carrier.name, request);
        if let Some(rates) = self.answers.fresh(&key, self.keep) {
            return rates;
        }
        // In a task of its own: an answer that comes too late for this checkout serves the next one.
        let asking = tokio::spawn(fetch(carrier.clone(), request.clone(), key, Arc::clone(&self.answers)));
        match tokio::time::timeout_at(until, asking).await {
            Ok(Ok(Some(rates))) => rates,
            _ => self.answers.fresh(&key, STALE).unwrap_or_default(),
        }
    }
}

/// `None` when the carrier did not answer; an empty list is an answer.
async fn fetch(carrier: Carrier, request: RateRequest, key: Key, answers: Arc<Answers>) -> Option<Vec<Rate>> {
    let _slot = carrier.slots.clone().try_acquire_owned().ok()?;
    let started = Instant::now();
    let answer = carrier.connection.quote(&carrier.api, &request)?.await;
    metrics::histogram!("spindel_rates_seconds", "connection" => carrier.name.clone()).record(started.elapsed().as_secs_f64());
    match answer {
        Ok(rates) => {
            answers.keep(key, rates.clone());
            Some(rates)
        }
        Err(error) => {
            tracing::warn!(connection = carrier.name, %error, "a carrier gave no rates; the checkout goes on without it");
            None
        }
    }
}

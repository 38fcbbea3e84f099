//! Looks after webhook subscriptions: checks them every hour, mends what is not sound, and sees to it that gaps are filled.

use crate::{PollError, Poller, gap::BETWEEN_CHECKS, repair, standings};
use jiff::SignedDuration;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two checks of one connection.
const EVERY: Duration = Duration::from_secs(BETWEEN_CHECKS.as_secs() as u64);
/// After a check that came to nothing, or a gap that could not be filled.
const REST: Duration = Duration::from_secs(300);
/// How often it is looked whether somebody else mended something and left a gap to be filled.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const DUTY_SLACK: SignedDuration = SignedDuration::from_mins(5);

/// Looks after the subscriptions of every connection that has any, on one node at a time.
pub struct Keeper {
    pub poller: Poller,
    /// `https://hooks.example.no/in/`, before the connection's name.
    pub inbox: String,
}

/// What is due next for one connection.
struct Due {
    check: Instant,
    fill: Instant,
}

impl Keeper {
    pub async fn run(self, stop: CancellationToken) {
        let mut due: HashMap<String, Due> = HashMap::new();
        while !stop.is_cancelled() {
            let names: Vec<String> = self.poller.engine.wiring().accounts.keys().cloned().collect();
            for name in names {
                let now = Instant::now();
                let due = due.entry(name.clone()).or_insert(Due { check: now, fill: now });
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.look_after(&name, due) => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look_after(&self, name: &str, due: &mut Due) {
        let now = Instant::now();
        if due.check <= now {
            due.check = now + EVERY;
            if let Err(error) = self.check(name).await {
                tracing::warn!(connection = name, %error, "subscriptions could not be checked; it is tried again soon");
                (due.check, due.fill) = (now + REST, now + REST);
            }
        }
        if due.fill <= now
            && let Err(error) = self.fill(name).await
        {
            tracing::warn!(connection = name, %error, "what silent webhooks left out could not be asked for; it is tried again");
            due.fill = now + REST;
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
        if !store.hold_duty(&format!("subscriptions {name}"), node, now, now + BETWEEN_CHECKS - DUTY_SLACK).await? {
            return Ok(0);
        }
        let address = format!("{}{name}", self.inbox);
        let Some(found) = standings(account, Some(&address), now).await else { return Ok(0) };
        let found = found?;
        if found.iter().all(|(it, _)| it.is_sound()) {
            return Ok(0);
        }
        let standings = repair(&**store, account, &address, found, now).await?;
        for it in &standings {
            match &it.problem {
                Some(problem) => {
                    tracing::error!(connection = name, topic = it.topic, problem, "a webhook subscription is not sound")
                }
                None if it.is_mended() => {
                    tracing::warn!(connection = name, topic = it.topic, state = ?it.state, "a webhook subscription was mended");
                }
                None => {}
            }
        }
        let mended = standings.iter().filter(|it| it.is_mended()).count();
        metrics::counter!("spindel_subscriptions_mended_total", "connection" => name.to_owned()).increment(mended as u64);
        Ok(mended)
    }

    /// Asks for what silent webhooks left out, if anything; answers how much of it was new.
    pub async fn fill(&self, name: &str) -> Result<usize, PollError> {
        let wiring = self.poller.engine.wiring();
        match wiring.account(name).filter(|it| !it.connection.subscription_topics().is_empty()) {
            Some(account) => self.poller.fill_gap(account).await,
            None => Ok(0),
        }
    }
}

//! How much may be asked: by ten seconds, by the day, and by the second of the search. Every answer says what is left.

use super::{Options, api::Problem};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use std::collections::VecDeque;

const WINDOW_MILLIS: i64 = 10_000;
const SEARCHES_A_SECOND: usize = 5;

#[derive(Default)]
pub(crate) struct Limits {
    calls: VecDeque<Timestamp>,
    searches: VecDeque<Timestamp>,
    pub used_today: u64,
}

impl Limits {
    /// Takes one call, or says which limit it is over.
    pub fn take(&mut self, options: &Options, now: Timestamp, search: bool) -> Result<(), Problem> {
        recent(&mut self.calls, now, WINDOW_MILLIS);
        recent(&mut self.searches, now, 1_000);
        let over = match () {
            () if self.used_today >= options.daily => Some(("DAILY", "daily")),
            () if self.calls.len() >= options.burst => Some(("TEN_SECONDLY_ROLLING", "ten_secondly_rolling")),
            () if search && self.searches.len() >= SEARCHES_A_SECOND => Some(("SECONDLY", "secondly")),
            () => None,
        };
        if let Some((policy, word)) = over {
            let message = format!("You have reached your {word} limit.");
            let body = json!({
                "status": "error", "message": message, "errorType": "RATE_LIMIT", "policyName": policy,
                "correlationId": "c033cdaa-2c40-4a64-ae48-b4cec88dad24", "groupName": "publicapi:private-apps:24681357",
            });
            return Err(Problem { status: StatusCode::TOO_MANY_REQUESTS, message, body });
        }
        self.used_today += 1;
        self.calls.push_back(now);
        if search {
            self.searches.push_back(now);
        }
        Ok(())
    }

    pub fn headers(&self, options: &Options) -> [(&'static str, u64); 5] {
        let number = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        [
            ("x-hubspot-ratelimit-daily", options.daily),
            ("x-hubspot-ratelimit-daily-remaining", options.daily.saturating_sub(self.used_today)),
            ("x-hubspot-ratelimit-interval-milliseconds", WINDOW_MILLIS.unsigned_abs()),
            ("x-hubspot-ratelimit-max", number(options.burst)),
            ("x-hubspot-ratelimit-remaining", number(options.burst.saturating_sub(self.calls.len()))),
        ]
    }
}

fn recent(calls: &mut VecDeque<Timestamp>, now: Timestamp, millis: i64) {
    while calls.front().is_some_and(|at| now.as_millisecond() - at.as_millisecond() >= millis) {
        calls.pop_front();
    }
}

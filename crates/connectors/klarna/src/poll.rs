//! Payouts as they are settled: Klarna tells of none by itself.

use crate::{Klarna, read, wire::payout};
use serde::{Deserialize, Serialize};
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{Change, EntityKind, EntityRef, Payout, Record, Timestamp, Topic};

const POLL_PAYOUTS: &str = "poll_payouts";

/// Payouts of one page; the rows of each take a call of their own.
const SIZE: usize = 20;
/// Payouts of one window; nobody is paid as often.
const MOST: usize = 10_000;
/// How far back the first poll goes.
const FIRST: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);
/// Payouts are dated before they can be seen, over a weekend or a holiday too.
const OVERLAP: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// A window of payout dates, and how many payouts of it were seen.
#[derive(Serialize, Deserialize)]
struct Place {
    from: Timestamp,
    /// Set while the window is being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
    #[serde(default)]
    offset: usize,
}

impl Poll<Payout> for Klarna {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        // Klarna takes whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let place = match cursor {
            Some(cursor) => serde_json::from_str(&cursor.0)
                .map_err(|_| CallError::data(POLL_PAYOUTS, "the kept cursor cannot be read; reset it to poll anew"))?,
            None => Place { from: before(now, FIRST), to: None, offset: 0 },
        };
        if place.offset >= MOST {
            let problem = format!("more than {MOST} payouts are dated between {} and {now}", place.from);
            return Err(CallError::data(POLL_PAYOUTS, problem));
        }
        let to = place.to.unwrap_or(now);
        let found: payout::Payouts = api.get(POLL_PAYOUTS, path(&place, to)).fetch().await?;
        let mut changes = Vec::with_capacity(found.payouts.len());
        for settled in &found.payouts {
            let payout = read::with_rows(api, POLL_PAYOUTS, settled).await?;
            changes.push(Change {
                topic: Topic::PayoutCreated,
                entity: EntityRef::new(EntityKind::Payout, &payout.id),
                version: settled.payout_date.0.into(),
                record: Record::Payout(Box::new(payout)),
            });
        }
        let more = found.payouts.len() >= SIZE;
        let next = match more {
            true => Place { from: place.from, to: Some(to), offset: place.offset + found.payouts.len() },
            false => Place { from: before(to, OVERLAP), to: None, offset: 0 },
        };
        let cursor = serde_json::to_string(&next).map_err(|error| CallError::data(POLL_PAYOUTS, error.to_string()))?;
        Ok(Page { changes, cursor: Cursor(cursor), more })
    }
}

fn before(at: Timestamp, by: jiff::SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(at)
}

fn path(place: &Place, to: Timestamp) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("start_date", &place.from.to_string())
        .append_pair("end_date", &to.to_string())
        .append_pair("size", &SIZE.to_string())
        .append_pair("offset", &place.offset.to_string())
        .finish();
    format!("/settlements/v1/payouts?{query}")
}

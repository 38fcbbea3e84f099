//! Payouts, from the ledgers of the Report API.
//!
//! A ledger is walked by its days, which are complete once they are closed. The entries since one payout make up the next:
//! until it comes, they are read again, so that the cursor stays small.

use crate::{
    Vipps,
    wire::{Entry, Ledgers, Report},
};
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{Change, Payout, Timestamp};
use std::collections::BTreeMap;

/// Without a cursor, older payouts are history: they were dealt with before Spindel came.
const FIRST_DAYS: i64 = 14;
/// Vipps pays out at least once a month.
const MOST_DAYS: usize = 62;
/// After so many days a day without a report will have none any more.
const LATEST_DAYS: i64 = 7;
const MOST_PAGES: usize = 200;
const MOST_LEDGERS: usize = 20;

/// Where each ledger's next payout begins.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    #[serde(default)]
    ledgers: BTreeMap<String, Since>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Since {
    pub date: Date,
    /// The payout of that day after which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What came of walking one ledger.
struct Walked {
    changes: Vec<Change>,
    since: Since,
    more: bool,
}

impl Poll<Payout> for Vipps {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let place: Place = match cursor {
            None => Place::default(),
            Some(cursor) => serde_json::from_str(&cursor.0)
                .map_err(|_| CallError::data("poll", "the cursor is not one of this connector: clear it to begin again"))?,
        };
        let today = now.to_zoned(TimeZone::UTC).date();
        let mut page = Page { changes: Vec::new(), cursor: Cursor(String::new()), more: false };
        let mut next = Place::default();
        for ledger in self.ledgers(api).await? {
            let first = || Since { date: today.saturating_sub(FIRST_DAYS.days()), after: None };
            let since = place.ledgers.get(&ledger).cloned().unwrap_or_else(first);
            let walked = self.walk(api, &ledger, since, today).await?;
            page.changes.extend(walked.changes);
            page.more |= walked.more;
            next.ledgers.insert(ledger, walked.since);
        }
        page.cursor = Cursor(serde_json::to_string(&next).map_err(|error| CallError::unexpected("poll", error.to_string()))?);
        Ok(page)
    }
}

impl Vipps {
    /// Ids of the ledgers that settle for this sales unit.
    async fn ledgers(&self, api: &Api) -> Result<Vec<String>, CallError> {
        const OPERATION: &str = "list_ledgers";
        let mut found: Vec<String> = Vec::new();
        let mut path = format!("/settlement/v1/ledgers?settlesForRecipientHandles=api%3A{}", self.msn);
        for _ in 0..MOST_LEDGERS {
            let page: Ledgers = api.get(OPERATION, path).fetch().await?;
            found.extend(page.items.into_iter().map(|it| it.ledger_id));
            let Some(cursor) = page.cursor.filter(|it| !it.is_empty()) else { break };
            path = format!("/settlement/v1/ledgers?{}", query(&cursor));
        }
        found.dedup();
        found.truncate(MOST_LEDGERS);
        match found.iter().all(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')) {
            true => Ok(found),
            false => Err(CallError::unexpected(OPERATION, "a ledger id is not made of letters and digits")),
        }
    }

    /// Goes on until a day with a payout is done, or no further day is closed.
    async fn walk(&self, api: &Api, ledger: &str, since: Since, today: Date) -> Result<Walked, CallError> {
        let mut begin = since.clone();
        let mut date = since.date;
        let mut entries = Vec::new();
        let mut changes = Vec::new();
        for _ in 0..MOST_DAYS {
            let day = if date < today { self.day(api, ledger, "funds", date).await? } else { None };
            let day = match day {
                Some(day) => day,
                None if self.has_none(api, ledger, date, today).await? => Vec::new(),
                None => return Ok(Walked { changes, since: begin, more: false }),
            };
            let done = since.after.as_ref().filter(|_| date == since.date);
            let done = done.and_then(|id| day.iter().position(|it| it.is_payout() && it.id() == *id)).map_or(0, |at| at + 1);
            for entry in day.into_iter().skip(done) {
                if !entry.is_payout() {
                    entries.push(entry);
                    continue;
                }
                let fees = self.fees(api, ledger, &entries, &begin, date).await?;
                changes.push(self.payout(ledger, &entry, &entries, fees)?);
                entries.clear();
                begin = Since { date, after: Some(entry.id()) };
            }
            if !changes.is_empty() {
                return Ok(Walked { changes, since: begin, more: true });
            }
            date = date.saturating_add(1.day());
        }
        // Nothing was paid out for longer than that takes: what is older is left to the payout's line of the rest.
        let later = Since { date: since.date.saturating_add(31.days()), after: None };
        Ok(Walked { changes, since: later, more: true })
    }

    /// Whether a day without a report will have none any more, as those before the ledger was opened. Days are closed in
    /// their order, so that a later one with a report says it.
    async fn has_none(&self, api: &Api, ledger: &str, date: Date, today: Date) -> Result<bool, CallError> {
        if date < today.saturating_sub(LATEST_DAYS.days()) {
            return Ok(true);
        }
        let mut later = date.saturating_add(1.day());
        while later < today {
            if self.day(api, ledger, "funds", later).await?.is_some() {
                return Ok(true);
            }
            later = later.saturating_add(1.day());
        }
        Ok(false)
    }

    /// The fees in detail, where this payout has any in sum.
    async fn fees(&self, api: &Api, ledger: &str, entries: &[Entry], begin: &Since, end: Date) -> Result<Vec<Entry>, CallError> {
        let mut fees = Vec::new();
        if !entries.iter().any(Entry::takes_fees) {
            return Ok(fees);
        }
        let mut date = begin.date;
        while date <= end {
            fees.extend(self.day(api, ledger, "fees", date).await?.unwrap_or_default());
            date = date.saturating_add(1.day());
        }
        Ok(fees)
    }

    /// One day of a ledger; `None` while it is not closed.
    async fn day(&self, api: &Api, ledger: &str, topic: &'static str, date: Date) -> Result<Option<Vec<Entry>>, CallError> {
        const OPERATION: &str = "read_ledger";
        let path = format!("/report/v2/ledgers/{ledger}/{topic}/dates/{date}");
        let mut entries = Vec::new();
        let mut asked = path.clone();
        for _ in 0..MOST_PAGES {
            let Some(page) = api.get(OPERATION, asked).find::<Report>().await? else { return Ok(None) };
            if page.try_later {
                return Ok(None);
            }
            entries.extend(page.items);
            match page.cursor.filter(|it| page.has_more && !it.is_empty()) {
                Some(cursor) => asked = format!("{path}?{}", query(&cursor)),
                None => return Ok(Some(entries)),
            }
        }
        Err(CallError::unexpected(OPERATION, format!("the day {date} of ledger {ledger} has more than {MOST_PAGES} pages")))
    }
}

fn query(cursor: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("cursor", cursor).finish()
}

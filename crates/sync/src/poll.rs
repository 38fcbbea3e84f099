//! Polls: a page is committed together with the cursor that comes after it, so that nothing between two pages is lost.

use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::SignedDuration;
use spindel_connect::{CallError, Cursor, Described, Journal};
use spindel_engine::{Account, Engine, Wiring};
use spindel_model::{Cause, Change, Clock, EntityKind, EventId, Payments, Timestamp};
use spindel_store::{Appended, CursorMove, NewEvent, Store, StoreError};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often it is looked which polls are due.
const TICK: Duration = Duration::from_millis(250);
/// The duty of polling is kept this long beyond the interval, so that it moves on when its node dies.
const DUTY_SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Pages of one round; what is left comes with the next.
const MOST_PAGES: usize = 200;
/// A failing poll rests longer and longer, up to this many intervals.
const MOST_REST: u32 = 16;

/// Polls for every flow that says `every`, until `stop`.
pub struct Poller {
    pub engine: Arc<Engine>,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub node: String,
}

/// Why a round of polling ended early.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("connection `{0}` cannot poll {1} records")]
    Unable(String, EntityKind),
}

/// What came of asking.
pub(crate) struct Round {
    /// Changes that were new.
    pub new: usize,
    /// Where it goes on, when there was more than one round takes.
    pub left: Option<Cursor>,
}

#[derive(Default)]
struct Schedule {
    next: Option<Timestamp>,
    failures: u32,
    under_way: bool,
}

impl Schedule {
    /// How long to rest after a round.
    fn after(&mut self, from: &str, kind: EntityKind, every: Duration, result: &Result<usize, PollError>) -> Duration {
        match result {
            Ok(_) => {
                if self.failures > 0 {
                    tracing::info!(connection = from, record = %kind, failures = self.failures, "poll works again");
                }
                self.failures = 0;
                every
            }
            Err(error) => {
                self.failures += 1;
                if self.failures == 1 {
                    tracing::warn!(connection = from, record = %kind, %error, "poll failed; it is tried again");
                }
                every * self.failures.min(MOST_REST)
            }
        }
    }
}

impl Poller {
    pub async fn run(self, stop: CancellationToken) {
        let mut schedules: HashMap<(String, EntityKind), Schedule> = HashMap::new();
        // Side by side, so that a slow system holds back no other; a stop drops them: no page is half committed.
        let (poller, mut rounds) = (&self, FuturesUnordered::new());
        while !stop.is_cancelled() {
            for ((from, kind), every) in self.wanted() {
                let now = self.clock.now();
                let schedule = schedules.entry((from.clone(), kind)).or_default();
                let rests = schedule.under_way || schedule.next.is_some_and(|next| next > now);
                if rests || !self.on_duty(&from, kind, every, now).await {
                    continue;
                }
                schedule.under_way = true;
                rounds.push(async move {
                    let result = poller.round(&from, kind).await;
                    (from, kind, every, result)
                });
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some((from, kind, every, result)) = rounds.next() => {
                    let schedule = schedules.entry((from.clone(), kind)).or_default();
                    schedule.under_way = false;
                    let rest = schedule.after(&from, kind, every, &result);
                    schedule.next = self.clock.now().checked_add(rest).ok();
                }
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// What is polled, by the most impatient flow.
    fn wanted(&self) -> BTreeMap<(String, EntityKind), Duration> {
        let mut wanted = BTreeMap::new();
        let wiring = self.engine.wiring();
        for flow in &wiring.flows {
            let Some(every) = flow.every else { continue };
            for topic in &flow.on {
                let shortest = wanted.entry((flow.from.clone(), topic.entity())).or_insert(every);
                *shortest = every.min(*shortest);
            }
        }
        for (from, kind, every) in wiring.payments.iter().flat_map(|payments| asked_for_payments(&wiring, payments)) {
            wanted.entry((from, kind)).or_insert(every);
        }
        wanted
    }

    async fn on_duty(&self, from: &str, kind: EntityKind, every: Duration, now: Timestamp) -> bool {
        let every = SignedDuration::try_from(every).unwrap_or(DUTY_SLACK);
        let held = self.store.hold_duty(&format!("poll {kind} {from}"), &self.node, now, now + every + DUTY_SLACK).await;
        held.unwrap_or(false)
    }

    /// Fetches all pages that are there now; answers how many changes were new.
    pub async fn round(&self, from: &str, kind: EntityKind) -> Result<usize, PollError> {
        let wiring = self.engine.wiring();
        let account = wiring.account(from).ok_or_else(|| PollError::Unable(from.to_owned(), kind))?;
        if kind == EntityKind::Shipment && !polls(account, kind) {
            return self.follow_parcels(account).await;
        }
        let cursor = self.store.cursor(from, kind.as_str()).await?.map(Cursor);
        Ok(self.pages(account, kind, cursor, kind.as_str(), |change| vec![change]).await?.new)
    }

    pub(crate) async fn pages(
        &self,
        account: &Account,
        kind: EntityKind,
        mut cursor: Option<Cursor>,
        kept_as: &str,
        tell: impl Fn(Change) -> Vec<Change>,
    ) -> Result<Round, PollError> {
        let from = account.name.as_str();
        let mut new = 0;
        for _ in 0..MOST_PAGES {
            let page = self.page(account, kind, cursor.as_ref()).await?;
            let moved = CursorMove { connection: from.to_owned(), kind: kept_as.to_owned(), cursor: page.cursor.0.clone() };
            let events = page.changes.into_iter().flat_map(&tell).map(|change| self.event(from, &change)).collect();
            let appended = self.store.append_page(events, moved).await?;
            new += appended.into_iter().filter(|it| self.announced(from, *it)).count();
            if !page.more || cursor.as_ref() == Some(&page.cursor) {
                return Ok(Round { new, left: None });
            }
            cursor = Some(page.cursor);
        }
        Ok(Round { new, left: cursor })
    }

    /// Announces an event that is new.
    pub(crate) fn announced(&self, from: &str, appended: Appended) -> bool {
        let Appended::New(id) = appended else { return false };
        self.engine.announce(id);
        metrics::counter!("spindel_events_accepted_total", "connection" => from.to_owned()).increment(1);
        true
    }

    async fn page(
        &self,
        account: &Account,
        kind: EntityKind,
        cursor: Option<&Cursor>,
    ) -> Result<spindel_connect::Page, PollError> {
        let api = account.api.with_journal(Journal::default());
        let page = account.connection.poll(&api, kind, cursor, self.clock.now());
        Ok(page.ok_or_else(|| PollError::Unable(account.name.clone(), kind))?.await?)
    }

    pub(crate) fn event(&self, from: &str, change: &Change) -> NewEvent {
        let body = serde_json::to_vec(&[change]).unwrap_or_default();
        NewEvent {
            id: EventId::new(),
            connection: from.to_owned(),
            topic: change.topic.as_str().to_owned(),
            cause: Cause::Poll,
            // Overlapping windows bring the same state again; the same body is the same state.
            dedupe_key: format!("{} {} {:016x}", change.entity, change.version.0, fingerprint(&body)),
            received_at: self.clock.now(),
            headers: Vec::new(),
            body,
        }
    }
}

/// What a provider can be asked for so that its money can be matched.
fn asked_for_payments(wiring: &Wiring, payments: &Payments) -> Vec<(String, EntityKind, Duration)> {
    let accounts = payments.providers.iter().filter_map(|name| wiring.account(name));
    let kinds = [EntityKind::Transaction, EntityKind::Payout];
    let asked = accounts.flat_map(|account| kinds.map(|kind| (account, kind))).filter(|(account, kind)| polls(account, *kind));
    asked.map(|(account, kind)| (account.name.clone(), kind, payments.every)).collect()
}

pub(crate) fn polls(account: &Account, kind: EntityKind) -> bool {
    account.connection.abilities().contains(&Described::Polls(kind))
}

/// FNV-1a. Only tells apart two states that claim the same version; nobody gains by forging it.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

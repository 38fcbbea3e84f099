//! One attempt: look up or perform, then let [`step`] decide, and write what it decided.

use crate::{Account, Case, Consequence, Engine, Input, Payload, Step, action, meter, step};
use futures::FutureExt as _;
use spindel_connect::{Around, CallError, Described, Job, Journal, Repeat};
use spindel_model::{
    Action, Attempt, AttemptStep, Cause, Change, Delivery, DeliveryId, Document, ErrorClass, EventId, Flow, Nature, Performed,
    Record, Reference, State, Timestamp, Version,
};
use spindel_queue::{Channel, Message, Work};
use spindel_store::{Appended, Claimed, Finish, Finished, NewEvent, Ready, StoreError};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// What came of one delivery of a group.
struct Outcome {
    input: Input,
    step: AttemptStep,
    /// One line for people.
    message: String,
    class: Option<ErrorClass>,
    performed: Performed,
    /// How new the record was, when it was read back: newer than the change that asked for it.
    read: Option<Version>,
    /// It was the source that failed, when its record was to be read back: the destination is not to blame.
    at_source: bool,
}

/// Carries out leased deliveries of one flow and action, and writes each one's outcome.
pub(crate) async fn carry_out(engine: &Arc<Engine>, account: &Account, group: Vec<Claimed>) {
    let wiring = engine.wiring();
    let started = engine.clock.now();
    let journal = Journal::default();
    let flow = group.first().and_then(|one| wiring.flow(&one.delivery.flow)).cloned();
    let Some(flow) = flow else {
        let input = |one: &Claimed| Input::Unroutable {
            reason: format!("flow `{}` is not in the config any more; put it back and retry", one.delivery.flow),
        };
        let outcomes = group.iter().map(|one| Outcome::refused(input(one))).collect();
        return write(engine, account, None, group, outcomes, started, &journal).await;
    };
    let limited = tokio::time::timeout(account.attempt_limit(), attempt(engine, account, &flow, &group, &journal));
    // A panic in a connector is an outcome like any other.
    let outcomes = match AssertUnwindSafe(limited).catch_unwind().await {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(_)) => group.iter().map(|one| Outcome::of_error(timed_out(account), one.in_doubt)).collect(),
        Err(_) => group
            .iter()
            .map(|one| if one.in_doubt { Outcome::panicked().still_in_doubt() } else { Outcome::panicked() })
            .collect(),
    };
    write(engine, account, Some(&flow), group, outcomes, started, &journal).await;
}

fn timed_out(account: &Account) -> CallError {
    CallError::transient("attempt", format!("took longer than {:?} in all", account.attempt_limit())).with_unknown_effect()
}

/// One outcome for each of the group.
async fn attempt(engine: &Engine, account: &Account, flow: &Flow, group: &[Claimed], journal: &Journal) -> Vec<Outcome> {
    let wiring = engine.wiring();
    let api = account.api.with_journal(journal.clone());
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(group.len());
    let mut actions: Vec<Option<Made>> = Vec::with_capacity(group.len());
    for one in group {
        let outdated = flow.action.nature() == Nature::State && one.applied.is_some_and(|applied| applied > one.delivery.version);
        let made = if outdated && !one.in_doubt {
            Err(Outcome::refused(Input::Outdated))
        } else {
            made(engine, flow, one, journal).await
        };
        let (action, outcome) = match made {
            Ok(action) => (Some(action), None),
            Err(outcome) => (None, Some(if one.in_doubt { outcome.still_in_doubt() } else { outcome })),
        };
        actions.push(action);
        outcomes.push(outcome);
    }
    let around = |one: &'_ Claimed| -> (uuid::Uuid, u32) { (one.delivery.id.0, one.delivery.attempts + 1) };
    let mut jobs = Vec::new();
    let mut places = Vec::new();
    for (place, (one, action)) in group.iter().zip(&actions).enumerate() {
        let Some(action) = action else { continue };
        let (key, attempt) = around(one);
        let around = Around {
            from: &one.delivery.from,
            key,
            known: one.known.as_deref(),
            maps: &wiring.maps,
            attempt,
            now: engine.wall.now(),
        };
        let job = Job { action: &action.action, around };
        if one.in_doubt {
            outcomes[place] = Some(look_up(account, &api, job).await);
        } else {
            jobs.push(job);
            places.push(place);
        }
    }
    if !jobs.is_empty() {
        let results = match account.connection.perform(&api, &jobs) {
            Some(results) => results.await,
            None => {
                let reason = format!("connection `{}` cannot do {} any more", account.name, flow.action);
                jobs.iter().map(|_| Err(CallError::config(flow.action.as_str(), reason.clone()))).collect()
            }
        };
        for (place, result) in places.into_iter().zip(results) {
            outcomes[place] = Some(Outcome::of_result(result));
        }
    }
    let read = actions.into_iter().map(|made| made.and_then(|made| made.read));
    let outcomes = outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(Outcome::panicked));
    outcomes.zip(read).map(|(outcome, read)| Outcome { read, ..outcome }).collect()
}

/// An action ready to be performed.
struct Made {
    action: Action,
    read: Option<Version>,
}

/// The action to perform: as planned, or made of the record as it stands at the source now.
async fn made(engine: &Engine, flow: &Flow, one: &Claimed, journal: &Journal) -> Result<Made, Outcome> {
    let payload = one.action_json.as_deref().map(|json| Payload::of_kind(one.delivery.action, json));
    match payload {
        Some(Ok(Payload::Action(action))) => match again(engine, flow, one) {
            Some(nudge) => read_back_action(engine, flow, nudge, journal).await,
            None => Ok(Made { action, read: None }),
        },
        Some(Ok(Payload::ReadBack { read_back })) => read_back_action(engine, flow, *read_back, journal).await,
        Some(Err(error)) => Err(Outcome::of_error(
            CallError::new("plan", ErrorClass::Bug, format!("the stored action cannot be read: {error}")),
            false,
        )),
        None => {
            Err(Outcome::refused(Input::Unroutable { reason: "it was planned without an action; reprocess its event".into() }))
        }
    }
}

/// Whether this state may be older than one that was read back in the same second: then only another reading can tell.
fn again(engine: &Engine, flow: &Flow, one: &Claimed) -> Option<Change> {
    let Delivery { entity, version, from, .. } = &one.delivery;
    let applied =
        one.applied.filter(|applied| applied.0 % SECOND == 0 && (applied.0..applied.0 + SECOND).contains(&version.0))?;
    let can_read = engine.wiring().account(from)?.connection.abilities().contains(&Described::Reads(entity.kind));
    let topic = *flow.on.iter().find(|topic| topic.entity() == entity.kind)?;
    let wanted = can_read && flow.action.nature() == Nature::State && applied <= *version;
    wanted.then(|| Change { topic, entity: entity.clone(), version: *version, record: Record::Nudge })
}

/// In microseconds, as versions count.
const SECOND: i64 = 1_000_000;

async fn read_back_action(engine: &Engine, flow: &Flow, mut change: Change, journal: &Journal) -> Result<Made, Outcome> {
    let wiring = engine.wiring();
    let failed = |error| Outcome { at_source: true, ..Outcome::of_error(error, false) };
    let asked_at = engine.clock.now();
    let source = wiring.account(&flow.from).ok_or_else(|| {
        failed(CallError::config("read_back", format!("connection `{}` is not in the config any more", flow.from)))
    })?;
    let api = source.api.with_journal(journal.clone());
    let read = source.connection.read(&api, change.entity.kind, &change.entity.id).ok_or_else(|| {
        failed(CallError::config("read_back", format!("connection `{}` cannot read back a {}", flow.from, change.entity.kind)))
    })?;
    // Nothing was sent to the destination yet, whatever became of the reading.
    let record = read.await.map_err(|error| failed(CallError { effect: spindel_connect::Effect::None, ..error }))?;
    change.record = record
        .ok_or_else(|| failed(CallError::gone("read_back", format!("{} is not at `{}` any more", change.entity, flow.from))))?;
    let ended = |state| Outcome::refused(Input::Ended(state));
    flow.when.matches(&change).map_err(|why| ended(State::Skipped { reason: format!("filtered: {why}") }))?;
    let read = change.record.as_of().map(|as_of| read_version(as_of, asked_at));
    let action = action(&engine.jq, flow, &change).await.map_err(ended)?;
    Ok(Made { action, read })
}

/// The version of a record that was read at `asked_at` and says it stands since `as_of`.
///
/// Sources tell whole seconds. Long after that second nothing more can happen in it, so all its changes are in what was read;
/// before that, none of them is taken for granted.
fn read_version(as_of: Timestamp, asked_at: Timestamp) -> Version {
    const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_secs(6);
    let version = Version::from(as_of);
    let whole = version.0 % SECOND == 0;
    if whole && asked_at.duration_since(as_of) > SKEW { Version(version.0 + SECOND - 1) } else { version }
}

async fn look_up(account: &Account, api: &spindel_connect::Api, job: Job<'_>) -> Outcome {
    let result = match account.connection.look_up(api, job) {
        Some(result) => result.await,
        None => Err(CallError::config("look_up", "the connector cannot do this any more")),
    };
    match result {
        Ok(found) => Outcome {
            message: if found.is_some() { "looked up: it is there" } else { "looked up: it is not there" }.into(),
            input: Input::LookedUp { found: found.is_some() },
            step: AttemptStep::LookUp,
            class: None,
            performed: found.unwrap_or_default(),
            read: None,
            at_source: false,
        },
        Err(error) => Outcome::of_error(error, true),
    }
}

impl Outcome {
    fn of_result(result: Result<Performed, CallError>) -> Self {
        match result {
            Ok(performed) => Self {
                message: if performed.unchanged { "already so" } else { "done" }.into(),
                input: Input::Succeeded { unchanged: performed.unchanged },
                step: AttemptStep::Perform,
                class: None,
                performed,
                read: None,
                at_source: false,
            },
            Err(error) => Self::of_error(error, false),
        }
    }

    fn of_error(error: CallError, looking_up: bool) -> Self {
        Self {
            message: error.to_string(),
            class: Some(error.class),
            step: if looking_up { AttemptStep::LookUp } else { AttemptStep::Perform },
            input: if looking_up { Input::LookUpFailed(error) } else { Input::Failed(error) },
            performed: Performed::default(),
            read: None,
            at_source: false,
        }
    }

    /// What kept a look-up from being made leaves the doubt as it was.
    fn still_in_doubt(self) -> Self {
        match self.input {
            Input::Failed(error) => Self { input: Input::LookUpFailed(error), step: AttemptStep::LookUp, ..self },
            Input::Panicked => Self::of_error(CallError::new("look_up", ErrorClass::Bug, self.message), true),
            input => Self { input, ..self },
        }
    }

    fn panicked() -> Self {
        Self {
            input: Input::Panicked,
            step: AttemptStep::Perform,
            message: "panicked: a bug in the connector or in Spindel".into(),
            class: Some(ErrorClass::Bug),
            performed: Performed::default(),
            read: None,
            at_source: false,
        }
    }

    /// Ended before anything was called.
    fn refused(input: Input) -> Self {
        Self {
            message: input.name().into(),
            input,
            step: AttemptStep::Perform,
            class: None,
            performed: Performed::default(),
            read: None,
            at_source: false,
        }
    }
}

/// Lets [`step`] decide about each, commits the decisions together, and carries out their consequences.
async fn write(
    engine: &Arc<Engine>,
    account: &Account,
    flow: Option<&Flow>,
    group: Vec<Claimed>,
    outcomes: Vec<Outcome>,
    started: Timestamp,
    journal: &Journal,
) {
    let now = engine.clock.now();
    let mut exchanges = journal.take();
    let mut finishes = Vec::with_capacity(group.len());
    let mut yields = Vec::new();
    for (one, outcome) in group.iter().zip(outcomes) {
        let case = Case {
            repeat: account.connection.performs(one.delivery.action).map_or(Repeat::Unsafe, |(repeat, _)| repeat),
            policy: flow.map(|flow| flow.retry).unwrap_or_default(),
            attempts: one.delivery.attempts,
            first_due_at: one.first_due_at,
        };
        let attempt = Attempt {
            step: outcome.step,
            started_at: started,
            ended_at: now,
            class: outcome.class,
            message: outcome.message,
            // The calls of a batch are kept once, with its first delivery.
            exchanges: std::mem::take(&mut exchanges),
        };
        let at_source = outcome.at_source;
        match step(&one.delivery.state, outcome.input, &case, now) {
            Ok(next) => {
                log(one, &attempt, &next);
                meter::attempted(&account.name, one.delivery.event, &attempt, &next.state, engine.wall.now());
                consequences(engine, account, at_source.then_some(&one.delivery.from), &next, now);
                let Performed { reference, changes, documents, .. } = outcome.performed;
                yields.push(Yield { of: one.delivery.id, changes, documents });
                finishes.push(finish(one, next, attempt, (reference, outcome.read), now));
            }
            Err(illegal) => tracing::error!(delivery = %one.delivery.id, %illegal, "a bug: the outcome is not written"),
        }
    }
    let becomes_due: Vec<(DeliveryId, Timestamp)> =
        finishes.iter().filter_map(|finish| Some((finish.id, next_time(&finish.state)?))).collect();
    let ids: Vec<DeliveryId> = finishes.iter().map(|finish| finish.id).collect();
    // First what came of it: an outcome that is written is never looked at again.
    let Some(()) = persist(account, "what came of an action", || keep(engine, account, &yields)).await else { return };
    let Some(finished) = persist(account, "outcomes", || engine.store.finish(finishes.clone())).await else { return };
    let next = finished.into_iter().zip(ids).filter_map(|(one, id)| match one {
        Finished::Written { next } => next,
        Finished::Fenced => {
            tracing::warn!(delivery = %id, to = account.name, "an outcome came after its lease had gone to another worker; nothing was written");
            None
        }
    });
    engine.announce_ready(next.collect::<Vec<Ready>>());
    let at_once = becomes_due.iter().filter(|(_, at)| *at <= now);
    let messages: Vec<Message> = at_once.map(|(id, _)| Message { work: Work::Deliver(*id), fresh: false }).collect();
    if !messages.is_empty() {
        engine.announce_all(&Channel::Deliver(account.name.clone()), messages);
    }
    if becomes_due.iter().any(|(_, at)| *at > now) {
        engine.hint(&account.name);
    }
}

/// What was done must not be forgotten because the store is away for a moment: it is written as soon as the store is back, for as
/// long as the leases hold.
async fn persist<T, F: Future<Output = Result<T, StoreError>>>(
    account: &Account,
    what: &str,
    mut write: impl FnMut() -> F,
) -> Option<T> {
    let until = tokio::time::Instant::now() + account.lease();
    let mut pause = Duration::from_millis(50);
    loop {
        match write().await {
            Ok(written) => return Some(written),
            Err(StoreError::Unavailable(_) | StoreError::Overloaded) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            Err(error) => {
                tracing::error!(%error, to = account.name, what, "could not be written; the leases run out and the deliveries are looked up or tried again");
                return None;
            }
        }
    }
}

/// What an action brought about at its destination.
struct Yield {
    of: DeliveryId,
    changes: Vec<Change>,
    documents: Vec<Document>,
}

/// Keeps the papers, and appends the changes as an event of the destination. Again is the same as once: the delivery is the key.
async fn keep(engine: &Engine, account: &Account, yields: &[Yield]) -> Result<(), StoreError> {
    for Yield { of, changes, documents } in yields {
        let now = engine.wall.now();
        if !documents.is_empty() {
            engine.store.keep_documents(*of, documents.clone(), now).await?;
        }
        let Some(first) = changes.first() else { continue };
        let event = NewEvent {
            id: EventId::new(),
            connection: account.name.clone(),
            topic: first.topic.as_str().to_owned(),
            cause: Cause::Action,
            dedupe_key: format!("by {of}"),
            received_at: now,
            headers: Vec::new(),
            body: serde_json::to_vec(changes).unwrap_or_default(),
        };
        if let Appended::New(id) = engine.store.append(event).await? {
            engine.announce(id);
        }
    }
    Ok(())
}

fn next_time(state: &State) -> Option<Timestamp> {
    match state {
        State::Due { at } => Some(*at),
        State::InDoubt { look_up_at } => *look_up_at,
        _ => None,
    }
}

fn finish(
    one: &Claimed,
    next: Step,
    attempt: Attempt,
    (link, read): (Option<Reference>, Option<Version>),
    now: Timestamp,
) -> Finish {
    let applied = next.consequences.contains(&Consequence::Applied);
    Finish {
        id: one.delivery.id,
        fence: one.delivery.fence,
        applied: applied.then(|| read.unwrap_or(one.delivery.version).max(one.delivery.version)),
        state: next.state,
        attempts: next.attempts,
        attempt: Some(attempt),
        link,
        now,
    }
}

/// What came of it for the gate of the destination, or of the source where that is to blame.
fn consequences(engine: &Engine, account: &Account, blamed: Option<&str>, next: &Step, now: Timestamp) {
    if blamed.is_some() || next.consequences.iter().all(|it| *it == Consequence::Applied) {
        engine.gate(&account.name, crate::Gate::unused);
    }
    let connection = blamed.unwrap_or(&account.name);
    for consequence in &next.consequences {
        match consequence {
            Consequence::Applied => {}
            Consequence::CountSuccess => engine.gate(connection, |gate| gate.succeeded(now)),
            Consequence::CountFailure => {
                if engine.gate(connection, |gate| gate.failed(now)) {
                    tracing::warn!(connection, "too many failures: breaker open, deliveries wait");
                }
            }
            Consequence::Throttle { until } => engine.gate(connection, |gate| gate.throttle(*until)),
            Consequence::PauseConnection { until, reason } => {
                if engine.gate(connection, |gate| gate.pause(*until, reason.clone())) {
                    tracing::error!(
                        connection,
                        reason,
                        "credentials refused: connection paused, deliveries wait; mend its settings and reload"
                    );
                }
            }
        }
    }
}

/// A failure is logged once: here, when the delivery has ended with it or is in doubt.
fn log(one: &Claimed, attempt: &Attempt, next: &Step) {
    let Delivery { id, event, flow, from, to, label, .. } = &one.delivery;
    let tries = next.attempts;
    match &next.state {
        State::Dead { class, reason } => tracing::warn!(
            delivery = %id, %event, connection = from, flow, to, label, attempt = tries, %class, reason, "delivery failed for good"
        ),
        State::InDoubt { look_up_at: None } => tracing::warn!(
            delivery = %id, %event, connection = from, flow, to, label, attempt = tries, reason = attempt.message,
            "outcome unknown and cannot be looked up: a person must decide"
        ),
        state => tracing::debug!(
            delivery = %id, %event, connection = from, flow, to, attempt = tries, state = state.name(),
            class = attempt.class.map(|class| class.as_str()), message = attempt.message, "attempt ended"
        ),
    }
}

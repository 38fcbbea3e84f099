//! Writes deliveries back, all of a transaction at once.

use super::{
    session::Session,
    work::{Entry, Work, Write},
};
use crate::{
    failure::Tried,
    rules::{StateColumns, plan::NewRow},
};
use spindel_model::State;
use std::borrow::Cow;
use uuid::Uuid;

const UPDATE: &str = "UPDATE deliveries d SET state = u.state, at = u.at, who = u.who, why = u.why, place = u.place, \
    wake_at = u.wake_at, updated_at = u.updated_at, attempts = u.attempts, \
    first_due_at = CASE WHEN u.anew THEN NULL ELSE d.first_due_at END \
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::smallint[], $7::bigint[], $8::bigint[], \
    $9::int[], $10::bool[]) AS u(seq, state, at, who, why, place, wake_at, updated_at, attempts, anew) WHERE d.seq = u.seq";
const INSERT: &str = "INSERT INTO deliveries (seq, state, at, who, why, place, wake_at, updated_at, created_at, id, event, change, \
    flow, from_connection, to_connection, action, entity_kind, entity, lane_kind, lane, version, cause, label) \
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::smallint[], $7::bigint[], \
    $8::bigint[], $9::bigint[], $10::uuid[], $11::bigint[], $12::int[], $13::text[], $14::text[], $15::text[], $16::text[], \
    $17::text[], $18::text[], $19::text[], $20::text[], $21::bigint[], $22::text[], $23::text[])";
const REVIVE: &str = "UPDATE deliveries d SET state = u.state, at = u.at, who = u.who, why = u.why, place = u.place, \
    wake_at = u.wake_at, updated_at = u.updated_at, from_connection = u.from_connection, to_connection = u.to_connection, \
    action = u.action, entity_kind = u.entity_kind, entity = u.entity, lane_kind = u.lane_kind, lane = u.lane, \
    version = u.version, cause = u.cause, label = u.label, attempts = 0, first_due_at = NULL \
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::smallint[], $7::bigint[], $8::bigint[], \
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[], $17::text[], \
    $18::text[]) AS u(seq, state, at, who, why, place, wake_at, updated_at, from_connection, to_connection, action, \
    entity_kind, entity, lane_kind, lane, version, cause, label) WHERE d.seq = u.seq";
const DROP_PAYLOADS: &str = "DELETE FROM payloads WHERE delivery = ANY($1)";
const SET_PAYLOADS: &str = "INSERT INTO payloads (delivery, sealed) SELECT * FROM unnest($1::bigint[], $2::bytea[])";
pub(super) const HOT: &[&str] = &[UPDATE, INSERT, REVIVE, DROP_PAYLOADS, SET_PAYLOADS];

/// All that has changed. No lane has two heads after any of the statements: who steps down goes first.
///
/// They are sent at once, which keeps their order only when all are prepared.
pub(super) async fn deliveries<X>(s: &Session, work: &Work<'_, X>) -> Tried<()> {
    let (mut down, mut rest) = (Changes::default(), Changes::default());
    let (mut revived, mut inserted) = (Rows::default(), Rows::default());
    for (entry, state) in work.changed() {
        match &entry.row {
            Some((Write::Insert, row)) => inserted.push(entry, state, row),
            Some((Write::Revive, row)) => revived.push(entry, state, row),
            None if entry.steps_down() => down.push(entry, state),
            None => rest.push(entry, state),
        }
    }
    tokio::try_join!(update(s, &down), revive(s, &revived), update(s, &rest), insert(s, &inserted), payloads(s, &inserted))?;
    // After the old ones are gone.
    payloads(s, &revived).await
}

async fn update(s: &Session, it: &Changes<'_>) -> Tried<()> {
    let States { seq, state, at, who, why, place, wake_at, updated_at } = &it.states;
    if seq.is_empty() {
        return Ok(());
    }
    s.execute(UPDATE, &[seq, state, at, who, why, place, wake_at, updated_at, &it.attempts, &it.anew]).await?;
    Ok(())
}

async fn revive(s: &Session, it: &Rows<'_>) -> Tried<()> {
    let States { seq, state, at, who, why, place, wake_at, updated_at } = &it.states;
    if seq.is_empty() {
        return Ok(());
    }
    let drop_payloads = async { s.execute(DROP_PAYLOADS, &[seq]).await };
    let revive = async {
        s.execute(
            REVIVE,
            &[
                seq,
                state,
                at,
                who,
                why,
                place,
                wake_at,
                updated_at,
                &it.from,
                &it.to,
                &it.action,
                &it.entity_kind,
                &it.entity,
                &it.lane_kind,
                &it.lane,
                &it.version,
                &it.cause,
                &it.label,
            ],
        )
        .await
    };
    tokio::try_join!(drop_payloads, revive)?;
    Ok(())
}

async fn insert(s: &Session, it: &Rows<'_>) -> Tried<()> {
    let States { seq, state, at, who, why, place, wake_at, updated_at } = &it.states;
    if seq.is_empty() {
        return Ok(());
    }
    s.execute(
        INSERT,
        &[
            seq,
            state,
            at,
            who,
            why,
            place,
            wake_at,
            updated_at,
            &it.created_at,
            &it.id,
            &it.event,
            &it.change,
            &it.flow,
            &it.from,
            &it.to,
            &it.action,
            &it.entity_kind,
            &it.entity,
            &it.lane_kind,
            &it.lane,
            &it.version,
            &it.cause,
            &it.label,
        ],
    )
    .await?;
    Ok(())
}

async fn payloads(s: &Session, it: &Rows<'_>) -> Tried<()> {
    if !it.sealed.is_empty() {
        s.execute(SET_PAYLOADS, &[&it.sealed_for, &it.sealed]).await?;
    }
    Ok(())
}

/// Where rows stand now, column by column.
#[derive(Default)]
struct States<'w> {
    seq: Vec<i64>,
    state: Vec<&'static str>,
    at: Vec<Option<i64>>,
    who: Vec<Option<Cow<'w, str>>>,
    why: Vec<Option<&'w str>>,
    place: Vec<Option<i16>>,
    wake_at: Vec<Option<i64>>,
    updated_at: Vec<i64>,
}

impl<'w> States<'w> {
    fn push(&mut self, entry: &Entry, state: &'w State) {
        let it = StateColumns::from(state);
        self.seq.push(entry.member.seq);
        self.state.push(it.name);
        self.at.push(it.at);
        self.who.push(it.who);
        self.why.push(it.why);
        self.place.push(it.place);
        self.wake_at.push(entry.change.wake_at);
        self.updated_at.push(entry.change.updated_at);
    }
}

/// Rows that were there.
#[derive(Default)]
struct Changes<'w> {
    states: States<'w>,
    attempts: Vec<i32>,
    anew: Vec<bool>,
}

impl<'w> Changes<'w> {
    fn push(&mut self, entry: &Entry, state: &'w State) {
        self.states.push(entry, state);
        self.attempts.push(i32::try_from(entry.change.attempts).unwrap_or(i32::MAX));
        self.anew.push(entry.change.anew);
    }
}

/// Rows that are new, or written anew.
#[derive(Default)]
struct Rows<'w> {
    states: States<'w>,
    created_at: Vec<i64>,
    id: Vec<Uuid>,
    event: Vec<i64>,
    change: Vec<i32>,
    flow: Vec<&'w str>,
    from: Vec<&'w str>,
    to: Vec<&'w str>,
    action: Vec<&'static str>,
    entity_kind: Vec<&'static str>,
    entity: Vec<&'w str>,
    lane_kind: Vec<&'static str>,
    lane: Vec<&'w str>,
    version: Vec<i64>,
    cause: Vec<&'static str>,
    label: Vec<Option<&'w str>>,
    sealed_for: Vec<i64>,
    sealed: Vec<&'w [u8]>,
}

impl<'w> Rows<'w> {
    fn push(&mut self, entry: &Entry, state: &'w State, row: &NewRow<'w>) {
        let new = row.new;
        self.states.push(entry, state);
        self.created_at.push(row.now.as_microsecond());
        self.id.push(new.id.0);
        self.event.push(row.event);
        self.change.push(i32::try_from(new.change).unwrap_or(i32::MAX));
        self.flow.push(&new.flow);
        self.from.push(&new.from);
        self.to.push(&new.to);
        self.action.push(new.action.as_str());
        self.entity_kind.push(new.entity.kind.as_str());
        self.entity.push(&new.entity.id);
        self.lane_kind.push(new.lane.kind.as_str());
        self.lane.push(&new.lane.id);
        self.version.push(new.version.0);
        self.cause.push(new.cause.as_str());
        self.label.push(new.label.as_deref());
        if let Some(sealed) = row.payload {
            self.sealed_for.push(entry.member.seq);
            self.sealed.push(sealed);
        }
    }
}

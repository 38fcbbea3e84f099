//! What people do by hand: retry, discard, plan again.

use super::{
    lanes::{self, Standing, Wanted},
    leased::LaneOf,
    rows::{DELIVERY_COLUMNS, DeliveryRow, delivery_columns, get},
    session::Session,
    work::{Known, Work},
    write,
};
use crate::{
    Ready,
    failure::Tried,
    rules::{
        lanes::{Kind, Lane, Rank},
        people::{self, Found, People},
    },
};
use spindel_model::{Delivery, DeliveryId, EventId, Timestamp};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};
use tokio_postgres::Row;
use uuid::Uuid;

const LANES_OF: &str = "SELECT to_connection, from_connection, lane_kind, lane, flow, action FROM deliveries WHERE id = ANY($1)";
const BY_ID: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", d.event, p.delivery IS NOT NULL \
     FROM deliveries d JOIN events e ON e.seq = d.event LEFT JOIN payloads p ON p.delivery = d.seq WHERE d.id = ANY($1) ORDER BY d.seq FOR UPDATE OF d"
);
const REPLAN: &str = "WITH planned AS MATERIALIZED (SELECT seq FROM events WHERE id = ANY($1) AND state <> 'accepted' \
    ORDER BY seq FOR UPDATE) UPDATE events e SET state = 'accepted', reason = NULL FROM planned p WHERE e.seq = p.seq RETURNING e.id";
pub(super) const HOT: &[&str] = &[LANES_OF, BY_ID, REPLAN];

/// Runs inside a transaction.
pub(super) async fn retry(s: &Session, ids: &[DeliveryId], now: Timestamp) -> Tried<Vec<Ready>> {
    with(s, ids, |work, asked| {
        let mut ready = Vec::new();
        for it in asked {
            it.found(work, |work, found| people::retry(work, found, now, &mut ready))?;
        }
        people::look_at_once(work, &ready, now)?;
        Ok(ready)
    })
    .await
}

/// Runs inside a transaction.
pub(super) async fn discard(s: &Session, ids: &[DeliveryId], by: &str, why: &str, now: Timestamp) -> Tried<Vec<DeliveryId>> {
    with(s, ids, |work, asked| {
        let mut discarded = Vec::new();
        for it in asked {
            if it.found(work, |work, found| people::discard(work, found, by, why, now))? {
                discarded.push(it.row.delivery.id);
            }
        }
        Ok(discarded)
    })
    .await
}

/// Loads the deliveries and their lanes, lets `act` change them, and writes back what has changed.
async fn with<T>(s: &Session, ids: &[DeliveryId], act: impl Fn(&mut Work<'_, ()>, &[Asked]) -> Tried<T>) -> Tried<T> {
    s.prepare(&[lanes::ALL, HOT, write::HOT]).await?;
    let uuids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let lanes = s.query(LANES_OF, &[&uuids]).await?;
    let lanes = lanes.iter().map(|row| LaneOf::read(row, 0)).collect::<Tried<Vec<_>>>()?;
    let mut wanted = Wanted::default();
    for of in &lanes {
        wanted.add(of.lane(), Some(of.kind()));
    }
    let (_, mut standing, rows) = tokio::try_join!(wanted.take(s), wanted.load(s), async { s.query(BY_ID, &[&uuids]).await })?;
    let rows = rows.iter().map(|row| Ok((DeliveryId(get(row, 1)?), row))).collect::<Tried<HashMap<_, _>>>()?;
    let asked = ids.iter().filter_map(|id| rows.get(id)).map(|row| Asked::read(row)).collect::<Tried<Vec<_>>>()?;

    let mut work = begin(&wanted, &standing, &asked)?;
    let mut done = act(&mut work, &asked)?;
    if work.short {
        drop(work);
        standing.all_fronts(s, &wanted).await?;
        work = begin(&wanted, &standing, &asked)?;
        done = act(&mut work, &asked)?;
    }
    write::deliveries(s, &work).await?;
    Ok(done)
}

fn begin<'a>(wanted: &'a Wanted<'a>, standing: &'a Standing, asked: &'a [Asked]) -> Tried<Work<'a, ()>> {
    let mut work = Work::new(wanted, standing, ())?;
    for Asked { row: DeliveryRow { seq, delivery, .. }, event, .. } in asked {
        let rank = Rank { version: delivery.version.0, event: *event, seq: *seq };
        let kind = Kind { flow: &delivery.flow, action: delivery.action };
        let (cause, attempts) = (delivery.cause, delivery.attempts);
        work.know(lane(delivery), Known { seq: *seq, id: delivery.id, rank, kind, cause, attempts })?;
    }
    Ok(work)
}

/// A delivery that a person names, as it was found.
struct Asked {
    row: DeliveryRow,
    event: i64,
    has_payload: bool,
}

impl Asked {
    fn read(row: &Row) -> Tried<Self> {
        Ok(Self {
            row: DeliveryRow::read(row)?,
            event: get(row, DELIVERY_COLUMNS)?,
            has_payload: get(row, DELIVERY_COLUMNS + 1)?,
        })
    }

    /// Acts on it as it is now. One that was planned again into another lane this very moment is left alone.
    fn found<'a, T: Default>(
        &self,
        work: &mut Work<'a, ()>,
        act: impl FnOnce(&mut Work<'a, ()>, &Found) -> Tried<T>,
    ) -> Tried<T> {
        if !work.has(lane(&self.row.delivery)) {
            return Ok(T::default());
        }
        let mut delivery = Cow::Borrowed(&self.row.delivery);
        if let Some(state) = work.state(self.row.seq) {
            delivery.to_mut().state = state.clone();
        }
        act(work, &Found { seq: self.row.seq, event: self.event, delivery: &delivery, has_payload: self.has_payload })
    }
}

fn lane(it: &Delivery) -> Lane<'_> {
    Lane { to: &it.to, from: &it.from, entity: &it.lane }
}

impl People for Work<'_, ()> {
    fn count_anew(&mut self, seq: i64) -> Tried<()> {
        self.set_attempts(seq, 0, true)
    }

    fn look_at_once(&mut self, id: DeliveryId, now: Timestamp) -> Tried<()> {
        self.wake_by(id, now.as_microsecond());
        Ok(())
    }
}

/// Runs in a transaction of its own.
pub(super) async fn replan(s: &Session, ids: &[EventId]) -> Tried<Vec<EventId>> {
    let asked: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = s.query(REPLAN, &[&asked]).await?;
    let mut accepted = rows.iter().map(|row| get(row, 0)).collect::<Tried<HashSet<Uuid>>>()?;
    Ok(ids.iter().copied().filter(|id| accepted.remove(&id.0)).collect())
}

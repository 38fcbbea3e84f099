//! What people and the planner read: lists, single records, counts.

use super::{
    rows::{self, DeliveryRow, EventRow, delivery_columns, event_columns, get},
    session::{Params, Session},
};
use crate::{
    Counts, DeliveryDetail, DeliveryFilter, EventFilter, content,
    failure::{Failure, Tried},
    seal::{Part, Sealer},
};
use spindel_model::{Attempt, Delivery, DeliveryId, EntityRef, Event, EventId, EventState, Reference, Rejected, State};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

const TO_PLAN: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM events e JOIN contents c ON c.event = e.seq WHERE e.id = ANY ($1) AND e.state = 'accepted' ORDER BY e.seq"
);
const EVENT: &str = concat!("SELECT ", event_columns!(), " FROM events e JOIN contents c ON c.event = e.seq WHERE e.id = $1");
const DELIVERY: &str =
    concat!("SELECT ", delivery_columns!(), " FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.id = $1");
const PAYLOAD: &str = "SELECT sealed FROM payloads WHERE delivery = $1";
const ATTEMPTS: &str =
    "SELECT step, started_at, ended_at, class, message, sealed FROM attempts WHERE delivery = $1 ORDER BY number";
const REFERENCE: &str = "SELECT to_id, to_number FROM links WHERE from_id = $1 AND kind = $2 AND from_connection = $3 AND to_connection = $4 \
    UNION ALL SELECT from_id, NULL FROM links WHERE to_id = $1 AND kind = $2 AND to_connection = $3 AND from_connection = $4";
const REJECTED: &str = "SELECT connection, at, reason, status, size FROM rejected ORDER BY seq DESC LIMIT $1";
const CURSOR: &str = "SELECT cursor FROM cursors WHERE connection = $1 AND kind = $2";
const COUNT_EVENTS: &str = "SELECT state, count(*) FROM events GROUP BY state";
const COUNT_DELIVERIES: &str = "SELECT state, count(*) FROM deliveries WHERE state NOT IN ('due', 'running') GROUP BY state \
    UNION ALL SELECT 'due', count(*) FROM deliveries WHERE state = 'due' \
    UNION ALL SELECT 'running', count(*) FROM deliveries WHERE state = 'running'";
const COUNT_OTHERS: &str =
    "SELECT (SELECT coalesce(sum(duplicates), 0) FROM events WHERE duplicates > 0), (SELECT count(*) FROM rejected)";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[TO_PLAN, EVENT, DELIVERY, PAYLOAD, ATTEMPTS, REFERENCE];

pub(super) async fn to_plan(s: &Session, sealer: &Sealer, ids: &[EventId]) -> Tried<Vec<Event>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    open_all(sealer, &s.query(TO_PLAN, &[&ids]).await?)
}

pub(super) async fn event(s: &Session, sealer: &Sealer, id: EventId) -> Tried<Option<Event>> {
    s.query_opt(EVENT, &[&id.0]).await?.map(|row| open(sealer, &row)).transpose()
}

pub(super) fn open(sealer: &Sealer, row: &Row) -> Tried<Event> {
    let row = EventRow::read(row)?;
    content::open(sealer, row.event, &row.sealed)
}

fn open_all(sealer: &Sealer, rows: &[Row]) -> Tried<Vec<Event>> {
    rows.iter().map(|row| open(sealer, row)).collect()
}

/// Conditions with their values, written out as they are needed.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Conditions {
    /// `condition` with `?` for the value.
    fn add(&mut self, condition: &str, value: impl ToSql + Send + Sync + 'static) {
        self.values.push(Box::new(value));
        let numbered = condition.replace('?', &format!("${}", self.values.len()));
        self.fixed(&numbered);
    }

    fn fixed(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }
}

pub(super) async fn events(s: &Session, sealer: &Sealer, filter: &EventFilter) -> Tried<Vec<Event>> {
    let mut conditions = Conditions::default();
    let mut from = "events";
    if let Some(connection) = &filter.connection {
        conditions.add("e.connection = ?", connection.clone());
    }
    if let Some(topic) = &filter.topic {
        conditions.add("e.topic = ?", topic.clone());
    }
    if let Some(cause) = filter.cause {
        conditions.add("e.cause = ?", cause.as_str());
    }
    if let Some(state) = &filter.state {
        let Some(name) = EventState::NAMES.iter().find(|name| *name == state) else { return Ok(Vec::new()) };
        // The names come from a fixed list; literals let the planner know how many there are of each.
        match *name {
            "accepted" => from = "(SELECT * FROM events WHERE state = 'accepted' OFFSET 0)",
            // Nearly all of them: going through the table in order finds some sooner than any index.
            "planned" => conditions.fixed("e.state IS NOT DISTINCT FROM 'planned'"),
            rare => conditions.fixed(&format!("e.state = '{rare}'")),
        }
    }
    if let Some(before) = filter.before {
        conditions.add("e.seq < coalesce((SELECT seq FROM events WHERE id >= ? ORDER BY id LIMIT 1), 0)", before.0);
    }
    let mut direction = "DESC";
    if let Some(after) = filter.after {
        conditions.add("e.seq > coalesce((SELECT seq FROM events WHERE id <= ? ORDER BY id DESC LIMIT 1), 0)", after.0);
        direction = "ASC";
    }
    let sql = format!(
        concat!("SELECT ", event_columns!(), " FROM {} e JOIN contents c ON c.event = e.seq{} ORDER BY e.seq {} LIMIT {}"),
        from,
        conditions.sql,
        direction,
        rows::limit(filter.limit)
    );
    open_all(sealer, &s.query_once(&sql, &conditions.values()).await?)
}

/// States that still need something to happen, by itself or by a person.
const UNDELIVERED: [&str; 8] = ["waiting", "due", "running", "in_doubt", "held", "paused", "dead", "conflict"];

pub(super) async fn deliveries(s: &Session, filter: &DeliveryFilter) -> Tried<Vec<Delivery>> {
    let wanted = |name: &&str| {
        (filter.states.is_empty() || filter.states.iter().any(|state| state == name))
            && (!filter.undelivered || UNDELIVERED.contains(name))
    };
    let names: Vec<&str> = State::NAMES.into_iter().filter(|name| wanted(name)).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut conditions = Conditions::default();
    if let Some(event) = filter.event {
        conditions.add("d.event = (SELECT seq FROM events WHERE id = ?)", event.0);
    }
    if let Some(flow) = &filter.flow {
        conditions.add("d.flow = ?", flow.clone());
    }
    if let Some(to) = &filter.to {
        conditions.add("d.to_connection = ?", to.clone());
    }
    if let Some(before) = filter.before {
        conditions.add("d.seq < coalesce((SELECT seq FROM deliveries WHERE id >= ? ORDER BY id LIMIT 1), 0)", before.0);
    }
    let every = names.len() == State::NAMES.len();
    let newest = format!("ORDER BY d.seq DESC LIMIT {}", rows::limit(filter.limit));
    let joint = if conditions.sql.is_empty() { "WHERE" } else { "AND" };
    // One index per state, then merged. The names come from a fixed list; literals let the partial indexes be used.
    let of = |name: &&str| {
        let indexed = if ["due", "running"].contains(name) { "" } else { " AND d.state NOT IN ('due', 'running')" };
        format!("(SELECT d.* FROM deliveries d{} {joint} d.state = '{name}'{indexed} {newest})", conditions.sql)
    };
    let found = match every {
        true => format!("(SELECT d.* FROM deliveries d{} {newest})", conditions.sql),
        false => names.iter().map(of).collect::<Vec<_>>().join(" UNION ALL "),
    };
    let sql =
        format!(concat!("SELECT ", delivery_columns!(), " FROM ({}) AS d JOIN events e ON e.seq = d.event {}"), found, newest);
    let rows = s.query_once(&sql, &conditions.values()).await?;
    rows.iter().map(|row| DeliveryRow::read(row).map(|row| row.delivery)).collect()
}

pub(super) async fn delivery(s: &Session, sealer: &Sealer, id: DeliveryId) -> Tried<Option<DeliveryDetail>> {
    match s.query_opt(DELIVERY, &[&id.0]).await? {
        Some(row) => detail(s, sealer, DeliveryRow::read(&row)?).await.map(Some),
        None => Ok(None),
    }
}

/// A delivery with its action, its attempts and what is known of its record at the destination.
pub(super) async fn detail(s: &Session, sealer: &Sealer, row: DeliveryRow) -> Tried<DeliveryDetail> {
    let (lane, from, to) = (&row.delivery.lane, &row.delivery.from, &row.delivery.to);
    let payload_of: Params = &[&row.seq];
    let (payload, attempts, reference) = tokio::try_join!(
        s.query_opt(PAYLOAD, payload_of),
        attempts(s, sealer, row.seq, row.delivery.id),
        reference(s, lane, from, to),
    )?;
    let payload_id = row.payload_id();
    let action_json = match payload {
        Some(payload) => Some(sealer.open(Part::Action, payload_id, get(&payload, 0)?)?),
        None => None,
    };
    Ok(DeliveryDetail { delivery: row.delivery, action_json, attempts, reference })
}

/// The attempts of a delivery, oldest first.
async fn attempts(s: &Session, sealer: &Sealer, seq: i64, id: DeliveryId) -> Tried<Vec<Attempt>> {
    let rows = s.query(ATTEMPTS, &[&seq]).await?;
    let read = |row: &Row| {
        let exchanges = match get::<Option<&[u8]>>(row, 5)? {
            Some(sealed) => {
                let json = sealer.open(Part::Exchanges, id.0, sealed)?;
                serde_json::from_slice(&json).map_err(|_| Failure::corrupt(format!("the exchanges of {id}")))?
            }
            None => Vec::new(),
        };
        let class = match get::<Option<&str>>(row, 3)? {
            Some(_) => Some(rows::named(row, 3)?),
            None => None,
        };
        Ok(Attempt {
            step: rows::named(row, 0)?,
            started_at: rows::time(row, 1)?,
            ended_at: rows::time(row, 2)?,
            class,
            message: get(row, 4)?,
            exchanges,
        })
    };
    rows.iter().map(read).collect()
}

async fn reference(s: &Session, entity: &EntityRef, from: &str, to: &str) -> Tried<Option<Reference>> {
    let rows = s.query(REFERENCE, &[&entity.id, &entity.kind.as_str(), &from, &to]).await?;
    rows.first().map(|row| Ok(Reference { id: get(row, 0)?, number: get(row, 1)? })).transpose()
}

pub(super) async fn rejected(s: &Session, limit: usize) -> Tried<Vec<Rejected>> {
    let rows = s.query(REJECTED, &[&rows::limit(limit)]).await?;
    let read = |row: &Row| {
        Ok(Rejected {
            connection: get(row, 0)?,
            at: rows::time(row, 1)?,
            reason: get(row, 2)?,
            status: u16::try_from(get::<i32>(row, 3)?).unwrap_or_default(),
            size: get::<i64>(row, 4)? as u64,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn cursor(s: &Session, connection: &str, kind: &str) -> Tried<Option<String>> {
    s.query_opt(CURSOR, &[&connection, &kind]).await?.map(|row| get(&row, 0)).transpose()
}

pub(super) async fn counts(s: &Session) -> Tried<Counts> {
    let (events, deliveries, others) =
        tokio::try_join!(s.query(COUNT_EVENTS, &[]), s.query(COUNT_DELIVERIES, &[]), s.query_one(COUNT_OTHERS, &[]))?;
    let by_state = |rows: Vec<Row>| {
        let counted = rows.iter().map(|row| Ok((get::<String>(row, 0)?, get::<i64>(row, 1)? as u64)));
        counted.filter(|row| !matches!(row, Ok((_, 0)))).collect::<Tried<_>>()
    };
    Ok(Counts {
        events: by_state(events)?,
        deliveries: by_state(deliveries)?,
        duplicates: get::<i64>(&others, 0)? as u64,
        rejected: get::<i64>(&others, 1)? as u64,
    })
}

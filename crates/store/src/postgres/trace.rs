//! The journey of one order: from any of its numbers to every system that has it.

use super::{
    read,
    rows::{self, DeliveryRow, delivery_columns, event_columns, get},
    session::Session,
};
use crate::{Trace, failure::Tried, seal::Sealer, sealed::mentions};
use spindel_model::{EntityKind, Reference, normalised_number};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

/// Enough for any order; a number that stands for more is not an order's.
const MOST: usize = 200;

const MENTIONED: &str =
    "SELECT e.seq, e.connection FROM mentions m JOIN events e ON e.seq = m.event WHERE m.kind = $1 AND m.value = $2 LIMIT $3";
const NUMBERED_AT_SOURCE: &str = "SELECT e.connection, e.mentions FROM mentions m JOIN events e ON e.seq = m.event \
    WHERE m.kind = 'order_number' AND m.value = $1 LIMIT $2";
const NUMBERED_AT_DESTINATION: &str =
    "SELECT to_connection, to_id, to_number FROM links WHERE number_key = $1 AND kind = 'order' LIMIT $2";
const WITH_ID: &str = "SELECT to_connection, to_id, to_number FROM links WHERE to_id = $1 AND kind = 'order' \
    UNION SELECT from_connection, from_id, NULL FROM links WHERE from_id = $1 AND kind = 'order' \
    UNION SELECT e.connection, m.value, NULL FROM mentions m JOIN events e ON e.seq = m.event \
    WHERE m.kind = 'order_id' AND m.value = $1 LIMIT $2";
const LINKED: &str = "SELECT to_connection, to_id, to_number FROM links WHERE from_id = $2 AND kind = 'order' AND from_connection = $1 \
    UNION ALL SELECT from_connection, from_id, NULL FROM links WHERE to_id = $2 AND kind = 'order' AND to_connection = $1";
const EVENTS: &str =
    concat!("SELECT ", event_columns!(), " FROM events e JOIN contents c ON c.event = e.seq WHERE e.seq = ANY ($1)");
const DELIVERIES: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.event = ANY ($1) ORDER BY d.event, d.seq LIMIT $2"
);

/// An order by `(connection, id there)`, with its number there as far as it is known.
type Orders = BTreeMap<(String, String), Option<String>>;

pub(super) async fn order(s: &Session, sealer: &Sealer, number: &str) -> Tried<Trace> {
    let key = normalised_number(number);
    let by_number = mentioned(s, "order_number", &key).await?;
    let mut orders = with_number(s, &key).await?;
    if by_number.is_empty() && orders.is_empty() {
        collect(&mut orders, &s.query(WITH_ID, &[&number.trim(), &rows::limit(MOST)]).await?)?;
    }
    let mut events: BTreeSet<i64> = by_number.into_keys().collect();
    follow_links(s, &mut orders).await?;
    for (connection, id) in orders.keys() {
        let found = mentioned(s, "order_id", id).await?;
        events.extend(found.into_iter().filter(|(_, from)| from == connection).map(|(event, _)| event));
    }
    let events: Vec<i64> = events.into_iter().take(MOST).collect();
    let mut trace = Trace {
        links: orders
            .iter()
            .map(|((connection, id), number)| (connection.clone(), Reference { id: id.clone(), number: number.clone() }))
            .collect(),
        ..Trace::default()
    };
    for row in s.query(EVENTS, &[&events]).await? {
        trace.events.push(read::open(sealer, &row)?);
    }
    for row in s.query(DELIVERIES, &[&events, &rows::limit(10 * MOST)]).await? {
        let row = DeliveryRow::read(&row)?;
        let lane = &row.delivery.lane;
        let other_order = lane.kind == EntityKind::Order && !orders.contains_key(&(row.delivery.from.clone(), lane.id.clone()));
        if !other_order {
            trace.deliveries.push(read::detail(s, sealer, row).await?);
        }
    }
    trace.events.sort_by_key(|event| (event.received_at, event.id));
    trace.deliveries.sort_by_key(|it| it.delivery.created_at);
    Ok(trace)
}

/// The events that mention this, each with its connection.
async fn mentioned(s: &Session, kind: &str, value: &str) -> Tried<BTreeMap<i64, String>> {
    let rows = s.query(MENTIONED, &[&kind, &value, &rows::limit(MOST)]).await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

/// Orders with this number, at the source or at a destination.
async fn with_number(s: &Session, key: &str) -> Tried<Orders> {
    let mut orders = Orders::new();
    for row in s.query(NUMBERED_AT_SOURCE, &[&key, &rows::limit(MOST)]).await? {
        let (connection, column): (String, &str) = (get(&row, 0)?, get(&row, 1)?);
        for (_, id) in mentions(column)?.into_iter().filter(|(kind, _)| kind == "order_id") {
            orders.insert((connection.clone(), id), Some(key.to_owned()));
        }
    }
    collect(&mut orders, &s.query(NUMBERED_AT_DESTINATION, &[&key, &rows::limit(MOST)]).await?)?;
    Ok(orders)
}

/// Adds every record that is linked with one of these, over any number of systems.
async fn follow_links(s: &Session, orders: &mut Orders) -> Tried<()> {
    let mut open: Vec<_> = orders.keys().cloned().collect();
    while let Some((connection, id)) = open.pop() {
        if orders.len() >= MOST {
            break;
        }
        let mut linked = Orders::new();
        collect(&mut linked, &s.query(LINKED, &[&connection, &id]).await?)?;
        open.extend(linked.keys().filter(|order| !orders.contains_key(*order)).cloned());
        for (order, number) in linked {
            let known = orders.entry(order).or_default();
            *known = number.or(known.take());
        }
    }
    Ok(())
}

fn collect(orders: &mut Orders, rows: &[Row]) -> Tried<()> {
    for row in rows {
        let known = orders.entry((get(row, 0)?, get(row, 1)?)).or_default();
        *known = get::<Option<String>>(row, 2)?.or(known.take());
    }
    Ok(())
}

//! The journey of one order: from any of its numbers to every system that has it.

use super::{
    read,
    rows::{self, DeliveryRow, EventRow, delivery_columns, event_columns},
};
use crate::{Trace, content, failure::Tried, seal::Sealer, sealed::mentions};
use rusqlite::{Connection, Row, params};
use spindel_model::{EntityKind, Reference, normalised_number};
use std::collections::{BTreeMap, BTreeSet};

/// Enough for any order; a number that stands for more is not an order's.
const MOST: usize = 200;

/// An order by `(connection, id there)`, with its number there as far as it is known.
type Orders = BTreeMap<(String, String), Option<String>>;

pub(super) fn order(c: &Connection, sealer: &Sealer, number: &str) -> Tried<Trace> {
    let key = normalised_number(number);
    let by_number = mentioned(c, "order_number", &key)?;
    let mut orders = with_number(c, &key)?;
    if by_number.is_empty() && orders.is_empty() {
        orders = with_id(c, number.trim())?;
    }
    let mut events: BTreeSet<i64> = by_number.keys().copied().collect();
    follow_links(c, &mut orders)?;
    for (connection, id) in orders.keys() {
        events.extend(mentioned(c, "order_id", id)?.into_iter().filter(|(_, from)| from == connection).map(|(event, _)| event));
    }
    let mut trace = Trace {
        links: orders
            .iter()
            .map(|((connection, id), number)| (connection.clone(), Reference { id: id.clone(), number: number.clone() }))
            .collect(),
        ..Trace::default()
    };
    for event in events.into_iter().take(MOST) {
        let row = one_event(c, event)?;
        trace.events.push(content::open(sealer, row.event, &row.sealed)?);
        for row in deliveries_of(c, event)? {
            let lane = &row.delivery.lane;
            let other_order =
                lane.kind == EntityKind::Order && !orders.contains_key(&(row.delivery.from.clone(), lane.id.clone()));
            if !other_order {
                trace.deliveries.push(read::detail(c, sealer, row)?);
            }
        }
    }
    trace.events.sort_by_key(|event| event.received_at);
    trace.deliveries.sort_by_key(|it| it.delivery.created_at);
    Ok(trace)
}

/// The events that mention this, each with its connection.
fn mentioned(c: &Connection, kind: &str, value: &str) -> Tried<BTreeMap<i64, String>> {
    let mut statement = c.prepare_cached(
        "SELECT e.seq, e.connection FROM mentions m JOIN events e ON e.seq = m.event WHERE m.kind = ?1 AND m.value = ?2 LIMIT ?3",
    )?;
    let rows = statement.query_map(params![kind, value, rows::limit(MOST)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Orders with this number, at the source or at a destination.
fn with_number(c: &Connection, key: &str) -> Tried<Orders> {
    let mut orders = Orders::new();
    let mut at_source = c.prepare_cached(
        "SELECT e.connection, e.mentions FROM mentions m JOIN events e ON e.seq = m.event \
         WHERE m.kind = 'order_number' AND m.value = ?1 LIMIT ?2",
    )?;
    let rows = at_source.query_map(params![key, rows::limit(MOST)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows {
        let (connection, column): (String, String) = row?;
        for (_, id) in mentions(&column)?.into_iter().filter(|(kind, _)| kind == "order_id") {
            orders.insert((connection.clone(), id), Some(key.to_owned()));
        }
    }
    let mut at_destination =
        c.prepare_cached("SELECT to_connection, to_id, to_number FROM links WHERE number_key = ?1 AND kind = 'order' LIMIT ?2")?;
    collect(&mut orders, at_destination.query_map(params![key, rows::limit(MOST)], order_row)?)?;
    Ok(orders)
}

/// Orders with this id in any system.
fn with_id(c: &Connection, id: &str) -> Tried<Orders> {
    let mut orders = Orders::new();
    let mut statement = c.prepare_cached(
        "SELECT to_connection, to_id, to_number FROM links WHERE to_id = ?1 AND kind = 'order' \
         UNION SELECT from_connection, from_id, NULL FROM links WHERE from_id = ?1 AND kind = 'order' \
         UNION SELECT e.connection, m.value, NULL FROM mentions m JOIN events e ON e.seq = m.event \
         WHERE m.kind = 'order_id' AND m.value = ?1 LIMIT ?2",
    )?;
    collect(&mut orders, statement.query_map(params![id, rows::limit(MOST)], order_row)?)?;
    Ok(orders)
}

/// Adds every record that is linked with one of these, over any number of systems.
fn follow_links(c: &Connection, orders: &mut Orders) -> Tried<()> {
    let mut statement = c.prepare_cached(
        "SELECT to_connection, to_id, to_number FROM links WHERE from_id = ?2 AND kind = 'order' AND from_connection = ?1 \
         UNION ALL SELECT from_connection, from_id, NULL FROM links WHERE to_id = ?2 AND kind = 'order' AND to_connection = ?1",
    )?;
    let mut open: Vec<_> = orders.keys().cloned().collect();
    while let Some((connection, id)) = open.pop() {
        if orders.len() >= MOST {
            break;
        }
        let mut linked = Orders::new();
        collect(&mut linked, statement.query_map(params![connection, id], order_row)?)?;
        open.extend(linked.keys().filter(|order| !orders.contains_key(*order)).cloned());
        for (order, number) in linked {
            let known = orders.entry(order).or_default();
            *known = number.or(known.take());
        }
    }
    Ok(())
}

type OrderRow = ((String, String), Option<String>);

fn order_row(row: &Row) -> rusqlite::Result<OrderRow> {
    Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
}

fn collect(orders: &mut Orders, rows: impl Iterator<Item = rusqlite::Result<OrderRow>>) -> Tried<()> {
    for row in rows {
        let (order, number) = row?;
        let known = orders.entry(order).or_default();
        *known = number.or(known.take());
    }
    Ok(())
}

fn one_event(c: &Connection, seq: i64) -> Tried<EventRow> {
    Ok(c.prepare_cached(concat!(
        "SELECT ",
        event_columns!(),
        " FROM events e JOIN contents c ON c.event = e.seq WHERE e.seq = ?1"
    ))?
    .query_row([seq], EventRow::read)?)
}

fn deliveries_of(c: &Connection, event: i64) -> Tried<Vec<DeliveryRow>> {
    let mut statement = c.prepare_cached(concat!(
        "SELECT ",
        delivery_columns!(),
        " FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.event = ?1 ORDER BY d.seq LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![event, rows::limit(MOST)], DeliveryRow::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

//! The lanes in SQLite: the rules run on these statements.

use super::rows;
use crate::{
    failure::Tried,
    rules::{
        StateColumns, is_fresh,
        lanes::{Kind, Lane, Lanes, Member, Rank},
    },
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use spindel_model::{DeliveryId, State, Timestamp};

macro_rules! members {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, version, event, at, state, cause, attempts FROM deliveries \
             WHERE to_connection = ?1 AND from_connection = ?2 AND lane_kind = ?3 AND lane = ?4 AND ",
            $rest
        )
    };
}
const HEAD: &str = members!("place = 1");
const FIRST_BEHIND: &str = members!("place = 2 ORDER BY version, event, seq LIMIT 1");
const DUE_OF_KIND: &str = members!("place = 1 AND state = 'due' AND flow = ?5 AND action = ?6");
const BEHIND_OF_KIND: &str = members!("place = 2 AND flow = ?5 AND action = ?6");
const SET_STATE: &str = "UPDATE deliveries SET state = ?2, at = ?3, who = ?4, why = ?5, place = ?6, wake_at = ?7, updated_at = ?8 \
    WHERE seq = ?1";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[HEAD, FIRST_BEHIND, DUE_OF_KIND, BEHIND_OF_KIND, SET_STATE];

/// The tables as the rules see them, inside a transaction.
pub(super) struct Rows<'c>(pub &'c Connection);

impl Lanes for Rows<'_> {
    fn head(&mut self, lane: Lane) -> Tried<Option<Member>> {
        self.one(HEAD, lane)
    }

    fn first_behind(&mut self, lane: Lane) -> Tried<Option<Member>> {
        self.one(FIRST_BEHIND, lane)
    }

    fn due_of_kind(&mut self, lane: Lane, kind: Kind) -> Tried<Option<Member>> {
        Ok(self.of_kind(DUE_OF_KIND, lane, kind)?.pop())
    }

    fn behind_of_kind(&mut self, lane: Lane, kind: Kind) -> Tried<Vec<Member>> {
        self.of_kind(BEHIND_OF_KIND, lane, kind)
    }

    fn set_state(&mut self, seq: i64, state: &State, wake_at: Option<i64>, now: Timestamp) -> Tried<()> {
        let it = StateColumns::from(state);
        self.0.prepare_cached(SET_STATE)?.execute(params![
            seq,
            it.name,
            it.at,
            it.who,
            it.why,
            it.place,
            wake_at,
            now.as_microsecond()
        ])?;
        Ok(())
    }
}

impl Rows<'_> {
    fn one(&self, sql: &str, lane: Lane) -> Tried<Option<Member>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let key = params![lane.to, lane.from, lane.entity.kind.as_str(), lane.entity.id];
        Ok(statement.query_row(key, member).optional()?)
    }

    fn of_kind(&self, sql: &str, lane: Lane, kind: Kind) -> Tried<Vec<Member>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let key = params![lane.to, lane.from, lane.entity.kind.as_str(), lane.entity.id, kind.flow, kind.action.as_str()];
        Ok(statement.query_map(key, member)?.collect::<Result<_, _>>()?)
    }
}

fn member(row: &Row) -> rusqlite::Result<Member> {
    let seq = row.get(0)?;
    Ok(Member {
        seq,
        id: DeliveryId(rows::uuid(row, 1)?),
        rank: Rank { version: row.get(2)?, event: row.get(3)?, seq },
        at: rows::maybe_time(row, 4)?.unwrap_or(Timestamp::MIN),
        is_due: row.get_ref(5)?.as_str()? == "due",
        fresh: is_fresh(rows::named(row, 6)?, row.get(7)?),
    })
}

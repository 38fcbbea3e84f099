//! Remembers the lanes of what this node leased, so that an outcome need not look them up.

use super::rows::{get, named};
use crate::{
    Claimed,
    failure::Tried,
    rules::lanes::{Kind, Lane},
};
use spindel_model::{ActionKind, Delivery, DeliveryId, EntityRef};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio_postgres::Row;

/// Leases that are remembered; when more are open, all are forgotten and looked up again.
const MOST: usize = 10_000;

/// Where a delivery belongs. It does not change while it runs.
#[derive(Clone, Debug)]
pub(super) struct LaneOf {
    pub to: String,
    pub from: String,
    pub entity: EntityRef,
    pub flow: String,
    pub action: ActionKind,
}

impl LaneOf {
    /// Reads destination, source, kind and id of the lane, flow, action from column `first` on.
    pub fn read(row: &Row, first: usize) -> Tried<Self> {
        Ok(Self {
            to: get(row, first)?,
            from: get(row, first + 1)?,
            entity: EntityRef { kind: named(row, first + 2)?, id: get(row, first + 3)? },
            flow: get(row, first + 4)?,
            action: named(row, first + 5)?,
        })
    }

    pub fn of(it: &Delivery) -> Self {
        Self { to: it.to.clone(), from: it.from.clone(), entity: it.lane.clone(), flow: it.flow.clone(), action: it.action }
    }

    pub fn lane(&self) -> Lane<'_> {
        Lane { to: &self.to, from: &self.from, entity: &self.entity }
    }

    pub fn kind(&self) -> Kind<'_> {
        Kind { flow: &self.flow, action: self.action }
    }
}

#[derive(Default)]
pub(super) struct Leased(Mutex<HashMap<DeliveryId, LaneOf>>);

impl Leased {
    pub fn note(&self, claims: &[Claimed]) {
        let mut known = self.lock();
        if known.len() + claims.len() > MOST {
            known.clear();
        }
        known.extend(claims.iter().map(|claimed| (claimed.delivery.id, LaneOf::of(&claimed.delivery))));
    }

    pub fn take(&self, id: DeliveryId) -> Option<LaneOf> {
        self.lock().remove(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeliveryId, LaneOf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

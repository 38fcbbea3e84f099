//! The carrier's rounds: every parcel that was handed in gets on by a step now and then, until it has arrived.

use spindel_simulators::{
    roles::{Parcel, Sold},
    trade::Trade,
};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// Carriers tell time in seconds: two steps of one parcel never fall into the same.
const STEP: Duration = Duration::from_millis(1_500);
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Default)]
pub struct Rounds {
    last: Option<Instant>,
    /// When each booking was first seen as handed in, or moved on.
    moved: HashMap<String, Instant>,
}

impl Rounds {
    pub fn walk(&mut self, trade: &Trade) {
        let Some(carrier) = &trade.carrier else { return };
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            return;
        }
        self.last = Some(now);
        let parcels: Vec<Parcel> = carrier.parcels().into_iter().filter(|it| !it.delivered).collect();
        if parcels.is_empty() {
            return;
        }
        // What was cancelled has its label for nothing.
        let orders = trade.shop.orders();
        let sent: HashSet<&str> = orders.iter().filter(|it| it.sent).map(Sold::bare_number).collect();
        for parcel in parcels.into_iter().filter(|it| sent.contains(it.order.as_str())) {
            let moved = self.moved.entry(parcel.booking.clone()).or_insert(now);
            if now.duration_since(*moved) >= STEP {
                *moved = now;
                carrier.move_on(&parcel.booking);
            }
        }
    }
}

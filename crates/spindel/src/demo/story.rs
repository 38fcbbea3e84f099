//! What happens on the demo's day: sales, second thoughts, and vendors that are not always there.

use super::rounds::Rounds;
use crate::cli::DemoArgs;
use indicatif::ProgressBar;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde::Serialize;
use spindel_simulators::{fault::Fault, roles::Sold, trade::Trade};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What was done at the shop.
#[derive(Default, Serialize)]
pub struct Told {
    pub placed: u32,
    pub edited: u32,
    pub cancelled: u32,
    pub refunded: u32,
    /// Packed and marked as sent by hand; what a carrier was booked for is not in it.
    pub sent: u32,
}

/// The ERP is down between these parts of the day, of a hundred.
const DOWN: std::ops::Range<u32> = 40..55;
/// And for at least this long, however few orders there are.
const DOWN_AT_LEAST: Duration = Duration::from_secs(3);
/// Bookings wait for a second after the sale.
const SECOND_THOUGHTS: Duration = Duration::from_millis(500);
/// Time between two sales.
const PACE: Duration = Duration::from_millis(8);

pub struct Story<'a> {
    trade: &'a Trade,
    rng: StdRng,
    /// Ids of all orders that are not cancelled.
    open: Vec<String>,
    /// When the newest of them were placed, where a carrier is booked soon after.
    fresh: VecDeque<(Instant, String)>,
    pub told: Told,
}

impl<'a> Story<'a> {
    pub fn new(trade: &'a Trade, seed: u64) -> Self {
        trouble(trade, seed);
        Self { trade, rng: StdRng::seed_from_u64(seed), open: Vec::new(), fresh: VecDeque::new(), told: Told::default() }
    }

    pub async fn tell(&mut self, args: &DemoArgs, bar: &ProgressBar, rounds: &mut Rounds) -> anyhow::Result<()> {
        let mut down = false;
        for number in 0..args.orders {
            let should_be_down = DOWN.contains(&(number * 100 / args.orders));
            if should_be_down != down {
                down = should_be_down;
                bar.set_message(if down { "the ERP is down" } else { "the ERP is back" });
                self.trade.erp.faults().set(down.then_some(Fault::Down));
                tokio::time::sleep(if down { DOWN_AT_LEAST } else { Duration::ZERO }).await;
            }
            self.place()?;
            if self.trade.is_plain() {
                self.second_thoughts()?;
            } else {
                self.handling()?;
            }
            rounds.walk(self.trade);
            bar.inc(1);
            tokio::time::sleep(PACE).await;
        }
        self.trade.erp.faults().set(None);
        self.pack_the_rest();
        Ok(())
    }

    fn place(&mut self) -> anyhow::Result<()> {
        let placed = self.trade.shop.place(&mut self.rng, self.trade.till());
        let order = placed.map_err(anyhow::Error::msg)?.id;
        if self.trade.carrier.is_some() {
            self.fresh.push_back((Instant::now(), order.clone()));
        }
        self.open.push(order);
        self.told.placed += 1;
        Ok(())
    }

    /// Some orders are edited, cancelled or refunded, soon after they were placed or long after.
    fn second_thoughts(&mut self) -> anyhow::Result<()> {
        let shop = &self.trade.shop;
        if self.rng.random_bool(0.3) {
            let order = &self.open[self.rng.random_range(0..self.open.len())];
            self.told.edited += u32::from(shop.edit(order));
        }
        if self.rng.random_bool(0.1) {
            let order = &self.open[self.rng.random_range(0..self.open.len())];
            self.told.refunded += u32::from(shop.take_back(&mut self.rng, order, self.trade.till()));
        }
        if self.rng.random_bool(0.08) {
            let order = self.open.swap_remove(self.rng.random_range(0..self.open.len()));
            self.told.cancelled += u32::from(shop.cancel(&order));
            if self.open.is_empty() {
                self.place()?;
            }
        }
        Ok(())
    }

    /// Where goods are sent: edited and cancelled is what has not left, and only what has left comes back.
    fn handling(&mut self) -> anyhow::Result<()> {
        let shop = &self.trade.shop;
        if self.rng.random_bool(0.3)
            && let Some(order) = self.pick_unsent()
        {
            self.told.edited += u32::from(shop.trim(&order.id));
        }
        if self.rng.random_bool(0.08)
            && let Some(order) = self.pick_unsent()
            && shop.cancel(&order.id)
        {
            self.open.retain(|it| *it != order.id);
            self.told.cancelled += 1;
            if self.open.is_empty() {
                self.place()?;
            }
        }
        if self.trade.carrier.is_none()
            && self.rng.random_bool(0.6)
            && let Some(order) = self.pick_unsent()
        {
            self.told.sent += u32::from(shop.fulfil(&order.id));
        }
        if self.rng.random_bool(0.1) {
            self.take_back();
        }
        Ok(())
    }

    fn pick(&mut self) -> Option<Sold> {
        self.trade.shop.order(self.open.choose(&mut self.rng)?)
    }

    /// One that nobody packs yet: where a carrier is booked, a buyer has a moment to think better of it.
    fn pick_unsent(&mut self) -> Option<Sold> {
        if self.trade.carrier.is_none() {
            return self.pick().filter(|it| !it.sent);
        }
        while self.fresh.front().is_some_and(|(placed, _)| placed.elapsed() > SECOND_THOUGHTS) {
            self.fresh.pop_front();
        }
        let fresh = self.fresh.make_contiguous();
        let (_, order) = fresh.choose(&mut self.rng)?;
        self.trade.shop.order(order).filter(|it| !it.sent && !it.cancelled)
    }

    /// Goods come back days later: when they have left, and the money for them is there.
    fn take_back(&mut self) {
        let Some(order) = self.pick().filter(|it| it.sent) else { return };
        if let (Some(provider), Some(payment)) = (&self.trade.provider, &order.payment)
            && provider.payment(payment).is_none_or(|it| it.captured.is_zero())
        {
            return;
        }
        self.told.refunded += u32::from(self.trade.shop.take_back(&mut self.rng, &order.id, self.trade.till()));
    }

    /// In the evening most of what is left goes out. What does not stays authorised.
    fn pack_the_rest(&mut self) {
        if self.trade.provider.is_none() || self.trade.carrier.is_some() {
            return;
        }
        for order in &self.open {
            if self.rng.random_bool(0.9) && self.trade.shop.order(order).is_some_and(|it| !it.sent) {
                self.told.sent += u32::from(self.trade.shop.fulfil(order));
            }
        }
    }

    /// The days after: one order in ten comes back, in part.
    pub fn days_after(&mut self) {
        for _ in 0..self.open.len().div_ceil(10) {
            self.take_back();
        }
    }
}

/// Vendors that fail now and then, in ways after which nobody knows whether it was done. A booking that may have been made
/// is looked for, and one that is not found might only not be shown yet: so carriers lose answers, and no questions.
fn trouble(trade: &Trade, seed: u64) {
    let slow = || Fault::Slow(Duration::from_millis(200));
    let faults = || vec![Fault::CutAfter, Fault::Error(500), Fault::Malformed, slow()];
    trade.erp.faults().at_random(seed, 0.02, faults());
    if let Some(provider) = &trade.provider {
        provider.faults().at_random(seed, 0.02, faults());
    }
    if let Some(carrier) = &trade.carrier {
        carrier.faults().at_random(seed, 0.02, vec![Fault::CutAfter, slow()]);
    }
    trade.shop.trouble();
}

//! What happens on the demo's day: sales, second thoughts, and an ERP that is not always there.

use crate::cli::DemoArgs;
use indicatif::ProgressBar;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use spindel_simulators::{fault::Fault, pair::Pair, shopify::Placed};
use std::time::Duration;

/// What was done at the shop.
#[derive(Default, Serialize)]
pub struct Told {
    pub placed: u32,
    pub edited: u32,
    pub cancelled: u32,
    pub refunded: u32,
}

/// The ERP is down between these parts of the day, of a hundred.
const DOWN: std::ops::Range<u32> = 40..55;
/// And for at least this long, however few orders there are.
const DOWN_AT_LEAST: Duration = Duration::from_secs(3);
/// Time between two sales.
const PACE: Duration = Duration::from_millis(8);

pub async fn tell(pair: &Pair, args: &DemoArgs, bar: &ProgressBar) -> anyhow::Result<Told> {
    let mut rng = StdRng::seed_from_u64(args.seed);
    let mut told = Told::default();
    let mut open: Vec<Placed> = Vec::new();
    let trouble = || vec![Fault::CutAfter, Fault::Error(500), Fault::Malformed, Fault::Slow(Duration::from_millis(200))];
    pair.erp.faults().at_random(args.seed, 0.02, trouble());
    let mut down = false;
    for number in 0..args.orders {
        let should_be_down = DOWN.contains(&(number * 100 / args.orders));
        if should_be_down != down {
            down = should_be_down;
            bar.set_message(if down { "the ERP is down" } else { "the ERP is back" });
            pair.erp.faults().set(down.then_some(Fault::Down));
            tokio::time::sleep(if down { DOWN_AT_LEAST } else { Duration::ZERO }).await;
        }
        open.push(pair.shop.place_random_order()?);
        told.placed += 1;
        second_thoughts(pair, &mut rng, &mut open, &mut told)?;
        bar.inc(1);
        tokio::time::sleep(PACE).await;
    }
    pair.erp.faults().set(None);
    Ok(told)
}

/// Some orders are edited, cancelled or refunded, soon after they were placed or long after.
fn second_thoughts(pair: &Pair, rng: &mut StdRng, open: &mut Vec<Placed>, told: &mut Told) -> anyhow::Result<()> {
    if rng.random_bool(0.3) {
        let order = &open[rng.random_range(0..open.len())];
        told.edited += u32::from(pair.shop.edit_order_at_random(&order.id).is_ok());
    }
    if rng.random_bool(0.1) {
        let order = &open[rng.random_range(0..open.len())];
        told.refunded += u32::from(pair.shop.refund_order_at_random(&order.id).is_ok());
    }
    if rng.random_bool(0.08) {
        let order = open.swap_remove(rng.random_range(0..open.len()));
        told.cancelled += u32::from(pair.shop.cancel_order(&order.id, "customer").is_ok());
        if open.is_empty() {
            open.push(pair.shop.place_random_order()?);
            told.placed += 1;
        }
    }
    Ok(())
}

//! W4: many events within a second, then silence: how long until all have arrived, and what memory that takes.

use super::World;
use crate::{
    measure::{Run, Spec},
    process::Kind,
    report::{Goal, Runs, Section, Spread, table},
    rounds::{rounds, shape},
};
use std::time::Duration;

const CONNECTIONS: usize = 256;
/// Of the time that its usual rate would take.
const SLACK: f64 = 1.3;

pub async fn burst(world: &mut World<'_>) -> anyhow::Result<Section> {
    let (plan, size) = (world.plan, world.size());
    let mut specs = Vec::new();
    for (shape, _) in world.rates().await {
        let spec = Spec::open("w4", shape, Kind::Spindel, size, plan.burst as f64, Duration::ZERO);
        let pace = crate::load::Pace::Open(plan.burst as f64, Duration::from_secs(1));
        specs.push(Spec { connections: CONNECTIONS, warm_up: Duration::ZERO, pace, ..spec });
    }
    let runs = rounds(world.bench, plan, 1, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&[
        "shape",
        "events",
        "accepted",
        "ack p99 ms",
        "s until all arrived",
        "at the rate of W2",
        "MiB at most",
        "put off",
        "twice",
        "missing",
    ]);
    for cell in runs.cells() {
        let arrived = |run: &Run| run.destinations.first().map_or(f64::NAN, |it| it.events as f64 / it.sustained_per_second);
        let seconds = runs.spread(cell, arrived);
        let usual = plan.burst as f64 / world.rates.get(&cell.shape).copied().unwrap_or(f64::NAN);
        rows.add_row([
            shape(cell.shape).to_owned(),
            plan.burst.to_string(),
            runs.sum(cell, |run| run.accepted as u64).to_string(),
            runs.spread(cell, |run| run.acknowledged.p99).text(1),
            seconds.text(2),
            format!("{usual:.2}"),
            runs.spread(cell, |run| run.peak_mib).text(0),
            runs.sum(cell, |run| run.put_off).to_string(),
            runs.sum(cell, |run| run.destinations.iter().map(|it| it.doubled).sum()).to_string(),
            runs.sum(cell, |run| run.destinations.iter().map(|it| it.missing).sum()).to_string(),
        ]);
        let ratio = Spread::of([seconds.median / usual.max(1.0)]);
        world.goals.push(Goal::at_most(format!("{} burst against its usual rate", shape(cell.shape)), SLACK, &ratio));
    }
    Section::new("W4", "a burst, then silence", vec![rows], &runs.0)
}

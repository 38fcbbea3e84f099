//! W5, W6, W9 and one dead among ten: what one destination does to the others, and one event for several.

use super::World;
use crate::{
    load::Pace,
    measure::{Ends, Run, Spec},
    process::{Kind, Shape},
    report::{Cell, Goal, Runs, Section, table},
    rounds::{rounds, shape},
    sink::Manner,
};
use std::time::Duration;

const KIB: f64 = 1024.0;
const SLOW: Manner = Manner::Slow(Duration::from_secs(1));

/// At all destinations but the first. With what was accepted until it has arrived: a rate while the load is on would leave out
/// what waits.
fn others(run: &Run) -> f64 {
    run.destinations.iter().skip(1).map(|it| it.sustained_per_second).sum()
}

/// At a quarter of what one destination takes: with two, that is half of what goes.
pub async fn slow(world: &mut World<'_>) -> anyhow::Result<Section> {
    let (plan, size) = (world.plan, world.size());
    let mut specs = Vec::new();
    for (shape, rate) in world.rates().await {
        let quarter = rate / 4.0;
        let spec = Spec::open("w5", shape, Kind::Spindel, size, quarter, plan.long.min(Duration::from_secs(5)));
        for (variant, first) in [("both quick", Manner::Good), ("one slow", SLOW)] {
            specs.push(Spec { variant, destinations: vec![first, Manner::Good], ..spec.clone() });
        }
    }
    let runs = rounds(world.bench, plan, 1, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&[
        "shape",
        "destinations",
        "accepted/s",
        "ack p99 ms",
        "quick one's p50 ms",
        "quick one's p99 ms",
        "p99 to both quick",
        "missing there",
    ]);
    for cell in runs.cells() {
        let quick = |run: &Run| run.destinations.get(1).map_or(f64::NAN, |it| it.end_to_end.p99);
        let ratio = runs.ratio(cell, Cell { variant: "both quick", ..cell }, quick);
        rows.add_row([
            shape(cell.shape).to_owned(),
            cell.variant.into(),
            runs.spread(cell, |run| run.accepted_per_second).text(0),
            runs.spread(cell, |run| run.acknowledged.p99).text(1),
            runs.spread(cell, |run| run.destinations.get(1).map_or(f64::NAN, |it| it.end_to_end.p50)).text(2),
            runs.spread(cell, quick).text(1),
            ratio.text(2),
            runs.sum(cell, |run| run.destinations.get(1).map_or(0, |it| it.missing)).to_string(),
        ]);
        if cell.variant == "one slow" {
            world.goals.push(Goal::at_most(format!("{} p99 beside a slow destination", shape(cell.shape)), 1.5, &ratio));
        }
    }
    Section::new("W5", "one of two destinations takes a second for each", vec![rows], &runs.0)
}

/// Afterwards the failing one is mended, and everything must arrive there as well.
pub async fn failing(world: &mut World<'_>) -> anyhow::Result<Section> {
    const WELL: &str = "both work";
    let manners = [
        (WELL, Manner::Good),
        ("one always fails", Manner::Failing(100, 503)),
        ("one fails 3 in 10", Manner::Failing(30, 503)),
        ("one refuses", Manner::Refusing),
    ];
    let (plan, size) = (world.plan, world.size());
    let mut specs = Vec::new();
    for shape in &plan.shapes {
        let spec = Spec::closed("w6", *shape, Kind::Spindel, size, plan.warm_up, plan.time);
        for (variant, first) in manners {
            specs.push(Spec { variant, destinations: vec![first, Manner::Good], ends: Ends::WhenMended, ..spec.clone() });
        }
    }
    let runs = rounds(world.bench, plan, 1, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&[
        "shape",
        "destinations",
        "accepted/s",
        "ack p99 ms",
        "to both working",
        "other one arrived/s",
        "to both working",
        "requests per event",
        "missing in the end",
        "twice",
    ]);
    for cell in runs.cells() {
        let well = Cell { variant: WELL, ..cell };
        let acknowledged = runs.ratio(cell, well, |run| run.acknowledged.p99);
        let other = runs.ratio(cell, well, others);
        let requests = |run: &Run| run.destinations.first().map_or(f64::NAN, |it| it.requests as f64) / run.accepted as f64;
        rows.add_row([
            shape(cell.shape).to_owned(),
            cell.variant.into(),
            runs.spread(cell, |run| run.accepted_per_second).text(0),
            runs.spread(cell, |run| run.acknowledged.p99).text(1),
            acknowledged.text(2),
            runs.spread(cell, others).text(0),
            other.text(2),
            runs.spread(cell, requests).text(2),
            runs.sum(cell, |run| run.destinations.iter().map(|it| it.missing).sum()).to_string(),
            runs.sum(cell, |run| run.destinations.iter().map(|it| it.doubled).sum()).to_string(),
        ]);
        if cell.variant != WELL {
            let name = format!("{}, {}", shape(cell.shape), cell.variant);
            world.goals.push(Goal::at_most(format!("{name}: acknowledgement p99 to both working"), 1.2, &acknowledged));
            world.goals.push(Goal::at_least(format!("{name}: rate of the other"), 0.85, &other));
        }
    }
    Section::new("W6", "one of two destinations fails", vec![rows], &runs.0)
}

pub async fn five(world: &mut World<'_>) -> anyhow::Result<Section> {
    let (plan, size) = (world.plan, world.size());
    let mut specs = vec![Spec::closed("w9", Shape::Embedded, Kind::BarePost, size, plan.warm_up, plan.time)];
    for shape in &plan.shapes {
        let spec = Spec::closed("w9", *shape, Kind::Spindel, size, plan.warm_up, plan.time);
        specs.push(Spec { variant: "one", ..spec.clone() });
        specs.push(Spec { variant: "five", destinations: vec![Manner::Good; 5], ..spec });
    }
    let runs = rounds(world.bench, plan, 1, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&[
        "shape",
        "program",
        "destinations",
        "deliveries/s",
        "of bare post",
        "CPU s/100k events",
        "KiB on disk/event",
        "missing",
    ]);
    let all = |run: &Run| run.destinations.iter().map(|it| it.sustained_per_second).sum::<f64>();
    for cell in runs.cells() {
        let post = Cell { kind: Kind::BarePost, shape: Shape::Embedded, variant: "", ..cell };
        let ratio = runs.ratio(cell, post, all);
        let [name, _, program] = cell.head().try_into().unwrap_or_default();
        rows.add_row([
            name.clone(),
            program,
            cell.variant.into(),
            runs.spread(cell, all).text(0),
            ratio.text(2),
            runs.spread(cell, |run| run.cpu_seconds_per_100k).text(1),
            runs.spread(cell, |run| run.disk_bytes_per_event / KIB).text(1),
            runs.sum(cell, |run| run.destinations.iter().map(|it| it.missing).sum()).to_string(),
        ]);
        if cell.variant == "five" {
            world.goals.push(Goal::at_least(format!("{name} deliveries to five, of bare post"), 0.6, &ratio));
        }
    }
    Section::new("W9", "every event goes to five destinations", vec![rows], &runs.0)
}

/// The same events go to ten destinations; nine are looked at, with the tenth alive and dead.
pub async fn ten(world: &mut World<'_>) -> anyhow::Result<Section> {
    let (plan, size) = (world.plan, world.size());
    let several = if plan.sizes_once { plan.rounds.min(2) } else { plan.rounds };
    let mut specs = Vec::new();
    for shape in &plan.shapes {
        let spec = Spec::closed("ten", *shape, Kind::Spindel, size, Duration::ZERO, plan.time);
        let spec = Spec { pace: Pace::Count(plan.burst / 10), ..spec };
        for (variant, first) in
            [("all alive", Manner::Good), ("one refuses", Manner::Refusing), ("one hangs", Manner::Slow(Duration::from_secs(60)))]
        {
            let mut destinations = vec![Manner::Good; 10];
            destinations[0] = first;
            specs.push(Spec { variant, destinations, ..spec.clone() });
        }
    }
    let runs = rounds(world.bench, plan, several, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&["shape", "destinations", "accepted/s", "nine arrived/s", "to all alive", "missing at the nine"]);
    for cell in runs.cells() {
        let ratio = runs.ratio(cell, Cell { variant: "all alive", ..cell }, others);
        rows.add_row([
            shape(cell.shape).to_owned(),
            cell.variant.into(),
            runs.spread(cell, |run| run.accepted_per_second).text(0),
            runs.spread(cell, others).text(0),
            ratio.text(2),
            runs.sum(cell, |run| run.destinations.iter().skip(1).map(|it| it.missing).sum()).to_string(),
        ]);
        if cell.variant != "all alive" {
            let what = format!("{} throughput of nine when the tenth is dead, {}", shape(cell.shape), cell.variant);
            world.goals.push(Goal::at_least(what, 0.95, &ratio));
        }
    }
    Section::new("ten", "one of ten destinations is dead", vec![rows], &runs.0)
}

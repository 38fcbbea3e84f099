//! W1: durable ingest beside the bare endpoint. W10: the same when three in ten requests are repetitions.

use super::World;
use crate::{
    load::Pace,
    measure::{Ends, Run, Spec},
    process::Kind,
    report::{Cell, Goal, Runs, Section, table},
    rounds::{rounds, shape},
};

const KIB: f64 = 1024.0;

pub async fn durable(world: &mut World<'_>) -> anyhow::Result<Section> {
    let plan = world.plan;
    let mut specs = Vec::new();
    for shape in &plan.shapes {
        for size in &plan.sizes {
            for kind in [Kind::Spindel, Kind::BareIngest] {
                let spec = Spec::closed("w1", *shape, kind, *size, plan.warm_up, plan.time);
                specs.push(Spec { destinations: vec![], ends: Ends::AtOnce, ..spec });
            }
        }
    }
    let runs = rounds(world.bench, plan, plan.rounds, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&[
        "shape",
        "body",
        "program",
        "accepted/s",
        "of bare",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "CPU s/100k",
        "servers'",
        "KiB written/event",
        "servers'",
        "put off",
    ]);
    for cell in runs.cells() {
        let ratio = runs.ratio(cell, Cell { kind: Kind::BareIngest, ..cell }, |run| run.accepted_per_second);
        let spread = |value: fn(&Run) -> f64, digits| runs.spread(cell, value).text(digits);
        let mut row = cell.head();
        row.extend([
            spread(|run| run.accepted_per_second, 0),
            if cell.kind == Kind::Spindel { ratio.text(2) } else { "1".into() },
            spread(|run| run.acknowledged.p50, 2),
            spread(|run| run.acknowledged.p99, 1),
            spread(|run| run.acknowledged.p999, 1),
            spread(|run| run.cpu_seconds_per_100k, 1),
            spread(|run| run.servers_cpu_seconds_per_100k, 1),
            spread(|run| run.written_bytes_per_event / KIB, 1),
            spread(|run| run.servers_written_bytes_per_event / KIB, 1),
            runs.sum(cell, |run| run.put_off).to_string(),
        ]);
        rows.add_row(row);
        if cell.kind == Kind::Spindel {
            let what = format!("{} ingest of the bare endpoint, {} KiB", shape(cell.shape), cell.size / 1024);
            world.goals.push(Goal::at_least(what, 0.8, &ratio));
        }
    }
    Section::new("W1", "durable ingest, 64 connections, no destination", vec![rows, runs.around()], &runs.0)
}

/// Rates without a destination; whether anything arrives twice, with one.
pub async fn repeated(world: &mut World<'_>) -> anyhow::Result<Section> {
    const REPEATS: u8 = 30;
    const CHECKED: u64 = 8_000;
    let (plan, size) = (world.plan, world.size());
    let mut specs = Vec::new();
    for shape in &plan.shapes {
        let spec = Spec::closed("w10", *shape, Kind::Spindel, size, plan.warm_up, plan.time);
        let silent = Spec { destinations: vec![], ends: Ends::AtOnce, ..spec.clone() };
        specs.push(Spec { variant: "30 % repeated", repeats: REPEATS, ..silent.clone() });
        specs.push(Spec { variant: "each once", ..silent });
        specs.push(Spec { variant: "arrivals", repeats: REPEATS, pace: Pace::Count(CHECKED), ..spec });
    }
    let runs = rounds(world.bench, plan, 1, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&["shape", "requests", "accepted/s", "of those sent once", "p99 ms", "arrived twice", "missing"]);
    for cell in runs.cells() {
        let ratio = runs.ratio(cell, Cell { variant: "each once", ..cell }, |run| run.accepted_per_second);
        let arrivals = cell.variant == "arrivals";
        let twice = runs.sum(cell, |run| run.destinations.iter().map(|it| it.doubled).sum());
        let missing = runs.sum(cell, |run| run.destinations.iter().map(|it| it.missing).sum());
        let unless = |hidden: bool, text: String| if hidden { "–".into() } else { text };
        rows.add_row([
            shape(cell.shape).to_owned(),
            cell.variant.into(),
            unless(arrivals, runs.spread(cell, |run| run.accepted_per_second).text(0)),
            unless(arrivals, ratio.text(2)),
            unless(arrivals, runs.spread(cell, |run| run.acknowledged.p99).text(1)),
            unless(!arrivals, twice.to_string()),
            unless(!arrivals, missing.to_string()),
        ]);
        if cell.variant.starts_with("30") {
            world.goals.push(Goal::at_least(format!("{} ingest with repetitions", shape(cell.shape)), 0.9, &ratio));
        }
    }
    Section::new("W10", "three in ten requests are repetitions", vec![rows], &runs.0)
}

//! W2: accepted to arrived, as fast as it goes, beside the bare pipeline and the bare client. W3: latency at half of that, and
//! at 400 events a second.

use super::World;
use crate::{
    measure::{Run, Spec},
    process::{Kind, Shape},
    report::{Cell, Goal, Runs, Section, Spread, table},
    rounds::{rounds, shape},
};

const KIB: f64 = 1024.0;
const STEADY: f64 = 400.0;

fn sustained_rate(run: &Run) -> f64 {
    run.destinations.iter().map(|it| it.sustained_per_second).sum()
}

/// Of one that only posts: while it did.
fn rate(run: &Run) -> f64 {
    match run.kind {
        Kind::BarePost => run.destinations.iter().map(|it| it.per_second).sum(),
        _ => sustained_rate(run),
    }
}

pub async fn sustained(world: &mut World<'_>) -> anyhow::Result<Section> {
    let plan = world.plan;
    let mut specs = Vec::new();
    for size in &plan.sizes {
        for shape in &plan.shapes {
            for kind in [Kind::Spindel, Kind::BarePipeline] {
                specs.push(Spec::closed("w2", *shape, kind, *size, plan.warm_up, plan.time));
            }
        }
        specs.push(Spec::closed("w2", Shape::Embedded, Kind::BarePost, *size, plan.warm_up, plan.time));
    }
    let runs = rounds(world.bench, plan, plan.rounds, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&[
        "shape",
        "body",
        "program",
        "arrived/s",
        "of bare pipeline",
        "of bare post",
        "accepted/s",
        "CPU s/100k",
        "servers'",
        "KiB written/event",
        "servers'",
        "KiB on disk/event",
        "MiB idle",
        "MiB at most",
        "servers' MiB",
        "twice",
        "missing",
    ]);
    for cell in runs.cells() {
        let spread = |value: fn(&Run) -> f64, digits| runs.spread(cell, value).text(digits);
        let pipeline = runs.ratio(cell, Cell { kind: Kind::BarePipeline, ..cell }, rate);
        let post = runs.ratio(cell, Cell { kind: Kind::BarePost, shape: Shape::Embedded, ..cell }, rate);
        let mut row = cell.head();
        row.extend([
            spread(rate, 0),
            pipeline.text(2),
            post.text(2),
            spread(|run| run.accepted_per_second, 0),
            spread(|run| run.cpu_seconds_per_100k, 1),
            spread(|run| run.servers_cpu_seconds_per_100k, 1),
            spread(|run| run.written_bytes_per_event / KIB, 1),
            spread(|run| run.servers_written_bytes_per_event / KIB, 1),
            spread(|run| run.disk_bytes_per_event / KIB, 1),
            spread(|run| run.idle_mib, 0),
            spread(|run| run.peak_mib, 0),
            spread(|run| run.servers_mib, 0),
            runs.sum(cell, |run| run.destinations.iter().map(|it| it.doubled).sum()).to_string(),
            runs.sum(cell, |run| run.destinations.iter().map(|it| it.missing).sum()).to_string(),
        ]);
        rows.add_row(row);
        if cell.kind == Kind::Spindel {
            judge(world, &runs, cell, &pipeline);
        }
    }
    Section::new("W2", "accepted to arrived, 64 connections, one destination", vec![rows, runs.around()], &runs.0)
}

fn judge(world: &mut World<'_>, runs: &Runs<'_>, cell: Cell, pipeline: &Spread) {
    let name = shape(cell.shape);
    let (least, seconds) = if cell.shape == Shape::Embedded { (0.5, 25.0) } else { (0.6, 40.0) };
    let what = format!("{name} end to end of the bare pipeline, {} KiB", cell.size / 1024);
    world.goals.push(Goal::at_least(what, least, pipeline));
    if cell.size != world.size() {
        return;
    }
    world.rates.insert(cell.shape, runs.spread(cell, rate).median.max(10.0));
    let cpu = runs.spread(cell, |run| run.cpu_seconds_per_100k);
    world.goals.push(Goal::at_most(format!("{name} CPU seconds per 100,000 events"), seconds, &cpu));
    world.goals.push(Goal::at_most(format!("{name} MiB idle"), 40.0, &runs.spread(cell, |run| run.idle_mib)));
    world.goals.push(Goal::at_most(format!("{name} MiB under load"), 150.0, &runs.spread(cell, |run| run.peak_mib)));
}

pub async fn latency(world: &mut World<'_>) -> anyhow::Result<Section> {
    let (plan, size) = (world.plan, world.size());
    let mut specs = Vec::new();
    for (shape, rate) in world.rates().await {
        let half = rate / 2.0;
        for kind in [Kind::Spindel, Kind::BarePipeline] {
            let at = |rate, variant| Spec { variant, ..Spec::open("w3", shape, kind, size, rate, plan.long) };
            specs.extend([at(STEADY, "400/s"), at(half, "half")]);
        }
    }
    // A long turn says more than several short ones; with --full there are both.
    let several = if plan.sizes_once { 1 } else { plan.rounds };
    let runs = rounds(world.bench, plan, several, &specs).await?;
    let runs = Runs(&runs);
    let mut rows = table(&[
        "shape",
        "program",
        "load",
        "accepted/s",
        "ack p50 ms",
        "ack p99 ms",
        "arrived p50 ms",
        "arrived p99 ms",
        "p99 to fdatasync p99",
        "CPU s/100k",
        "servers'",
        "MiB at most",
    ]);
    for cell in runs.cells() {
        let spread = |value: fn(&Run) -> f64| runs.spread(cell, value);
        let end_to_end = |run: &Run| run.destinations.first().map(|it| it.end_to_end).unwrap_or_default();
        let (p50, p99) = (spread(|run| run.acknowledged.p50), spread(|run| run.acknowledged.p99));
        let (e2e_50, e2e_99) = (runs.spread(cell, |run| end_to_end(run).p50), runs.spread(cell, |run| end_to_end(run).p99));
        let [name, _, program] = cell.head().try_into().unwrap_or_default();
        rows.add_row([
            name.clone(),
            program,
            cell.variant.into(),
            spread(|run| run.accepted_per_second).text(0),
            p50.text(2),
            p99.text(1),
            e2e_50.text(2),
            e2e_99.text(1),
            runs.spread(cell, |run| end_to_end(run).p99 / run.disk.append_p99_ms).text(1),
            spread(|run| run.cpu_seconds_per_100k).text(1),
            spread(|run| run.servers_cpu_seconds_per_100k).text(1),
            spread(|run| run.peak_mib).text(0),
        ]);
        if cell.kind != Kind::Spindel {
            continue;
        }
        world.goals.extend(match cell.variant {
            "half" => [
                Goal::at_most(format!("{name} acknowledgement at half load, p50 ms"), 3.0, &p50),
                Goal::at_most(format!("{name} acknowledgement at half load, p99 ms"), 25.0, &p99),
            ],
            _ => [
                Goal::at_most(format!("{name} end to end at 400/s, p50 ms"), 5.0, &e2e_50),
                Goal::at_most(format!("{name} end to end at 400/s, p99 ms"), 40.0, &e2e_99),
            ],
        });
    }
    Section::new("W3", "latency at fixed rates, from when each request was due", vec![rows, runs.around()], &runs.0)
}

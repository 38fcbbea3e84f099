//! Rounds: in each, everything that is compared runs once, close together and in a new order, so that what the machine does
//! meanwhile cannot favour one of them.

use crate::{
    measure::{Run, Spec, measure},
    options::Plan,
    process::{Bench, Kind, Shape},
    report::failed,
};
use rand::seq::SliceRandom as _;

/// A turn in which others used more than this share of the machine is repeated.
const FOREIGN: f64 = 0.12;

pub async fn rounds(bench: &Bench, plan: &Plan, rounds: u32, specs: &[Spec]) -> anyhow::Result<Vec<Run>> {
    let (mut runs, mut broken) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let usual = plan.sizes.first();
        let takes_part = |spec: &Spec| round == 1 || !plan.sizes_once || Some(&spec.size) == usual;
        let mut turns: Vec<usize> = (0..specs.len()).filter(|at| takes_part(&specs[*at]) && !broken.contains(at)).collect();
        turns.shuffle(&mut rand::rng());
        for at in turns {
            match turn(bench, plan, &specs[at], round).await {
                Ok(run) => runs.push(run),
                Err(error) => {
                    failed(&name(&specs[at]), &error);
                    broken.push(at);
                }
            }
        }
    }
    Ok(runs)
}

fn name(spec: &Spec) -> String {
    let (shape, kind, kib) = (shape(spec.shape), kind(spec.kind), spec.size / 1024);
    let variant = if spec.variant.is_empty() { String::new() } else { format!(", {}", spec.variant) };
    format!("{}: {shape} {kind}, {kib} KiB{variant}", spec.workload)
}

pub async fn turn(bench: &Bench, plan: &Plan, spec: &Spec, round: u32) -> anyhow::Result<Run> {
    let mut tried = 0;
    loop {
        let mut run = measure(bench, spec, round).await?;
        tried += 1;
        let foreign = run.foreign_share;
        eprintln!(
            "{}, round {round}: {:.0}/s accepted, {:.0}/s arrived, others used {:.0} %",
            name(spec),
            run.accepted_per_second,
            run.destinations.iter().map(|it| it.sustained_per_second).fold(0.0, |sum, it| sum + it),
            foreign * 100.0
        );
        if foreign <= FOREIGN || tried >= plan.tries {
            run.disturbed = foreign > FOREIGN;
            return Ok(run);
        }
    }
}

pub fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Embedded => "embedded",
        Shape::Production => "production",
    }
}

pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Spindel => "spindel",
        Kind::BareIngest => "bare ingest",
        Kind::BarePipeline => "bare pipeline",
        Kind::BarePost => "bare post",
    }
}

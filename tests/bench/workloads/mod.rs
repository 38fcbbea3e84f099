//! The workloads, one after the other, and the goals that they are held against.

mod backlog;
mod burst;
mod carry;
mod destinations;
mod ingest;
mod kills;
mod replay;

use crate::{
    machine,
    measure::Spec,
    options::{Name, Plan},
    process::{Bench, Kind, Shape},
    report::{Goal, failed, goals},
    rounds::{self, turn},
};
use std::{collections::BTreeMap, fs, time::Instant};

/// What workloads learn from each other.
pub struct World<'a> {
    bench: &'a Bench,
    plan: &'a Plan,
    /// Events a second that Spindel carries, with bodies of the first size.
    rates: BTreeMap<Shape, f64>,
    goals: Vec<Goal>,
}

pub async fn run(bench: &Bench, plan: &Plan) -> anyhow::Result<()> {
    let mut world = World { bench, plan, rates: BTreeMap::new(), goals: Vec::new() };
    let start = Instant::now();
    println!("# Bench\n\n{}", machine::describe());
    println!("Turns of {:?} after {:?}, {} rounds.", plan.time, plan.warm_up, plan.rounds);
    println!("Program without symbols: {:.1} MiB.", bench.binary_size()? as f64 / f64::from(1 << 20));
    for name in &plan.only {
        let section = match name {
            Name::W1 => ingest::durable(&mut world).await,
            Name::W2 => carry::sustained(&mut world).await,
            Name::W3 => carry::latency(&mut world).await,
            Name::W4 => burst::burst(&mut world).await,
            Name::W5 => destinations::slow(&mut world).await,
            Name::W6 => destinations::failing(&mut world).await,
            Name::W7 => backlog::backlog(&mut world).await,
            Name::W8 => kills::kills(&mut world).await,
            Name::W9 => destinations::five(&mut world).await,
            Name::W10 => ingest::repeated(&mut world).await,
            Name::Ten => destinations::ten(&mut world).await,
            Name::Replay => replay::replay(&mut world).await,
        };
        match section {
            Ok(section) => section.publish(bench)?,
            Err(error) => failed(&format!("{name:?}"), &error),
        }
        eprintln!("{:.0} s so far", start.elapsed().as_secs_f64());
    }
    println!("\n## Goals\n\n{}", goals(&world.goals));
    fs::write(bench.folder.join("goals.json"), serde_json::to_vec_pretty(&world.goals)?)?;
    println!("\nEvery run: {}/*.json", bench.folder.display());
    Ok(())
}

impl World<'_> {
    /// The size of bodies where only one is measured.
    fn size(&self) -> usize {
        self.plan.sizes.first().copied().unwrap_or(2048)
    }

    /// The shapes that can be measured, with the events a second that Spindel carries to one destination.
    async fn rates(&mut self) -> Vec<(Shape, f64)> {
        let mut known = Vec::new();
        for shape in &self.plan.shapes {
            match self.rate(*shape).await {
                Ok(rate) => known.push((*shape, rate)),
                Err(error) => failed(rounds::shape(*shape), &error),
            }
        }
        known
    }

    async fn rate(&mut self, shape: Shape) -> anyhow::Result<f64> {
        if let Some(rate) = self.rates.get(&shape) {
            return Ok(*rate);
        }
        let spec = Spec::closed("rate", shape, Kind::Spindel, self.size(), self.plan.warm_up, self.plan.time);
        let run = turn(self.bench, self.plan, &spec, 1).await?;
        let rate = run.destinations.first().map_or(0.0, |it| it.sustained_per_second).max(10.0);
        self.rates.insert(shape, rate);
        Ok(rate)
    }
}

//! What was measured, as Markdown for people and as JSON for programs.

use crate::{
    measure::Run,
    process::{Bench, Kind, Shape},
    rounds::{kind, shape},
};
use anyhow::Context as _;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::Serialize;
use std::fs;

/// One workload's part of the report.
pub struct Section {
    pub name: &'static str,
    pub title: String,
    pub tables: Vec<Table>,
    pub json: serde_json::Value,
}

impl Section {
    pub fn new(name: &'static str, title: &str, tables: Vec<Table>, runs: &impl Serialize) -> anyhow::Result<Self> {
        Ok(Self { name, title: title.to_owned(), tables, json: serde_json::to_value(runs)? })
    }

    /// Prints it and keeps every run.
    pub fn publish(&self, bench: &Bench) -> anyhow::Result<()> {
        println!("\n## {}: {}", self.name, self.title);
        for table in &self.tables {
            println!("\n{table}");
        }
        let file = bench.folder.join(format!("{}.json", self.name.to_lowercase()));
        fs::write(&file, serde_json::to_vec_pretty(&self.json)?).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// What could not be measured is no reason to leave out the rest.
pub fn failed(what: &str, error: &anyhow::Error) {
    println!("\n{what} could not be measured:\n\n```\n{error:#}\n```");
}

pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(head);
    table
}

/// A goal, as it was set and as it turned out.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    pub what: String,
    pub goal: String,
    pub measured: String,
    pub holds: bool,
}

impl Goal {
    pub fn at_least(what: impl Into<String>, least: f64, measured: &Spread) -> Self {
        Self { what: what.into(), goal: format!("≥ {least}"), measured: measured.text(2), holds: measured.median >= least }
    }

    pub fn at_most(what: impl Into<String>, most: f64, measured: &Spread) -> Self {
        Self { what: what.into(), goal: format!("≤ {most}"), measured: measured.text(2), holds: measured.median <= most }
    }
}

pub fn goals(goals: &[Goal]) -> Table {
    let mut table = table(&["goal", "asked", "measured", "holds"]);
    for goal in goals {
        table.add_row([goal.what.as_str(), &goal.goal, &goal.measured, if goal.holds { "yes" } else { "NO" }]);
    }
    table
}

/// The middle of several values, and the two ends.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|it| !it.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 };
        Self { least: at(0), median, most: at(values.len().saturating_sub(1)) }
    }

    pub fn text(&self, digits: usize) -> String {
        if self.median.is_nan() {
            return "–".into();
        }
        if self.least == self.most {
            return format!("{:.digits$}", self.median);
        }
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.least, self.most)
    }
}

/// Runs of one workload, chosen.
pub struct Runs<'a>(pub &'a [Run]);

/// What tells runs apart that are not compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub shape: Shape,
    pub size: usize,
    pub kind: Kind,
    pub variant: &'static str,
}

impl Cell {
    fn fits(&self, run: &Run) -> bool {
        self.shape == run.shape && self.size == run.body_bytes && self.kind == run.kind && self.variant == run.variant
    }

    /// Shape, body and what it is, as the first columns of a row.
    pub fn head(&self) -> Vec<String> {
        vec![shape(self.shape).into(), format!("{} KiB", self.size / 1024), kind(self.kind).into()]
    }
}

impl Runs<'_> {
    pub fn cells(&self) -> Vec<Cell> {
        let cell = |run: &Run| Cell { shape: run.shape, size: run.body_bytes, kind: run.kind, variant: run.variant };
        let mut cells: Vec<Cell> = self.0.iter().map(cell).collect();
        cells.sort();
        cells.dedup();
        cells
    }

    pub fn spread(&self, cell: Cell, value: impl Fn(&Run) -> f64) -> Spread {
        Spread::of(self.0.iter().filter(|run| cell.fits(run)).map(value))
    }

    pub fn sum(&self, cell: Cell, value: impl Fn(&Run) -> u64) -> u64 {
        self.0.iter().filter(|run| cell.fits(run)).map(value).sum()
    }

    /// This against that of the same round.
    pub fn ratio(&self, cell: Cell, to: Cell, value: impl Fn(&Run) -> f64) -> Spread {
        let ratios = self.0.iter().filter(|run| cell.fits(run)).filter_map(|run| {
            let other = self.0.iter().find(|other| to.fits(other) && other.round == run.round)?;
            Some(value(run) / value(other))
        });
        Spread::of(ratios)
    }

    /// How quiet it was.
    pub fn around(&self) -> Table {
        let mut table = table(&["around the runs", "median (least–most)"]);
        let all = |value: fn(&Run) -> f64| Spread::of(self.0.iter().map(value));
        table.add_row(["others' share of the machine, %".to_owned(), all(|run| run.foreign_share * 100.0).text(0)]);
        table.add_row(["4 KiB fdatasync in place, p50 ms".to_owned(), all(|run| run.disk.overwrite_p50_ms).text(2)]);
        table.add_row(["4 KiB fdatasync in place, p99 ms".to_owned(), all(|run| run.disk.overwrite_p99_ms).text(2)]);
        table.add_row(["4 KiB fdatasync appended, p50 ms".to_owned(), all(|run| run.disk.append_p50_ms).text(2)]);
        table.add_row(["4 KiB fdatasync appended, p99 ms".to_owned(), all(|run| run.disk.append_p99_ms).text(2)]);
        table.add_row(["disk stalls over 50 ms".to_owned(), all(|run| run.stalls.into()).text(0)]);
        table.add_row(["senders and sink, CPU s per 100,000".to_owned(), all(|run| run.bench_cpu_seconds_per_100k).text(1)]);
        let disturbed = self.0.iter().filter(|run| run.disturbed).count();
        table.add_row(["runs in which others used more than 12 %".to_owned(), format!("{disturbed} of {}", self.0.len())]);
        table
    }
}

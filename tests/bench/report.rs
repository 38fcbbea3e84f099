//! What was measured, as tables for people and as JSON.

use crate::{
    memory::Waiting,
    rate::{SENDERS, SIZES, Turn},
};
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Default, Serialize)]
pub struct Report {
    pub rate: Vec<Turn>,
    pub memory: Option<Waiting>,
}

impl Report {
    pub fn text(&self) -> String {
        let mut text = String::new();
        if !self.rate.is_empty() {
            let _ = writeln!(text, "\nDurable ingest: medians over the rounds (least to most)\n\n{}", self.rates());
            let _ = writeln!(text, "\nAgainst one sender, in the same round\n\n{}", self.ratios());
            let most = self.rate.iter().map(|turn| turn.foreign_share).fold(0.0, f64::max);
            let foreign = self.spread(|_| true, |turn| turn.foreign_share * 100.0).median;
            let _ =
                writeln!(text, "\nOthers used {foreign:.0} % of the machine in the median turn, {:.0} % at most.", most * 100.0);
        }
        if let Some(waiting) = &self.memory {
            let _ = writeln!(
                text,
                "\nEvents of {} bytes that wait for a destination that is down\n\n{}",
                waiting.body_bytes,
                marks(waiting)
            );
        }
        text
    }

    fn rates(&self) -> Table {
        let mut table =
            table(&["body", "senders", "accepted/s", "p50 ms", "p99 ms", "CPU s / 100k", "written / event", "put off"]);
        for size in SIZES {
            for senders in SENDERS {
                let cell =
                    |value: fn(&Turn) -> f64| self.spread(|turn| turn.body_bytes == size && turn.senders == senders, value);
                let put_off =
                    self.rate.iter().filter(|turn| turn.body_bytes == size && turn.senders == senders).map(|turn| turn.put_off);
                table.add_row(vec![
                    format!("{} KiB", size / 1024),
                    senders.to_string(),
                    cell(|turn| turn.per_second).text(0),
                    cell(|turn| turn.p50_ms).text(2),
                    cell(|turn| turn.p99_ms).text(1),
                    format!("{:.1}", cell(|turn| turn.cpu_seconds_per_100k).median),
                    format!("{:.1} KiB", cell(|turn| turn.written_bytes_per_event / 1024.0).median),
                    put_off.sum::<u64>().to_string(),
                ]);
            }
        }
        table
    }

    fn ratios(&self) -> Table {
        let mut table = table(&["body", "senders", "times the rate of one"]);
        for size in SIZES {
            for senders in SENDERS.into_iter().filter(|senders| *senders > 1) {
                let rates = |senders| self.rate.iter().filter(move |turn| turn.body_bytes == size && turn.senders == senders);
                let ratios = rates(senders).filter_map(|many| {
                    let one = rates(1).find(|one| one.round == many.round)?;
                    Some(many.per_second / one.per_second)
                });
                table.add_row(vec![format!("{} KiB", size / 1024), senders.to_string(), Spread::of(ratios).text(1)]);
            }
        }
        table
    }

    fn spread(&self, which: impl Fn(&Turn) -> bool, value: impl Fn(&Turn) -> f64) -> Spread {
        Spread::of(self.rate.iter().filter(|turn| which(turn)).map(value))
    }
}

fn marks(waiting: &Waiting) -> Table {
    let mut table =
        table(&["waiting", "MiB when accepted", "MiB when planned", "MiB at most", "MiB on disk", "accepted/s", "put off"]);
    let mib = |bytes: u64| format!("{:.0}", bytes as f64 / f64::from(1 << 20));
    for mark in &waiting.marks {
        table.add_row(vec![
            mark.waiting.to_string(),
            format!("{:.1}", mark.accepted.now),
            format!("{:.1}", mark.planned.now),
            format!("{:.1}", mark.planned.peak),
            mib(mark.disk_bytes),
            format!("{:.0}", mark.per_second),
            mark.put_off.to_string(),
        ]);
    }
    let restart = &waiting.restart;
    table.add_row(vec![
        format!("{}, restarted in {:.2} s", restart.waiting, restart.seconds_until_it_listens),
        String::new(),
        format!("{:.1}", restart.memory.now),
        format!("{:.1}", restart.memory.peak),
    ]);
    table
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(head);
    table
}

/// The middle of several values, and the two ends.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 };
        Self { least: at(0), median, most: at(values.len().saturating_sub(1)) }
    }

    fn text(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.least, self.most)
    }
}

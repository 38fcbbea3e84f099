//! What the command line prints: tables for people, JSON for programs, colour only on a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use crate::cli::Color;
use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use owo_colors::{OwoColorize as _, Style};
use serde::Serialize;
use std::{io::IsTerminal as _, process::ExitCode};

/// Exit codes, besides 0 for success and 2 for a command line that makes no sense.
pub const FAILED: u8 = 1;
pub const CONFIG_INVALID: u8 = 3;
pub const UNREACHABLE: u8 = 4;
pub const NOTHING_MATCHED: u8 = 6;

#[derive(Clone, Copy)]
pub struct Out {
    pub json: bool,
    pub colour: bool,
}

impl Out {
    pub fn new(json: bool, color: Color) -> Self {
        let wanted = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Self { json, colour: wanted && !json }
    }

    /// JSON with `--json`, else what `text` prints.
    pub fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&Self)) {
        if self.json {
            self.json(value);
        } else {
            text(self);
        }
    }

    /// One document.
    pub fn json<T: Serialize>(&self, value: &T) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(&text),
            Err(error) => self.complain(&format!("cannot be written as JSON: {error}")),
        }
    }

    /// One line of a stream.
    pub fn json_line<T: Serialize>(&self, value: &T) {
        if let Ok(text) = serde_json::to_string(value) {
            self.line(&text);
        }
    }

    /// A closed pipe (`| head`) ends the program quietly.
    pub fn line(&self, text: &str) {
        use std::io::Write as _;
        if writeln!(std::io::stdout().lock(), "{text}").is_err() {
            std::process::exit(0);
        }
    }

    /// Why there is nothing to show, and what to do.
    pub fn refuse(&self, problem: &str, hint: &str) {
        if self.json {
            self.json(&serde_json::json!({ "error": problem, "hint": hint }));
        } else {
            self.complain(&format!("error: {problem}"));
            self.hint(hint);
        }
    }

    pub fn complain(&self, text: &str) {
        eprintln!("{text}");
    }

    pub fn hint(&self, text: &str) {
        self.complain(&format!("hint: {text}"));
    }

    pub fn failure(&self, error: &anyhow::Error) -> ExitCode {
        if self.json {
            self.json(&serde_json::json!({ "error": format!("{error:#}") }));
        } else {
            self.complain(&format!("error: {error:#}"));
        }
        ExitCode::from(FAILED)
    }

    pub fn table(&self, header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.iter().map(|name| self.styled(name, Style::new().bold())));
        table.add_rows(rows);
        for line in table.to_string().lines() {
            self.line(line.trim_end());
        }
    }

    pub fn styled(&self, text: &str, style: Style) -> String {
        if self.colour { text.style(style).to_string() } else { text.to_owned() }
    }

    pub fn bold(&self, text: &str) -> String {
        self.styled(text, Style::new().bold())
    }

    pub fn dim(&self, text: &str) -> String {
        self.styled(text, Style::new().dimmed())
    }

    /// A state's name: green when it is well, red when a person is needed, yellow between.
    pub fn state(&self, name: &str) -> String {
        let style = match name {
            "delivered" | "unchanged" | "planned" => Style::new().green(),
            "dead" | "conflict" | "quarantined" | "in_doubt" => Style::new().red(),
            "due" | "waiting" | "running" | "held" | "paused" | "accepted" | "unrouted" => Style::new().yellow(),
            _ => Style::new().dimmed(),
        };
        self.styled(name, style)
    }
}

/// A moment for people: the local time with its offset.
pub fn moment(at: spindel_model::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f%:z").to_string()
}

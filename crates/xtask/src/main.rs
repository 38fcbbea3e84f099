//! `cargo xtask …`: the command line of the repository's chores.
// A command line prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};
use xtask::{Finding, contracts, generate, new_connector, repository, tidy};

/// Chores of this repository
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Chores {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the rules of this repository that the compiler does not know
    Tidy,
    /// Write the files that are made from code: the config schema and the connector tables
    Generate {
        /// Write nothing; fail when a file is not current
        #[arg(long)]
        check: bool,
    },
    /// Check what connectors send against the vendors' own API descriptions
    Contracts {
        /// Folder with one sub-folder a vendor
        #[arg(long, env = "SPINDEL_SPECS")]
        specs: Option<PathBuf>,
    },
    /// Write the skeleton of a connector that builds at once
    NewConnector {
        /// As it will stand in config files: `business-central`
        name: String,
    },
}

fn main() -> ExitCode {
    match run(Chores::parse().chore) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<ExitCode> {
    let root = repository();
    Ok(match chore {
        Chore::Tidy => report(&tidy::check(&root)?, "all is tidy"),
        Chore::Generate { check: true } => report(&generate::check(&root)?, "generated files are current"),
        Chore::Generate { check: false } => {
            let (written, findings) = generate::write(&root)?;
            for path in written {
                println!("wrote {path}");
            }
            report(&findings, "generated files are current")
        }
        Chore::Contracts { specs } => {
            let outcome = contracts::check(&root, specs.as_deref())?;
            for line in &outcome.notes {
                println!("{line}");
            }
            report(&outcome.findings, "")
        }
        Chore::NewConnector { name } => {
            for line in new_connector::write(&root, &name)? {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
    })
}

fn report(findings: &[Finding], all_is_well: &str) -> ExitCode {
    for finding in findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        if !all_is_well.is_empty() {
            println!("{all_is_well}");
        }
        return ExitCode::SUCCESS;
    }
    eprintln!("\n{} finding(s)", findings.len());
    ExitCode::FAILURE
}

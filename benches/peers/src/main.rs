//! Landline, its peers and a hand-made floor, one after the other on one machine.
//!
//! `benches/peers/run` builds what is needed and starts `peers run`, which starts each server in
//! turn as a process of its own (`peers serve NAME`), loads it with `landline bench`, and prints
//! tables. The load checks the content and order of everything that comes back.

mod bench;
mod cell;
mod compare;
mod machine;
mod outcome;
mod pin;
mod server;
mod servers;
mod statistics;
mod table;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::compare::Plan;
use crate::outcome::Report;
use crate::server::ServeOptions;

/// Compares WebSocket servers by what they cost.
#[derive(Parser)]
#[command(name = "peers")]
enum Role {
    /// Starts one server on a free port of 127.0.0.1; its address is the first line of stdout
    Serve(ServeOptions),
    /// Measures servers in turn and prints tables
    Run(Plan),
    /// Prints the tables of what earlier runs wrote with --json
    Table {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let done = match Role::parse() {
        Role::Serve(options) => server::serve(&options).map(|()| true),
        Role::Run(plan) => compare::run(plan),
        Role::Table { files } => tables(&files),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the tables of several reports as if they were one; true if nothing is missing.
fn tables(files: &[PathBuf]) -> Result<bool, Box<dyn Error>> {
    let mut all: Option<Report> = None;
    for file in files {
        let text = fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let report: Report = serde_json::from_str(&text)
            .map_err(|error| format!("{} is no report of peers: {error}", file.display()))?;
        match &mut all {
            Some(all) => all.append(report),
            None => all = Some(report),
        }
    }
    let all = all.unwrap_or_default();
    print!("{}", table::render(&all));
    Ok(all.is_complete())
}

//! Every server under every load, in interleaved rounds.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::bench::Bench;
use crate::cell::{CELLS, Cell, Group};
use crate::machine::Machine;
use crate::outcome::{Figures, Outcome, Report};
use crate::pin;
use crate::server::Server;
use crate::servers::Name;
use crate::table;

/// More connections than this are too many for `--quick`.
const QUICK_CONNECTIONS: u32 = 50;

/// What to measure.
#[derive(Args)]
pub(crate) struct Plan {
    /// How often each server gets its turn; the idle connections are counted once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3.0)]
    duration: f64,
    /// Seconds of load before each measurement
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Which servers, in this order (default: all)
    #[arg(long, value_delimiter = ',')]
    servers: Vec<Name>,
    /// Which loads: echo, broadcast, http, connect, idle, or single ones as echo-64x32
    #[arg(long, value_delimiter = ',', value_parser = cell_word)]
    cells: Vec<String>,
    /// Leaves servers and load to the scheduler instead of a core each
    #[arg(long)]
    unpinned: bool,
    /// One short round with at most 50 connections: does everything work?
    #[arg(long)]
    quick: bool,
    /// How many threads of landline carry broadcasts (default: the library's)
    #[arg(long)]
    relays: Option<usize>,
    /// Writes all figures to this file too; `peers table` reads it
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The program that makes the load
    #[arg(long, value_name = "PATH", default_value = "target/release/landline")]
    landline: PathBuf,
}

fn cell_word(word: &str) -> Result<String, String> {
    if CELLS.iter().any(|cell| cell.is_called(word)) {
        return Ok(word.to_owned());
    }
    let groups = Group::ALL.map(Group::name).join(", ");
    let single = CELLS.map(|cell| cell.id).join(", ");
    Err(format!("choose of {groups}, or single ones: {single}"))
}

impl Plan {
    /// What the options mean together.
    fn settle(mut self) -> Self {
        if self.servers.is_empty() {
            self.servers = Name::value_variants().to_vec();
        }
        if self.quick {
            (self.rounds, self.duration, self.warm_up) = (1, 0.3, 0.1);
        }
        if !self.unpinned && !pin::is_possible() {
            eprintln!("peers: there is one core only; nothing is pinned");
            self.unpinned = true;
        }
        self
    }

    fn cells(&self) -> Vec<Cell> {
        let is_meant = |cell: &&Cell| {
            self.cells.is_empty() || self.cells.iter().any(|word| cell.is_called(word))
        };
        let mut cells: Vec<Cell> = CELLS.iter().filter(is_meant).copied().collect();
        if self.quick {
            for cell in &mut cells {
                cell.connections = cell.connections.min(QUICK_CONNECTIONS);
            }
        }
        cells
    }

    /// Whose turn it is in a round: the order is another one each time.
    fn turns(&self, round: usize) -> impl Iterator<Item = Name> {
        let count = self.servers.len();
        (0..count).map(move |turn| self.servers[(turn + round) % count])
    }
}

/// Measures, and prints the tables; true if every server did everything without a fault.
pub(crate) fn run(plan: Plan) -> Result<bool, Box<dyn Error>> {
    let plan = plan.settle();
    let mut report =
        Report { machine: Machine::here(), is_pinned: !plan.unpinned, outcomes: Vec::new() };
    for cell in plan.cells() {
        let rounds = if cell.group == Group::Idle { 1 } else { plan.rounds };
        for round in 0..usize::from(rounds) {
            for server in plan.turns(round) {
                report.outcomes.push(measure(&plan, &cell, server, round));
            }
        }
    }
    if let Some(file) = &plan.json {
        fs::write(file, serde_json::to_string(&report)?)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    if plan.quick {
        // Figures of so short a time say nothing.
        print!("{}", table::summary(&report));
    } else {
        print!("{}", table::render(&report));
    }
    Ok(report.is_complete())
}

fn measure(plan: &Plan, cell: &Cell, server: Name, round: usize) -> Outcome {
    let exempt = cell.not_for(server);
    let figures = match exempt {
        Some(reason) => Err(reason.to_owned()),
        None => load(plan, cell, server),
    };
    let word = match &figures {
        Ok(figures) => match figures.server.rss_kib_per_connection {
            Some(kib) => format!("{kib:.1} KiB for each"),
            None => format!("{:.0} a second", figures.per_second),
        },
        Err(reason) => reason.clone(),
    };
    eprintln!("{}, round {}, {server}: {word}", cell.id, round + 1);
    Outcome { cell: cell.id.to_owned(), server, round, figures, is_exempt: exempt.is_some() }
}

fn load(plan: &Plan, cell: &Cell, server: Name) -> Result<Figures, String> {
    let is_pinned = !plan.unpinned;
    let mut server = Server::start(server, plan.relays, is_pinned)
        .map_err(|error| format!("does not start: {error}"))?;
    let bench = Bench {
        program: &plan.landline,
        duration: plan.duration,
        warm_up: plan.warm_up,
        is_pinned,
    };
    bench.load(&mut server, cell)
}

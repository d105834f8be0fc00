//! What a delivery costs, and how late it is: one publisher, many members, in one run beside a
//! hand-made server.
//!
//! `cargo bench --bench broadcast` starts, as processes of their own, this library's hub and the
//! floor (two relay threads, frames joined, bare system calls, no library), and loads both in turn
//! for several rounds. The load checks content and order of every delivery. Printed are medians:
//! deliveries per second, the server's CPU seconds per million deliveries (user and system), and
//! the time from the publish to the member's receipt, which contains the load's own work of reading
//! a thousand sockets.
//!
//! The last rows have one member that stops reading: what it costs the others, and what became of
//! it.
//!
//! `-- --rounds 3 --members 1000 --scale 50` for less, `--unpinned` to leave the cores to the
//! scheduler; as a test (without cargo's `--bench`) it
//! only shows that it works.

#[path = "../client/mod.rs"]
mod client;
mod floor;
mod load;
mod ours;
#[path = "../cost/process.rs"]
mod process;

use std::env;

use load::{Load, Outcome, Pace};
use process::{Child, Role};

/// One way to publish.
struct Cell {
    name: &'static str,
    pace: Pace,
    messages: usize,
}

const CELLS: [Cell; 4] = [
    Cell { name: "16 in flight", pace: Pace::InFlight(16), messages: 3000 },
    Cell { name: "1 in flight", pace: Pace::InFlight(1), messages: 1000 },
    Cell { name: "50 a second", pace: Pace::PerSecond(50), messages: 200 },
    Cell { name: "256 in flight", pace: Pace::InFlight(256), messages: 6000 },
];

/// Enough that a member that stops reading fills what the kernels hold for it, megabytes, and its
/// queue.
const STOPPED_MESSAGES: usize = 200_000;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve-ours") => return ours::serve(),
        Some("serve-floor") => return floor::serve(),
        _ => {}
    }
    let number = |name: &str, default| client::number(&arguments, name, default);
    if arguments.iter().any(|argument| argument == "--unpinned") {
        process::leave_unpinned();
    }
    process::pin_self();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let (rounds, scale, members) = if is_bench { (5, 100, 1000) } else { (1, 2, 20) };
    let members = number("--members", members);
    let (rounds, scale) = (number("--rounds", rounds), number("--scale", scale));
    println!("{members} members, 32 bytes; medians of {rounds} rounds");
    println!(
        "{:>32}  {:>12} {:>9} {:>9} {:>9}  CPU ratio (min..max)",
        "", "deliveries/s", "CPU s/M", "p50 ms", "p99 ms"
    );
    for cell in &CELLS {
        compare(cell, members, rounds, scale);
    }
    // So many messages go to fewer members, or it would take all day.
    stopped((members / 5).max(1), rounds, scale);
}

/// Prints a cell of both servers.
fn compare(cell: &Cell, members: usize, rounds: usize, scale: usize) {
    let messages = (cell.messages * scale / 100).max(4);
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (role, outcomes) in [(Role::Floor, &mut floors), (Role::Ours, &mut ours)] {
            outcomes.push(run(role, cell.pace, members, messages));
        }
    }
    let pairs = floors.iter().zip(&ours);
    let mut ratios: Vec<f64> = pairs.map(|(floor, own)| own.cpu / floor.cpu).collect();
    let ratio = match median(&mut ratios) {
        middle if middle.is_finite() => {
            format!("{middle:.2} ({:.2}..{:.2})", ratios[0], last(&ratios))
        }
        // Too short for a clock of ten milliseconds.
        _ => String::new(),
    };
    print(&format!("{}, {}", cell.name, Role::Floor.name()), &floors, "");
    print(&format!("{}, {}", cell.name, Role::Ours.name()), &ours, &ratio);
}

/// Prints what a member that stops reading does to the others, and what became of it.
fn stopped(members: usize, rounds: usize, scale: usize) {
    let messages = (STOPPED_MESSAGES * scale / 100).max(4);
    for (name, has_stopped) in [("all read", false), ("one stopped", true)] {
        let mut ends = Vec::new();
        let outcomes: Vec<Outcome> = (0..rounds)
            .map(|_| {
                let server = Child::start(Role::Ours);
                let mut load = Load::open(server.address, members, has_stopped);
                let outcome = measure(&server, &mut load, Pace::InFlight(16), messages);
                ends.extend(load.end_of_stopped());
                outcome
            })
            .collect();
        let end = ends.pop().unwrap_or_default();
        print(&format!("{members} members, {name}"), &outcomes, &end);
    }
}

fn run(role: Role, pace: Pace, members: usize, messages: usize) -> Outcome {
    let server = Child::start(role);
    let mut load = Load::open(server.address, members, false);
    load.publish(Pace::InFlight(16), (messages / 10).max(2));
    measure(&server, &mut load, pace, messages)
}

fn measure(server: &Child, load: &mut Load, pace: Pace, messages: usize) -> Outcome {
    let before = server.cpu_seconds();
    let mut outcome = load.publish(pace, messages);
    outcome.cpu = (server.cpu_seconds() - before) * 1e6 / outcome.deliveries as f64;
    outcome
}

fn print(name: &str, outcomes: &[Outcome], ratio: &str) {
    let of =
        |value: fn(&Outcome) -> f64| median(&mut outcomes.iter().map(value).collect::<Vec<_>>());
    println!(
        "{name:>32}  {:>12.0} {:>9.2} {:>9.2} {:>9.2}  {ratio}",
        of(|outcome| outcome.deliveries as f64 / outcome.seconds),
        of(|outcome| outcome.cpu),
        of(|outcome| outcome.p50 * 1e3),
        of(|outcome| outcome.p99 * 1e3),
    );
}

/// The median; sorts.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn last(values: &[f64]) -> f64 {
    *values.last().expect("at least one round")
}

//! What a message and an idle connection cost the server, in one run beside a bare loop.
//!
//! `cargo bench --bench cost` starts, as processes of their own, this library's echo server and
//! the floor (a blocking thread per connection, bare `read` and `write` of frames, no library,
//! no UTF-8 check), loads both in turn for several rounds, and prints CPU seconds per million
//! messages (user and system, whole server process) as medians, and the ratio within each round.
//! Then it opens idle connections and reads the servers' memory.
//!
//! `cargo bench --bench cost -- --rounds 3 --idle 1000` for less; as a test (without cargo's
//! `--bench`) it only shows that it works and that every echo is right. Where `taskset` is installed,
//! server and client get a core each.

#[path = "../client/mod.rs"]
mod client;
mod floor;
mod load;
mod ours;
mod process;

use std::env;

use process::{Child, Role};

/// One way to load an echo server.
struct Cell {
    connections: usize,
    payload: usize,
    in_flight: usize,
    messages: usize,
}

const CELLS: [Cell; 5] = [
    Cell { connections: 1, payload: 32, in_flight: 1, messages: 60_000 },
    Cell { connections: 64, payload: 32, in_flight: 1, messages: 400_000 },
    Cell { connections: 1000, payload: 32, in_flight: 1, messages: 400_000 },
    Cell { connections: 64, payload: 32, in_flight: 16, messages: 1_000_000 },
    Cell { connections: 64, payload: 65_536, in_flight: 1, messages: 60_000 },
];

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve-ours") => return ours::serve(),
        Some("serve-floor") => return floor::serve(),
        _ => {}
    }
    let number = |name: &str, default| client::number(&arguments, name, default);
    process::pin_self();
    let (rounds, scale, connections) = if arguments.iter().any(|argument| argument == "--bench") {
        (5, 100, 5000)
    } else {
        (1, 1, 50)
    };
    echo(number("--rounds", rounds), number("--scale", scale));
    idle(number("--idle", connections));
}

/// Prints CPU per message of both servers for each way to load them.
fn echo(rounds: usize, scale: usize) {
    println!("echo: server CPU seconds per million messages, medians of {rounds} rounds");
    println!("{:>24}  {:>8} {:>8}  ratio (min..max)", "", "floor", "ours");
    for cell in &CELLS {
        let messages = (cell.messages * scale / 100).max(cell.connections * cell.in_flight);
        let (mut floors, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let floor = cost(Role::Floor, cell, messages);
            let own = cost(Role::Ours, cell, messages);
            floors.push(floor);
            ours.push(own);
            ratios.push(own / floor);
        }
        let name = format!("{} x {} B, {}", cell.connections, cell.payload, cell.in_flight);
        let (ratio, min, max) = spread(&mut ratios);
        println!(
            "{name:>24}  {:>8.2} {:>8.2}  {ratio:.2} ({min:.2}..{max:.2})",
            spread(&mut floors).0,
            spread(&mut ours).0,
        );
    }
}

fn cost(role: Role, cell: &Cell, messages: usize) -> f64 {
    let server = Child::start(role);
    let mut load = load::Load::open(server.address, cell.connections);
    load.echo(cell.payload, cell.in_flight, messages / 10);
    let before = server.cpu_seconds();
    let done = load.echo(cell.payload, cell.in_flight, messages);
    (server.cpu_seconds() - before) * 1e6 / done as f64
}

/// Prints what an idle connection keeps resident.
fn idle(connections: usize) {
    println!(
        "\nidle: KiB resident in the server process per connection, {connections} connections"
    );
    for role in [Role::Floor, Role::Ours] {
        let server = Child::start(role);
        let warm = load::Load::open(server.address, 10);
        let before = server.resident_kib();
        let mut load = load::Load::open(server.address, connections);
        load.echo(32, 1, connections);
        let after = server.resident_kib();
        let each = (after - before) as f64 / connections as f64;
        println!("{:>24}  {each:>8.1}", role.name());
        drop(warm);
    }
}

/// Median, least and most.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

//! Each foreign crate, and each effect of the standard library, has its homes.

use std::fs;

use crate::paths::{Path, is_prefix, paths};
use crate::source::{Finding, Source, assert_none, read_tree, root, tree_of};

/// The crates of `[dependencies]` and the modules that may name them; `bin` is the binary.
const CRATES: &[(&str, &[&str])] = &[
    ("base64", &["route::auth::proof"]),
    ("bcrypt", &["route::auth::proof::password"]),
    ("bytes", &["ws", "conn"]),
    ("clap", &["bin"]),
    ("cookie", &["http"]),
    ("crossbeam_channel", &["hub", "server"]),
    ("env_logger", &["bin"]),
    ("flate2", &["ws::deflate", "bin::landline::bench::deflate"]),
    ("getrandom", &["bin"]),
    ("hdrhistogram", &["bin::landline::bench"]),
    ("httparse", &["http", "bin::landline::bench"]),
    ("listenfd", &["bin::landline::activated"]),
    ("log", &[""]),
    ("minijinja", &["http"]),
    // A pointer for what few connections have; the standard library's cells take twice the room.
    ("once_cell", &["conn"]),
    ("parking_lot", &["sync"]),
    ("percent_encoding", &["http"]),
    ("rcgen", &["bin::landline::tls"]),
    // `net::tls` names it as the provider of rustls.
    ("ring", &["route::auth::proof", "net::tls"]),
    // The load generator has sockets of its own: the library's are not public.
    ("rustix", &["net", "bin::landline::bench", "bin::landline::passwd"]),
    (
        "rustls",
        &[
            "net::tls",
            "bin::landline::trust",
            "bin::landline::doctor::wire",
            "bin::landline::bench::secure",
        ],
    ),
    // The bounds of generic functions.
    ("serde", &["http", "conn", "route", "testing", "bin"]),
    (
        "serde_json",
        &["error", "http", "conn::json", "conn::groups", "hub", "route", "testing", "bin"],
    ),
    ("signal_hook", &["bin"]),
    ("simdutf8", &["ws"]),
    ("strsim", &["bin"]),
    ("subtle", &["route::publish", "bin::landline::admin"]),
    ("tiny_http", &["http"]),
    ("toml", &["bin"]),
    ("tungstenite", &["ws", "bin::landline::bench::handshake"]),
    // A client of the application's own backend.
    ("ureq", &["route::auth::proof::backend"]),
    ("x509_parser", &["net::tls"]),
];

/// Names of `std::net` that are values, and the bound of what takes an address; the others are
/// sockets.
const ADDRESSES: &[&str] = &[
    "SocketAddr",
    "SocketAddrV4",
    "SocketAddrV6",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "AddrParseError",
    "ToSocketAddrs",
];

/// The library's sockets are not public: what is no server has its own.
const SOCKETS_OF_THE_BINARY: &[&str] = &["bin::landline::notify", "bin::landline::doctor::wire"];

/// Layers of values: bytes in, bytes out.
const PURE: &[&str] = &["http", "ws"];

/// What the pure layers may not name. `SystemTime` is not here: the Date header needs it.
const EFFECTS: &[&str] = &["std::thread", "std::process", "std::time::Instant", "std::sync::mpsc"];

fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for path in paths(&source.production) {
            if let Some(text) = complaint(&source.module, &path) {
                findings.push(source.finding(path.line, text));
            }
        }
    }
    findings
}

fn complaint(module: &[String], path: &Path) -> Option<String> {
    let is_at =
        |homes: &[&str]| homes.iter().any(|home| home.is_empty() || is_prefix(home, module));
    for (name, homes) in CRATES {
        if path.segments[0] == *name && !is_at(homes) {
            return Some(format!("the homes of `{name}` are {homes:?}"));
        }
    }
    let is_address = path.segments.get(2).is_some_and(|name| ADDRESSES.contains(&name.as_str()));
    let is_socket =
        path.starts_with("std::net") && !is_address || path.starts_with("std::os::unix::net");
    if is_socket && !is_at(&["net"]) && !is_at(SOCKETS_OF_THE_BINARY) {
        return Some(format!("`{}` belongs to `net`", path.segments.join("::")));
    }
    if is_at(PURE) && EFFECTS.iter().any(|effect| path.starts_with(effect)) {
        return Some(format!("`{}` in a layer of values", path.segments.join("::")));
    }
    None
}

/// The names below `[dependencies]` in a manifest, as they are written in code.
fn dependencies(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_end_matches(".workspace").replace('-', "_"))
        .collect()
}

#[test]
fn crates_are_named_only_in_their_homes() {
    assert_none(check(&read_tree()));
}

#[test]
fn each_dependency_has_a_home_and_each_home_a_dependency() {
    let dependencies = dependencies(&fs::read_to_string(root().join("Cargo.toml")).unwrap());
    let homes: Vec<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    let mut sorted = dependencies.clone();
    sorted.sort();
    assert_eq!(sorted, homes, "left: [dependencies] of Cargo.toml, right: the table of homes");
}

#[test]
fn a_crate_away_from_home_is_found() {
    for (path, wrong) in [
        ("src/conn/socket.rs", "use tungstenite::Message;"),
        ("src/ws/frame.rs", "fn f() { x!(httparse::EMPTY_HEADER) }"),
        ("src/conn/socket.rs", "use serde_json as json;"),
        ("src/server/serve.rs", "use rustix;"),
        ("src/lib.rs", "pub use cookie::Cookie;"),
        ("src/bin/landline/main.rs", "use minijinja::Environment;"),
        ("src/server/accept.rs", "use std::net::TcpListener;"),
        ("src/server/accept.rs", "use std::net::{SocketAddr, TcpStream};"),
        ("src/server/accept.rs", "use std::net;"),
        ("src/server/accept.rs", "use std::net::*;"),
        ("src/bin/landline/main.rs", "fn f() { std::os::unix::net::UnixListener::bind(p) }"),
        ("src/ws/frame.rs", "use std::time::{Duration, Instant};"),
        ("src/http/parse.rs", "fn f() { std::thread::spawn(g); }"),
    ] {
        assert_eq!(check(&tree_of(&[(path, wrong)])).len(), 1, "{path}: {wrong}");
    }
}

#[test]
fn a_crate_at_home_is_left_alone() {
    assert_none(check(&tree_of(&[
        (
            "src/ws/frame.rs",
            "use tungstenite::protocol::frame; use bytes::Bytes; use std::net::IpAddr;",
        ),
        ("src/conn/json.rs", "use serde_json::Value;"),
        (
            "src/net/stream.rs",
            "use std::net::TcpStream; use rustix::net::recv; use std::time::Instant;",
        ),
        (
            "src/server/mod.rs",
            "use std::net::{SocketAddr, Ipv4Addr}; use crossbeam_channel as channel;",
        ),
        ("src/http/date.rs", "use std::time::{Duration, SystemTime}; use log::info;"),
        ("src/bin/landline/args.rs", "use clap::Parser;"),
        (
            "src/conn/x.rs",
            "#[cfg(test)] mod tests { use tungstenite::client; } fn f() { bytes.len(); }",
        ),
    ])));
}

#[test]
fn dependencies_are_read_from_the_manifest() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na-b = \"1\"\nc = { version = \"1\" }\n\n[dev-dependencies]\nd = \"1\"\n";
    assert_eq!(dependencies(manifest), ["a_b", "c"]);
}

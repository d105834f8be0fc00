//! Who may import whom: dependencies point down only.

use std::collections::BTreeMap;

use crate::paths::{is_prefix, paths};
use crate::source::{Finding, Source, assert_none, read_tree, tree_of};

/// Each module at the crate's root and what it may use of the others.
///
/// The crate root only re-exports and the binary is a crate of its own, so neither is listed.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    // Every layer may use the locks; only this module knows whose they are.
    ("sync", &[]),
    // Counts anybody may add to.
    ("histogram", &[]),
    // Files that settings name.
    ("file", &[]),
    ("config", &["error"]),
    ("deadline", &["error"]),
    ("http", &["error", "file", "config"]),
    ("ws", &["error", "sync", "config", "http"]),
    ("net", &["error", "sync", "file", "config", "deadline"]),
    ("conn", &["error", "sync", "histogram", "config", "deadline", "ws", "net"]),
    (
        "hub",
        &[
            "error",
            "sync",
            "histogram",
            "config",
            "deadline",
            "ws",
            // The outbox behind a name of its own, and the words both sides share; no socket.
            "conn::recipient",
            "conn::groups",
            "conn::mailbox",
            "conn::overflow",
        ],
    ),
    ("route", &["error", "sync", "file", "config", "deadline", "http", "ws", "conn", "hub"]),
    (
        "server",
        &[
            "error",
            "sync",
            "histogram",
            "config",
            "deadline",
            "http",
            "ws",
            "net",
            "conn",
            "hub",
            "route",
        ],
    ),
    // For the tests of applications: a server as they start it, and clients of it.
    ("testing", &["error", "deadline", "http", "ws", "net", "server"]),
    // Doors for benches and fuzz targets into what needs no socket.
    ("internals", &["error", "config", "http", "ws", "net", "hub", "route"]),
];

fn check(sources: &[Source]) -> Vec<Finding> {
    let re_exports = re_exports(sources);
    let mut findings = Vec::new();
    for source in sources {
        let Some(layer) = source.module.first() else { continue };
        if layer == "bin" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| name == layer) else {
            findings.push(source.finding(1, format!("module `{layer}` has no layer in the table")));
            continue;
        };
        for path in paths(&source.production) {
            let Some(target) = path.within_crate(&source.module) else { continue };
            let target = target.first().and_then(|first| re_exports.get(first)).unwrap_or(&target);
            let own = target.first() == Some(layer);
            if !own && !allowed.iter().any(|allowed| is_prefix(allowed, target)) {
                let text = format!("`{layer}` may not use `crate::{}`", target.join("::"));
                findings.push(source.finding(path.line, text));
            }
        }
    }
    findings
}

/// The names of the crate root and where they come from: a way around the table otherwise.
fn re_exports(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let Some(root) = sources.iter().find(|source| source.is_root()) else {
        return BTreeMap::new();
    };
    paths(&root.production)
        .into_iter()
        .map(|path| {
            let target = path.within_crate(&[]).unwrap_or_else(|| path.segments.clone());
            (path.name().to_string(), target)
        })
        .collect()
}

#[test]
fn modules_use_only_the_layers_below() {
    assert_none(check(&read_tree()));
}

#[test]
fn an_upward_import_is_found_wherever_it_is_written() {
    for wrong in [
        "use crate::conn::WebSocket;",
        "use crate::{error::Error, ws::{Frame}};",
        "use crate as root;",
        "use crate::*;",
        "fn f() -> crate::server::Server { todo!() }",
        "fn f() { log::info!(\"{}\", crate::net::name()); }",
        "use super::ws::Message;",
        "mod inner { use super::super::ws::Message; }",
        "use crate::Server;",
        "use crate::unknown::X;",
        "macro_rules! m { () => { $crate::ws::x() } }",
    ] {
        let lib = ("src/lib.rs", "mod http; pub use server::{Server}; pub use error::Error;");
        let findings = check(&tree_of(&[lib, ("src/http/mod.rs", wrong)]));
        assert_eq!(findings.len(), 1, "{wrong}");
    }
}

#[test]
fn a_downward_import_and_a_test_may_do_as_they_do() {
    for right in [
        "use crate::error::Error; use crate::Error as Same; use crate::http::parse::X;",
        "use self::parse::X; use std::ws::x; use super::error::Error; use super::http::X;",
        "#[cfg(test)] mod tests { use crate::server::Server; }",
        "/// See [`Server`](crate::Server).\nfn f() { \"crate::server::x\"; }",
    ] {
        let lib = ("src/lib.rs", "pub use server::Server; pub use crate::error::Error;");
        assert_none(check(&tree_of(&[lib, ("src/http/mod.rs", right)])));
    }
}

#[test]
fn a_part_of_a_module_can_be_all_that_is_open() {
    let hub = |text| check(&tree_of(&[("src/hub/group.rs", text)])).len();
    assert_eq!(hub("use crate::conn::recipient::Recipient;"), 0);
    assert_eq!(hub("use crate::conn::socket::WebSocket;"), 1);
    assert_eq!(hub("use crate::conn;"), 1);
}

#[test]
fn a_module_without_a_layer_is_found() {
    assert_eq!(check(&tree_of(&[("src/util.rs", "")])).len(), 1);
}

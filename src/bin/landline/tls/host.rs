//! The names by which other machines of an intranet know this host.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

/// Names and addresses of this host, those of loopback first.
pub(crate) fn names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Some(name) = host_name() {
        if !name.contains('.') {
            names.push(format!("{name}.local"));
        }
        names.push(name);
    }
    let table = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    names.extend(addresses(&table).into_iter().map(|address| address.to_string()));
    names
}

fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim().to_ascii_lowercase();
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    (is_name && !name.is_empty() && name != "localhost").then_some(name)
}

/// This host's own addresses, apart from loopback.
///
/// # Source
/// The kernel's table of routes, `/proc/net/fib_trie`: an address, and under it `/32 host LOCAL`.
fn addresses(table: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in table.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last.take()
            && !address.is_loopback()
            && !found.contains(&IpAddr::V4(address))
        {
            found.push(IpAddr::V4(address));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_found_once_and_others_are_not() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n\
             Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.7\n        \
             /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     \
             |-- 192.0.2.7\n        /32 host LOCAL\n";
        assert_eq!(addresses(table), [IpAddr::from([192, 0, 2, 7])]);
    }
}

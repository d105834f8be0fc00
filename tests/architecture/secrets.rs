//! Secrets are compared in a time that tells nothing: no behaviour shows whether they are, so the
//! source is looked at.

use std::fs;

use crate::source::{Finding, assert_none, root};

/// Where a secret is compared with what somebody sent, and by which call. Whoever adds such a place
/// adds it here.
const COMPARED: [(&str, &str); 5] = [
    ("src/route/auth/proof/group_signer.rs", "hmac::verify("),
    ("src/route/auth/proof/keys.rs", "hmac::verify("),
    ("src/route/publish/access.rs", ".ct_eq("),
    ("src/bin/landline/admin/access.rs", ".ct_eq("),
    ("src/bin/landline/admin/session.rs", ".ct_eq("),
];

/// Finds a place that compares in another way.
fn check(path: &str, call: &str, text: &str) -> Option<Finding> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_there = code.lines().any(|line| {
        let line = line.trim_start();
        line.contains(call) && !line.starts_with("//")
    });
    let text = format!("does not compare by `{call}..)` any more");
    (!is_there).then(|| Finding { path: path.to_owned(), line: 1, text })
}

#[test]
fn secrets_are_compared_in_constant_time() {
    let findings = COMPARED.iter().filter_map(|(path, call)| {
        check(path, call, &fs::read_to_string(root().join(path)).unwrap())
    });
    assert_none(findings.collect());
}

#[test]
fn another_comparison_is_found() {
    assert!(check("a.rs", ".ct_eq(", "fn f() { a.ct_eq(b) }").is_none());
    for text in ["fn f() { a == b }", "// a.ct_eq(b)", "#[cfg(test)] mod t { a.ct_eq(b) }"] {
        assert!(check("a.rs", ".ct_eq(", text).is_some(), "{text}");
    }
}

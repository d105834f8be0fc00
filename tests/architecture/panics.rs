//! No `unsafe`, and no `unwrap` or `expect` without the proof beside it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::source::{Finding, Source, assert_none, is_punct, line_of, read_tree, tree_of};

const PANICKING: [&str; 4] = ["unwrap", "expect", "unwrap_err", "expect_err"];

fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let lines: Vec<&str> = source.text.lines().collect();
        for line in lines_of_unsafe(&source.tokens) {
            findings.push(source.finding(line, "`unsafe` is not for this crate"));
        }
        for line in lines_of_panics(&source.production) {
            if !has_proof(&lines, line) {
                let text = "`unwrap` or `expect` without a comment that proves it cannot fail";
                findings.push(source.finding(line, text));
            }
        }
    }
    findings
}

fn lines_of_unsafe(tokens: &TokenStream) -> Vec<usize> {
    let mut found = Vec::new();
    for token in tokens.clone() {
        match &token {
            TokenTree::Ident(ident) if ident == "unsafe" => found.push(line_of(&token)),
            TokenTree::Group(group) => found.extend(lines_of_unsafe(&group.stream())),
            _ => {}
        }
    }
    found
}

/// Lines of `.unwrap(..)` and its kin, also written as `Option::unwrap`.
fn lines_of_panics(tokens: &TokenStream) -> Vec<usize> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => found.extend(lines_of_panics(&group.stream())),
            TokenTree::Ident(ident) if PANICKING.iter().any(|name| ident == name) => {
                let before = at.checked_sub(1).and_then(|before| tokens.get(before));
                let called = matches!(tokens.get(at + 1),
                    Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
                if is_punct(before, '.') && called || is_punct(before, ':') {
                    found.push(line_of(token));
                }
            }
            _ => {}
        }
    }
    found
}

/// True if a comment stands on the line (counted from 1) or directly above it; for a link of a
/// chain of calls, above the chain or above any link before it.
fn has_proof(lines: &[&str], line: usize) -> bool {
    let mut at = line - 1;
    if lines[at].contains(" // ") {
        return true;
    }
    loop {
        let is_link = lines[at].trim_start().starts_with('.');
        let Some(above) = at.checked_sub(1) else { return false };
        let text = lines[above].trim_start();
        if text.starts_with("//") && !text.starts_with("///") && !text.starts_with("//!") {
            return true;
        }
        if !is_link {
            return false;
        }
        at = above;
    }
}

#[test]
fn nothing_is_unsafe_and_every_unwrap_is_proved() {
    assert_none(check(&read_tree()));
}

#[test]
fn unsafe_and_unproved_calls_are_found() {
    for wrong in [
        "fn f() { unsafe { g() } }",
        "#[cfg(test)] mod tests { unsafe fn f() {} }",
        "fn f() { g().unwrap(); }",
        "fn f() { g()\n.h()\n.expect(\"http://x\"); }",
        "/// Doc.\nfn f() { g().unwrap_err(); }",
        "fn f() { x!(y.expect(\"z\")) }",
        "fn f() { g().map(Option::unwrap); }",
        "// Far away.\n\nfn f() { g().unwrap(); }",
    ] {
        assert_eq!(check(&tree_of(&[("src/x.rs", wrong)])).len(), 1, "{wrong}");
    }
}

#[test]
fn proved_calls_and_tests_are_left_alone() {
    for right in [
        "fn f() { g().unwrap(); // The list is never empty.\n}",
        "fn f() {\n    // The list is never empty.\n    g().expect(\"not empty\");\n}",
        "fn f() {\n    // Never empty.\n    g()\n        .h()\n        .unwrap();\n}",
        "fn f() {\n    g()\n        // Never empty.\n        .unwrap();\n}",
        "#[cfg(test)] mod tests { fn f() { g().unwrap(); } }",
        "fn f() { g().unwrap_or_default(); let unwrap = 1; expect(2); }",
    ] {
        assert_none(check(&tree_of(&[("src/x.rs", right)])));
    }
}

//! Each file says what it is, and an index holds no logic.

use syn::Item;
use syn::spanned::Spanned;

use crate::source::{Finding, Source, assert_none, read_tree, tree_of};

fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let first = source.text.lines().next().unwrap_or_default();
        if first.strip_prefix("//!").is_none_or(|text| text.trim().is_empty()) {
            findings.push(source.finding(1, "the file does not start with a `//!` doc"));
        }
        if source.is_root() || source.path.ends_with("/mod.rs") {
            let items = source.file().items;
            let logic = items.iter().filter(|item| !is_index_item(item));
            findings.extend(logic.map(|item| {
                let line = item.span().start().line;
                source.finding(line, "an index has only docs, `mod` and `use`")
            }));
        }
    }
    findings
}

/// True for `mod x;`, for an empty `mod x {}` (a carrier of doc tests) and for `use`.
fn is_index_item(item: &Item) -> bool {
    match item {
        Item::Use(_) => true,
        Item::Mod(module) => module.content.as_ref().is_none_or(|(_, items)| items.is_empty()),
        _ => false,
    }
}

#[test]
fn files_have_a_doc_and_indexes_no_logic() {
    assert_none(check(&read_tree()));
}

#[test]
fn a_missing_doc_and_logic_in_an_index_are_found() {
    for (path, wrong) in [
        ("src/x.rs", "use std::fmt;\n"),
        ("src/x.rs", ""),
        ("src/x.rs", "//!\nuse std::fmt;"),
        ("src/x.rs", "/// An item's doc.\nfn f() {}"),
        ("src/x/mod.rs", "//! Doc.\nfn f() {}"),
        ("src/x/mod.rs", "//! Doc.\nimpl X {}"),
        ("src/x/mod.rs", "//! Doc.\nmod y { fn f() {} }"),
        ("src/lib.rs", "//! Doc.\npub struct X;"),
    ] {
        assert_eq!(check(&tree_of(&[(path, wrong)])).len(), 1, "{path}: {wrong}");
    }
}

#[test]
fn a_doc_and_a_plain_index_are_left_alone() {
    assert_none(check(&tree_of(&[
        ("src/x.rs", "//! Doc.\nfn f() {}"),
        (
            "src/x/mod.rs",
            "//! Doc.\nmod y; pub(crate) use y::Y; #[cfg(test)] mod tests { fn f() {} }",
        ),
        ("src/lib.rs", "//! Doc.\nmod y; pub use y::Y;\n#[cfg(doctest)]\nmod readme {}"),
    ])));
}

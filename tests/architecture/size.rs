//! Files and functions that can be read in one go.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::source::{Finding, Source, assert_none, read_tree, tree_of};

/// Most lines of a file, its tests not counted.
const FILE_LINES: usize = 500;
/// Most lines of a function, from its signature to its closing brace.
const FUNCTION_LINES: usize = 60;
/// Most lines of the binary's main file.
const MAIN_LINES: usize = 60;

/// A function that may be longer, and why.
struct Exception {
    path: &'static str,
    function: &'static str,
    reason: &'static str,
}

/// Functions that may be longer. An entry that is no longer needed is a finding too.
const EXCEPTIONS: &[Exception] = &[];

fn check(sources: &[Source], exceptions: &[Exception]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = vec![false; exceptions.len()];
    for source in sources {
        findings.extend(file_finding(source));
        for function in functions(source) {
            if function.lines <= FUNCTION_LINES {
                continue;
            }
            let is_exception = |e: &Exception| e.path == source.path && e.function == function.name;
            if let Some(at) = exceptions.iter().position(is_exception) {
                used[at] = true;
                continue;
            }
            let text = format!(
                "function `{}` has {} lines, {FUNCTION_LINES} at most",
                function.name, function.lines
            );
            findings.push(source.finding(function.line, text));
        }
    }
    for (exception, used) in exceptions.iter().zip(used) {
        if !used || exception.reason.is_empty() {
            let text =
                format!("the exception for `{}` is unused or has no reason", exception.function);
            findings.push(Finding { path: exception.path.to_string(), line: 1, text });
        }
    }
    findings
}

fn file_finding(source: &Source) -> Option<Finding> {
    let tests: usize = source.test_lines.iter().map(|(first, last)| last - first + 1).sum();
    let lines = source.text.lines().count().saturating_sub(tests);
    let most = if source.path.ends_with("/main.rs") { MAIN_LINES } else { FILE_LINES };
    (lines > most).then(|| source.finding(1, format!("the file has {lines} lines, {most} at most")))
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

fn functions(source: &Source) -> Vec<Function> {
    let mut collector = Collector(Vec::new());
    collector.visit_file(&source.file());
    collector.0
}

struct Collector(Vec<Function>);

impl Collector {
    fn add(&mut self, signature: &syn::Signature, end: Span) {
        let line = signature.fn_token.span.start().line;
        let lines = end.end().line + 1 - line;
        self.0.push(Function { name: signature.ident.to_string(), line, lines });
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, item.block.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, item.block.span());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block.span());
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn files_and_functions_are_short() {
    assert_none(check(&read_tree(), EXCEPTIONS));
}

/// A function of exactly `lines` lines.
fn function(lines: usize) -> String {
    format!("/// Doc.\n#[inline]\nfn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}

#[test]
fn a_function_is_measured_to_the_line() {
    let wrap: [fn(String) -> String; 4] = [
        |text| text,
        |text| format!("impl X {{ {text} }}"),
        |text| format!("trait X {{ {text} }}"),
        |text| format!("mod m {{ {text} #[cfg(test)] mod tests {{}} }}"),
    ];
    for wrap in wrap {
        let findings = |lines| check(&tree_of(&[("src/x.rs", &wrap(function(lines)))]), &[]).len();
        assert_eq!(findings(FUNCTION_LINES), 0);
        assert_eq!(findings(FUNCTION_LINES + 1), 1);
    }
}

#[test]
fn a_file_is_measured_without_its_tests() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(FILE_LINES));
    for (path, most) in [("src/x.rs", FILE_LINES), ("src/bin/landline/main.rs", MAIN_LINES)] {
        let findings =
            |lines| check(&tree_of(&[(path, &("//\n".repeat(lines) + &tests))]), &[]).len();
        assert_eq!(findings(most), 0);
        assert_eq!(findings(most + 1), 1);
    }
}

#[test]
fn an_exception_is_needed_and_has_a_reason() {
    let count = |lines, reason| {
        let exception = Exception { path: "src/x.rs", function: "long", reason };
        check(&tree_of(&[("src/x.rs", &function(lines))]), &[exception]).len()
    };
    assert_eq!(count(FUNCTION_LINES + 1, "a table"), 0);
    assert_eq!(count(FUNCTION_LINES, "a table"), 1);
    assert_eq!(count(FUNCTION_LINES + 1, ""), 1);
}

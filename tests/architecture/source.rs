//! Source files as the checks see them: text, tokens, and tokens without the tests.
//!
//! Most checks look at tokens and not at the syntax tree, because the body of a macro call has
//! no tree.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One complaint of a check, at a line of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Fails the test with every finding in one list.
pub(crate) fn assert_none(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}\n", lines.len(), lines.join("\n"));
}

/// The root of the package.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One file below `src`.
pub(crate) struct Source {
    /// Relative to the package, with `/`.
    pub(crate) path: String,
    /// The module's path without `crate`: `src/http/parse.rs` is `["http", "parse"]`, the crate
    /// root is empty, and files of the binary start with `bin`.
    pub(crate) module: Vec<String>,
    pub(crate) text: String,
    /// Everything that is not under `#[cfg(test)]`; empty for a file of tests.
    pub(crate) production: TokenStream,
    /// All tokens, tests included.
    pub(crate) tokens: TokenStream,
    /// First and last line of each item under `#[cfg(test)]`.
    pub(crate) test_lines: Vec<(usize, usize)>,
    /// True if a parent declares this file as `#[cfg(test)] mod`.
    pub(crate) is_test: bool,
}

impl Source {
    /// The syntax tree without the tests.
    pub(crate) fn file(&self) -> syn::File {
        syn::parse2(self.production.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    /// True for the file of the crate root.
    pub(crate) fn is_root(&self) -> bool {
        self.path == "src/lib.rs"
    }

    pub(crate) fn finding(&self, line: usize, text: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, text: text.into() }
    }
}

/// The sources of this package.
pub(crate) fn read_tree() -> Vec<Source> {
    let mut files = Vec::new();
    read_directory(&root().join("src"), "src", &mut files);
    assert!(files.len() > 1, "the sources of the package are not where they are looked for");
    files.sort();
    tree(files)
}

fn read_directory(directory: &Path, name: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{name}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_directory(&entry.path(), &path, files);
        } else if path.ends_with(".rs") {
            files.push((path, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// A made-up tree for the tests of a check.
pub(crate) fn tree_of(files: &[(&str, &str)]) -> Vec<Source> {
    tree(files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect())
}

fn tree(files: Vec<(String, String)>) -> Vec<Source> {
    let mut test_modules = Vec::new();
    let mut sources: Vec<Source> = files
        .into_iter()
        .map(|(path, text)| {
            let tokens: TokenStream =
                text.parse().unwrap_or_else(|error| panic!("{path} has no valid tokens: {error}"));
            let mut stripped = Stripped::default();
            let production = strip(tokens.clone(), &mut stripped);
            let module = module_of(&path);
            for name in stripped.modules {
                test_modules.push([module.as_slice(), &[name]].concat());
            }
            let test_lines = stripped.lines;
            Source { path, module, text, production, tokens, test_lines, is_test: false }
        })
        .collect();
    for source in &mut sources {
        source.is_test = test_modules.iter().any(|test| source.module.starts_with(test));
        if source.is_test {
            source.production = TokenStream::new();
            source.test_lines = vec![(1, source.text.lines().count())];
        }
    }
    sources
}

fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = path.split('/').map(str::to_string).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

#[derive(Default)]
struct Stripped {
    lines: Vec<(usize, usize)>,
    /// Names of `#[cfg(test)] mod name;`, whose files are tests too.
    modules: Vec<String>,
}

/// Removes every item under `#[cfg(test)]`, at any depth.
fn strip(tokens: TokenStream, stripped: &mut Stripped) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            let end = item_end(&tokens, at);
            let lines = (line_of(&tokens[at]), last_line_of(&tokens[end - 1]));
            stripped.lines.push(lines);
            stripped.modules.extend(module_file(&tokens[at..end]));
            at = end;
            continue;
        }
        kept.push(match &tokens[at] {
            TokenTree::Group(group) => {
                let before = stripped.lines.len();
                let inner = strip(group.stream(), stripped);
                // A rebuilt group has no exact place for its closing brace, so only where needed.
                if stripped.lines.len() == before {
                    tokens[at].clone()
                } else {
                    let mut rebuilt = Group::new(group.delimiter(), inner);
                    rebuilt.set_span(group.span());
                    rebuilt.into()
                }
            }
            other => other.clone(),
        });
        at += 1;
    }
    kept.into_iter().collect()
}

/// True at `#[cfg(test)]` or `#[cfg(all(test, ..))]`.
fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] = tokens else { return false };
    if hash.as_char() != '#' || attribute.delimiter() != Delimiter::Bracket {
        return false;
    }
    let attribute: Vec<TokenTree> = attribute.stream().into_iter().collect();
    let [TokenTree::Ident(name), TokenTree::Group(condition)] = attribute.as_slice() else {
        return false;
    };
    name == "cfg" && requires_test(condition.stream())
}

fn requires_test(condition: TokenStream) -> bool {
    let condition: Vec<TokenTree> = condition.into_iter().collect();
    condition.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(ident) => ident == "test",
        TokenTree::Group(group) => {
            let within_all =
                at > 0 && matches!(&condition[at - 1], TokenTree::Ident(i) if i == "all");
            within_all && requires_test(group.stream())
        }
        _ => false,
    })
}

/// Where the item that starts at `start` with its attributes ends.
fn item_end(tokens: &[TokenTree], start: usize) -> usize {
    const ITEMS: [&str; 14] = [
        "fn",
        "mod",
        "use",
        "struct",
        "enum",
        "impl",
        "const",
        "static",
        "type",
        "trait",
        "async",
        "extern",
        "macro_rules",
        "let",
    ];
    let mut at = start;
    while is_punct(tokens.get(at), '#') {
        at += 2;
    }
    if matches!(tokens.get(at), Some(TokenTree::Ident(i)) if i == "pub") {
        at += 1;
        if matches!(tokens.get(at), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis)
        {
            at += 1;
        }
    }
    let is_item =
        matches!(tokens.get(at), Some(TokenTree::Ident(i)) if ITEMS.iter().any(|item| i == item));
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Group(group) if is_item && group.delimiter() == Delimiter::Brace => {
                return if is_punct(tokens.get(at), ';') { at + 1 } else { at };
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => return at,
            // A field, a variant or an arm.
            TokenTree::Punct(punct) if !is_item && punct.as_char() == ',' => return at,
            _ => {}
        }
    }
    at
}

/// The name in `mod name;`, if the item is one.
fn module_file(item: &[TokenTree]) -> Option<String> {
    let [.., TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(end)] = item
    else {
        return None;
    };
    (keyword == "mod" && end.as_char() == ';').then(|| name.to_string())
}

pub(crate) fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

pub(crate) fn line_of(token: &TokenTree) -> usize {
    token.span().start().line
}

fn last_line_of(token: &TokenTree) -> usize {
    token.span().end().line
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "//! Doc.
fn kept() {
    #[cfg(test)]
    count();
}
#[cfg(test)]
use a::{b, c};
#[cfg(not(test))]
fn also_kept() {}
#[cfg(test)]
mod tests {
    fn gone() {}
}
#[cfg(all(test, unix))]
pub(crate) mod slow;
struct S { #[cfg(test)] gone: u8, kept_field: u8 }
";

    #[test]
    fn what_is_under_cfg_test_is_taken_out() {
        let sources = tree_of(&[
            ("src/x.rs", MIXED),
            ("src/x/slow.rs", "fn gone() {}"),
            ("src/x/other.rs", "fn stays() {}"),
        ]);
        let text = sources[0].production.to_string();
        assert!(text.contains("kept") && text.contains("also_kept") && text.contains("kept_field"));
        assert!(!text.contains("gone") && !text.contains("count") && !text.contains("a :: "));
        assert_eq!(sources[0].test_lines, [(3, 4), (6, 7), (10, 13), (14, 15), (16, 16)]);
        assert!(sources[1].is_test && sources[1].production.is_empty());
        assert!(!sources[2].is_test);
    }

    #[test]
    fn a_module_is_named_by_its_path() {
        assert_eq!(module_of("src/http/parse.rs"), ["http", "parse"]);
        assert_eq!(module_of("src/http/mod.rs"), ["http"]);
        assert_eq!(module_of("src/lib.rs"), [""; 0]);
        assert_eq!(module_of("src/bin/landline/main.rs"), ["bin", "landline"]);
    }
}

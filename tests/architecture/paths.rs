//! Paths like `crate::http::Response` out of tokens: from `use` lists, code and macro calls alike.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

use crate::source::{is_punct, line_of};

/// Words before a path that starts with `::`; they would be read as its first segment.
const KEYWORDS: [&str; 11] =
    ["use", "as", "dyn", "impl", "in", "mut", "ref", "return", "match", "if", "while"];

/// One path as written, a `use` list already spread out.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    /// The name after `as`.
    pub(crate) alias: Option<String>,
    pub(crate) line: usize,
    /// How many `mod name { .. }` blocks of the file are around it.
    pub(crate) depth: usize,
}

impl Path {
    /// The name that a `use` of this path brings into scope.
    pub(crate) fn name(&self) -> &str {
        self.alias.as_deref().unwrap_or_else(|| &self.segments[self.segments.len() - 1])
    }

    /// The path from the crate's root, for a path that starts with `crate`, `self` or `super`
    /// in `module`; `None` for others.
    pub(crate) fn within_crate(&self, module: &[String]) -> Option<Vec<String>> {
        let supers = self.segments.iter().take_while(|segment| *segment == "super").count();
        match self.segments[0].as_str() {
            "crate" => Some(self.segments[1..].to_vec()),
            "self" => Some([module, &self.segments[1..]].concat()),
            "super" => {
                let up = supers.saturating_sub(self.depth).min(module.len());
                Some([&module[..module.len() - up], &self.segments[supers..]].concat())
            }
            _ => None,
        }
    }

    /// True if the path begins with `prefix`, written with `::`.
    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        is_prefix(prefix, &self.segments)
    }
}

/// True if `prefix`, written with `::`, is the beginning of `segments`.
pub(crate) fn is_prefix(prefix: &str, segments: &[String]) -> bool {
    let prefix: Vec<&str> = prefix.split("::").collect();
    prefix.len() <= segments.len() && prefix.iter().zip(segments).all(|(a, b)| a == b)
}

/// Every path of two or more segments, and every single name that is imported.
pub(crate) fn paths(tokens: &TokenStream) -> Vec<Path> {
    let mut found = Vec::new();
    walk(tokens.clone(), &[], 0, &mut found);
    found
}

/// Every name that one `use` item imports.
pub(crate) fn use_paths(tree: &syn::UseTree) -> Vec<Path> {
    let mut found = Vec::new();
    walk_use(tree, &[], &mut found);
    found
}

fn walk_use(tree: &syn::UseTree, prefix: &[String], found: &mut Vec<Path>) {
    let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
    let mut add = |segments: Vec<String>, alias: Option<String>, line: usize| {
        found.push(Path { segments, alias, line, depth: 0 });
    };
    match tree {
        syn::UseTree::Path(path) => walk_use(&path.tree, &with(&path.ident), found),
        syn::UseTree::Name(name) if name.ident == "self" => {
            add(prefix.to_vec(), None, name.ident.span().start().line);
        }
        syn::UseTree::Name(name) => add(with(&name.ident), None, name.ident.span().start().line),
        syn::UseTree::Rename(name) => {
            add(with(&name.ident), Some(name.rename.to_string()), name.ident.span().start().line);
        }
        syn::UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            add([prefix, &["*".to_string()]].concat(), None, line);
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                walk_use(tree, prefix, found);
            }
        }
    }
}

/// `prefix` is what stands before the braces of a `use` list, empty elsewhere.
fn walk(tokens: TokenStream, prefix: &[String], depth: usize, found: &mut Vec<Path>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                let named_module = at >= 2 && is_ident(tokens.get(at - 2), "mod");
                walk(group.stream(), &[], depth + usize::from(named_module), found);
                at += 1;
            }
            TokenTree::Ident(ident) if KEYWORDS.iter().any(|keyword| ident == keyword) => at += 1,
            TokenTree::Ident(_) => at = read_path(&tokens, at, prefix, depth, found),
            TokenTree::Punct(punct) if punct.as_char() == '*' && !prefix.is_empty() => {
                found.push(path(prefix, &["*".to_string()], &tokens[at], depth));
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Reads the path that starts at `start` and returns where to go on.
fn read_path(
    tokens: &[TokenTree],
    start: usize,
    prefix: &[String],
    depth: usize,
    found: &mut Vec<Path>,
) -> usize {
    let mut segments = vec![tokens[start].to_string()];
    let mut at = start + 1;
    while is_double_colon(&tokens[at..]) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(ident)) => segments.push(ident.to_string()),
            Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => {
                segments.push("*".to_string());
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                walk(group.stream(), &[prefix, &segments].concat(), depth, found);
                return at + 3;
            }
            _ => break,
        }
        at += 3;
    }
    let imported = !prefix.is_empty() || is_imported(&tokens[..start]);
    if imported || segments.len() > 1 {
        let mut read = path(prefix, &segments, &tokens[start], depth);
        if let (true, Some(TokenTree::Ident(alias))) =
            (imported && is_ident(tokens.get(at), "as"), tokens.get(at + 1))
        {
            read.alias = Some(alias.to_string());
            at += 2;
        }
        found.push(read);
    }
    at
}

/// True if what stands before a path makes it an import.
fn is_imported(before: &[TokenTree]) -> bool {
    let back = |steps: usize| before.len().checked_sub(steps).and_then(|at| before.get(at));
    is_ident(back(1), "use")
        || is_punct(back(1), ':') && is_ident(back(3), "use")
        || is_ident(back(1), "crate") && is_ident(back(2), "extern")
}

fn path(prefix: &[String], segments: &[String], token: &TokenTree, depth: usize) -> Path {
    let segments = [prefix, segments].concat();
    Path { segments, alias: None, line: line_of(token), depth }
}

fn is_double_colon(tokens: &[TokenTree]) -> bool {
    is_punct(tokens.get(1), ':')
        && matches!(tokens.first(), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint)
}

fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let tokens: TokenStream = text.parse().unwrap();
        paths(&tokens)
            .iter()
            .map(|path| match &path.alias {
                Some(alias) => format!("{}={alias}", path.segments.join("::")),
                None => path.segments.join("::"),
            })
            .collect()
    }

    #[test]
    fn a_use_list_is_spread_out() {
        assert_eq!(
            read("pub use crate::a::{self, b::{C, D as E}, f::*}; use log; use x as y;"),
            [
                "crate::a::self",
                "crate::a::b::C",
                "crate::a::b::D=E",
                "crate::a::f::*",
                "log",
                "x=y"
            ]
        );
        assert_eq!(
            read("extern crate alloc; use ::std::fmt; use ::log; use a::{*};"),
            ["alloc", "std::fmt", "log", "a::*"]
        );
    }

    #[test]
    fn code_and_macro_calls_are_read_alike() {
        assert_eq!(
            read("fn f(x: a::B) -> Vec<c::D> { log!(\"{}\", crate::e::g::<h::I>(x)) as j::K }"),
            ["a::B", "c::D", "crate::e::g", "h::I", "j::K"]
        );
        assert_eq!(read("fn f(x: &dyn ::std::fmt::Debug) {}"), ["std::fmt::Debug"]);
        assert_eq!(read("let x: y = z; a ? b : c; match d { e => f }"), [""; 0]);
    }

    #[test]
    fn super_is_resolved_through_inline_modules() {
        let module = ["http".to_string(), "parse".to_string()];
        let tokens: TokenStream =
            "use super::super::ws::A; mod inner { use super::super::B; } use self::C;"
                .parse()
                .unwrap();
        let resolved: Vec<String> = paths(&tokens)
            .iter()
            .map(|path| path.within_crate(&module).unwrap().join("::"))
            .collect();
        assert_eq!(resolved, ["ws::A", "http::B", "http::parse::C"]);
    }
}

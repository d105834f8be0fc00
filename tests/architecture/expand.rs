//! Expands the `macro_rules!` of a file where they stand as items, so that names written by a
//! macro are seen like others.
//!
//! A small part of the language: rules are tried in order, a fragment reaches to the next literal
//! token of its rule, and nothing is tried twice. A call that fits no rule is left out.

use std::collections::BTreeMap;

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::Item;

use crate::source::is_punct;

/// The items of a file with those that its own macros write.
pub(crate) fn expanded_items(file: syn::File) -> Vec<Item> {
    let mut rules = BTreeMap::new();
    let mut items = Vec::new();
    for item in file.items {
        if let Item::Macro(item) = &item {
            let body = item.mac.tokens.clone();
            if let Some(name) = &item.ident {
                rules.insert(name.to_string(), read_rules(body));
            } else if let Some(rules) =
                item.mac.path.get_ident().and_then(|i| rules.get(&i.to_string()))
            {
                let written = rules.iter().find_map(|rule| rule.apply(&trees(body.clone())));
                let file = written.and_then(|tokens| syn::parse2::<syn::File>(tokens).ok());
                items.extend(file.into_iter().flat_map(|file| file.items));
            }
        }
        items.push(item);
    }
    items
}

struct Rule {
    matcher: Vec<TokenTree>,
    text: Vec<TokenTree>,
}

/// What a `$name` stands for.
#[derive(Clone)]
enum Binding {
    One(TokenStream),
    Many(Vec<Binding>),
}

type Bindings = BTreeMap<String, Binding>;

fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().collect()
}

/// Reads `(matcher) => { text };` and so on.
fn read_rules(body: TokenStream) -> Vec<Rule> {
    let groups: Vec<Group> = body
        .into_iter()
        .filter_map(|token| if let TokenTree::Group(group) = token { Some(group) } else { None })
        .collect();
    groups
        .chunks_exact(2)
        .map(|pair| Rule { matcher: trees(pair[0].stream()), text: trees(pair[1].stream()) })
        .collect()
}

impl Rule {
    fn apply(&self, input: &[TokenTree]) -> Option<TokenStream> {
        let mut bindings = Bindings::new();
        let used = match_tokens(&self.matcher, input, &mut bindings)?;
        (used == input.len()).then(|| write_text(&self.text, &bindings))?
    }
}

/// One piece of a matcher or of a text, and how many tokens it takes there.
enum Piece<'a> {
    Repetition { inner: Vec<TokenTree>, separator: Option<&'a TokenTree>, len: usize },
    Variable { name: String, len: usize },
    Group(&'a Group),
    Literal(&'a TokenTree),
}

/// Reads the piece at the start of `tokens`; a matcher has `:fragment` behind a name.
fn piece(tokens: &[TokenTree], in_matcher: bool) -> Option<Piece<'_>> {
    match tokens.first()? {
        first if is_punct(Some(first), '$') => match tokens.get(1)? {
            TokenTree::Group(group) => {
                let is_end = |at| "*+?".chars().any(|end| is_punct(tokens.get(at), end));
                let (separator, len) = if is_end(2) { (None, 3) } else { (tokens.get(2), 4) };
                Some(Piece::Repetition { inner: trees(group.stream()), separator, len })
            }
            name => {
                let len = if in_matcher { 4 } else { 2 };
                Some(Piece::Variable { name: name.to_string(), len })
            }
        },
        TokenTree::Group(group) => Some(Piece::Group(group)),
        token => Some(Piece::Literal(token)),
    }
}

/// Returns how many tokens of `input` the matcher takes.
fn match_tokens(matcher: &[TokenTree], input: &[TokenTree], found: &mut Bindings) -> Option<usize> {
    let (mut at, mut used) = (0, 0);
    while at < matcher.len() {
        match piece(&matcher[at..], true)? {
            Piece::Repetition { inner, separator, len } => {
                used += match_repetition(&inner, separator, &input[used..], found);
                at += len;
            }
            Piece::Variable { name, len } => {
                let single =
                    matches!(matcher[at + 3].to_string().as_str(), "ident" | "tt" | "literal");
                at += len;
                let rest = &input[used..];
                let taken = if single { 1 } else { reach(rest, matcher.get(at)) };
                let value: TokenStream = rest.get(..taken)?.iter().cloned().collect();
                found.insert(name, Binding::One(value));
                used += taken;
            }
            Piece::Group(group) => {
                let TokenTree::Group(given) = input.get(used)? else { return None };
                let (inner, given_inner) = (trees(group.stream()), trees(given.stream()));
                let same = group.delimiter() == given.delimiter();
                if !same || match_tokens(&inner, &given_inner, found)? != given_inner.len() {
                    return None;
                }
                (at, used) = (at + 1, used + 1);
            }
            Piece::Literal(token) => {
                if input.get(used)?.to_string() != token.to_string() {
                    return None;
                }
                (at, used) = (at + 1, used + 1);
            }
        }
    }
    Some(used)
}

/// Matches as often as it goes and returns how many tokens were taken.
fn match_repetition(
    inner: &[TokenTree],
    separator: Option<&TokenTree>,
    input: &[TokenTree],
    found: &mut Bindings,
) -> usize {
    for name in names(inner) {
        found.insert(name, Binding::Many(Vec::new()));
    }
    let mut used = 0;
    while used < input.len() {
        let mut round = Bindings::new();
        let Some(taken @ 1..) = match_tokens(inner, &input[used..], &mut round) else { break };
        used += taken;
        for (name, binding) in round {
            if let Some(Binding::Many(all)) = found.get_mut(&name) {
                all.push(binding);
            }
        }
        let Some(separator) = separator else { continue };
        if input.get(used).is_none_or(|token| token.to_string() != separator.to_string()) {
            break;
        }
        used += 1;
    }
    used
}

/// How many tokens stand before `end`, or all of them.
fn reach(input: &[TokenTree], end: Option<&TokenTree>) -> usize {
    let Some(end) = end else { return input.len() };
    input.iter().position(|token| token.to_string() == end.to_string()).unwrap_or(input.len())
}

/// The names after `$` in a matcher or a text.
fn names(tokens: &[TokenTree]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => found.extend(names(&trees(group.stream()))),
            TokenTree::Ident(name) if at > 0 && is_punct(tokens.get(at - 1), '$') => {
                found.push(name.to_string());
            }
            _ => {}
        }
    }
    found
}

fn write_text(text: &[TokenTree], bindings: &Bindings) -> Option<TokenStream> {
    let mut written = TokenStream::new();
    let mut at = 0;
    while at < text.len() {
        match piece(&text[at..], false)? {
            Piece::Repetition { inner, separator, len } => {
                for (number, round) in rounds(&inner, bindings).iter().enumerate() {
                    written.extend(separator.filter(|_| number > 0).cloned());
                    written.extend(write_text(&inner, round)?);
                }
                at += len;
            }
            Piece::Variable { name, len } => {
                match bindings.get(&name) {
                    Some(Binding::One(value)) => written.extend(value.clone()),
                    Some(Binding::Many(_)) => return None,
                    None if name == "crate" => written.extend([text[at + 1].clone()]),
                    None => return None,
                }
                at += len;
            }
            Piece::Group(group) => {
                let inner = write_text(&trees(group.stream()), bindings)?;
                written.extend([TokenTree::from(Group::new(group.delimiter(), inner))]);
                at += 1;
            }
            Piece::Literal(token) => {
                written.extend([token.clone()]);
                at += 1;
            }
        }
    }
    Some(written)
}

/// The bindings for each round of a repetition in the text.
fn rounds(inner: &[TokenTree], bindings: &Bindings) -> Vec<Bindings> {
    let repeated: Vec<(String, &Vec<Binding>)> = names(inner)
        .into_iter()
        .filter_map(|name| match bindings.get(&name) {
            Some(Binding::Many(all)) => Some((name, all)),
            _ => None,
        })
        .collect();
    let count = repeated.iter().map(|(_, all)| all.len()).max().unwrap_or(0);
    (0..count)
        .map(|round| {
            let mut bindings = bindings.clone();
            for (name, all) in &repeated {
                bindings.extend(all.get(round).map(|binding| (name.clone(), binding.clone())));
            }
            bindings
        })
        .collect()
}

/// What the macros of `text` write, as tokens in one line.
fn expanded(text: &str) -> Vec<String> {
    let file = syn::parse_file(text).unwrap();
    let is_written = |item: &Item| !matches!(item, Item::Macro(_));
    expanded_items(file).iter().filter(|item| is_written(item)).map(describe).collect()
}

fn describe(item: &Item) -> String {
    match item {
        Item::Fn(item) => format!("fn {}", item.sig.ident),
        Item::Struct(item) => {
            let fields: Vec<String> =
                item.fields.iter().filter_map(|f| Some(f.ident.as_ref()?.to_string())).collect();
            format!("struct {} {}", item.ident, fields.join(" "))
        }
        Item::Impl(item) => format!("impl with {} items", item.items.len()),
        _ => "another".to_string(),
    }
}

#[test]
fn rows_become_items() {
    let text = "
        macro_rules! settings {
            ($( $(#[$doc:meta])* $name:ident / $with:ident : $type:ty = $default:expr; )*) => {
                pub struct Config { $( $name: $type, )* }
                impl Config {
                    $( $(#[$doc])* #[doc = concat!(stringify!($name), \".\")]
                       pub fn $name(&self) -> $type { self.$name } pub fn $with(mut self) {} )*
                }
                $( fn $name() -> $crate::X { $default } )*
            };
        }
        settings! {
            /// One.
            one / with_one: Option<u8> = Some(1 * 2);
            two / with_two: a::T = T::new();
        }";
    assert_eq!(expanded(text), ["struct Config one two", "impl with 4 items", "fn one", "fn two"]);
}

#[test]
fn rules_are_tried_in_order_and_separators_count() {
    let text = "
        macro_rules! make {
            (one $name:ident) => { fn $name() {} };
            ($($name:ident),+) => { $( fn $name() {} )* };
            (group { $($t:tt)* }) => { $($t)* };
        }
        make!(one a);
        make!(b, c);
        make!(group { struct S; });
        make!(4);
        unknown!(d);";
    assert_eq!(expanded(text), ["fn a", "fn b", "fn c", "struct S "]);
}

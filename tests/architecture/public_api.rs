//! The public names of the crate equal a checked-in list, so that none appears or goes unnoticed.
//!
//! Names start at the re-exports of `lib.rs`; what stands behind a name is looked up in the
//! sources: variants, public fields, public functions of its `impl` blocks, items of a trait.
//! Signatures are left to the compiler and to the tests that use them.

use std::collections::BTreeSet;
use std::env;
use std::fs;

use syn::{Fields, ImplItem, Item, TraitItem, Visibility};

use crate::expand::expanded_items;
use crate::paths::{Path, use_paths};
use crate::source::{Source, read_tree, root, tree_of};

/// The list, and the variable that has it written anew.
const LIST: &str = "tests/architecture/public_api.txt";
const BLESS: &str = "LANDLINE_BLESS";

/// Public modules that are an index of re-exports, as the crate's root is.
const INDEXES: [&str; 1] = ["testing"];

/// Modules that are reachable but promise nothing.
const NOT_PUBLIC: [&str; 1] = ["internals"];

/// A module of the library without its tests, macros of its own expanded.
struct Module {
    path: Vec<String>,
    items: Vec<Item>,
}

fn library(sources: &[Source]) -> Vec<Module> {
    sources
        .iter()
        .filter(|source| {
            !source.is_test && source.module.first().is_none_or(|first| first != "bin")
        })
        .flat_map(|source| with_inner(source.module.clone(), expanded_items(source.file())))
        .collect()
}

/// A module and those written out inside it.
fn with_inner(path: Vec<String>, items: Vec<Item>) -> Vec<Module> {
    let mut modules = Vec::new();
    for item in &items {
        if let Item::Mod(item) = item
            && let Some((_, inner)) = &item.content
        {
            let path = [path.as_slice(), &[item.ident.to_string()]].concat();
            modules.extend(with_inner(path, inner.clone()));
        }
    }
    modules.insert(0, Module { path, items });
    modules
}

/// Every public name, one a line, sorted.
fn public_names(sources: &[Source]) -> BTreeSet<String> {
    let library = library(sources);
    let lib = library.iter().find(|module| module.path.is_empty()).expect("the tree has a lib.rs");
    let mut names = BTreeSet::new();
    for item in &lib.items {
        match item {
            Item::Use(item) if is_public(&item.vis) => {
                for path in use_paths(&item.tree) {
                    let target = path.within_crate(&[]).unwrap_or_else(|| path.segments.clone());
                    add_name(&library, path.name(), &target, &mut names);
                }
            }
            Item::Mod(item)
                if is_public(&item.vis) && INDEXES.iter().any(|it| item.ident == it) =>
            {
                add_index(&library, &item.ident.to_string(), &mut names);
            }
            Item::Mod(item) if is_public(&item.vis) => {
                let name = item.ident.to_string();
                assert!(
                    NOT_PUBLIC.contains(&name.as_str()),
                    "`pub mod {name}` in lib.rs: re-export the names that are meant instead"
                );
            }
            _ => {}
        }
    }
    for item in library.iter().flat_map(|module| &module.items) {
        if let Item::Macro(item) = item
            && item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"))
            && let Some(ident) = &item.ident
        {
            names.insert(format!("{ident}! (macro)"));
        }
    }
    names
}

/// Adds what a public module re-exports.
fn add_index(library: &[Module], index: &str, names: &mut BTreeSet<String>) {
    let modules = library.iter().filter(|module| module.path == [index]);
    for item in modules.flat_map(|module| &module.items) {
        let Item::Use(item) = item else { continue };
        for path in use_paths(&item.tree).iter().filter(|_| is_public(&item.vis)) {
            let target = [index.to_string(), path.name().to_string()];
            add_name(library, &target.join("::"), &target, names);
        }
    }
}

/// Adds a public name for `target`, a path at the crate's root, and what belongs to it.
fn add_name(library: &[Module], name: &str, target: &[String], names: &mut BTreeSet<String>) {
    match define(library, target, 0) {
        Some(Definition::Item(item)) => add_item(name, item, library, names),
        Some(Definition::Module(module)) => {
            for item in module.items.iter().filter(|item| item_is_public(item)) {
                let inner = item_name(item).unwrap_or_default();
                add_item(&format!("{name}::{inner}"), item, library, names);
            }
        }
        Some(Definition::Foreign(foreign)) => {
            names.insert(format!("{name} = {}", foreign.join("::")));
        }
        None => panic!("cannot find what `pub use {}` means", target.join("::")),
    }
}

enum Definition<'a> {
    Item(&'a Item),
    /// A module that is re-exported with all that is public in it.
    Module(&'a Module),
    Foreign(Vec<String>),
}

/// Follows re-exports from a path at the crate's root to the item itself.
fn define<'a>(library: &'a [Module], target: &[String], hops: usize) -> Option<Definition<'a>> {
    let find = |path: &[String]| library.iter().find(|module| module.path == path);
    if let Some(module) = find(target) {
        return Some(Definition::Module(module));
    }
    let (name, path) = target.split_last()?;
    let Some(module) = find(path) else { return Some(Definition::Foreign(target.to_vec())) };
    if let Some(item) = module.items.iter().find(|item| item_name(item).as_ref() == Some(name)) {
        return Some(Definition::Item(item));
    }
    let import = imports(&module.items).into_iter().find(|import| import.name() == name)?;
    let is_child = find(&[path, &import.segments[..1]].concat()).is_some();
    let target = match import.within_crate(path) {
        Some(target) => target,
        None if is_child => [path, &import.segments].concat(),
        None => import.segments,
    };
    if hops < 8 { define(library, &target, hops + 1) } else { None }
}

/// What the `use` items of a file bring into its scope.
fn imports(items: &[Item]) -> Vec<Path> {
    items
        .iter()
        .flat_map(
            |item| if let Item::Use(item) = item { use_paths(&item.tree) } else { Vec::new() },
        )
        .collect()
}

fn item_is_public(item: &Item) -> bool {
    match item {
        Item::Const(item) => is_public(&item.vis),
        Item::Enum(item) => is_public(&item.vis),
        Item::Fn(item) => is_public(&item.vis),
        Item::Static(item) => is_public(&item.vis),
        Item::Struct(item) => is_public(&item.vis),
        Item::Trait(item) => is_public(&item.vis),
        Item::Type(item) => is_public(&item.vis),
        _ => false,
    }
}

fn item_name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn add_item(name: &str, item: &Item, library: &[Module], names: &mut BTreeSet<String>) {
    let kind = match item {
        Item::Const(_) | Item::Static(_) => "(constant)",
        Item::Enum(item) => {
            names.extend(item.variants.iter().map(|variant| format!("{name}::{}", variant.ident)));
            "(enum)"
        }
        Item::Fn(_) => "(function)",
        Item::Struct(item) => {
            add_fields(name, &item.fields, names);
            "(struct)"
        }
        Item::Trait(item) => {
            names
                .extend(item.items.iter().filter_map(trait_member).map(|m| format!("{name}::{m}")));
            "(trait)"
        }
        _ => "(type)",
    };
    names.insert(format!("{name} {kind}"));
    let defined = item_name(item).unwrap_or_default();
    add_members(name, &defined, library, names);
}

fn add_fields(name: &str, fields: &Fields, names: &mut BTreeSet<String>) {
    for (at, field) in fields.iter().enumerate() {
        if is_public(&field.vis) {
            let field = field.ident.as_ref().map_or_else(|| at.to_string(), ToString::to_string);
            names.insert(format!("{name}.{field}"));
        }
    }
}

fn trait_member(item: &TraitItem) -> Option<String> {
    match item {
        TraitItem::Fn(item) => Some(format!("{}()", item.sig.ident)),
        TraitItem::Type(item) => Some(item.ident.to_string()),
        TraitItem::Const(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// Adds the public functions and constants of every `impl Name` in the crate.
fn add_members(name: &str, defined: &str, library: &[Module], names: &mut BTreeSet<String>) {
    for item in library.iter().flat_map(|module| &module.items) {
        let Item::Impl(item) = item else { continue };
        let syn::Type::Path(of) = &*item.self_ty else { continue };
        if item.trait_.is_some() || of.path.segments.last().is_none_or(|last| last.ident != defined)
        {
            continue;
        }
        for member in &item.items {
            match member {
                ImplItem::Fn(member) if is_public(&member.vis) => {
                    names.insert(format!("{name}::{}()", member.sig.ident));
                }
                ImplItem::Const(member) if is_public(&member.vis) => {
                    names.insert(format!("{name}::{}", member.ident));
                }
                _ => {}
            }
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Lines of the list that are too many (`-`) and missing (`+`).
fn difference(list: &str, names: &BTreeSet<String>) -> Vec<String> {
    let listed: Vec<String> = list.lines().map(str::to_string).collect();
    let gone = listed.iter().filter(|line| !names.contains(*line)).map(|line| format!("- {line}"));
    let new = names.iter().filter(|name| !listed.contains(name)).map(|name| format!("+ {name}"));
    let mut lines: Vec<String> = gone.chain(new).collect();
    if lines.is_empty() && !listed.iter().eq(names.iter()) {
        lines.push("the list is not sorted or names something twice".to_string());
    }
    lines
}

#[test]
fn the_public_names_are_those_of_the_list() {
    let names = public_names(&read_tree());
    let path = root().join(LIST);
    if env::var_os(BLESS).is_some() {
        let text: String = names.iter().map(|name| format!("{name}\n")).collect();
        fs::write(path, text).unwrap();
        return;
    }
    let list = fs::read_to_string(path).unwrap_or_default();
    let lines = difference(&list, &names);
    assert!(
        lines.is_empty(),
        "the public names differ from {LIST} (- only there, + only in the code):\n{}\n\
         If the change is wanted, run: {BLESS}=1 cargo test --test architecture\n",
        lines.join("\n")
    );
}

fn names_of(files: &[(&str, &str)]) -> Vec<String> {
    public_names(&tree_of(files)).into_iter().collect()
}

#[test]
fn a_name_is_followed_through_re_exports_to_its_members() {
    let names = names_of(&[
        (
            "src/lib.rs",
            "mod http; #[cfg(feature = \"internals\")] pub mod internals;
             pub use http::{Response as Answer, Method}; pub use crate::http::run; use http::Hidden;",
        ),
        (
            "src/http/mod.rs",
            "mod response; pub(crate) use response::{Inner as Response, Hidden};
             pub(crate) use self::method::Method; mod method; pub fn run() {}",
        ),
        (
            "src/http/response.rs",
            "pub struct Inner { pub status: u16, body: u8 } pub struct Hidden;
             impl Inner { pub fn text() {} fn secret() {} pub(crate) fn own() {} pub const OK: u8 = 1; }
             impl Clone for Inner { fn clone(&self) {} }
             #[cfg(test)] mod tests { impl Inner { pub fn test_only() {} } }",
        ),
        ("src/http/method.rs", "pub use tiny_http::Method; fn f() -> crate::other::Method {}"),
        ("src/other.rs", "impl<T> crate::http::Inner<T> { pub fn elsewhere(&self) {} }"),
    ]);
    let expected = [
        "Answer (struct)",
        "Answer.status",
        "Answer::OK",
        "Answer::elsewhere()",
        "Answer::text()",
        "Method = tiny_http::Method",
        "run (function)",
    ];
    assert_eq!(names, expected);
}

#[test]
fn enums_traits_and_macros_show_what_they_hold() {
    let names = names_of(&[
        ("src/lib.rs", "mod a; pub use a::{Kind, Consumer, Config, Result, LIMIT, Pair, code};"),
        (
            "src/a.rs",
            "pub enum Kind { Io, Other(u8) } pub type Result = u8; pub const LIMIT: u8 = 1;
             pub struct Pair(pub u8, u8);
             pub trait Consumer { type Item; const N: u8; fn connect(&self); }
             macro_rules! settings { ($($name:ident / $with:ident : $type:ty;)*) => {
                 pub struct Config { $($name: $type,)* }
                 impl Config { $(pub fn $name() {} pub fn $with() {})* fn hidden() {} }
             } }
             settings! { head / with_head: a::T; body / with_body: Option<u8>; }
             impl Config { pub fn check(&self) {} }
             pub mod code { pub const OK: u8 = 1; pub(crate) const HIDDEN: u8 = 2; }
             #[macro_export] macro_rules! shout { () => {} }",
        ),
    ]);
    let expected = [
        "Config (struct)",
        "Config::body()",
        "Config::check()",
        "Config::head()",
        "Config::with_body()",
        "Config::with_head()",
        "Consumer (trait)",
        "Consumer::Item",
        "Consumer::N",
        "Consumer::connect()",
        "Kind (enum)",
        "Kind::Io",
        "Kind::Other",
        "LIMIT (constant)",
        "Pair (struct)",
        "Pair.0",
        "Result (type)",
        "code::OK (constant)",
        "shout! (macro)",
    ];
    assert_eq!(names, expected);
}

#[test]
fn an_index_shows_what_it_re_exports() {
    let names = names_of(&[
        ("src/lib.rs", "pub mod testing;"),
        ("src/testing/mod.rs", "mod client; pub use client::Client; use client::Hidden;"),
        (
            "src/testing/client.rs",
            "pub struct Client; pub struct Hidden; impl Client { pub fn send() {} }",
        ),
    ]);
    assert_eq!(names, ["testing::Client (struct)", "testing::Client::send()"]);
}

#[test]
#[should_panic = "cannot find what `pub use a::Missing` means"]
fn a_name_without_a_definition_is_found() {
    names_of(&[("src/lib.rs", "mod a; pub use a::Missing;"), ("src/a.rs", "fn f() {}")]);
}

#[test]
#[should_panic = "`pub mod a` in lib.rs"]
fn a_public_module_is_found() {
    names_of(&[("src/lib.rs", "pub mod a;"), ("src/a.rs", "")]);
}

#[test]
fn a_difference_names_each_line() {
    let names: BTreeSet<String> = ["a", "b"].map(str::to_string).into();
    assert_eq!(difference("a\nb\n", &names), [""; 0]);
    assert_eq!(difference("a\nc\n", &names), ["- c", "+ b"]);
    assert_eq!(difference("b\na\n", &names).len(), 1);
    assert_eq!(difference("a\na\nb\n", &names).len(), 1);
    assert_eq!(difference("", &names).len(), 2);
}

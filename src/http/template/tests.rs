//! What is rendered, and what is said about a wrong template or directory.

use super::*;
use serde_json::json;
use std::path::PathBuf;

/// A directory of its own for one test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str, files: &[(&str, &[u8])]) -> Self {
        let name = format!("landline-template-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        for (name, bytes) in files {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        Self(path)
    }

    fn error(&self) -> String {
        let error = Templates::new().with_directory(&self.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.chain()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn one(name: &'static str, source: &'static str) -> Templates {
    Templates::new().with_source(name, source).unwrap()
}

#[test]
fn html_is_escaped_and_text_is_not() {
    let values = json!({ "x": "<&'\">" });
    assert_eq!(one("a.txt", "{{ x }}\n").render("a.txt", &values).unwrap(), "<&'\">\n");
    let page = one("a.html", "{{ x }}").render("a.html", &values).unwrap();
    assert!(!page.contains(['<', '>', '\'', '"']), "{page}");
}

#[test]
fn no_values_are_needed_where_none_are_printed() {
    let templates = one("a.html", "<p>{% if x %}x{% endif %}</p>");
    assert_eq!(templates.render("a.html", ()).unwrap(), "<p></p>");
}

#[test]
fn a_missing_value_names_template_and_line() {
    let error = one("a.html", "1\n{{ nothing }}").render("a.html", ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.chain().starts_with("template a.html line 2: undefined value"), "{error}");
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let templates = one("b.html", "").with_source("a.html", "").unwrap();
    let error = templates.render("c.html", ()).unwrap_err();
    assert_eq!(error.to_string(), "no template \"c.html\"; there are: a.html, b.html");
    let error = Templates::new().render("c.html", ()).unwrap_err();
    assert_eq!(error.to_string(), "no template \"c.html\"; there are: none");
}

#[test]
fn a_syntax_error_names_template_and_line() {
    let error = Templates::new().with_source("a.html", "1\n2\n{% if %}").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.chain().starts_with("template a.html line 3: syntax error: "), "{error}");
}

#[test]
fn a_failure_in_an_included_template_is_told() {
    let templates =
        one("a.html", "\n{% include 'b.html' %}").with_source("b.html", "{{ x }}").unwrap();
    let chain = templates.render("a.html", ()).unwrap_err().chain();
    assert!(chain.contains("a.html line 2") && chain.contains("b.html:1"), "{chain}");
    let chain = one("a.html", "{% include 'x.html' %}").render("a.html", ()).unwrap_err().chain();
    assert!(chain.contains("x.html"), "{chain}");
}

#[test]
fn templates_that_call_themselves_end_on_a_small_stack() {
    let render = || {
        let include = one("a.html", "{% include 'a.html' %}");
        assert!(include.render("a.html", ()).is_err());
        let calls = one("a.html", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
        assert!(calls.render("a.html", ()).is_err());
    };
    // A build without optimisation needs more than half of it, an optimised one a quarter.
    let stack = crate::config::Config::default().stack_bytes();
    std::thread::Builder::new().stack_size(stack).spawn(render).unwrap().join().unwrap();
}

#[test]
fn a_directory_overrides_whatever_was_added_first() {
    let files: [(&str, &[u8]); 4] = [
        ("a.html", b"file"),
        ("sub/b.txt", b"deep"),
        (".hidden.html", b"{% bad"),
        ("notes.md", b"{% bad"),
    ];
    let directory = Directory::new("override", &files);
    let before = one("a.html", "program").with_directory(&directory.0).unwrap();
    let after = Templates::new().with_directory(&directory.0).unwrap();
    let after = after.with_source("a.html", "program").unwrap();
    for templates in [before, after] {
        assert_eq!(templates.render("a.html", ()).unwrap(), "file");
        assert_eq!(templates.render("sub/b.txt", ()).unwrap(), "deep");
        assert_eq!(format!("{templates:?}"), r#"{"a.html", "sub/b.txt"}"#);
    }
}

#[test]
fn what_is_wrong_in_a_directory_names_the_file() {
    let bad = Directory::new("syntax", &[("sub/a.html", b"\n{% endif %}")]);
    let error = bad.error();
    let file = bad.0.join("sub/a.html");
    let start = format!("template {} line 2: syntax error: ", file.display());
    assert!(error.starts_with(&start), "{error}");
    let bad = Directory::new("utf8", &[("a.html", b"\xff")]);
    let error = bad.error();
    assert!(error.contains("a.html") && error.contains("UTF-8"), "{error}");
}

#[test]
fn a_missing_directory_is_told() {
    let missing = Directory::new("missing", &[]);
    let error = missing.error();
    assert!(error.starts_with("cannot read template directory "), "{error}");
    assert!(error.contains(&missing.0.display().to_string()), "{error}");
}

#[cfg(unix)]
#[test]
fn a_loop_of_links_ends() {
    let directory = Directory::new("loop", &[("a.html", b"")]);
    std::os::unix::fs::symlink(&directory.0, directory.0.join("again")).unwrap();
    let error = directory.error();
    assert!(error.contains("too many levels"), "{error}");
}

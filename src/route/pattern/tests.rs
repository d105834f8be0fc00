//! Which paths fit which patterns, and what is said about a wrong pattern.

use proptest::prelude::*;

use super::*;

fn pattern(source: &str) -> Pattern {
    Pattern::parse(source).unwrap()
}

/// The values of the parameters in their order, if the path fits.
fn values(source: &str, path: &str) -> Option<Vec<String>> {
    let params = pattern(source).matches(path)?;
    Some(params.iter().map(|(_, value)| value.to_owned()).collect())
}

fn fits(source: &str, path: &str) -> bool {
    values(source, path).is_some()
}

fn error(source: &str) -> String {
    let error = Pattern::parse(source).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.starts_with(&format!("route pattern {source:?}: ")), "{text}");
    text
}

#[test]
fn fixed_text_fits_itself() {
    assert!(fits("/echo", "/echo") && fits("/a/b", "/a/b"));
    for path in ["/", "/ech", "/echoo", "/Echo", "/echo/x", "/x/echo", "echo", "", "*", "//echo"] {
        assert!(!fits("/echo", path), "{path:?}");
    }
    assert!(fits("/聊天/a b", "/聊天/a b"));
}

#[test]
fn the_last_slash_does_not_matter() {
    for source in ["/a", "/a/"] {
        assert!(fits(source, "/a") && fits(source, "/a/"));
        assert!(!fits(source, "/a//") && !fits(source, "//a"));
    }
    for source in ["/chat/<room>", "/chat/<room>/"] {
        assert_eq!(values(source, "/chat/x/"), Some(vec!["x".into()]));
        assert_eq!(values(source, "/chat/x"), Some(vec!["x".into()]));
    }
    assert!(fits("/", "/") && !fits("/", "//") && !fits("/", "") && !fits("/", "/a"));
}

#[test]
fn a_parameter_takes_one_segment() {
    assert_eq!(values("/chat/<room>/", "/chat/你好 +/"), Some(vec!["你好 +".into()]));
    for path in ["/chat", "/chat/", "/chat//", "/chat/a/b", "/chat//a"] {
        assert!(!fits("/chat/<room>/", path), "{path:?}");
    }
    let params = pattern("/<a>/x/<str:b_2>").matches("/1/x/2").unwrap();
    assert_eq!((params.get("a"), params.get("b_2"), params.get("c")), (Some("1"), Some("2"), None));
}

#[test]
fn an_int_fits_64_bits() {
    for good in ["0", "007", "18446744073709551615"] {
        assert_eq!(values("/<int:id>", &format!("/{good}")), Some(vec![good.into()]));
    }
    for bad in ["", "-1", "+1", "1.0", "a", "1a", "18446744073709551616", "٣", " 1"] {
        assert!(!fits("/<int:id>", &format!("/{bad}")), "{bad:?}");
    }
}

#[test]
fn slug_and_uuid_take_what_their_names_say() {
    assert!(fits("/<slug:s>", "/A-z_09") && !fits("/<slug:s>", "/a.b") && !fits("/<slug:s>", "/ä"));
    let uuid = "123e4567-e89b-12d3-A456-426614174000";
    assert!(fits("/<uuid:u>", &format!("/{uuid}")));
    for bad in [&uuid[1..], &uuid.replace('-', ""), &uuid.replace('1', "g"), &format!("{uuid}-")] {
        assert!(!fits("/<uuid:u>", &format!("/{bad}")), "{bad:?}");
    }
}

#[test]
fn a_path_takes_the_rest() {
    let rest = |source, path| values(source, path).map(|values| values.concat());
    assert_eq!(rest("/f/<path:p>", "/f/a/b.txt").as_deref(), Some("a/b.txt"));
    assert_eq!(rest("/f/<path:p>", "/f/a/").as_deref(), Some("a/"));
    assert_eq!(rest("/f/<path:p>/", "/f/a/").as_deref(), Some("a"));
    assert_eq!(rest("/f/<path:p>/", "/f/a").as_deref(), Some("a"));
    assert_eq!(rest("/<path:p>", "/a//b").as_deref(), Some("a//b"));
    assert!(!fits("/f/<path:p>", "/f") && !fits("/f/<path:p>", "/f/"));
}

#[test]
fn text_may_stand_around_a_parameter() {
    assert_eq!(values("/user-<int:id>.json", "/user-7.json"), Some(vec!["7".into()]));
    for path in ["/user-.json", "/user-7", "/7.json", "/user-7.json5", "/user-7.7.json"] {
        assert!(!fits("/user-<int:id>.json", path), "{path:?}");
    }
    assert!(!fits("/aa<x>aa", "/aaa"), "text before and after must not overlap");
    assert_eq!(values("/a<x>a", "/aaa"), Some(vec!["a".into()]));
}

#[test]
fn the_same_shape_is_seen_behind_other_names() {
    let same = |a, b| pattern(a).same_shape(&pattern(b));
    assert!(same("/a/<x>/", "/a/<str:y>") && same("/", "/") && same("/f/<path:a>", "/f/<path:b>/"));
    for (a, b) in [("/a", "/b"), ("/<int:a>", "/<a>"), ("/<a>", "/<a>.x"), ("/<a>", "/<a>/b")] {
        assert!(!same(a, b), "{a} {b}");
    }
    assert!(pattern("/a/b").is_literal() && !pattern("/a/<b>").is_literal());
    assert_eq!(pattern("/a/").source(), "/a/");
}

#[test]
fn a_wrong_pattern_is_explained() {
    let rows = [
        ("", "start with a slash"),
        ("a", "start with a slash"),
        ("//", "segment 1 (\"\"): it is empty"),
        ("/a//b", "segment 2 (\"\"): it is empty"),
        ("/a/..", "dot segment"),
        ("/<a", "not closed"),
        ("/a>", "without '<'"),
        ("/<a>>", "without '<'"),
        ("/<a><b>", "only one parameter"),
        ("/<a>-<b>", "only one parameter"),
        ("/<<a>>", "the parameter name \"<a\""),
        ("/<>", "the parameter name \"\""),
        ("/<int:>", "the parameter name \"\""),
        ("/<1a>", "the parameter name \"1a\""),
        ("/<a b>", "the parameter name \"a b\""),
        ("/<ä>", "the parameter name \"ä\""),
        ("/<a:b:c>", "the kind \"a\" is unknown"),
        ("/<float:a>", "the kind \"float\" is unknown; there are str, int, slug, uuid and path"),
        ("/<a>/<int:a>", "segment 2 (\"<int:a>\"): the name \"a\" is there twice"),
        ("/<path:a>/b", "must be at the end"),
        ("/x<path:a>", "must be the whole segment"),
        ("/a?b", "without query"),
        ("/a#b", "without query"),
        ("/a%20b", "written decoded"),
        ("/a\\b", "backslash"),
        ("/a\n", "control character"),
    ];
    for (source, expected) in rows {
        let text = error(source);
        assert!(text.contains(expected), "{source:?}: {text}");
    }
    assert!(fits("/100%/a", "/100%/a"));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_explained(source in "/?([/<>:a-z%.]|int:|path:|\\PC){0,20}", path in "\\PC{0,20}") {
        if let Ok(pattern) = Pattern::parse(&source) {
            let _ = pattern.matches(&path);
            prop_assert!(pattern.same_shape(&pattern));
        }
    }

    #[test]
    fn a_path_made_from_a_pattern_fits_it(
        parts in proptest::collection::vec(("[a-z]{0,3}", "[^/\\\\\\x00-\\x1f]{1,6}", "[a-z]{0,3}"), 1..5),
        slash in any::<bool>(),
    ) {
        let end = if slash { "/" } else { "" };
        let segment = |(index, (before, _, after)): (usize, &(String, String, String))|
            format!("/{before}<p{index}>{after}");
        let source = parts.iter().enumerate().map(segment).collect::<String>();
        let path = parts.iter().map(|(a, value, b)| format!("/{a}{value}{b}")).collect::<String>();
        let params = pattern(&source).matches(&(path + end)).unwrap();
        for (index, part) in parts.iter().enumerate() {
            prop_assert_eq!(params.get(&format!("p{index}")), Some(part.1.as_str()));
        }
    }
}

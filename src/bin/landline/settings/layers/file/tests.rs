//! Settings files, right and wrong.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Layer {
    parse(text, Path::new("/etc/landline")).unwrap()
}

fn wrong(text: &str) -> Vec<(usize, String)> {
    let findings = parse(text, Path::new("")).unwrap_err();
    findings.into_iter().map(|finding| (finding.line, finding.text)).collect()
}

#[test]
fn values_are_the_texts_that_flags_would_give() {
    let layer = read(
        "# a comment\n\
         port = 9_000\n\
         host = [\"::1\", \"localhost\"]\n\
         ws_ping_interval = 0.5\n\
         ws_ping_timeout = 20\n\
         ws_per_message_deflate = false\n\
         held_bytes = 0x10\n",
    );
    for (key, texts, line) in [
        ("port", &["9000"][..], 2),
        ("host", &["::1", "localhost"], 3),
        ("ws_ping_interval", &["0.5"], 4),
        ("ws_ping_timeout", &["20"], 5),
        ("ws_per_message_deflate", &["false"], 6),
        ("held_bytes", &["16"], 7),
    ] {
        assert_eq!(layer.texts(key).unwrap(), texts, "{key}");
        assert_eq!(layer.source(key), Some(Source::File(line)), "{key}");
    }
}

#[test]
fn a_relative_path_counts_from_the_directory_of_the_file() {
    assert_eq!(read("templates = \"pages\"").texts("templates").unwrap(), ["/etc/landline/pages"]);
    assert_eq!(read("templates = \"/srv/p\"").texts("templates").unwrap(), ["/srv/p"]);
}

#[test]
fn everything_that_is_wrong_is_reported_with_its_line() {
    let found = wrong("prot = 1\n\nport = \"9000\"\nws_max_size = 0\nhost = \"a\"\n");
    let expected = [
        (1, "no setting is called prot; did you mean port?"),
        (3, "port is a whole number without quotes, as in port = 1000"),
        (4, "wrong value \"0\" for ws_max_size: give a whole number from 1 up"),
        (5, "host is a list of texts in quotes, as in host = [\"...\"]"),
    ];
    assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
}

#[test]
fn the_spelling_of_a_flag_is_no_key() {
    let found = wrong("ws-max-size = 1");
    assert_eq!(found[0].1, "no setting is called ws-max-size; did you mean ws_max_size?");
    assert!(wrong("xyzzy = 1")[0].1.contains("\"landline --help\" lists them all"));
}

#[test]
fn sections_and_doubles_and_broken_lines_are_told_apart() {
    assert!(wrong("[server]\nport = 1")[0].1.contains("no sections"));
    assert!(wrong("server.port = 1")[0].1.contains("no sections"));
    let twice = wrong("port = 1\nport = 2\n");
    assert_eq!(twice, [(2, "port stands here for the second time; leave one of them".to_owned())]);
    let (line, text) = wrong("port = 1\nhost = [\"a\"\n").remove(0);
    assert!(line >= 2 && text.starts_with("this is no TOML: "), "{line}: {text}");
}

#[test]
fn a_wrong_secret_is_not_shown() {
    for text in ["publish_key = hushhushhushhush", "publish_key = 1234567812345678"] {
        let found = format!("{:?}", wrong(text));
        assert!(!found.contains("hushhush") && !found.contains("12345678"), "{found}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    for value in ["nan", "inf", "-1", "1e400", "1979-05-27"] {
        wrong(&format!("timeout_send = {value}"));
    }
    for value in ["99999999999999999999999999999999999999999999", "-1", "1.0", "true"] {
        wrong(&format!("ws_max_size = {value}"));
    }
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "(port|host|timeout_send|a|\\[|\\]|=|\"|'|\\.|#|\\{|\\}|-|1|é|\\PC|[ \n\r\t])*") {
        let lines = 1 + text.matches('\n').count();
        if let Err(findings) = parse(&text, Path::new("")) {
            prop_assert!(!findings.is_empty());
            prop_assert!(findings.iter().all(|finding| (1..=lines).contains(&finding.line)));
        }
    }
}

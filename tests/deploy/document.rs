//! The document: its configurations, and what it promises of them.

use std::time::Duration;

use landline::Config;

use crate::program::{Directory, run};

/// What stands in the block that is marked with this name.
pub(crate) fn block(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/DEPLOY.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let mark = format!("<!-- try: {name} -->\n```");
    let (_, rest) = text.split_once(&mark).unwrap_or_else(|| panic!("no block {name}"));
    let (_, rest) = rest.split_once('\n').expect("a line that begins the block");
    rest.split_once("\n```").expect("an end of the block").0.to_owned() + "\n"
}

/// Puts one text in the place of another, which must be there.
pub(crate) fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replace(from, to)
}

/// The seconds behind a word, as in `timeout tunnel 75s`.
fn seconds(text: &str, word: &str) -> Duration {
    let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("no {word} in {text}"));
    let number = rest.trim_start().split(|char: char| !char.is_ascii_digit()).next();
    Duration::from_secs(number.and_then(|number| number.parse().ok()).expect("a number"))
}

/// A client that is there answers a ping within the server's patience, and only then says something
/// that a proxy notices.
#[test]
fn proxies_wait_longer_than_a_ping_and_its_answer() {
    let config = Config::default();
    let silence = config.ping_interval().unwrap() + config.ping_timeout().unwrap();
    for (name, words) in [
        ("nginx", &["proxy_read_timeout", "proxy_send_timeout"][..]),
        ("haproxy", &["timeout client", "timeout server", "timeout tunnel"]),
    ] {
        for word in words {
            assert!(seconds(&block(name), word) > silence, "{word} of {name}");
        }
    }
}

/// Blocks of settings with certificates are tried where there are some.
#[test]
fn a_server_can_start_with_every_block_of_settings() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/DEPLOY.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<&str> = blocks.filter(|block| !block.contains("ssl_")).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        let directory = Directory::with("landline.toml", block);
        let file = directory.path.join("landline.toml");
        let ended = run(&["check", "--config", file.to_str().expect("a path in UTF-8")]);
        assert_eq!(ended.code, Some(0), "{block}{}", ended.stderr);
    }
}

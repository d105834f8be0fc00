//! What clients show to be let in, in bytes: names with passwords, and cookies.

use crate::http::Headers;
use crate::http::cookie::find_all;
use crate::route::auth::read_basic;

/// Reads a text as `Authorization`, and checks that a name and password that are read stand there.
///
/// # Panics
/// If they do not.
pub fn read_credentials(value: &str) {
    let Some((name, password)) = read_basic(value) else { return };
    assert!(!name.contains(':'), "a name ends at the first colon");
    assert!(value.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("basic")));
    // Four letters stand for three bytes.
    assert!((name.len() + 1 + password.len()) * 4 <= value.len() * 3);
}

/// Reads lines as `Cookie`, and checks that the values of a cookie stand in them, and that lines
/// may be joined.
///
/// # Panics
/// If that does not hold.
pub fn read_cookies(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').take(8).collect();
    let find = |lines: &[&str]| {
        let headers = Headers::from_fields(lines.iter().map(|line| ("Cookie", line.as_bytes())));
        find_all(&headers, "jwt").map(str::to_owned).collect::<Vec<_>>()
    };
    let found = find(&lines);
    for value in &found {
        assert!(lines.iter().any(|line| line.contains("jwt") && line.contains(value)));
        assert!(!value.contains(';'), "a value ends at a semicolon");
    }
    assert_eq!(found, find(&[&lines.join(";")]), "in one line");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn credentials_of_any_text_keep_the_promises(value in " ?[Bb]asic +[A-Za-z0-9+/]{0,40}={0,2} ?") {
            read_credentials(&value);
        }

        #[test]
        fn cookies_of_any_text_keep_the_promises(text in "(jwt|a|=|;|\"| |\n|[ -~]){0,20}") {
            read_cookies(text.as_bytes());
        }
    }
}

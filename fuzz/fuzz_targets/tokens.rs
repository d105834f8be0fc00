//! Arbitrary bytes as tokens, as parts of tokens that are signed, and as keys.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use landline::Jwt;
use ring::hmac;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A good token with this secret, until the year 2255.
static GOOD: LazyLock<String> =
    LazyLock::new(|| signed(br#"{"alg":"HS256"}"#, br#"{"sub":"anna","exp":9000000000}"#));

/// Takes tokens of the secret.
static JWT: LazyLock<Jwt> = LazyLock::new(|| Jwt::with_key(SECRET).expect("a key"));

fn signed(head: &[u8], claims: &[u8]) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())))
}

/// One byte of a good token is another: it is good no more.
fn alter(place: u8, byte: u8) {
    let mut altered = GOOD.clone().into_bytes();
    let place = usize::from(place) % altered.len();
    if altered[place] == byte {
        return;
    }
    altered[place] = byte;
    let altered = String::from_utf8_lossy(&altered).into_owned();
    assert!(JWT.verify(&altered).is_err(), "{altered} is taken");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [kind, rest @ ..] = data else { return };
    let text = String::from_utf8_lossy(rest);
    match kind % 6 {
        0 => {
            let is_good = text == *GOOD;
            assert_eq!(JWT.verify(&text).is_ok(), is_good, "{text}");
        }
        1 => {
            if let [place, byte, ..] = rest {
                alter(*place, *byte);
            }
        }
        2 => {
            // Whoever has the key may say anything, and only what can be understood is believed.
            if let Ok(identity) = JWT.verify(&signed(br#"{"alg":"HS256"}"#, rest)) {
                let name = identity.name().expect("a user");
                assert!((1..=256).contains(&name.len()) && !name.chars().any(char::is_control));
                assert!(identity.expires().is_some_and(|at| at > std::time::SystemTime::now()));
            }
        }
        3 => {
            let token = signed(rest, br#"{"sub":"anna","exp":9000000000}"#);
            assert!(JWT.verify(&token).is_err() || text.contains("HS256") || text.contains('\\'));
        }
        // Keys of any bytes know no token of others.
        4 => {
            if let Ok(jwt) = Jwt::with_jwks(&*text) {
                let head = r#"{"alg":"RS256"}"#;
                for head in [head, r#"{"alg":"ES256"}"#, r#"{"alg":"EdDSA"}"#] {
                    let token = signed(head.as_bytes(), br#"{"sub":"anna","exp":9000000000}"#);
                    assert!(jwt.verify(&token).is_err());
                }
            }
        }
        _ => {
            if let Ok(jwt) = Jwt::with_key(&*text) {
                assert!(jwt.verify(&GOOD).is_err() || text.trim_end() == SECRET);
            }
        }
    }
});

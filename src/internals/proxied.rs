//! What stands between a client and the server, in bytes: PROXY headers, header fields, networks.

use std::net::{IpAddr, SocketAddr};

use crate::http::forwarded::Forwarded;
use crate::http::{Headers, Networks, ProxyHeaders};
use crate::net::proxy_protocol::{NoHeader, Origin, Progress, progress};

/// Reads bytes as a PROXY header in pieces of several sizes, as they may come over the network,
/// and checks that all agree, that nothing beyond the header is taken, and that an address that is
/// believed stands in the bytes.
///
/// # Panics
/// If one of these does not hold.
pub fn read_proxy_header(data: &[u8]) {
    let whole = header_outcome(data, usize::MAX);
    for piece in [1, 2, 7, 16] {
        assert_eq!(whole, header_outcome(data, piece), "in pieces of {piece}");
    }
    let Outcome::Whole { used, client: Some(client) } = whole else { return };
    let header = &data[..used];
    let stands_there = match header.strip_prefix(b"PROXY ") {
        Some(line) => String::from_utf8_lossy(line).split([' ', '\r']).any(|word| {
            word.parse::<IpAddr>().is_ok_and(|address| address.to_canonical() == client.ip())
        }),
        None => {
            header[16..].first_chunk::<4>().map(|octets| IpAddr::from(*octets)) == Some(client.ip())
                || header[16..]
                    .first_chunk::<16>()
                    .map(|octets| IpAddr::from(*octets).to_canonical())
                    == Some(client.ip())
        }
    };
    assert!(stands_there, "{client} does not stand in the header");
}

/// What bytes came to as a header.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole { used: usize, client: Option<SocketAddr> },
    Unfinished,
    Missing,
    Malformed,
}

/// As the server reads: never more than must belong to the header, and of that what has come.
fn header_outcome(data: &[u8], piece: usize) -> Outcome {
    let mut len = 0;
    loop {
        let needs = match progress(&data[..len]) {
            Ok(Progress::Needs(needs)) => needs,
            Ok(Progress::Whole(Origin::Client(client))) => {
                return Outcome::Whole { used: len, client: Some(client) };
            }
            Ok(Progress::Whole(Origin::Proxy)) => {
                return Outcome::Whole { used: len, client: None };
            }
            Err(NoHeader::Missing) => return Outcome::Missing,
            Err(_) => return Outcome::Malformed,
        };
        assert!(needs > len && needs <= 16 + 4096, "{needs} bytes are needed of {len}");
        let step = (needs - len).min(piece).min(data.len() - len);
        if step == 0 {
            return Outcome::Unfinished;
        }
        len += step;
    }
}

/// Reads lines as header fields of a trusted proxy, of both kinds, and checks that the client's
/// address stands in them, that a list may be cut into lines, and that nothing which somebody writes
/// before it makes an untrusted client another one.
///
/// # Panics
/// If one of these does not hold.
pub fn read_forwarded(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').take(8).collect();
    // Proof: the list is one.
    let trusted: Networks = "127.0.0.0/8, 10.0.0.0/8, ::1".parse().expect("a list of networks");
    for (name, kind, forged) in [
        ("X-Forwarded-For", ProxyHeaders::XForwardedWithHost, "6.6.6.6, 10.9.9.9"),
        ("Forwarded", ProxyHeaders::Forwarded, "for=6.6.6.6, for=10.9.9.9;host=evil.example"),
    ] {
        let read = |lines: &[&str]| {
            let fields = lines.iter().map(|line| (name, line.as_bytes()));
            let headers = Headers::from_fields(fields);
            Forwarded::read(&headers, kind, &trusted)
                .map(|forwarded| forwarded.client)
                .map_err(|refusal| refusal.status())
        };
        let client = read(&lines);
        let Ok(Some(client)) = client else { continue };
        let bare = text.replace('\\', "");
        let words = bare.split(|c: char| ",;=\"".contains(c) || c.is_whitespace());
        let stands_there = words.map(address).any(|address| address == Some(client));
        // A quoted text may hold what separates words elsewhere.
        assert!(stands_there || text.contains('"'), "{client} does not stand in {text:?}");
        let joined = lines.join(",");
        if kind != ProxyHeaders::Forwarded || !text.contains('"') {
            assert_eq!(read(&[&joined]), Ok(Some(client)), "in one line");
        }
        if !trusted.contains(client) {
            let behind_others: Vec<&str> = [forged].into_iter().chain(lines.clone()).collect();
            assert_eq!(read(&behind_others), Ok(Some(client)), "behind what a client wrote");
        }
    }
}

fn address(word: &str) -> Option<IpAddr> {
    let bare = word.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().or_else(|_| word.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// Reads a text as a list of networks, and checks that what is shown of it reads the same.
///
/// # Panics
/// If that does not hold.
pub fn read_networks(text: &str) {
    let Ok(networks) = text.parse::<Networks>() else { return };
    // Proof: that it can be read is what is checked.
    let again: Networks = networks.to_string().parse().expect("what is shown can be read");
    assert_eq!(networks, again);
    let addresses = ["127.0.0.1", "10.1.2.3", "::1", "2001:db8::7", "255.255.255.255", "0.0.0.0"];
    for address in addresses {
        // Proof: these are addresses.
        let address: IpAddr = address.parse().expect("an address");
        assert_eq!(networks.contains(address), again.contains(address));
        let alone = text.split([',', ' ', '\t']).any(|entry| entry == address.to_string());
        assert!(!alone || networks.contains(address), "{address} is in the list {text:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that look like a PROXY header more often than chance would have it.
    fn proxylike() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"PROXY TCP4 ".to_vec()),
            Just(b"PROXY TCP6 ".to_vec()),
            Just(b"PROXY UNKNOWN".to_vec()),
            Just(b"192.0.2.1 192.0.2.2 1 65535\r\n".to_vec()),
            Just(b"::ffff:1.2.3.4 :: 0 2\r\n".to_vec()),
            Just(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec()),
            Just(b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec()),
            Just(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ];
        proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    fn fieldlike() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("for=".to_owned()),
            Just("for=\"[2001:db8::1]:80\"".to_owned()),
            Just("192.0.2.1".to_owned()),
            Just("127.0.0.1".to_owned()),
            Just(";proto=https;host=a".to_owned()),
            Just(",".to_owned()),
            Just("\n".to_owned()),
            "[ -~]{0,8}",
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn proxy_headers_of_any_bytes_keep_the_promises(data in proxylike()) {
            read_proxy_header(&data);
        }

        #[test]
        fn forwarded_fields_of_any_text_keep_the_promises(text in fieldlike()) {
            read_forwarded(text.as_bytes());
        }

        #[test]
        fn networks_of_any_text_keep_the_promises(text in "[0-9a-f:./*, unix]{0,40}") {
            read_networks(&text);
        }
    }
}

//! The syntax of `Host`: a name or an address with an optional port.
//!
//! Source: RFC 9110 7.2, RFC 3986 3.2.2 and 3.2.3; an empty host is refused, since `http` has
//! no meaning without one (RFC 9110 4.2.1).

use std::net::Ipv6Addr;

/// True for a valid `host` or `host:port`.
pub(crate) fn is_valid(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => {
                address.parse::<Ipv6Addr>().is_ok()
                    && port.strip_prefix(':').map_or(port.is_empty(), is_port)
            }
            None => false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => is_name(name) && is_port(port),
            None => is_name(host),
        },
    }
}

/// An empty port is allowed and means the default.
fn is_port(port: &str) -> bool {
    port.is_empty()
        || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !allowed {
            return false;
        }
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_valid() {
        let good = [
            "localhost",
            "example.com:8000",
            "127.0.0.1",
            "127.0.0.1:65535",
            "[::1]",
            "[::1]:80",
            "[2001:db8::7]:8000",
            "a_b.example",
            "xn--fsq.example",
            "a%20b",
            "example.com:",
        ];
        for good in good {
            assert!(is_valid(good), "{good:?}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        let bad = [
            "",
            ":80",
            "a b",
            "a/b",
            "a@b",
            "user@host:80",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:-1",
            "a:+80",
            "[::1",
            "::1",
            "[]",
            "[::1]80",
            "[::1]:x",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "a,b c",
            "bücher.example",
            "a%2",
            "a%zz",
            "a\\b",
            "a?b",
            "a#b",
            "<a>",
            "\"a\"",
        ];
        for bad in bad {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }
}

//! The syntax of `Host`: a name or an address with an optional port.
//!
//! Source: RFC 9110 7.2, RFC 3986 3.2.2 and 3.2.3; an empty host is refused, since `http` has
//! no meaning without one (RFC 9110 4.2.1).

use std::net::Ipv6Addr;

/// True for a valid `host` or `host:port`.
pub(crate) fn is_valid(host: &[u8]) -> bool {
    let (name_end, is_known) = match host.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
            (end + 2, is_ipv6(&rest[..end]))
        }
        None => {
            let end = host.iter().position(|&byte| byte == b':').unwrap_or(host.len());
            (end, is_name(&host[..end]))
        }
    };
    is_known && host[name_end..].strip_prefix(b":").map_or(name_end == host.len(), is_port)
}

fn is_ipv6(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// An empty port is allowed and means the default.
fn is_port(port: &[u8]) -> bool {
    let mut number = 0u32;
    port.iter().all(|byte| {
        number = (number * 10).saturating_add(u32::from(byte.wrapping_sub(b'0')));
        byte.is_ascii_digit() && number <= u32::from(u16::MAX)
    })
}

fn is_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        let allowed = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => true,
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit())),
            _ => b"~!$&'()*+,;=".contains(&byte),
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
            assert!(is_valid(good.as_bytes()), "{good:?}");
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
            assert!(!is_valid(bad.as_bytes()), "{bad:?}");
        }
    }
}

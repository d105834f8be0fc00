//! Ranges of addresses, as operators write them: `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`, `*`.

use std::net::IpAddr;

use crate::error::{Error, ErrorKind, Result};

/// Some ranges of addresses. An IPv4 address that was mapped into IPv6 counts as the IPv4 address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CidrList {
    ranges: Vec<Range>,
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    network: IpAddr,
    bits: u32,
}

impl CidrList {
    /// Reads ranges; `*` stands for every address.
    ///
    /// # Errors
    /// `Config`: an entry is none, with the entry and what is wrong with it.
    pub(crate) fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut ranges = Vec::new();
        for entry in entries {
            match entry.as_ref().trim() {
                "*" => {
                    ranges.extend(["0.0.0.0/0", "::/0"].map(Range::parse).into_iter().flatten());
                }
                entry => ranges.push(Range::parse(entry)?),
            }
        }
        Ok(Self { ranges })
    }

    /// True if the address lies in one of the ranges.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ranges.iter().any(|range| range.contains(address))
    }
}

impl Range {
    fn parse(entry: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let text = format!("{entry:?} is no range of addresses: {why}");
            Error::new(ErrorKind::Config, text)
        };
        let (address, bits) = match entry.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (entry, None),
        };
        let network: IpAddr =
            address.parse().map_err(|_| wrong("write 10.0.0.0/8, fd00::/8 or one address"))?;
        let most = width(network);
        let bits = match bits {
            None => most,
            Some(bits) if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(wrong("behind the slash stands a number of bits"));
            }
            Some(bits) => match bits.parse() {
                Ok(bits) if bits <= most => bits,
                _ => return Err(wrong(&format!("the address has {most} bits"))),
            },
        };
        let behind = u128::MAX.checked_shr(128 - (most - bits)).unwrap_or(0);
        if number(network) & behind != 0 {
            return Err(wrong("the address has bits behind its prefix"));
        }
        Ok(Self { network, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        width(address) == width(self.network)
            && high_bits(address, self.bits) == high_bits(self.network, self.bits)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn high_bits(address: IpAddr, bits: u32) -> u128 {
    number(address).checked_shr(width(address) - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(entries: &[&str], address: &str) -> bool {
        CidrList::parse(entries).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn an_address_lies_in_its_range_and_no_other() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.6/31", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::7f00:1"),
        ] {
            assert!(contains(&[range], inside), "{inside} in {range}");
            assert!(!contains(&[range], outside), "{outside} in {range}");
        }
        assert!(contains(&["*"], "8.8.8.8") && contains(&["*"], "::1"));
        assert!(!contains(&[], "127.0.0.1"));
        assert!(contains(&["10.0.0.0/8", " ::1 "], "::1"));
    }

    #[test]
    fn what_is_no_range_is_named() {
        for wrong in [
            "",
            "10",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "fd00::1/64",
            "a/8",
            "10.0.0.0/+8",
            "localhost",
            "10.0.0.0/8/8",
            "0.0.0.1/0",
            "::1/0",
        ] {
            let error = CidrList::parse([wrong]).unwrap_err();
            assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
        }
    }
}

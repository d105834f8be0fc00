//! `Networks`, a list of networks to trust: addresses and CIDR blocks.
//!
//! Source: RFC 4632 3.1 and RFC 4291 2.3 (the notation); uvicorn's `--forwarded-allow-ips` (the
//! words).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// The word for every address.
const EVERYBODY: &str = "*";

/// The word for the clients of Unix sockets, who have no address.
const UNIX: &str = "unix";

/// Networks whose word about others is taken: the proxies in front of a server.
///
/// Empty by default, so that nobody is believed. Cheap to clone.
///
/// # Example
/// ```
/// use landline::Networks;
/// let proxies: Networks = "127.0.0.1, 10.1.0.0/16, 2001:db8::/32".parse()?;
/// assert!(proxies.contains("10.1.2.3".parse().unwrap()));
/// assert!(!proxies.contains("10.2.0.1".parse().unwrap()));
/// # Ok::<(), landline::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Networks {
    blocks: Arc<[Block]>,
    has_unix: bool,
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    V4 { first: u32, bits: u8 },
    V6 { first: u128, bits: u8 },
}

impl Networks {
    /// Nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// The networks of a list.
    ///
    /// # Units
    /// `192.0.2.7`, `2001:db8::7`, `10.0.0.0/8`, `2001:db8::/32`; `*` for every address of both
    /// families and every Unix socket, `unix` for the clients of Unix sockets.
    ///
    /// # Errors
    /// `Config`: an entry is none of these, or has bits set beyond its prefix; the text names it.
    pub fn list<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self> {
        let (mut blocks, mut has_unix) = (Vec::new(), false);
        for entry in entries {
            match entry.as_ref() {
                EVERYBODY => {
                    blocks
                        .extend([Block::V4 { first: 0, bits: 0 }, Block::V6 { first: 0, bits: 0 }]);
                    has_unix = true;
                }
                UNIX => has_unix = true,
                entry => blocks.push(Block::parse(entry)?),
            }
        }
        Ok(Self { blocks: blocks.into(), has_unix })
    }

    /// True if nobody is in these networks.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && !self.has_unix
    }

    /// True if an address is in one of the networks. An IPv4 address in the form of IPv6
    /// (`::ffff:192.0.2.7`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.blocks.iter().any(|block| block.contains(address))
    }

    /// True if the clients of Unix sockets are in the list.
    pub fn contains_unix(&self) -> bool {
        self.has_unix
    }
}

impl Block {
    fn parse(entry: &str) -> Result<Self> {
        let wrong = || {
            let text = format!(
                "{entry:?} is not a network; write 192.0.2.7, 10.0.0.0/8, 2001:db8::/32, * or unix"
            );
            Error::new(ErrorKind::Config, text)
        };
        let (address, bits) = match entry.split_once('/') {
            Some((address, bits)) => (address, Some(prefix_length(bits).ok_or_else(wrong)?)),
            None => (entry, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (address, bits) = as_v4_if_mapped(address, bits);
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(wrong());
        }
        let block = Self::around(address, bits);
        if block.first() != address {
            let text = format!(
                "{entry:?} has bits set beyond its prefix; the network is {}/{bits}, the address \
                 alone {address}",
                block.first()
            );
            return Err(Error::new(ErrorKind::Config, text));
        }
        Ok(block)
    }

    /// The block of so many bits that an address is in.
    fn around(address: IpAddr, bits: u8) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4 { first: address.to_bits() & mask_v4(bits), bits },
            IpAddr::V6(address) => Self::V6 { first: address.to_bits() & mask_v6(bits), bits },
        }
    }

    fn first(&self) -> IpAddr {
        match *self {
            Self::V4 { first, .. } => Ipv4Addr::from_bits(first).into(),
            Self::V6 { first, .. } => Ipv6Addr::from_bits(first).into(),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (*self, address) {
            (Self::V4 { first, bits }, IpAddr::V4(address)) => {
                address.to_bits() & mask_v4(bits) == first
            }
            (Self::V6 { first, bits }, IpAddr::V6(address)) => {
                address.to_bits() & mask_v6(bits) == first
            }
            _ => false,
        }
    }
}

/// Digits only: `+8` and an empty prefix are none.
fn prefix_length(text: &str) -> Option<u8> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// What is written as IPv6 and means IPv4, as IPv4: that is how clients are looked up.
fn as_v4_if_mapped(address: IpAddr, bits: Option<u8>) -> (IpAddr, Option<u8>) {
    let IpAddr::V6(v6) = address else { return (address, bits) };
    match (v6.to_ipv4_mapped(), bits) {
        (Some(v4), None) => (v4.into(), None),
        (Some(v4), Some(bits)) if (96..=128).contains(&bits) => (v4.into(), Some(bits - 96)),
        _ => (address, bits),
    }
}

fn mask_v4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

fn mask_v6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

/// A list with commas or white space between the entries.
impl FromStr for Networks {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        Self::list(entries.filter(|entry| !entry.is_empty()))
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = self.blocks.iter().map(|block| {
            let (Block::V4 { bits, .. } | Block::V6 { bits, .. }) = *block;
            format!("{}/{bits}", block.first())
        });
        let entries = blocks.chain(self.has_unix.then(|| UNIX.to_owned()));
        f.write_str(&entries.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Networks({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn networks(text: &str) -> Networks {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_in_its_network_and_in_no_other() {
        for (network, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.64/26", "192.0.2.127", "192.0.2.128"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "::10.0.0.1"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let list = networks(network);
            assert!(list.contains(ip(inside)), "{inside} in {network}");
            assert!(!list.contains(ip(outside)), "{outside} in {network}");
            assert!(!list.contains_unix());
        }
    }

    #[test]
    fn nobody_is_in_an_empty_list_and_everybody_behind_the_star() {
        for empty in [Networks::none(), networks(""), networks(" , ")] {
            assert!(empty.is_empty() && !empty.contains(ip("127.0.0.1")) && !empty.contains_unix());
        }
        let everybody = networks("*");
        assert!(everybody.contains(ip("192.0.2.7")) && everybody.contains(ip("2001:db8::7")));
        assert!(everybody.contains_unix() && !everybody.is_empty());
        let unix = networks("unix");
        assert!(unix.contains_unix() && !unix.is_empty() && !unix.contains(ip("127.0.0.1")));
    }

    #[test]
    fn what_is_no_network_is_named() {
        let entries = [
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0",
            "010.0.0.1",
            "localhost",
            "[::1]",
            "1.2.3.4:80",
            "**",
            "/8",
            "fe80::1%eth0",
        ];
        for entry in entries {
            let error = Networks::list([entry]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(&format!("{entry:?}")), "{error}");
        }
        let error = Networks::list(["10.1.2.3/8"]).unwrap_err().to_string();
        assert!(error.contains("10.0.0.0/8") && error.contains("alone 10.1.2.3"), "{error}");
        assert!(Networks::list(["2001:db8::1/32"]).is_err());
    }

    #[test]
    fn a_list_reads_as_it_is_shown() {
        let list = networks("127.0.0.1,10.0.0.0/8\t2001:db8::/32 unix");
        assert_eq!(list.to_string(), "127.0.0.1/32, 10.0.0.0/8, 2001:db8::/32, unix");
        assert_eq!(networks(&list.to_string()), list);
        assert_eq!(format!("{:?}", networks("::1")), "Networks(::1/128)");
    }

    proptest! {
        #[test]
        fn a_block_holds_the_addresses_with_its_first_bits(
            address: u128, other: u128, bits in 0u8..=128,
        ) {
            let (address, other) = (Ipv6Addr::from_bits(address), Ipv6Addr::from_bits(other));
            let block = Block::around(address.into(), bits);
            let same = (address.to_bits() ^ other.to_bits()).leading_zeros() >= bits.into();
            prop_assert_eq!(block.contains(other.into()), same);
            prop_assert!(block.contains(address.into()) && block.contains(block.first()));
        }

        #[test]
        fn a_block_of_four_bytes_too(address: u32, other: u32, bits in 0u8..=32) {
            let block = Block::around(Ipv4Addr::from_bits(address).into(), bits);
            let same = (address ^ other).leading_zeros() >= bits.into();
            prop_assert_eq!(block.contains(Ipv4Addr::from_bits(other).into()), same);
        }
    }
}

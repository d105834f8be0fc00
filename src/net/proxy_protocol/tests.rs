//! Headers whole, cut anywhere, broken and followed by what is not theirs.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;
use proptest::prelude::*;

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = (block.len() as u16).to_be_bytes();
    [V2_SIGNATURE, &[command, family][..], &length, block].concat()
}

fn tcp4() -> Vec<u8> {
    v2(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80])
}

fn tcp6() -> Vec<u8> {
    let source = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
    v2(0x21, 0x21, &[&source[..], &[0; 16], &[0x12, 0x67, 0, 80]].concat())
}

fn at(address: &str) -> Origin {
    Origin::Client(address.parse().unwrap())
}

/// What is received if the bytes come and nothing after them, and how many bytes are left.
fn received(bytes: &[u8]) -> (Result<Origin, NoHeader>, usize) {
    let (mut proxy, server) = UnixStream::pair().unwrap();
    proxy.write_all(bytes).unwrap();
    let origin = receive(&server, Deadline::after(Duration::ZERO));
    (origin, rustix::io::ioctl_fionread(&server).unwrap() as usize)
}

#[test]
fn a_header_is_read_and_nothing_behind_it() {
    let headers: Vec<(Vec<u8>, Origin)> = vec![
        (tcp4(), at("192.0.2.7:4711")),
        (tcp6(), at("[2001:db8::7]:4711")),
        (v2(0x21, 0x11, &[&tcp4()[16..], &[4, 0, 1, 9]].concat()), at("192.0.2.7:4711")),
        (v2(0x20, 0x00, b""), Origin::Proxy),
        (v2(0x20, 0x11, b"local, whatever stands here"), Origin::Proxy),
        (v2(0x21, 0x00, b"???"), Origin::Proxy),
        (v2(0x21, 0x31, &[7; 216]), Origin::Proxy),
        (b"PROXY UNKNOWN\r\n".to_vec(), Origin::Proxy),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Origin::Proxy),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec(), at("192.0.2.7:4711")),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 0 0\r\n".to_vec(), at("1.1.1.1:0")),
        (b"PROXY TCP6 :: :: 1 1\r\n".to_vec(), at("[::]:1")),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 65535 1\r\n".to_vec(), at("192.0.2.7:65535")),
    ];
    for (header, origin) in headers {
        let (read, left) = received(&[&header[..], b"\r\nGET"].concat());
        let shown = String::from_utf8_lossy(&header);
        assert_eq!((read.ok(), left), (Some(origin), 5), "{shown:?}");
        for cut in 0..header.len() {
            match progress(&header[..cut]) {
                Ok(Progress::Needs(needs)) => assert!((cut + 1..=header.len()).contains(&needs)),
                other => panic!("{other:?} after {cut} of {shown:?}"),
            }
        }
    }
}

#[test]
fn what_is_malformed_is_refused() {
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
    let mut broken = tcp4();
    broken[11] = b'!';
    let headers: Vec<Vec<u8>> = vec![
        broken,
        v2(0x11, 0x11, &tcp4()[16..]),
        v2(0x22, 0x11, &tcp4()[16..]),
        v2(0x21, 0x12, &tcp4()[16..]),
        v2(0x21, 0x41, &[0; 300]),
        v2(0x21, 0x11, &[0; 11]),
        v2(0x21, 0x21, &[0; 35]),
        v2(0x21, 0x31, &[0; 215]),
        v2(0x20, 0x00, &[0; 4097]),
        long,
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80 9\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7  10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 04711 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 +4711 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 65536\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 ::1 4711 80\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP5 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\n\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7\r10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY UNKNOWNS\xff\r\n".to_vec(),
    ];
    for header in headers {
        let (read, _) = received(&header);
        let shown = String::from_utf8_lossy(&header);
        assert!(matches!(read, Err(NoHeader::Malformed(_))), "{read:?} for {shown:?}");
    }
}

#[test]
fn what_is_no_header_is_known_by_its_first_bytes() {
    for other in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"\r\n\r\nGET", b"P0", b"PROXY  "] {
        assert!(matches!(received(other).0, Err(NoHeader::Missing)), "{other:?}");
    }
    for part in [&b""[..], b"\r\n", b"PROXY TCP4 1.1.1.1", &tcp4()[..27]] {
        assert!(matches!(received(part).0, Err(NoHeader::Late)), "{part:?}");
    }
    let (proxy, server) = UnixStream::pair().unwrap();
    drop(proxy);
    assert!(matches!(receive(&server, Deadline::NEVER), Err(NoHeader::Gone)));
}

proptest! {
    /// However a header is cut, it is never asked for more than belongs to it.
    #[test]
    fn any_bytes_end_somewhere(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        for start in [&b""[..], b"PROXY TCP4 ", b"PROXY UNKNOWN", V2_SIGNATURE] {
            let bytes = [start, &noise].concat();
            let (mut have, mut asked) = (0, 0);
            while let Ok(Progress::Needs(needs)) = progress(&bytes[..have]) {
                prop_assert!(needs > have && needs <= MAX_BYTES);
                asked += 1;
                have = needs.min(bytes.len());
                if needs > bytes.len() {
                    break;
                }
            }
            prop_assert!(asked <= V1_MAX);
        }
    }
}

//! The least a blocking thread per connection can do: read, unmask, write. No limits, no checks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::client;

/// Serves until the process is killed; the first line of stdout is the address.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("an address"));
    for stream in listener.incoming().flatten() {
        std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || drop(echo(stream)))
            .expect("a thread");
    }
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    client::admit(&mut stream)?;
    let mut buffer = vec![0; 16 * 1024];
    let (mut replies, mut filled) = (Vec::new(), 0);
    loop {
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let mut at = 0;
        while let Some((header, length)) = header(&buffer[at..filled]) {
            if buffer.len() < header + length {
                buffer.resize(header + length, 0);
            }
            if filled - at < header + length {
                break;
            }
            let mask: [u8; 4] = buffer[at + header - 4..at + header].try_into().expect("four");
            let payload = &mut buffer[at + header..at + header + length];
            unmask(payload, mask);
            reply_header(&mut replies, length);
            replies.extend_from_slice(payload);
            at += header + length;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        if !replies.is_empty() {
            stream.write_all(&replies)?;
            replies.clear();
        }
    }
}

/// Length of the header and of the payload, once the header is there.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let short = usize::from(bytes.get(1)? & 0x7f);
    let (header, length) = match short {
        126 => (8, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (14, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        length => (6, length),
    };
    (bytes.len() >= header).then_some((header, length))
}

fn reply_header(out: &mut Vec<u8>, length: usize) {
    out.push(0x81);
    match length {
        0..=125 => out.push(length as u8),
        126..=65_535 => {
            out.push(126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend((length as u64).to_be_bytes());
        }
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let half = u64::from(u32::from_ne_bytes(mask));
    let wide = half | half << 32;
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

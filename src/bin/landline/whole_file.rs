//! Files that settings name, read whole: bounded, and never waited for, since a server reads them
//! again while it runs.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Longest file.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a file.
///
/// # Blocking
/// For the disk, and not for a writer: a pipe is refused.
///
/// # Errors
/// It cannot be read, is a pipe, or longer than 16 MiB.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    if fs::metadata(path)?.file_type().is_fifo() {
        let text = "it is a pipe, which may never end; give a file";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than 16 MiB"));
    }
    Ok(bytes)
}

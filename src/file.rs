//! Files that settings name, read whole: bounded, and never waited for.
//!
//! A server reads them again while it runs, so a wrong name must neither hold it up nor fill its
//! memory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Longest file; keys, certificates, users and templates are far below.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Reads a file.
///
/// # Blocking
/// For the disk, and not for a writer: a pipe is refused.
///
/// # Errors
/// It cannot be read, is a pipe, or longer than 4 MiB.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.file_type().is_fifo() {
        let text = "it is a pipe, which may never end; give a file";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than 4 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_never_end_is_not_read() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it is longer than 4 MiB");
        assert!(read(Path::new("/dev/null")).unwrap().is_empty());
        assert!(read(Path::new("/")).is_err() && read(Path::new("/nowhere")).is_err());
        assert!(!read(Path::new(file!())).unwrap().is_empty());
    }
}

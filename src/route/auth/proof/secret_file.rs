//! Files with keys and passwords: read whole, bounded, and with errors that tell what to do.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::file;

/// Reads a file that is there to be read by people too.
///
/// # Errors
/// `Config`: it cannot be read, is too long or no text, with its name.
pub(super) fn read_text(path: &Path) -> Result<String> {
    let failed = |why: &str| {
        let text = format!("cannot use the file {}: {why}", path.display());
        Error::new(ErrorKind::Config, text)
    };
    let bytes = file::read(path);
    let bytes = bytes.map_err(|error| failed("it cannot be read").with_source(error))?;
    String::from_utf8(bytes).map_err(|_| failed("it is not text in UTF-8"))
}

/// Says which file an error is about.
pub(super) fn in_file<T>(path: &Path, outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| {
        let text = format!("cannot use the file {}", path.display());
        Error::new(ErrorKind::Config, text).with_source(error)
    })
}

/// An error of a setting.
pub(super) fn wrong(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, text.into())
}

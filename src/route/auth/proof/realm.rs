//! The realm that a 401 names.

use super::secret_file::wrong;
use crate::error::Result;

/// Unless it is said otherwise.
pub(super) const REALM: &str = "landline";

/// A name that can stand in a header between quotes.
///
/// # Errors
/// `Config`: it cannot.
pub(super) fn checked_realm(name: String) -> Result<String> {
    let fits = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if name.bytes().all(fits) {
        return Ok(name);
    }
    Err(wrong(format!("{name:?} is no realm: it is visible ASCII without quotes and backslashes")))
}

//! What the operating system calls a thread.

use std::ffi::CString;

/// Names the calling thread for `top`, debuggers and `/proc`; only the first 15 bytes count.
///
/// The name that a panic is reported with stays: it was given when the thread was started.
pub(crate) fn rename(name: &str) {
    // A thread without a name does its work as well.
    if let Ok(name) = CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}

//! What the operating system calls a thread.

use std::ffi::CStr;
use std::fmt::Arguments;
use std::io::Write;

/// The longest name that Linux keeps, with the zero behind it.
const NAME_BYTES: usize = 16;

/// Names the calling thread for `top`, debuggers and `/proc`; only the first 15 bytes count.
///
/// The name that a panic is reported with stays: it was given when the thread was started.
pub(crate) fn rename(name: Arguments<'_>) {
    let mut bytes = [0; NAME_BYTES];
    // What does not fit is cut off.
    let _ = bytes[..NAME_BYTES - 1].as_mut().write_fmt(name);
    // A thread without a name does its work as well.
    if let Ok(name) = CStr::from_bytes_until_nul(&bytes) {
        let _ = rustix::thread::set_name(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_to_what_the_system_keeps() {
        for (name, kept) in [("conn-1", "conn-1\n"), ("a-name-beyond-them", "a-name-beyond-t\n")] {
            rename(format_args!("{name}"));
            let shown = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            assert_eq!(shown, kept);
        }
    }
}

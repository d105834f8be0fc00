//! What a server costs its process: memory, threads and descriptors, in floods and after them.
//!
//! These are counts of the whole process, so the tests have one of their own and run one after
//! the other, whatever the number of test threads.

#[path = "../it/harness.rs"]
#[allow(dead_code)]
mod harness;
#[cfg(feature = "cli")]
#[path = "../it/program.rs"]
#[allow(dead_code)]
mod program;

#[cfg(feature = "tls")]
#[path = "../it/tls/certificates.rs"]
#[allow(dead_code)]
mod certificates;
mod counts;
mod descriptors;
#[cfg(feature = "cli")]
mod drain;
mod floods;
#[cfg(feature = "tls")]
mod greeters;
mod idle;
mod inboxes;
mod leftovers;
mod members;
mod threads;

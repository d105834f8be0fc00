//! The locks and atomics of the whole crate, so that a model checker can take their place.
//!
//! With `--cfg shuttle` they are shuttle's, which runs a test under many schedules of its threads;
//! otherwise they are parking_lot's and the standard library's, and this file costs nothing.

#[cfg(not(shuttle))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(shuttle))]
pub(crate) use std::sync::atomic;

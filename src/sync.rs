//! The locks and atomics of the whole crate, so that a model checker can take their place.
//!
//! In tests built with `--cfg shuttle` they are those of `model`, which runs a test under many
//! schedules of its threads; otherwise they are parking_lot's and the standard library's, and this
//! file costs nothing. A user's own `--cfg shuttle` changes nothing here.

#[cfg(all(test, shuttle))]
pub(crate) mod model;

#[cfg(all(test, shuttle))]
pub(crate) use model::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(all(test, shuttle)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::atomic;

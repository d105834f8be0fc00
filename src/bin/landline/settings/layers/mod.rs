//! The layers that may say something about a setting, each as texts by key.

pub(crate) mod file;
mod flags;
mod layer;
pub(crate) mod variables;

pub(crate) use flags::Flags;
pub(crate) use layer::{Layer, Source};

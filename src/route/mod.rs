//! What an application is written against: patterns of paths.

pub(crate) mod pattern;

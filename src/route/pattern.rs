//! Route patterns: which paths a route answers, and the parameters in them.

use crate::error::Result;

/// A pattern such as `/chat/<room>/`.
#[derive(Debug)]
pub(crate) struct Pattern {}

/// The values of a pattern's parameters in one path.
#[derive(Debug, Default)]
pub(crate) struct Params {}

impl Params {
    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let _ = name;
        todo!()
    }
}

impl Pattern {
    /// Parses a pattern.
    pub(crate) fn parse(source: &str) -> Result<Self> {
        let _ = source;
        todo!()
    }

    /// The parameters, if the path fits.
    pub(crate) fn matches(&self, path: &str) -> Option<Params> {
        let _ = path;
        todo!()
    }

    /// True if both fit exactly the same paths.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        let _ = other;
        todo!()
    }
}

//! Checks the shape of the source tree: layers, homes of crates, sizes, docs, public names.
//!
//! Each module is one rule: its tables, the check as a pure function from sources to findings,
//! the test that holds the tree of this package against it, and tests with wrong snippets that
//! show that the check can fail.

mod expand;
mod homes;
mod index;
mod layers;
mod panics;
mod paths;
mod public_api;
mod secrets;
mod size;
mod source;
mod text;

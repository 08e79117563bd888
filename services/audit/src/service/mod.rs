//! Use cases: authorise, read, decide, build one unit.

pub(crate) mod access;
mod append;
pub(crate) mod export;
pub(crate) mod read;
pub(crate) mod takeout;
pub(crate) mod views;

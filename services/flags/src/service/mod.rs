//! Use cases: authorise, read, decide, build one unit.

pub(crate) mod admin;
pub(crate) mod evaluation;
pub(crate) mod snapshot;
pub(crate) mod views;

/// More flags at once than an installation needs; they are all held in memory, and a bulk evaluation answers all of them.
pub(crate) const MAX_FLAGS: u32 = 500;

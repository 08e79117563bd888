//! The HTTP kit: everything a handler needs, and every rule that holds for all routes.

pub mod idempotency;

mod extract;
mod patch;

pub use extract::{Body, IfMatch, Patch, Path, Problem, Query, Visitor};
pub use patch::Field;

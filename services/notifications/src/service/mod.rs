//! Use cases: authorise, read, decide, build one unit.

mod access;
pub(crate) mod deliver;
pub(crate) mod digest;
pub(crate) mod hub;
pub(crate) mod inbox;
pub(crate) mod preferences;
pub(crate) mod settings;
pub(crate) mod streams;
pub(crate) mod subscriptions;
pub(crate) mod tag;
pub(crate) mod views;

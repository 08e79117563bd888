//! What services may know of each other: a few calls and the events.
//!
//! Calls: one owned request struct in, one struct out, with a [`kernel::CallContext`]. They must
//! survive a JSON round trip, because in the split profile they travel over HTTP.
//! Events: additive change only; a breaking change is a new version next to the old.

pub mod asyncapi;
pub mod audit;
pub mod catalog;
pub mod event;
pub mod flags;
pub mod identity;
pub mod notifications;
pub mod public;
pub mod tasks;
pub mod webhooks;
pub mod workspaces;

pub use event::{Envelope, EventPayload};
pub use public::PublicEvent;

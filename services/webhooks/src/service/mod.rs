//! Use cases: authorise, read, decide, build one unit.

mod access;
pub(crate) mod deliveries;
pub(crate) mod dispatch;
pub(crate) mod notice;
mod secrets;
pub(crate) mod sending;
pub(crate) mod takeout;
pub(crate) mod views;
pub(crate) mod webhooks;

use std::sync::LazyLock;

use contracts::catalog::EVENTS;

use crate::model::offered_types;

/// Public names of the events that webhooks send.
pub(crate) static OFFERED: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| offered_types(EVENTS.iter().filter_map(|event| event.public_type)).collect());

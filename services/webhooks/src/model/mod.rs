//! Webhooks, their signatures and the rules of sending: pure, without I/O.

mod delivery;
mod pattern;
mod schedule;
mod signature;
mod webhook;

pub(crate) use delivery::{Attempt, Delivery, DeliveryId, DeliveryState, DueDelivery, Message};
pub(crate) use pattern::{MAX_PATTERNS, TEST_EVENT, event_names, offered_types, patterns};
pub(crate) use schedule::{Answer, Verdict, judge};
#[cfg(test)]
pub(crate) use schedule::{MAX_TRIES, RETRY_AFTER};
pub(crate) use signature::{SigningSecret, signatures};
pub(crate) use webhook::{DisabledReason, MAX_OLD_SECRETS, OldSecret, Webhook};

/// Text of a receiver as it may be stored and shown: no control characters besides line ends and tabs.
pub(crate) fn plain_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| {
            if c.is_control() && !matches!(c, '\n' | '\r' | '\t') {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

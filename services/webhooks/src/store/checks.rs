//! What must hold of the rows of this service, for `guildhall verify`.

use platform::check::{Check, Link};

/// All of them.
pub const CHECKS: &[Check] = &[
    Check::names(
        "webhooks.old_secret_webhook",
        "An old secret is one of a webhook.",
        Link::new("webhook_old_secrets", &["version"], "webhook_id", "webhooks", "id"),
    ),
    Check::names(
        "webhooks.delivery_webhook",
        "A delivery is one to a webhook.",
        Link::new("webhook_deliveries", &["id"], "webhook_id", "webhooks", "id"),
    ),
    Check::names(
        "webhooks.delivery_message",
        "A delivery carries a message.",
        Link::new("webhook_deliveries", &["id"], "message_id", "webhook_messages", "id"),
    ),
    Check::names(
        "webhooks.attempt_delivery",
        "An attempt is one at a delivery.",
        Link::new("webhook_attempts", &["number"], "delivery_id", "webhook_deliveries", "id"),
    ),
];

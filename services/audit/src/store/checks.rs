//! What must hold of the rows of this service, for `guildhall verify`. The seals are verified by [`crate::model::seal::Walk`].

use platform::check::{Check, Handled, Link};
use sea_query::{Expr, ExprTrait, Query};

/// All of them.
pub const CHECKS: &[Check] = &[
    Check::names(
        "audit.entry_log",
        "An entry is one of a log.",
        Link::new("audit_entries", &["log_id", "seq"], "log_id", "audit_logs", "log_id"),
    ),
    Check::handled(
        "audit.handled_event",
        "What was recorded came with an event that was handled once and for all.",
        Handled {
            table: "audit_entries",
            event: "id",
            at: "occurred_at",
            consumer: "audit.logs",
        },
    ),
    Check::finds("audit.ends", "A log ends where it says, not before it begins.", || {
        Query::select()
            .columns(["log_id", "first_seq", "last_seq"])
            .from("audit_logs")
            .and_where(Expr::col("first_seq").gt(Expr::col("last_seq").add(1)))
            .take()
    }),
];

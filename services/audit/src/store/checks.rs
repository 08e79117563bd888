//! What must hold of the rows of this service, for `guildhall verify`. The seals are verified by [`crate::model::seal::Walk`].

use platform::check::{Check, Link};
use sea_query::{Expr, ExprTrait, Query};

/// All of them.
pub const CHECKS: &[Check] = &[
    Check::names(
        "audit.entry_log",
        "An entry is one of a log.",
        Link::new("audit_entries", &["log_id", "seq"], "log_id", "audit_logs", "log_id"),
    ),
    Check::finds("audit.ends", "A log ends where it says, not before it begins.", || {
        Query::select()
            .columns(["log_id", "first_seq", "last_seq"])
            .from("audit_logs")
            .and_where(Expr::col("first_seq").gt(Expr::col("last_seq").add(1)))
            .take()
    }),
];

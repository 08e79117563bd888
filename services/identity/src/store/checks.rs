//! What must hold of the rows of this service, for `guildhall verify`.

use platform::check::{Check, Link};
use sea_query::{Expr, ExprTrait, Query};

/// All of them.
pub const CHECKS: &[Check] = &[
    Check::names(
        "identity.session_user",
        "A session belongs to an account.",
        Link::new("sessions", &["id"], "user_id", "users", "id"),
    ),
    // Without the hash, which has no business in a report.
    Check::names(
        "identity.token_session",
        "A refresh token belongs to a session.",
        Link::new("refresh_tokens", &[], "session_id", "sessions", "id"),
    ),
    Check::names(
        "identity.api_key_user",
        "An API key belongs to an account.",
        Link::new("api_keys", &["id"], "user_id", "users", "id"),
    ),
    Check::names(
        "identity.mail_token_user",
        "A mailed link belongs to an account.",
        Link::new("mail_tokens", &["purpose"], "user_id", "users", "id"),
    ),
    Check::names(
        "identity.external_identity_user",
        "An account at a sign-in provider belongs to an account.",
        Link::new("external_identities", &["id"], "user_id", "users", "id"),
    ),
    Check::names(
        "identity.second_factor_user",
        "A second factor belongs to an account.",
        Link::new("second_factors", &[], "user_id", "users", "id"),
    ),
    Check::names(
        "identity.recovery_code_user",
        "A recovery code belongs to an account.",
        Link::new("recovery_codes", &[], "user_id", "users", "id"),
    ),
    Check::finds(
        "identity.current_token",
        "A live session has the refresh token of its generation.",
        || {
            let current = Query::select()
                .expr(Expr::cust("1"))
                .from("refresh_tokens")
                .and_where(Expr::col(("refresh_tokens", "session_id")).equals(("sessions", "id")))
                .and_where(Expr::col(("refresh_tokens", "generation")).equals(("sessions", "generation")))
                .take();
            Query::select()
                .columns(["id", "user_id"])
                .from("sessions")
                .and_where(Expr::col("ended_at").is_null())
                .and_where(Expr::exists(current).not())
                .take()
        },
    ),
    Check::finds(
        "identity.erased_external",
        "A deleted account keeps no account at a sign-in provider.",
        || {
            Query::select()
                .column(("external_identities", "id"))
                .from("external_identities")
                .inner_join("users", Expr::col(("users", "id")).equals(("external_identities", "user_id")))
                .and_where(Expr::col(("users", "status")).eq("deleted"))
                .take()
        },
    ),
    Check::finds("identity.erased", "A deleted account keeps neither address nor password.", || {
        Query::select()
            .column("id")
            .from("users")
            .and_where(Expr::col("status").eq("deleted"))
            .and_where(Expr::col("email").is_not_null().or(Expr::col("password_hash").is_not_null()))
            .take()
    }),
];

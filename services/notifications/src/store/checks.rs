//! What must hold of the rows of this service, for `guildhall verify`.

use platform::check::{Check, Handled, Link};
use sea_query::{Expr, ExprTrait, JoinType, Query};

/// All of them.
pub const CHECKS: &[Check] = &[
    Check::names(
        "notifications.counted",
        "A workspace with an event log has a counter.",
        Link::new("event_log", &["seq"], "workspace_id", "event_counters", "workspace_id"),
    ),
    // Holes are no fault: what a project or an account could see goes with it, out of the midst of a log.
    Check::finds(
        "notifications.sequence",
        "No event in the log has a number that was not handed out.",
        || {
            Query::select()
                .columns([("event_log", "workspace_id"), ("event_log", "seq")])
                .from("event_log")
                .join(
                    JoinType::InnerJoin,
                    "event_counters",
                    Expr::col(("event_counters", "workspace_id")).equals(("event_log", "workspace_id")),
                )
                .and_where(Expr::col(("event_log", "seq")).gt(Expr::col(("event_counters", "last_seq"))))
                .take()
        },
    ),
    Check::handled(
        "notifications.logged_event",
        "An event in the log was handled once and for all.",
        Handled {
            table: "event_log",
            event: "event_id",
            at: "created_at",
            consumer: "notifications.event_log",
        },
    ),
    Check::handled(
        "notifications.told_event",
        "An event that people were told of was handled once and for all.",
        Handled {
            table: "notifications",
            event: "event_id",
            at: "created_at",
            consumer: "notifications.inbox",
        },
    ),
    of_account("notifications.user", "A notification is for an account.", "notifications", &["id"]),
    of_account(
        "notifications.preference_user",
        "A preference is one of an account.",
        "notification_preferences",
        &["kind"],
    ),
    of_account(
        "notifications.participant_user",
        "Who takes part in a discussion has an account.",
        "task_participants",
        &["task_id"],
    ),
    of_account(
        "notifications.settings_user",
        "Settings are those of an account.",
        "notification_settings",
        &[],
    ),
    of_account(
        "notifications.subscription_user",
        "A subscription is one of an account.",
        "notification_subscriptions",
        &["subject_id"],
    ),
    of_workspace(
        "notifications.workspace",
        "A notification speaks of a workspace that exists.",
        "notifications",
        &["id"],
    ),
    of_workspace(
        "notifications.participant_workspace",
        "A discussion lies in a workspace.",
        "task_participants",
        &["task_id"],
    ),
    of_workspace(
        "notifications.subscription_workspace",
        "What people subscribe to lies in a workspace.",
        "notification_subscriptions",
        &["subject_id"],
    ),
    of_workspace(
        "notifications.log_workspace",
        "An event log is one of a workspace.",
        "event_log",
        &["seq"],
    ),
];

const fn of_account(name: &'static str, about: &'static str, table: &'static str, id: &'static [&'static str]) -> Check {
    Check::names(name, about, Link::new(table, id, "user_id", "users", "id").in_service("identity"))
}

const fn of_workspace(name: &'static str, about: &'static str, table: &'static str, id: &'static [&'static str]) -> Check {
    Check::names(
        name,
        about,
        Link::new(table, id, "workspace_id", "workspaces", "id").in_service("workspaces"),
    )
}

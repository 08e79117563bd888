//! What must hold of the rows of this service, for `guildhall verify`.

use platform::check::{Check, Link};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

/// All of them.
pub const CHECKS: &[Check] = &[
    Check::names(
        "workspaces.member_workspace",
        "A member is a member of a workspace.",
        Link::new("members", &["user_id"], "workspace_id", "workspaces", "id"),
    ),
    Check::names(
        "workspaces.invitation_workspace",
        "An invitation is one to a workspace.",
        Link::new("invitations", &["id"], "workspace_id", "workspaces", "id"),
    ),
    Check::names(
        "workspaces.project_workspace",
        "A project lies in a workspace.",
        Link::new("projects", &["id"], "workspace_id", "workspaces", "id"),
    ),
    Check::names(
        "workspaces.project_member_project",
        "A project role is one in a project.",
        Link::new("project_members", &["user_id"], "project_id", "projects", "id"),
    ),
    Check::finds(
        "workspaces.project_member_member",
        "Who has a project role is a member of the workspace.",
        || {
            let member = Query::select()
                .expr(Expr::cust("1"))
                .from("members")
                .and_where(Expr::col(("members", "workspace_id")).equals(("project_members", "workspace_id")))
                .and_where(Expr::col(("members", "user_id")).equals(("project_members", "user_id")))
                .take();
            Query::select()
                .columns(["project_id", "user_id"])
                .from("project_members")
                .and_where(Expr::exists(member).not())
                .take()
        },
    ),
    Check::finds("workspaces.member_count", "member_count counts the members.", || {
        miscounted("member_count", false)
    }),
    Check::finds("workspaces.owner_count", "owner_count counts the owners.", || {
        miscounted("owner_count", true)
    }),
    Check::finds("workspaces.owned", "A live workspace has an owner.", || {
        Query::select()
            .columns(["id", "slug"])
            .from("workspaces")
            .and_where(Expr::col("deleted_at").is_null())
            .and_where(Expr::col("owner_count").lt(1))
            .take()
    }),
    Check::names(
        "workspaces.member_user",
        "A member is an account.",
        Link::new("members", &["workspace_id"], "user_id", "users", "id").in_service("identity"),
    ),
    Check::names(
        "workspaces.creator_user",
        "An account made the workspace.",
        Link::new("workspaces", &["id"], "created_by", "users", "id").in_service("identity"),
    ),
    Check::names(
        "workspaces.audit_log",
        "What was done in a workspace, at least its making, stands in its audit log.",
        Link::new("workspaces", &["slug"], "id", "audit_logs", "log_id").in_service("audit"),
    ),
];

fn miscounted(column: &'static str, owners: bool) -> SelectStatement {
    let counted = Query::select()
        .expr(Expr::col(sea_query::Asterisk).count())
        .from("members")
        .and_where(Expr::col(("members", "workspace_id")).equals(("workspaces", "id")))
        .and_where_option(owners.then(|| Expr::col(("members", "role")).eq("owner")))
        .take();
    Query::select()
        .columns(["id", "slug", column])
        .from("workspaces")
        .and_where(Expr::col(("workspaces", column)).ne(Expr::SubQuery(None, Box::new(counted.into()))))
        .take()
}

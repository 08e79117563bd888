//! What must hold of the rows of this service, for `guildhall verify`.

use platform::check::{Check, Link};
use sea_query::{Alias, Expr, ExprTrait, JoinType, Query, SelectStatement};

use crate::model::MAX_DEPTH;

const TASK: &[&str] = &["id"];

/// All of them.
pub const CHECKS: &[Check] = &[
    of_task("tasks.comment_task", "A comment belongs to a task.", "comments", TASK),
    of_task(
        "tasks.assignee_task",
        "An assignment belongs to a task.",
        "task_assignees",
        &["user_id"],
    ),
    of_task("tasks.label_task", "A label is one of a task.", "task_labels", &["label_id"]),
    of_task("tasks.activity_task", "A line of history belongs to a task.", "task_activity", TASK),
    of_task("tasks.term_task", "A search term leads to a task.", "task_terms", &["term"]),
    Check::names(
        "tasks.relation_source",
        "A relation goes from a task.",
        Link::new("task_relations", &["target_id"], "source_id", "tasks", "id"),
    ),
    Check::names(
        "tasks.relation_target",
        "A relation goes to a task.",
        Link::new("task_relations", &["source_id"], "target_id", "tasks", "id"),
    ),
    Check::names(
        "tasks.label_known",
        "A task's label exists.",
        Link::new("task_labels", &["task_id"], "label_id", "labels", "id"),
    ),
    Check::names(
        "tasks.state_known",
        "A task's state exists.",
        Link::new("tasks", TASK, "state_id", "task_states", "id"),
    ),
    Check::names(
        "tasks.project_numbered",
        "A task's project hands out numbers.",
        Link::new("tasks", TASK, "project_id", "task_projects", "project_id"),
    ),
    Check::finds("tasks.number", "No task has a number that its project has not handed out.", || {
        beside("task_projects", "project_id", "project_id", "other")
            .and_where(own("number").gt(Expr::col(("other", "last_number"))))
            .take()
    }),
    Check::finds("tasks.status", "A task's status is the meaning of its state.", || {
        beside("task_states", "state_id", "id", "other")
            .and_where(own("status").ne(Expr::col(("other", "status"))))
            .take()
    }),
    Check::finds("tasks.state_workspace", "A task's state is one of its workspace.", || {
        beside("task_states", "state_id", "id", "other")
            .and_where(own("workspace_id").ne(Expr::col(("other", "workspace_id"))))
            .take()
    }),
    Check::finds(
        "tasks.completed_at",
        "A task that is done says since when, and no other does.",
        || {
            let (done, other) = (own("status").eq("done"), own("status").ne("done"));
            let unsaid = done.and(own("completed_at").is_null());
            numbered().and_where(unsaid.or(other.and(own("completed_at").is_not_null()))).take()
        },
    ),
    Check::finds("tasks.due_sort", "due_sort is due_at, and the greatest number without one.", || {
        let undated = own("due_at").is_null().and(own("due_sort").ne(i64::MAX));
        numbered()
            .and_where(undated.or(own("due_at").is_not_null().and(own("due_sort").ne(own("due_at")))))
            .take()
    }),
    Check::finds("tasks.comment_count", "comment_count counts the comments.", || {
        miscounted("comment_count", "comments", "task_id", &|_| {})
    }),
    Check::finds("tasks.subtask_count", "subtask_count counts the live sub-tasks.", || {
        settled(miscounted("subtask_count", "tasks", "parent_id", &live))
    }),
    Check::finds(
        "tasks.subtask_done_count",
        "subtask_done_count counts the live sub-tasks that are done.",
        || {
            settled(miscounted("subtask_done_count", "tasks", "parent_id", &|select| {
                live(select);
                select.and_where(Expr::col(("counted", "status")).eq("done"));
            }))
        },
    ),
    Check::finds("tasks.parent", "A live sub-task's parent is live, in the same project.", || {
        let parent = |column| Expr::col((Alias::new("other"), Alias::new(column)));
        let mut select = numbered();
        select
            .join_as(JoinType::LeftJoin, "tasks", "other", parent("id").equals(("tasks", "parent_id")))
            .and_where(own("parent_id").is_not_null())
            .and_where(own("deleted_at").is_null())
            .cond_where(
                sea_query::Cond::any()
                    .add(parent("id").is_null())
                    .add(parent("deleted_at").is_not_null())
                    .add(parent("project_id").ne(own("project_id"))),
            );
        settled(select)
    }),
    Check::finds("tasks.depth", "Sub-tasks form no cycle and no more levels than allowed.", || {
        // One ancestor more than a task may have; in a cycle there is always another one.
        let mut select = numbered();
        let mut below = Alias::new("tasks");
        for level in 1..=MAX_DEPTH {
            let above = Alias::new(format!("above_{level}"));
            select.join_as(
                JoinType::InnerJoin,
                "tasks",
                above.clone(),
                Expr::col((above.clone(), Alias::new("id"))).equals((below, Alias::new("parent_id"))),
            );
            below = above;
        }
        select
    }),
    Check::finds(
        "tasks.deleted_with",
        "A deleted task names what took it along, and only a deleted one does.",
        || {
            let (deleted, with) = (|| own("deleted_at"), || own("deleted_with"));
            numbered()
                .and_where((deleted().is_null().and(with().is_not_null())).or(deleted().is_not_null().and(with().is_null())))
                .take()
        },
    ),
    // Task and states come after the row, and go before it.
    Check::names(
        "tasks.task_seeded",
        "A task's workspace has been given its states.",
        Link::new("tasks", TASK, "workspace_id", "task_workspaces", "workspace_id"),
    ),
    Check::names(
        "tasks.state_seeded",
        "A state's workspace has been given its states.",
        Link::new("task_states", TASK, "workspace_id", "task_workspaces", "workspace_id"),
    ),
    of_workspace("tasks.task_workspace", "A task lies in a workspace.", "tasks", TASK),
    of_workspace("tasks.label_workspace", "A label is one of a workspace.", "labels", TASK),
    of_workspace("tasks.state_of_workspace", "A state is one of a workspace.", "task_states", TASK),
    of_workspace("tasks.view_workspace", "A saved view is one of a workspace.", "task_views", TASK),
    of_workspace(
        "tasks.numbered_workspace",
        "A project that hands out numbers lies in a workspace.",
        "task_projects",
        &["project_id"],
    ),
    of_workspace(
        "tasks.seeded_workspace",
        "What has been given states is a workspace.",
        "task_workspaces",
        &[],
    ),
    Check::names(
        "tasks.task_project",
        "A task lies in a project.",
        Link::new("tasks", TASK, "project_id", "projects", "id").in_service("workspaces"),
    ),
    of_account(
        "tasks.assignee_user",
        "Who is assigned has an account.",
        "task_assignees",
        &["task_id"],
        "user_id",
    ),
    of_account("tasks.creator_user", "Who made a task has an account.", "tasks", TASK, "creator_id"),
    of_account(
        "tasks.view_user",
        "Who saved a view has an account.",
        "task_views",
        TASK,
        "owner_id",
    ),
    of_account(
        "tasks.feed_user",
        "Who has a calendar feed has an account.",
        "task_feeds",
        TASK,
        "user_id",
    ),
    of_account(
        "tasks.author_user",
        "Who wrote a comment has an account.",
        "comments",
        TASK,
        "author_id",
    ),
];

const fn of_task(name: &'static str, about: &'static str, table: &'static str, id: &'static [&'static str]) -> Check {
    Check::names(name, about, Link::new(table, id, "task_id", "tasks", "id"))
}

const fn of_workspace(name: &'static str, about: &'static str, table: &'static str, id: &'static [&'static str]) -> Check {
    Check::names(
        name,
        about,
        Link::new(table, id, "workspace_id", "workspaces", "id").in_service("workspaces"),
    )
}

const fn of_account(
    name: &'static str,
    about: &'static str,
    table: &'static str,
    id: &'static [&'static str],
    column: &'static str,
) -> Check {
    Check::names(name, about, Link::new(table, id, column, "users", "id").in_service("identity"))
}

fn own(column: &'static str) -> Expr {
    Expr::col(("tasks", column))
}

/// The tasks, by id and number.
fn numbered() -> SelectStatement {
    Query::select()
        .columns([("tasks", "id"), ("tasks", "project_id"), ("tasks", "number")])
        .from("tasks")
        .take()
}

/// The tasks with the row of another table that a column names.
fn beside(table: &'static str, column: &'static str, key: &'static str, alias: &'static str) -> SelectStatement {
    numbered()
        .join_as(JoinType::InnerJoin, table, alias, Expr::col((alias, key)).equals(("tasks", column)))
        .take()
}

fn live(select: &mut SelectStatement) {
    select.and_where(Expr::col(("counted", "deleted_at")).is_null());
}

fn miscounted(counter: &'static str, table: &'static str, column: &'static str, narrow: &dyn Fn(&mut SelectStatement)) -> SelectStatement {
    let mut counted = Query::select();
    counted
        .expr(Expr::col(sea_query::Asterisk).count())
        .from_as(table, "counted")
        .and_where(Expr::col(("counted", column)).equals(("tasks", "id")));
    narrow(&mut counted);
    numbered()
        .column(("tasks", counter))
        .and_where(own(counter).ne(Expr::SubQuery(None, Box::new(counted.into()))))
        .take()
}

/// While a workspace or project is being erased, parents go before their sub-tasks.
fn settled(mut select: SelectStatement) -> SelectStatement {
    let purging = Query::select()
        .expr(Expr::cust("1"))
        .from("due_work")
        .and_where(Expr::col(("due_work", "kind")).eq(crate::jobs::PURGE))
        .and_where(Expr::col(("due_work", "dead_at")).is_null())
        .take();
    select.and_where(Expr::exists(purging).not()).take()
}

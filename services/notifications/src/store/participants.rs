//! Who took part in a task's discussion.

use std::collections::BTreeSet;

use contracts::tasks::events::TaskRef;
use kernel::Timestamp;
use kernel::ids::{EntityId, TaskId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Expr, ExprTrait, Iden, OnConflict, Order, Query};

#[derive(Iden)]
enum TaskParticipants {
    Table,
    TaskId,
    UserId,
    WorkspaceId,
    ProjectId,
    CreatedAt,
}

/// More people than this hear nothing of a task they once commented on; it bounds the work of one event.
const MAX_PARTICIPANTS: u64 = 200;

struct ParticipantRow(UserId);

impl FromRow for ParticipantRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.id(0)?))
    }
}

/// The latest to join first, at most 200.
pub(crate) async fn of_task(db: &Db, workspace_id: WorkspaceId, task_id: TaskId) -> Result<BTreeSet<UserId>, DbError> {
    use TaskParticipants as T;
    let rows: Vec<ParticipantRow> = db
        .all(
            Query::select()
                .column(T::UserId)
                .from(T::Table)
                .and_where(Expr::col(T::WorkspaceId).eq(workspace_id.uuid()))
                .and_where(Expr::col(T::TaskId).eq(task_id.uuid()))
                .order_by(T::CreatedAt, Order::Desc)
                .limit(MAX_PARTICIPANTS)
                .to_owned(),
        )
        .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

pub(crate) fn join(unit: &mut Unit, task: &TaskRef, user_id: UserId, now: Timestamp) {
    use TaskParticipants as T;
    unit.insert(
        Query::insert()
            .into_table(T::Table)
            .columns([T::TaskId, T::UserId, T::WorkspaceId, T::ProjectId, T::CreatedAt])
            .values_panic([
                task.task_id.uuid().into(),
                user_id.uuid().into(),
                task.workspace_id.uuid().into(),
                task.project_id.uuid().into(),
                now.as_micros().into(),
            ])
            .on_conflict(
                OnConflict::columns([T::TaskId, T::UserId])
                    .update_columns([T::ProjectId, T::CreatedAt])
                    .to_owned(),
            )
            .to_owned(),
    );
}

pub(crate) fn erase_user(unit: &mut Unit, user_id: UserId) {
    use TaskParticipants as T;
    unit.delete(
        Query::delete()
            .from_table(T::Table)
            .and_where(Expr::col(T::UserId).eq(user_id.uuid()))
            .to_owned(),
    );
}

//! The numbered log that live event streams replay.

use std::collections::HashMap;

use kernel::Timestamp;
use kernel::ids::{EntityId, EventId, ProjectId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Expr, ExprTrait, Func, Iden, OnConflict, Order, Query, SimpleExpr};

use super::{in_ids, uuid_opt};
use crate::model::LogBounds;

#[derive(Iden, Clone, Copy)]
enum EventCounters {
    Table,
    WorkspaceId,
    LastSeq,
}

#[derive(Iden, Clone, Copy)]
enum EventLog {
    Table,
    WorkspaceId,
    Seq,
    EventId,
    EventType,
    ProjectId,
    UserId,
    Permission,
    Envelope,
    CreatedAt,
}

/// One event on its way into the log.
#[derive(Debug, Clone)]
pub(crate) struct NewEntry {
    pub workspace_id: WorkspaceId,
    pub event_id: EventId,
    /// Public name.
    pub event_type: String,
    pub project_id: Option<ProjectId>,
    pub user_id: Option<UserId>,
    pub permission: Option<&'static str>,
    /// Public JSON.
    pub envelope: String,
    pub created_at: Timestamp,
}

/// One event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub seq: i64,
    pub event_type: String,
    pub project_id: Option<ProjectId>,
    pub user_id: Option<UserId>,
    pub permission: Option<String>,
    pub envelope: String,
}

impl FromRow for Entry {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: row.get(0)?,
            event_type: row.get(1)?,
            project_id: row.id_opt(2)?,
            user_id: row.id_opt(3)?,
            permission: row.get(4)?,
            envelope: row.get(5)?,
        })
    }
}

/// Gives the entry the next number of its workspace. The counter's row lock is held until the unit commits, so numbers
/// become visible in their order: a reader that has seen `n` has missed nothing below.
pub(crate) fn append(unit: &mut Unit, entry: &NewEntry) {
    use EventCounters as C;
    use EventLog as L;
    let workspace = entry.workspace_id.uuid();
    unit.insert(
        Query::insert()
            .into_table(C::Table)
            .columns([C::WorkspaceId, C::LastSeq])
            .values_panic([workspace.into(), 1_i64.into()])
            .on_conflict(
                OnConflict::column(C::WorkspaceId)
                    .value(C::LastSeq, Expr::col((C::Table, C::LastSeq)).add(1_i64))
                    .to_owned(),
            )
            .to_owned(),
    );
    let number = Query::select()
        .column(C::LastSeq)
        .from(C::Table)
        .and_where(Expr::col(C::WorkspaceId).eq(workspace))
        .to_owned();
    unit.insert(
        Query::insert()
            .into_table(L::Table)
            .columns([
                L::WorkspaceId,
                L::Seq,
                L::EventId,
                L::EventType,
                L::ProjectId,
                L::UserId,
                L::Permission,
                L::Envelope,
                L::CreatedAt,
            ])
            .values_panic([
                workspace.into(),
                SimpleExpr::SubQuery(None, Box::new(number.into())),
                entry.event_id.uuid().into(),
                entry.event_type.as_str().into(),
                uuid_opt(entry.project_id).into(),
                uuid_opt(entry.user_id).into(),
                entry.permission.into(),
                entry.envelope.as_str().into(),
                entry.created_at.as_micros().into(),
            ])
            .to_owned(),
    );
}

/// At most `limit` entries after number `after`, in order.
pub(crate) async fn after(db: &Db, workspace_id: WorkspaceId, after: i64, limit: u64) -> Result<Vec<Entry>, DbError> {
    use EventLog as L;
    db.all(
        Query::select()
            .columns([L::Seq, L::EventType, L::ProjectId, L::UserId, L::Permission, L::Envelope])
            .from(L::Table)
            .and_where(Expr::col(L::WorkspaceId).eq(workspace_id.uuid()))
            .and_where(Expr::col(L::Seq).gt(after))
            .order_by(L::Seq, Order::Asc)
            .limit(limit)
            .to_owned(),
    )
    .await
}

struct Head(WorkspaceId, i64);

impl FromRow for Head {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.id(0)?, row.get(1)?))
    }
}

/// Last numbers of `workspaces`; those without an event are absent.
pub(crate) async fn heads(db: &Db, workspaces: &[WorkspaceId]) -> Result<HashMap<WorkspaceId, i64>, DbError> {
    use EventCounters as C;
    let mut all = HashMap::new();
    for chunk in workspaces.chunks(256) {
        let rows: Vec<Head> = db
            .all(
                Query::select()
                    .columns([C::WorkspaceId, C::LastSeq])
                    .from(C::Table)
                    .and_where(in_ids(C::WorkspaceId, chunk.iter().copied()))
                    .to_owned(),
            )
            .await?;
        all.extend(rows.into_iter().map(|Head(workspace, seq)| (workspace, seq)));
    }
    Ok(all)
}

struct OptNumber(Option<i64>);

impl FromRow for OptNumber {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.get(0)?))
    }
}

pub(crate) async fn bounds(db: &Db, workspace_id: WorkspaceId) -> Result<LogBounds, DbError> {
    use EventLog as L;
    // Head first: an event that comes between the two reads then lies after the head and is sent.
    let head = heads(db, &[workspace_id]).await?.get(&workspace_id).copied().unwrap_or(0);
    let oldest: OptNumber = db
        .one(
            Query::select()
                .expr(Func::min(Expr::col(L::Seq)))
                .from(L::Table)
                .and_where(Expr::col(L::WorkspaceId).eq(workspace_id.uuid()))
                .to_owned(),
        )
        .await?;
    Ok(LogBounds {
        oldest: oldest.0.unwrap_or(head + 1),
        head,
    })
}

/// Forgets what is older than `before`. The counters stay, so numbers are never given out twice.
pub(crate) fn erase_before(unit: &mut Unit, before: Timestamp) {
    use EventLog as L;
    unit.delete(
        Query::delete()
            .from_table(L::Table)
            .and_where(Expr::col(L::CreatedAt).lt(before.as_micros()))
            .to_owned(),
    );
}

/// What only `user_id` could see.
pub(crate) fn erase_user(unit: &mut Unit, user_id: UserId) {
    use EventLog as L;
    unit.delete(
        Query::delete()
            .from_table(L::Table)
            .and_where(Expr::col(L::UserId).eq(user_id.uuid()))
            .to_owned(),
    );
}

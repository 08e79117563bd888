use kernel::Timestamp;
use kernel::ids::{EntityId, UserId, WorkspaceId};
use kernel::roles::Role;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

use super::{Columns, Members, Scope, Workspaces as W};
use crate::model::{Member, Workspace};

pub(crate) const COLUMNS: [W; 14] = [
    W::Id,
    W::Slug,
    W::Name,
    W::Description,
    W::TimeZone,
    W::StrictConcurrency,
    W::DefaultRole,
    W::OwnerCount,
    W::MemberCount,
    W::Version,
    W::CreatedBy,
    W::CreatedAt,
    W::UpdatedAt,
    W::DeletedAt,
];

impl Workspace {
    pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<Self, DbError> {
        Ok(Self {
            id: columns.id()?,
            slug: columns.get()?,
            name: columns.get()?,
            description: columns.get()?,
            time_zone: columns.get()?,
            strict_concurrency: columns.get()?,
            default_role: columns.parse()?,
            owner_count: columns.get()?,
            member_count: columns.get()?,
            version: columns.get()?,
            created_by: columns.id()?,
            created_at: columns.get()?,
            updated_at: columns.get()?,
            deleted_at: columns.get()?,
        })
    }
}

impl FromRow for Workspace {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Self::read(&mut Columns::new(row))
    }
}

/// A workspace and the standing of one person in it.
#[derive(Debug, Clone)]
pub(crate) struct WorkspaceMember {
    pub workspace: Workspace,
    pub member: Member,
}

impl FromRow for WorkspaceMember {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let columns = &mut Columns::new(row);
        Ok(Self {
            workspace: Workspace::read(columns)?,
            member: Member::read(columns)?,
        })
    }
}

fn select_with_member(user_id: UserId) -> SelectStatement {
    Query::select()
        .columns(COLUMNS.map(|column| (W::Table, column)))
        .columns(super::members::COLUMNS.map(|column| (Members::Table, column)))
        .from(W::Table)
        .join(
            JoinType::InnerJoin,
            Members::Table,
            Expr::col((Members::Table, Members::WorkspaceId))
                .equals((W::Table, W::Id))
                .and(Expr::col((Members::Table, Members::UserId)).eq(user_id.uuid())),
        )
        .take()
}

/// Whether the workspace is deleted is for the caller to judge.
pub(crate) fn with_member(id: WorkspaceId, user_id: UserId) -> SelectStatement {
    select_with_member(user_id)
        .and_where(Expr::col((W::Table, W::Id)).eq(id.uuid()))
        .take()
}

pub(crate) async fn find_with_member(db: &Db, id: WorkspaceId, user_id: UserId) -> Result<Option<WorkspaceMember>, DbError> {
    db.opt(with_member(id, user_id)).await
}

/// Whether the workspace is deleted is for the caller to judge.
pub(crate) fn by_id(id: WorkspaceId) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(W::Table)
        .and_where(Expr::col(W::Id).eq(id.uuid()))
        .take()
}

/// For tokens and system work, which have no member to ask for. Deleted or not is for the caller to judge.
pub(crate) async fn find(db: &Db, id: WorkspaceId) -> Result<Option<Workspace>, DbError> {
    db.opt(by_id(id)).await
}

/// Not deleted.
pub(crate) async fn find_active(db: &Db, id: WorkspaceId) -> Result<Option<Workspace>, DbError> {
    Ok(find(db, id).await?.filter(|workspace| workspace.deleted_at.is_none()))
}

/// A person's workspaces in the order of their making; deleted ones only for owners, who can restore them.
pub(crate) fn of_person(user_id: UserId, deleted: bool, after: Option<WorkspaceId>, limit: u64) -> SelectStatement {
    let mut select = select_with_member(user_id);
    if deleted {
        select
            .and_where(Expr::col((W::Table, W::DeletedAt)).is_not_null())
            .and_where(Expr::col((Members::Table, Members::Role)).eq(Role::Owner.as_str()));
    } else {
        select.and_where(Expr::col((W::Table, W::DeletedAt)).is_null());
    }
    select
        .and_where_option(after.map(|id| Expr::col((W::Table, W::Id)).gt(id.uuid())))
        .order_by((W::Table, W::Id), Order::Asc)
        .limit(limit)
        .take()
}

/// At commit the workspace must still have the version that was read.
pub(crate) fn require_version(unit: &mut Unit, scope: &Scope, version: i64, guard: Guard) {
    unit.require(
        Query::select()
            .column(W::Id)
            .from(W::Table)
            .and_where(Expr::col(W::Id).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(W::Version).eq(version))
            .and_where(Expr::col(W::DeletedAt).is_null())
            .take(),
        guard,
    );
}

/// Live workspaces with others in them whose one owner is the person, the oldest first.
pub(crate) fn sole_owned(user_id: UserId, limit: u64) -> SelectStatement {
    of_person(user_id, false, None, limit)
        .and_where(Expr::col((Members::Table, Members::Role)).eq(Role::Owner.as_str()))
        .and_where(Expr::col((W::Table, W::OwnerCount)).eq(1))
        .and_where(Expr::col((W::Table, W::MemberCount)).gt(1))
        .take()
}

pub(crate) async fn list_of_person(db: &Db, select: SelectStatement) -> Result<Vec<WorkspaceMember>, DbError> {
    db.all(select).await
}

pub(crate) async fn count_created_by(db: &Db, user_id: UserId) -> Result<i64, DbError> {
    let count: Count = db
        .one(
            Query::select()
                .expr(Expr::col(W::Id).count())
                .from(W::Table)
                .and_where(Expr::col(W::CreatedBy).eq(user_id.uuid()))
                .take(),
        )
        .await?;
    Ok(count.0)
}

pub(crate) struct Count(pub i64);

impl FromRow for Count {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

pub(crate) async fn slug_taken(db: &Db, slug: &str) -> Result<bool, DbError> {
    let found: Option<Workspace> = db
        .opt(
            Query::select()
                .columns(COLUMNS)
                .from(W::Table)
                .and_where(Expr::col(W::Slug).eq(slug))
                .take(),
        )
        .await?;
    Ok(found.is_some())
}

pub(crate) fn insert(unit: &mut Unit, workspace: &Workspace) {
    unit.insert(
        Query::insert()
            .into_table(W::Table)
            .columns(COLUMNS)
            .values_panic([
                workspace.id.uuid().into(),
                workspace.slug.as_str().into(),
                workspace.name.as_str().into(),
                workspace.description.clone().into(),
                workspace.time_zone.as_str().into(),
                workspace.strict_concurrency.into(),
                workspace.default_role.as_str().into(),
                workspace.owner_count.into(),
                workspace.member_count.into(),
                workspace.version.into(),
                workspace.created_by.uuid().into(),
                workspace.created_at.as_micros().into(),
                workspace.updated_at.as_micros().into(),
                workspace.deleted_at.map(Timestamp::as_micros).into(),
            ])
            .take(),
    );
}

/// Writes the fields of `workspace` over the row of version `workspace.version - 1`.
pub(crate) fn update(unit: &mut Unit, scope: &Scope, workspace: &Workspace) {
    unit.update_guarded(
        Query::update()
            .table(W::Table)
            .value(W::Slug, workspace.slug.as_str())
            .value(W::Name, workspace.name.as_str())
            .value(W::Description, workspace.description.clone())
            .value(W::TimeZone, workspace.time_zone.as_str())
            .value(W::StrictConcurrency, workspace.strict_concurrency)
            .value(W::DefaultRole, workspace.default_role.as_str())
            .value(W::Version, workspace.version)
            .value(W::UpdatedAt, workspace.updated_at.as_micros())
            .value(W::DeletedAt, workspace.deleted_at.map(Timestamp::as_micros))
            .and_where(Expr::col(W::Id).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(W::Version).eq(workspace.version - 1))
            .take(),
        Guard::VERSION,
    );
}

/// How the number of members and owners changes with one change of members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Headcount {
    pub members: i64,
    pub owners: i64,
    /// The most members the workspace can have; asked only when `members` grows.
    pub max_members: i64,
    /// The workspace lies deleted: only somebody whose account is gone leaves it then.
    pub deleted: bool,
}

/// Keeps the counts, and with them the rule that at least one owner remains. It goes first in every unit that
/// changes members: the row lock puts such units of one workspace in a line, so that two owners who leave at once
/// see each other, on every engine.
pub(crate) fn change_headcount(unit: &mut Unit, scope: &Scope, change: Headcount, guard: Guard) {
    let mut update = Query::update()
        .table(W::Table)
        .value(W::MemberCount, Expr::col(W::MemberCount).add(change.members))
        .value(W::OwnerCount, Expr::col(W::OwnerCount).add(change.owners))
        .and_where(Expr::col(W::Id).eq(scope.workspace_id().uuid()))
        .and_where(if change.deleted {
            Expr::col(W::DeletedAt).is_not_null()
        } else {
            Expr::col(W::DeletedAt).is_null()
        })
        .take();
    if change.owners < 0 {
        update.and_where(Expr::col(W::OwnerCount).gt(-change.owners));
    }
    if change.members > 0 {
        update.and_where(Expr::col(W::MemberCount).lte(change.max_members - change.members));
    }
    unit.update_guarded(update, guard);
}

/// Deleted at or before `cutoff`, oldest first.
pub(crate) async fn list_purgeable(db: &Db, cutoff: Timestamp, limit: u64) -> Result<Vec<Workspace>, DbError> {
    db.all(
        Query::select()
            .columns(COLUMNS)
            .from(W::Table)
            .and_where(Expr::col(W::DeletedAt).lte(cutoff.as_micros()))
            .order_by(W::DeletedAt, Order::Asc)
            .limit(limit)
            .take(),
    )
    .await
}

/// The row itself, last of all that belongs to the workspace.
pub(crate) fn purge(unit: &mut Unit, scope: &Scope, cutoff: Timestamp) {
    unit.delete_guarded(
        Query::delete()
            .from_table(W::Table)
            .and_where(Expr::col(W::Id).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(W::DeletedAt).lte(cutoff.as_micros()))
            .take(),
        crate::error::WORKSPACE_GONE,
    );
}

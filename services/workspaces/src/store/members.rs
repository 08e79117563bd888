use kernel::Timestamp;
use kernel::ids::{EntityId, UserId};
use kernel::roles::{Permission, Role, SalesRole};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use super::{Columns, Members as M, Scope};
use crate::model::{Member, Standing};

pub(crate) const COLUMNS: [M; 8] = [
    M::WorkspaceId,
    M::UserId,
    M::Role,
    M::SalesRole,
    M::Version,
    M::InvitedBy,
    M::CreatedAt,
    M::UpdatedAt,
];

impl Member {
    pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<Self, DbError> {
        Ok(Self {
            workspace_id: columns.id()?,
            user_id: columns.id()?,
            role: columns.parse()?,
            sales_role: columns.parse_opt()?,
            version: columns.get()?,
            invited_by: columns.id_opt()?,
            created_at: columns.get()?,
            updated_at: columns.get()?,
        })
    }
}

impl FromRow for Member {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Self::read(&mut Columns::new(row))
    }
}

fn select(scope: &Scope) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(M::Table)
        .and_where(Expr::col(M::WorkspaceId).eq(scope.workspace_id().uuid()))
        .take()
}

pub(crate) fn of_user(scope: &Scope, user_id: UserId) -> SelectStatement {
    select(scope).and_where(Expr::col(M::UserId).eq(user_id.uuid())).take()
}

pub(crate) async fn find(db: &Db, scope: &Scope, user_id: UserId) -> Result<Option<Member>, DbError> {
    db.opt(of_user(scope, user_id)).await
}

/// In the order of joining.
pub(crate) fn page(scope: &Scope, role: Option<Role>, after: Option<(Timestamp, UserId)>, limit: u64) -> SelectStatement {
    let mut select = select(scope);
    select.and_where_option(role.map(|role| Expr::col(M::Role).eq(role.as_str())));
    if let Some((joined, user_id)) = after {
        select.and_where(
            Expr::col(M::CreatedAt).gt(joined.as_micros()).or(Expr::col(M::CreatedAt)
                .eq(joined.as_micros())
                .and(Expr::col(M::UserId).gt(user_id.uuid()))),
        );
    }
    select
        .order_by(M::CreatedAt, Order::Asc)
        .order_by(M::UserId, Order::Asc)
        .limit(limit)
        .take()
}

pub(crate) async fn list(db: &Db, select: SelectStatement) -> Result<Vec<Member>, DbError> {
    db.all(select).await
}

/// All memberships of a person, for the person's deletion; in live and deleted workspaces.
pub(crate) async fn list_of_user(db: &Db, user_id: UserId, limit: u64) -> Result<Vec<Member>, DbError> {
    db.all(
        Query::select()
            .columns(COLUMNS)
            .from(M::Table)
            .and_where(Expr::col(M::UserId).eq(user_id.uuid()))
            .order_by(M::WorkspaceId, Order::Asc)
            .limit(limit)
            .take(),
    )
    .await
}

pub(crate) fn insert(unit: &mut Unit, member: &Member) {
    unit.insert(
        Query::insert()
            .into_table(M::Table)
            .columns(COLUMNS)
            .values_panic([
                member.workspace_id.uuid().into(),
                member.user_id.uuid().into(),
                member.role.as_str().into(),
                member.sales_role.map(SalesRole::as_str).into(),
                member.version.into(),
                member.invited_by.map(EntityId::uuid).into(),
                member.created_at.as_micros().into(),
                member.updated_at.as_micros().into(),
            ])
            .take(),
    );
}

/// Gives `member` other roles; the row must still have the version that was read.
pub(crate) fn set_standing(unit: &mut Unit, scope: &Scope, member: &Member, standing: Standing, now: Timestamp) {
    unit.update_guarded(
        Query::update()
            .table(M::Table)
            .value(M::Role, standing.role.as_str())
            .value(M::SalesRole, standing.sales_role.map(SalesRole::as_str))
            .value(M::Version, member.version + 1)
            .value(M::UpdatedAt, now.as_micros())
            .and_where(Expr::col(M::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(M::UserId).eq(member.user_id.uuid()))
            .and_where(Expr::col(M::Version).eq(member.version))
            .take(),
        Guard::VERSION,
    );
}

/// The row must still have the version that was read.
pub(crate) fn delete(unit: &mut Unit, scope: &Scope, member: &Member, guard: Guard) {
    unit.delete_guarded(
        Query::delete()
            .from_table(M::Table)
            .and_where(Expr::col(M::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(M::UserId).eq(member.user_id.uuid()))
            .and_where(Expr::col(M::Version).eq(member.version))
            .take(),
        guard,
    );
}

/// At commit `user_id` must still hold a role with `permission` that is at least `at_least`.
pub(crate) fn require_role(unit: &mut Unit, scope: &Scope, user_id: UserId, permission: Permission, at_least: Role, guard: Guard) {
    let roles = Role::ALL
        .iter()
        .filter(|role| role.permits(permission) && **role >= at_least)
        .map(|role| role.as_str());
    unit.require(
        Query::select()
            .column(M::UserId)
            .from(M::Table)
            .and_where(Expr::col(M::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(M::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(M::Role).is_in(roles))
            .take(),
        guard,
    );
}

/// Everybody of a purged workspace; at most `max_members` rows.
pub(crate) fn purge(unit: &mut Unit, scope: &Scope) {
    unit.delete(
        Query::delete()
            .from_table(M::Table)
            .and_where(Expr::col(M::WorkspaceId).eq(scope.workspace_id().uuid()))
            .take(),
    );
}

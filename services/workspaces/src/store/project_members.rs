use kernel::Timestamp;
use kernel::ids::{EntityId, ProjectId, UserId};
use kernel::roles::Role;
use platform::db::{Db, DbError, FromRow, Guard, Reads, Row, Unit};
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

use super::{Columns, Members, ProjectMembers as P, Scope};
use crate::model::{Member, Project, ProjectMember, Workspace};

const COLUMNS: [P; 7] = [
    P::ProjectId,
    P::UserId,
    P::WorkspaceId,
    P::Role,
    P::Version,
    P::CreatedAt,
    P::UpdatedAt,
];

impl FromRow for ProjectMember {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let mut columns = Columns::new(row);
        Ok(Self {
            project_id: columns.id()?,
            user_id: columns.id()?,
            workspace_id: columns.id()?,
            role: columns.parse()?,
            version: columns.get()?,
            created_at: columns.get()?,
            updated_at: columns.get()?,
        })
    }
}

fn select(scope: &Scope, project_id: ProjectId) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(P::Table)
        .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
        .and_where(Expr::col(P::ProjectId).eq(project_id.uuid()))
        .take()
}

pub(crate) async fn find(db: &Db, scope: &Scope, project_id: ProjectId, user_id: UserId) -> Result<Option<ProjectMember>, DbError> {
    db.opt(select(scope, project_id).and_where(Expr::col(P::UserId).eq(user_id.uuid())).take())
        .await
}

/// People with a role of their own in the project, by id.
pub(crate) async fn list(
    db: &Db,
    scope: &Scope,
    project_id: ProjectId,
    after: Option<UserId>,
    limit: u64,
) -> Result<Vec<ProjectMember>, DbError> {
    db.all(
        select(scope, project_id)
            .and_where_option(after.map(|id| Expr::col(P::UserId).gt(id.uuid())))
            .order_by(P::UserId, Order::Asc)
            .limit(limit)
            .take(),
    )
    .await
}

/// Everybody with a role of their own in some project of the workspace, by person and project.
pub(crate) async fn list_all(
    db: &Db,
    scope: &Scope,
    after: Option<(UserId, ProjectId)>,
    limit: u64,
) -> Result<Vec<ProjectMember>, DbError> {
    let beyond = after.map(|(user, project)| {
        let same = Expr::col(P::UserId).eq(user.uuid()).and(Expr::col(P::ProjectId).gt(project.uuid()));
        Expr::col(P::UserId).gt(user.uuid()).or(same)
    });
    db.all(
        Query::select()
            .columns(COLUMNS)
            .from(P::Table)
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where_option(beyond)
            .order_by(P::UserId, Order::Asc)
            .order_by(P::ProjectId, Order::Asc)
            .limit(limit)
            .take(),
    )
    .await
}

/// Every member of the workspace with the role of their own in the project, if any.
pub(crate) struct Candidate {
    pub member: Member,
    pub project_role: Option<Role>,
}

impl FromRow for Candidate {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let columns = &mut Columns::new(row);
        Ok(Self {
            member: Member::read(columns)?,
            project_role: columns.parse_opt()?,
        })
    }
}

fn candidates(scope: &Scope, project_id: ProjectId, limit: u64) -> SelectStatement {
    Query::select()
        .columns(super::members::COLUMNS.map(|column| (Members::Table, column)))
        .column((P::Table, P::Role))
        .from(Members::Table)
        .join(
            JoinType::LeftJoin,
            P::Table,
            Expr::col((P::Table, P::UserId))
                .equals((Members::Table, Members::UserId))
                .and(Expr::col((P::Table, P::ProjectId)).eq(project_id.uuid())),
        )
        .and_where(Expr::col((Members::Table, Members::WorkspaceId)).eq(scope.workspace_id().uuid()))
        .order_by((Members::Table, Members::UserId), Order::Asc)
        .limit(limit)
        .take()
}

/// A project that is there, in a workspace that is there, and who could have access to it: three statements in one go.
pub(crate) async fn find_audience(
    db: &Db,
    scope: &Scope,
    project_id: ProjectId,
    limit: u64,
) -> Result<Option<(Project, Vec<Candidate>)>, DbError> {
    let mut reads = Reads::default();
    let workspace = reads.add::<Workspace>(super::workspaces::by_id(scope.workspace_id()));
    let project = reads.add::<Project>(super::projects::active(scope, project_id));
    let candidates = reads.add::<Candidate>(candidates(scope, project_id, limit));
    let mut found = db.read(reads).await?;
    let there = found.take(&workspace).iter().any(|workspace| workspace.deleted_at.is_none());
    let project = found.take(&project).pop().filter(|_| there);
    Ok(project.map(|project| (project, found.take(&candidates))))
}

pub(crate) fn insert(unit: &mut Unit, member: &ProjectMember) {
    unit.insert(
        Query::insert()
            .into_table(P::Table)
            .columns(COLUMNS)
            .values_panic([
                member.project_id.uuid().into(),
                member.user_id.uuid().into(),
                member.workspace_id.uuid().into(),
                member.role.as_str().into(),
                member.version.into(),
                member.created_at.as_micros().into(),
                member.updated_at.as_micros().into(),
            ])
            .take(),
    );
}

pub(crate) fn set_role(unit: &mut Unit, scope: &Scope, member: &ProjectMember, role: Role, now: Timestamp) {
    unit.update_guarded(
        Query::update()
            .table(P::Table)
            .value(P::Role, role.as_str())
            .value(P::Version, member.version + 1)
            .value(P::UpdatedAt, now.as_micros())
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(P::ProjectId).eq(member.project_id.uuid()))
            .and_where(Expr::col(P::UserId).eq(member.user_id.uuid()))
            .and_where(Expr::col(P::Version).eq(member.version))
            .take(),
        Guard::VERSION,
    );
}

pub(crate) fn delete(unit: &mut Unit, scope: &Scope, member: &ProjectMember) {
    unit.delete_guarded(
        Query::delete()
            .from_table(P::Table)
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(P::ProjectId).eq(member.project_id.uuid()))
            .and_where(Expr::col(P::UserId).eq(member.user_id.uuid()))
            .and_where(Expr::col(P::Version).eq(member.version))
            .take(),
        Guard::VERSION,
    );
}

/// All project roles of a person who leaves the workspace.
pub(crate) fn delete_of_user(unit: &mut Unit, scope: &Scope, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table(P::Table)
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(P::UserId).eq(user_id.uuid()))
            .take(),
    );
}

pub(crate) fn purge(unit: &mut Unit, scope: &Scope, project_ids: &[ProjectId]) {
    unit.delete(
        Query::delete()
            .from_table(P::Table)
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(P::ProjectId).is_in(project_ids.iter().map(|id| id.uuid())))
            .take(),
    );
}

use kernel::Timestamp;
use kernel::ids::{EntityId, ProjectId, UserId, WorkspaceId};
use kernel::roles::{Role, effective_role};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

use super::workspaces::Count;
use super::{Columns, Members, ProjectMembers, Projects as P, Scope, Workspaces, contains};
use crate::model::{Member, Project, ProjectState, Workspace};

const COLUMNS: [P; 13] = [
    P::Id,
    P::WorkspaceId,
    P::ProjectKey,
    P::Name,
    P::Description,
    P::Private,
    P::Version,
    P::CreatedBy,
    P::CreatedAt,
    P::UpdatedAt,
    P::ArchivedAt,
    P::DeletedAt,
    P::DeletedBy,
];

impl Project {
    fn read(columns: &mut Columns<'_, '_>) -> Result<Self, DbError> {
        Ok(Self {
            id: columns.id()?,
            workspace_id: columns.id()?,
            key: columns.get()?,
            name: columns.get()?,
            description: columns.get()?,
            private: columns.get()?,
            version: columns.get()?,
            created_by: columns.id()?,
            created_at: columns.get()?,
            updated_at: columns.get()?,
            archived_at: columns.get()?,
            deleted_at: columns.get()?,
            deleted_by: columns.id_opt()?,
        })
    }
}

impl FromRow for Project {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Self::read(&mut Columns::new(row))
    }
}

/// A project with everything that decides what one person may do in it.
#[derive(Debug, Clone)]
pub(crate) struct ProjectStanding {
    pub project: Project,
    pub workspace: Workspace,
    pub member: Member,
    pub project_role: Option<Role>,
}

impl ProjectStanding {
    pub fn role(&self) -> Option<Role> {
        effective_role(Some(self.member.role), self.project_role, self.project.private)
    }
}

impl FromRow for ProjectStanding {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let columns = &mut Columns::new(row);
        Ok(Self {
            project: Project::read(columns)?,
            workspace: Workspace::read(columns)?,
            member: Member::read(columns)?,
            project_role: columns.parse_opt()?,
        })
    }
}

/// Projects of live workspaces that the person is a member of, whether or not they can see the project.
fn select_with_standing(user_id: UserId) -> SelectStatement {
    Query::select()
        .columns(COLUMNS.map(|column| (P::Table, column)))
        .columns(super::workspaces::COLUMNS.map(|column| (Workspaces::Table, column)))
        .columns(super::members::COLUMNS.map(|column| (Members::Table, column)))
        .column((ProjectMembers::Table, ProjectMembers::Role))
        .from(P::Table)
        .join(
            JoinType::InnerJoin,
            Workspaces::Table,
            Expr::col((Workspaces::Table, Workspaces::Id))
                .equals((P::Table, P::WorkspaceId))
                .and(Expr::col((Workspaces::Table, Workspaces::DeletedAt)).is_null()),
        )
        .join(
            JoinType::InnerJoin,
            Members::Table,
            Expr::col((Members::Table, Members::WorkspaceId))
                .equals((P::Table, P::WorkspaceId))
                .and(Expr::col((Members::Table, Members::UserId)).eq(user_id.uuid())),
        )
        .join(
            JoinType::LeftJoin,
            ProjectMembers::Table,
            Expr::col((ProjectMembers::Table, ProjectMembers::ProjectId))
                .equals((P::Table, P::Id))
                .and(Expr::col((ProjectMembers::Table, ProjectMembers::UserId)).eq(user_id.uuid())),
        )
        .take()
}

/// Deleted or not is for the caller to judge, and so is whether the person can see it.
pub(crate) fn with_standing(id: ProjectId, user_id: UserId) -> SelectStatement {
    select_with_standing(user_id)
        .and_where(Expr::col((P::Table, P::Id)).eq(id.uuid()))
        .take()
}

pub(crate) async fn find_with_standing(db: &Db, id: ProjectId, user_id: UserId) -> Result<Option<ProjectStanding>, DbError> {
    db.opt(with_standing(id, user_id)).await
}

/// What a list of projects can be narrowed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub workspace_id: Option<WorkspaceId>,
    /// `None`: active and archived ones.
    pub state: Option<ProjectState>,
    /// In the name, or equal to the key.
    pub text: Option<String>,
}

/// Projects the person can see; deleted ones only where they can restore them. Says in SQL what
/// [`effective_role`] says in Rust; a test compares the two over all combinations.
pub(crate) fn visible(user_id: UserId, filter: &Filter, after: Option<ProjectId>, limit: u64) -> SelectStatement {
    let member_role = || Expr::col((Members::Table, Members::Role));
    let project_role = || Expr::col((ProjectMembers::Table, ProjectMembers::Role));
    let owner = Role::Owner.as_str();
    let mut select = select_with_standing(user_id);
    if filter.state == Some(ProjectState::Deleted) {
        select
            .and_where(Expr::col((P::Table, P::DeletedAt)).is_not_null())
            .cond_where(Cond::any().add(member_role().eq(owner)).add(project_role().eq(owner)));
    } else {
        select.and_where(Expr::col((P::Table, P::DeletedAt)).is_null()).cond_where(
            Cond::any()
                .add(member_role().eq(owner))
                .add(project_role().is_not_null())
                .add(Expr::col((P::Table, P::Private)).eq(false)),
        );
    }
    let archived = Expr::col((P::Table, P::ArchivedAt));
    select
        .and_where_option(match filter.state {
            Some(ProjectState::Active) => Some(archived.is_null()),
            Some(ProjectState::Archived) => Some(archived.is_not_null()),
            Some(ProjectState::Deleted) | None => None,
        })
        .and_where_option(filter.workspace_id.map(|id| Expr::col((P::Table, P::WorkspaceId)).eq(id.uuid())))
        .and_where_option(after.map(|id| Expr::col((P::Table, P::Id)).gt(id.uuid())));
    if let Some(text) = &filter.text {
        select.cond_where(
            Cond::any()
                .add(Expr::col((P::Table, P::NameFolded)).like(contains(&text.to_lowercase())))
                .add(Expr::col((P::Table, P::ProjectKey)).eq(text.to_uppercase())),
        );
    }
    select.order_by((P::Table, P::Id), Order::Asc).limit(limit).take()
}

/// Projects of a workspace that the person can restore, deleted after `since`, last deleted first, from behind `before`.
pub(crate) fn restorable(
    user_id: UserId,
    workspace_id: WorkspaceId,
    since: Timestamp,
    before: Option<(Timestamp, ProjectId)>,
    limit: u64,
) -> SelectStatement {
    let owner = Role::Owner.as_str();
    let deleted_at = || Expr::col((P::Table, P::DeletedAt));
    let mut select = select_with_standing(user_id);
    select
        .and_where(Expr::col((P::Table, P::WorkspaceId)).eq(workspace_id.uuid()))
        .and_where(deleted_at().gt(since.as_micros()))
        .cond_where(
            Cond::any()
                .add(Expr::col((Members::Table, Members::Role)).eq(owner))
                .add(Expr::col((ProjectMembers::Table, ProjectMembers::Role)).eq(owner)),
        );
    if let Some((at, last)) = before {
        let same = deleted_at().eq(at.as_micros()).and(Expr::col((P::Table, P::Id)).lt(last.uuid()));
        select.cond_where(Cond::any().add(deleted_at().lt(at.as_micros())).add(same));
    }
    select
        .order_by((P::Table, P::DeletedAt), Order::Desc)
        .order_by((P::Table, P::Id), Order::Desc)
        .limit(limit)
        .take()
}

pub(crate) async fn list(db: &Db, select: SelectStatement) -> Result<Vec<ProjectStanding>, DbError> {
    db.all(select).await
}

/// Not deleted; for services that ask about all readers of a project.
pub(crate) fn active(scope: &Scope, id: ProjectId) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(P::Table)
        .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
        .and_where(Expr::col(P::Id).eq(id.uuid()))
        .and_where(Expr::col(P::DeletedAt).is_null())
        .take()
}

pub(crate) async fn count(db: &Db, scope: &Scope) -> Result<i64, DbError> {
    let count: Count = db
        .one(
            Query::select()
                .expr(Expr::col(P::Id).count())
                .from(P::Table)
                .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
                .take(),
        )
        .await?;
    Ok(count.0)
}

pub(crate) fn insert(unit: &mut Unit, project: &Project) {
    unit.insert(
        Query::insert()
            .into_table(P::Table)
            .columns(COLUMNS.into_iter().chain([P::NameFolded]))
            .values_panic([
                project.id.uuid().into(),
                project.workspace_id.uuid().into(),
                project.key.as_str().into(),
                project.name.as_str().into(),
                project.description.clone().into(),
                project.private.into(),
                project.version.into(),
                project.created_by.uuid().into(),
                project.created_at.as_micros().into(),
                project.updated_at.as_micros().into(),
                project.archived_at.map(Timestamp::as_micros).into(),
                project.deleted_at.map(Timestamp::as_micros).into(),
                project.deleted_by.map(EntityId::uuid).into(),
                project.name.to_lowercase().into(),
            ])
            .take(),
    );
}

/// Writes the fields of `project` over the row of version `project.version - 1`.
pub(crate) fn update(unit: &mut Unit, scope: &Scope, project: &Project) {
    unit.update_guarded(
        Query::update()
            .table(P::Table)
            .value(P::Name, project.name.as_str())
            .value(P::NameFolded, project.name.to_lowercase())
            .value(P::Description, project.description.clone())
            .value(P::Private, project.private)
            .value(P::Version, project.version)
            .value(P::UpdatedAt, project.updated_at.as_micros())
            .value(P::ArchivedAt, project.archived_at.map(Timestamp::as_micros))
            .value(P::DeletedAt, project.deleted_at.map(Timestamp::as_micros))
            .value(P::DeletedBy, project.deleted_by.map(EntityId::uuid))
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(P::Id).eq(project.id.uuid()))
            .and_where(Expr::col(P::Version).eq(project.version - 1))
            .take(),
        Guard::VERSION,
    );
}

/// Deleted on their own (not with their workspace) at or before `cutoff`.
pub(crate) async fn list_purgeable(db: &Db, cutoff: Timestamp, limit: u64) -> Result<Vec<Project>, DbError> {
    db.all(
        Query::select()
            .columns(COLUMNS)
            .from(P::Table)
            .and_where(Expr::col(P::DeletedAt).lte(cutoff.as_micros()))
            .order_by(P::DeletedAt, Order::Asc)
            .limit(limit)
            .take(),
    )
    .await
}

/// Some projects of a workspace that is being purged.
pub(crate) async fn list_of_workspace(db: &Db, scope: &Scope, limit: u64) -> Result<Vec<Project>, DbError> {
    db.all(
        Query::select()
            .columns(COLUMNS)
            .from(P::Table)
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .limit(limit)
            .take(),
    )
    .await
}

pub(crate) fn purge(unit: &mut Unit, scope: &Scope, ids: &[ProjectId]) {
    unit.delete(
        Query::delete()
            .from_table(P::Table)
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(P::Id).is_in(ids.iter().map(|id| id.uuid())))
            .take(),
    );
}

/// One project that was deleted on its own; nothing happens to one that came back meanwhile.
pub(crate) fn purge_deleted(unit: &mut Unit, scope: &Scope, id: ProjectId, cutoff: Timestamp) {
    unit.delete_guarded(
        Query::delete()
            .from_table(P::Table)
            .and_where(Expr::col(P::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(P::Id).eq(id.uuid()))
            .and_where(Expr::col(P::DeletedAt).lte(cutoff.as_micros()))
            .take(),
        Guard::not_found("workspaces.project.not_found", "There is no such project."),
    );
}

//! What other services may ask: who is a member, and who may see which project.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::workspaces::{
    CheckInvitation, ClaimInvitation, DeletedProject, GetMembership, GetProjectAccess, InvitationState, ListDeletedProjects, ListMembers,
    ListProjectAccess, ListSoleOwned, MemberSummary, Membership, ProjectAccess, SoleOwnedWorkspace, Workspaces,
};
use kernel::ids::UserId;
use kernel::roles::effective_role;
use kernel::{CallContext, Result};

use crate::WorkspacesService;
use crate::service::access::Scope;
use crate::store;
use crate::store::projects::{Filter, ProjectStanding};

/// As the contract says; one more than any workspace can have.
const MAX_LISTED_PROJECTS: u64 = 5_000;
const MAX_SOLE_OWNED: u64 = 100;
const MAX_DELETED: u64 = 500;

/// Whoever acts in a workspace asks here first, so this is where the request's log lines learn its name.
fn note_workspace(workspace_id: Option<kernel::ids::WorkspaceId>) {
    if let Some(workspace_id) = workspace_id {
        platform::telemetry::record_workspace(&tracing::Span::current(), workspace_id);
    }
}

#[async_trait]
impl Workspaces for WorkspacesService {
    async fn get_membership(&self, _: &CallContext, request: GetMembership) -> Result<Option<Membership>> {
        let load = async {
            let found = store::workspaces::find_with_member(&self.db, request.workspace_id, request.user_id).await?;
            Ok(found.filter(|row| row.workspace.deleted_at.is_none()).map(|row| Membership {
                workspace_id: row.workspace.id,
                user_id: row.member.user_id,
                role: row.member.role,
                sales_role: row.member.sales_role,
                strict_concurrency: row.workspace.strict_concurrency,
                time_zone: row.workspace.time_zone,
            }))
        };
        let found = self.cache.get(&self.cache.memberships, request.clone(), load).await?;
        note_workspace(found.as_ref().map(|membership| membership.workspace_id));
        Ok(found)
    }

    async fn get_project_access(&self, _: &CallContext, request: GetProjectAccess) -> Result<Option<ProjectAccess>> {
        let load = async {
            let found = store::projects::find_with_standing(&self.db, request.project_id, request.user_id).await?;
            Ok(found.filter(|row| row.project.deleted_at.is_none()).and_then(project_access))
        };
        let found = self.cache.get(&self.cache.projects, request.clone(), load).await?;
        note_workspace(found.as_ref().map(|access| access.workspace_id));
        Ok(found)
    }

    async fn list_project_access(&self, _: &CallContext, request: ListProjectAccess) -> Result<Vec<ProjectAccess>> {
        let load = async {
            let filter = Filter {
                workspace_id: request.workspace_id,
                ..Filter::default()
            };
            let select = store::projects::visible(request.user_id, &filter, None, MAX_LISTED_PROJECTS);
            let rows = store::projects::list(&self.db, select).await?;
            Ok(Arc::new(rows.into_iter().filter_map(project_access).collect()))
        };
        let list = self.cache.get(&self.cache.lists, request.clone(), load).await?;
        Ok(list.as_ref().clone())
    }

    async fn list_members(&self, _: &CallContext, request: ListMembers) -> Result<Vec<MemberSummary>> {
        let scope = Scope::for_system(request.workspace_id);
        let limit = u64::from(self.config.max_members);
        let Some(project_id) = request.project_id else {
            if store::workspaces::find_active(&self.db, request.workspace_id).await?.is_none() {
                return Ok(Vec::new());
            }
            let members = store::members::list(&self.db, store::members::page(&scope, None, None, limit)).await?;
            return Ok(members
                .into_iter()
                .map(|member| MemberSummary {
                    user_id: member.user_id,
                    role: member.role,
                })
                .collect());
        };
        let found = store::project_members::find_audience(&self.db, &scope, project_id, limit).await?;
        let Some((project, candidates)) = found else {
            return Ok(Vec::new());
        };
        Ok(candidates
            .into_iter()
            .filter_map(|candidate| {
                let role = effective_role(Some(candidate.member.role), candidate.project_role, project.private)?;
                Some(MemberSummary {
                    user_id: candidate.member.user_id,
                    role,
                })
            })
            .collect())
    }

    async fn check_invitation(&self, ctx: &CallContext, request: CheckInvitation) -> Result<InvitationState> {
        let found = self
            .claimable(ctx, &request.email, &request.token, self.toolkit.clock.now())
            .await?;
        Ok(InvitationState { valid: found.is_some() })
    }

    async fn claim_invitation(&self, ctx: &CallContext, request: ClaimInvitation) -> Result<Option<UserId>> {
        self.claim(ctx, &request).await
    }

    async fn list_sole_owned(&self, _: &CallContext, request: ListSoleOwned) -> Result<Vec<SoleOwnedWorkspace>> {
        let select = store::workspaces::sole_owned(request.user_id, MAX_SOLE_OWNED);
        let rows = store::workspaces::list_of_person(&self.db, select).await?;
        Ok(rows
            .into_iter()
            .map(|row| SoleOwnedWorkspace {
                workspace_id: row.workspace.id,
                name: row.workspace.name,
                other_members: row.workspace.member_count - 1,
            })
            .collect())
    }

    async fn list_deleted_projects(&self, _: &CallContext, request: ListDeletedProjects) -> Result<Vec<DeletedProject>> {
        let kept = self.config.restore_time();
        let since = self.toolkit.clock.now().minus(kept);
        let limit = request.limit.min(MAX_DELETED);
        let select = store::projects::restorable(request.user_id, request.workspace_id, since, request.before, limit);
        let rows = store::projects::list(&self.db, select).await?;
        Ok(rows.into_iter().filter_map(|row| deleted_project(row, kept)).collect())
    }
}

fn deleted_project(row: ProjectStanding, kept: std::time::Duration) -> Option<DeletedProject> {
    let deleted_at = row.project.deleted_at?;
    Some(DeletedProject {
        project_id: row.project.id,
        key: row.project.key,
        name: row.project.name,
        deleted_at,
        deleted_by: row.project.deleted_by,
        purge_at: deleted_at.plus(kept),
    })
}

/// `None` when the person cannot see the project.
fn project_access(row: ProjectStanding) -> Option<ProjectAccess> {
    Some(ProjectAccess {
        role: row.role()?,
        workspace_id: row.workspace.id,
        project_id: row.project.id,
        project_key: row.project.key,
        project_name: row.project.name,
        archived: row.project.archived_at.is_some(),
        strict_concurrency: row.workspace.strict_concurrency,
        time_zone: row.workspace.time_zone,
    })
}

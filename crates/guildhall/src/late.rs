//! Contract clients that are bound after construction. identity asks workspaces about invitations and
//! ownership, and workspaces asks identity about people; one of the two must be built first. Until it is bound a call
//! answers `Unavailable`, as an absent peer does.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use contracts::workspaces::{
    CheckInvitation, ClaimInvitation, DeletedProject, GetMembership, GetProjectAccess, InvitationState, ListDeletedProjects, ListMembers,
    ListProjectAccess, ListSoleOwned, MemberSummary, Membership, ProjectAccess, SoleOwnedWorkspace, Workspaces,
};
use kernel::ids::UserId;
use kernel::{CallContext, Error, Result};

/// [`Workspaces`], bound once by the composition.
#[derive(Default)]
pub struct LateWorkspaces {
    target: OnceLock<Arc<dyn Workspaces>>,
}

impl LateWorkspaces {
    pub fn bind(&self, target: Arc<dyn Workspaces>) {
        // A second binding would be a mistake of the composition; the first one stays.
        let _ = self.target.set(target);
    }

    fn get(&self) -> Result<&dyn Workspaces> {
        self.target
            .get()
            .map(AsRef::as_ref)
            .ok_or_else(|| Error::unavailable(Duration::from_secs(1)))
    }
}

#[async_trait]
impl Workspaces for LateWorkspaces {
    async fn get_membership(&self, ctx: &CallContext, request: GetMembership) -> Result<Option<Membership>> {
        self.get()?.get_membership(ctx, request).await
    }
    async fn get_project_access(&self, ctx: &CallContext, request: GetProjectAccess) -> Result<Option<ProjectAccess>> {
        self.get()?.get_project_access(ctx, request).await
    }
    async fn list_project_access(&self, ctx: &CallContext, request: ListProjectAccess) -> Result<Vec<ProjectAccess>> {
        self.get()?.list_project_access(ctx, request).await
    }
    async fn list_members(&self, ctx: &CallContext, request: ListMembers) -> Result<Vec<MemberSummary>> {
        self.get()?.list_members(ctx, request).await
    }
    async fn check_invitation(&self, ctx: &CallContext, request: CheckInvitation) -> Result<InvitationState> {
        self.get()?.check_invitation(ctx, request).await
    }
    async fn claim_invitation(&self, ctx: &CallContext, request: ClaimInvitation) -> Result<Option<UserId>> {
        self.get()?.claim_invitation(ctx, request).await
    }
    async fn list_sole_owned(&self, ctx: &CallContext, request: ListSoleOwned) -> Result<Vec<SoleOwnedWorkspace>> {
        self.get()?.list_sole_owned(ctx, request).await
    }
    async fn list_deleted_projects(&self, ctx: &CallContext, request: ListDeletedProjects) -> Result<Vec<DeletedProject>> {
        self.get()?.list_deleted_projects(ctx, request).await
    }
}

//! Fakes of the contracts, for tests of the services that call them. State is plain; every change is seen at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use contracts::flags::{BooleanEvaluation, EvaluateBoolean, Flags};
use contracts::identity::{CheckSession, FindUserByEmail, GetUsers, Identity, Jwks, JwksRequest, SessionState, UserSummary};
use contracts::tasks::{GetTasks, TaskSummary, Tasks};
use contracts::workspaces::{
    CheckInvitation, ClaimInvitation, GetMembership, GetProjectAccess, InvitationState, ListMembers, ListProjectAccess, ListSoleOwned,
    MemberSummary, Membership, ProjectAccess, SoleOwnedWorkspace, Workspaces,
};
use kernel::ids::{ProjectId, SessionId, TaskId, UserId, WorkspaceId};
use kernel::roles::{Role, effective_role};
use kernel::{CallContext, Result};

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// People and their sessions. A session lives unless it was ended.
#[derive(Debug, Default)]
pub struct FakeIdentity {
    people: Mutex<BTreeMap<UserId, UserSummary>>,
    ended: Mutex<BTreeSet<SessionId>>,
}

impl FakeIdentity {
    /// An active person with a verified address.
    pub fn add(&self, id: UserId, name: &str) {
        let person = UserSummary {
            id,
            email: format!("{}@example.com", name.to_lowercase()),
            email_verified: true,
            name: name.to_owned(),
            time_zone: "UTC".to_owned(),
            locale: "en".to_owned(),
            active: true,
        };
        locked(&self.people).insert(id, person);
    }
    /// Changes a person that [`FakeIdentity::add`] made.
    pub fn change(&self, id: UserId, change: impl FnOnce(&mut UserSummary)) {
        if let Some(person) = locked(&self.people).get_mut(&id) {
            change(person);
        }
    }
    pub fn end_session(&self, id: SessionId) {
        locked(&self.ended).insert(id);
    }
}

#[async_trait]
impl Identity for FakeIdentity {
    async fn get_users(&self, _: &CallContext, request: GetUsers) -> Result<Vec<UserSummary>> {
        let people = locked(&self.people);
        Ok(request.ids.iter().filter_map(|id| people.get(id).cloned()).collect())
    }
    async fn find_user_by_email(&self, _: &CallContext, request: FindUserByEmail) -> Result<Option<UserSummary>> {
        Ok(locked(&self.people).values().find(|person| person.email == request.email).cloned())
    }
    async fn check_session(&self, _: &CallContext, request: CheckSession) -> Result<SessionState> {
        let alive = !locked(&self.ended).contains(&request.session_id);
        let active = locked(&self.people).get(&request.user_id).is_some_and(|person| person.active);
        Ok(SessionState {
            active: alive && active,
            instance_admin: false,
        })
    }
    async fn jwks(&self, _: &CallContext, _: JwksRequest) -> Result<Jwks> {
        Ok(Jwks { keys: Vec::new() })
    }
}

#[derive(Debug)]
struct FakeProject {
    workspace_id: WorkspaceId,
    private: bool,
    members: BTreeMap<UserId, Role>,
}

/// Workspaces with members and projects.
#[derive(Debug, Default)]
pub struct FakeWorkspaces {
    members: Mutex<BTreeMap<(WorkspaceId, UserId), Role>>,
    projects: Mutex<BTreeMap<ProjectId, FakeProject>>,
    /// By token, with the address and the account they were spent on.
    invitations: Mutex<BTreeMap<String, Option<(String, UserId)>>>,
}

impl FakeWorkspaces {
    pub fn add_member(&self, workspace_id: WorkspaceId, user_id: UserId, role: Role) {
        locked(&self.members).insert((workspace_id, user_id), role);
    }
    pub fn remove_member(&self, workspace_id: WorkspaceId, user_id: UserId) {
        locked(&self.members).remove(&(workspace_id, user_id));
    }
    pub fn add_project(&self, workspace_id: WorkspaceId, project_id: ProjectId, private: bool) {
        let project = FakeProject {
            workspace_id,
            private,
            members: BTreeMap::new(),
        };
        locked(&self.projects).insert(project_id, project);
    }
    /// A link for one.
    pub fn add_invitation(&self, token: &str) {
        locked(&self.invitations).insert(token.to_owned(), None);
    }
    /// `None` takes the project role away.
    pub fn set_project_role(&self, project_id: ProjectId, user_id: UserId, role: Option<Role>) {
        if let Some(project) = locked(&self.projects).get_mut(&project_id) {
            match role {
                Some(role) => project.members.insert(user_id, role),
                None => project.members.remove(&user_id),
            };
        }
    }
    fn access(&self, user_id: UserId, project_id: ProjectId) -> Option<ProjectAccess> {
        let projects = locked(&self.projects);
        let project = projects.get(&project_id)?;
        let member = locked(&self.members).get(&(project.workspace_id, user_id)).copied();
        let role = effective_role(member, project.members.get(&user_id).copied(), project.private)?;
        Some(ProjectAccess {
            workspace_id: project.workspace_id,
            project_id,
            project_key: "ABC".to_owned(),
            project_name: "Project".to_owned(),
            archived: false,
            role,
            strict_concurrency: false,
            time_zone: "UTC".to_owned(),
        })
    }
}

#[async_trait]
impl Workspaces for FakeWorkspaces {
    async fn get_membership(&self, _: &CallContext, request: GetMembership) -> Result<Option<Membership>> {
        let role = locked(&self.members).get(&(request.workspace_id, request.user_id)).copied();
        Ok(role.map(|role| Membership {
            workspace_id: request.workspace_id,
            user_id: request.user_id,
            role,
            sales_role: None,
            strict_concurrency: false,
            time_zone: "UTC".to_owned(),
        }))
    }
    async fn get_project_access(&self, _: &CallContext, request: GetProjectAccess) -> Result<Option<ProjectAccess>> {
        Ok(self.access(request.user_id, request.project_id))
    }
    async fn list_project_access(&self, _: &CallContext, request: ListProjectAccess) -> Result<Vec<ProjectAccess>> {
        let ids: Vec<ProjectId> = locked(&self.projects).keys().copied().collect();
        let all = ids.into_iter().filter_map(|id| self.access(request.user_id, id));
        Ok(all
            .filter(|access| request.workspace_id.is_none_or(|workspace| workspace == access.workspace_id))
            .collect())
    }
    async fn list_members(&self, _: &CallContext, request: ListMembers) -> Result<Vec<MemberSummary>> {
        let members: Vec<(UserId, Role)> = locked(&self.members)
            .iter()
            .filter(|((workspace, _), _)| *workspace == request.workspace_id)
            .map(|((_, user), role)| (*user, *role))
            .collect();
        let summaries = members.into_iter().filter_map(|(user_id, role)| {
            let role = match request.project_id {
                Some(project) => self.access(user_id, project)?.role,
                None => role,
            };
            Some(MemberSummary { user_id, role })
        });
        Ok(summaries.collect())
    }
    async fn check_invitation(&self, _: &CallContext, request: CheckInvitation) -> Result<InvitationState> {
        let invitations = locked(&self.invitations);
        let claim = invitations.get(&request.token);
        Ok(InvitationState {
            valid: claim.is_some_and(|claim| claim.as_ref().is_none_or(|(email, _)| *email == request.email)),
        })
    }
    async fn claim_invitation(&self, _: &CallContext, request: ClaimInvitation) -> Result<Option<UserId>> {
        let mut invitations = locked(&self.invitations);
        let Some(claim) = invitations.get_mut(&request.token) else {
            return Ok(None);
        };
        let (email, user_id) = claim.get_or_insert((request.email.clone(), request.user_id));
        Ok((*email == request.email).then_some(*user_id))
    }
    async fn list_sole_owned(&self, _: &CallContext, request: ListSoleOwned) -> Result<Vec<SoleOwnedWorkspace>> {
        let members = locked(&self.members);
        let of = |workspace: WorkspaceId| members.iter().filter(move |((id, _), _)| *id == workspace);
        let owned = members
            .iter()
            .filter(|((_, user), role)| *user == request.user_id && **role == Role::Owner);
        let sole = owned.map(|((workspace, _), _)| *workspace).filter(|id| {
            let owners = of(*id).filter(|(_, role)| **role == Role::Owner).count();
            owners == 1 && of(*id).count() > 1
        });
        Ok(sole
            .map(|workspace_id| SoleOwnedWorkspace {
                workspace_id,
                name: "Workspace".to_owned(),
                other_members: i64::try_from(of(workspace_id).count()).unwrap_or(i64::MAX) - 1,
            })
            .collect())
    }
}

/// Tasks by id.
#[derive(Debug, Default)]
pub struct FakeTasks {
    tasks: Mutex<BTreeMap<TaskId, TaskSummary>>,
}

impl FakeTasks {
    pub fn add(&self, task: TaskSummary) {
        locked(&self.tasks).insert(task.id, task);
    }
    pub fn remove(&self, id: TaskId) {
        locked(&self.tasks).remove(&id);
    }
}

#[async_trait]
impl Tasks for FakeTasks {
    async fn get_tasks(&self, _: &CallContext, request: GetTasks) -> Result<Vec<TaskSummary>> {
        let tasks = locked(&self.tasks);
        Ok(request.ids.iter().filter_map(|id| tasks.get(id).cloned()).collect())
    }
}

/// Boolean flags by key, for everybody alike; what is not set has its default.
#[derive(Debug, Default)]
pub struct FakeFlags {
    flags: Mutex<BTreeMap<String, bool>>,
}

impl FakeFlags {
    pub fn set(&self, key: &str, value: bool) {
        locked(&self.flags).insert(key.to_owned(), value);
    }
}

#[async_trait]
impl Flags for FakeFlags {
    async fn evaluate_boolean(&self, _: &CallContext, request: EvaluateBoolean) -> Result<BooleanEvaluation> {
        let set = locked(&self.flags).get(&request.key).copied();
        Ok(BooleanEvaluation {
            value: set.unwrap_or(request.default),
            reason: if set.is_some() { "STATIC" } else { "ERROR" }.to_owned(),
            variant: None,
            error_code: set.is_none().then(|| "FLAG_NOT_FOUND".to_owned()),
        })
    }
}

//! A service on a fresh database, with neighbours that answer from memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contracts::identity::{CheckSession, FindUserByEmail, GetUsers, Identity, Jwks, JwksRequest, SessionState, UserSummary};
use contracts::workspaces::{
    CheckInvitation, ClaimInvitation, GetMembership, GetProjectAccess, InvitationState, ListMembers, ListProjectAccess, ListSoleOwned,
    MemberSummary, Membership, ProjectAccess, SoleOwnedWorkspace, Workspaces,
};
use kernel::cursor::CursorCodec;
use kernel::ids::{EntityId, ProjectId, SessionId, TaskId, UserId, WorkspaceId};
use kernel::roles::Role;
use kernel::{Actor, CallContext, Result, Timestamp};
use platform::db::{Db, FromRow, Row};
use platform::due::DueItem;
use platform::http::IfMatch;
use platform::signals::Signals;
use platform::{Caller, Toolkit};
use sea_query::{Order, Query};
use serde_json::Value;
use testkit::{FixedClock, TestDb};

use crate::model::LabelId;
use crate::view::{StateView, TaskView};
use crate::{Config, SCHEMA, TasksService};

/// One project as the neighbour knows it.
#[derive(Debug, Clone)]
pub(super) struct Project {
    pub workspace_id: WorkspaceId,
    pub key: String,
    pub archived: bool,
    pub roles: HashMap<UserId, Role>,
}

#[derive(Debug, Default)]
pub(super) struct Neighbour {
    pub members: Mutex<HashMap<(WorkspaceId, UserId), Role>>,
    pub projects: Mutex<HashMap<ProjectId, Project>>,
    pub private: Mutex<HashSet<ProjectId>>,
    pub strict: Mutex<bool>,
    pub zone: Mutex<String>,
    /// Accounts that are locked or deleted.
    pub inactive: Mutex<Vec<UserId>>,
}

impl Neighbour {
    fn access(&self, project_id: ProjectId, user_id: UserId) -> Option<ProjectAccess> {
        let projects = self.projects.lock().unwrap();
        let project = projects.get(&project_id)?;
        let workspace = self.members.lock().unwrap().get(&(project.workspace_id, user_id)).copied();
        let private = self.private.lock().unwrap().contains(&project_id);
        let role = kernel::roles::effective_role(workspace, project.roles.get(&user_id).copied(), private)?;
        Some(ProjectAccess {
            workspace_id: project.workspace_id,
            project_id,
            project_key: project.key.clone(),
            project_name: format!("Project {}", project.key),
            archived: project.archived,
            role,
            strict_concurrency: *self.strict.lock().unwrap(),
            time_zone: self.zone.lock().unwrap().clone(),
        })
    }
}

#[async_trait]
impl Workspaces for Neighbour {
    async fn get_membership(&self, _: &CallContext, request: GetMembership) -> Result<Option<Membership>> {
        let role = self.members.lock().unwrap().get(&(request.workspace_id, request.user_id)).copied();
        Ok(role.map(|role| Membership {
            workspace_id: request.workspace_id,
            user_id: request.user_id,
            role,
            sales_role: None,
            strict_concurrency: *self.strict.lock().unwrap(),
            time_zone: self.zone.lock().unwrap().clone(),
        }))
    }
    async fn get_project_access(&self, _: &CallContext, request: GetProjectAccess) -> Result<Option<ProjectAccess>> {
        Ok(self.access(request.project_id, request.user_id))
    }
    async fn list_project_access(&self, _: &CallContext, request: ListProjectAccess) -> Result<Vec<ProjectAccess>> {
        let ids: Vec<ProjectId> = self.projects.lock().unwrap().keys().copied().collect();
        Ok(ids
            .into_iter()
            .filter_map(|id| self.access(id, request.user_id))
            .filter(|access| request.workspace_id.is_none_or(|id| id == access.workspace_id))
            .collect())
    }
    async fn list_members(&self, _: &CallContext, request: ListMembers) -> Result<Vec<MemberSummary>> {
        let members: Vec<(WorkspaceId, UserId)> = self.members.lock().unwrap().keys().copied().collect();
        Ok(members
            .into_iter()
            .filter(|(workspace_id, _)| *workspace_id == request.workspace_id)
            .filter_map(|(_, user_id)| {
                let role = self.access(request.project_id?, user_id)?.role;
                Some(MemberSummary { user_id, role })
            })
            .collect())
    }
    async fn check_invitation(&self, _: &CallContext, _: CheckInvitation) -> Result<InvitationState> {
        Ok(InvitationState { valid: false })
    }
    async fn claim_invitation(&self, _: &CallContext, _: ClaimInvitation) -> Result<Option<UserId>> {
        Ok(None)
    }
    async fn list_sole_owned(&self, _: &CallContext, _: ListSoleOwned) -> Result<Vec<SoleOwnedWorkspace>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Identity for Neighbour {
    async fn get_users(&self, _: &CallContext, request: GetUsers) -> Result<Vec<UserSummary>> {
        Ok(request
            .ids
            .into_iter()
            .map(|id| UserSummary {
                id,
                email: format!("{id}@example.org"),
                email_verified: true,
                name: format!("Person {id}"),
                time_zone: "UTC".into(),
                locale: "en".into(),
                active: !self.inactive.lock().unwrap().contains(&id),
            })
            .collect())
    }
    async fn find_user_by_email(&self, _: &CallContext, _: FindUserByEmail) -> Result<Option<UserSummary>> {
        Ok(None)
    }
    async fn check_session(&self, _: &CallContext, _: CheckSession) -> Result<SessionState> {
        Ok(SessionState {
            active: true,
            instance_admin: false,
        })
    }
    async fn jwks(&self, _: &CallContext, _: JwksRequest) -> Result<Jwks> {
        Ok(Jwks { keys: Vec::new() })
    }
}

/// A workspace with an owner, a collaborator and a viewer, two projects (`ABC`, `XYZ`), and a stranger.
pub(super) struct World {
    pub db: TestDb,
    pub service: Arc<TasksService>,
    pub neighbour: Arc<Neighbour>,
    pub clock: FixedClock,
    pub workspace_id: WorkspaceId,
    pub project_id: ProjectId,
    pub other_project_id: ProjectId,
    pub owner: UserId,
    pub ann: UserId,
    pub viewer: UserId,
    pub stranger: UserId,
}

pub(super) async fn world() -> World {
    let db = TestDb::new(SCHEMA).await;
    let clock = FixedClock::default();
    let neighbour = Arc::new(Neighbour::default());
    *neighbour.zone.lock().unwrap() = "Europe/Berlin".into();
    let toolkit = Toolkit {
        clock: Arc::new(clock.clone()),
        cursors: CursorCodec::new([7; 32]),
        signals: Signals::default(),
    };
    let service = TasksService::new(db.db(), Config::default(), toolkit, neighbour.clone(), neighbour.clone());
    let world = World {
        service,
        workspace_id: WorkspaceId::generate(&clock),
        project_id: ProjectId::generate(&clock),
        other_project_id: ProjectId::generate(&clock),
        owner: UserId::generate(&clock),
        ann: UserId::generate(&clock),
        viewer: UserId::generate(&clock),
        stranger: UserId::generate(&clock),
        db,
        neighbour,
        clock,
    };
    for (user, role) in [
        (world.owner, Role::Owner),
        (world.ann, Role::Collaborator),
        (world.viewer, Role::Viewer),
    ] {
        world.neighbour.members.lock().unwrap().insert((world.workspace_id, user), role);
    }
    for (id, key) in [(world.project_id, "ABC"), (world.other_project_id, "XYZ")] {
        world.neighbour.projects.lock().unwrap().insert(
            id,
            Project {
                workspace_id: world.workspace_id,
                key: key.into(),
                archived: false,
                roles: HashMap::new(),
            },
        );
    }
    world
}

impl World {
    /// A request of this person, now.
    pub fn caller(&self, user_id: UserId) -> Caller {
        Caller {
            actor: Actor::User {
                user_id,
                session_id: SessionId::generate(&self.clock),
            },
            ..Caller::system(&self.clock, "test")
        }
    }

    pub fn ann(&self) -> Caller {
        self.caller(self.ann)
    }

    /// Another workspace of Ann's, the same for the same number.
    pub fn extra_workspace(&self, number: usize) -> WorkspaceId {
        let id = WorkspaceId(kernel::ids::Uuid::from_u128(number as u128));
        self.neighbour.members.lock().unwrap().insert((id, self.ann), Role::Owner);
        id
    }

    pub fn extra_project(&self, workspace_id: WorkspaceId, number: usize) {
        let project = Project {
            workspace_id,
            key: format!("P{number}"),
            archived: false,
            roles: HashMap::new(),
        };
        self.neighbour
            .projects
            .lock()
            .unwrap()
            .insert(ProjectId::generate(&self.clock), project);
    }

    pub fn tick(&self) {
        self.clock.advance(Duration::from_millis(1));
    }

    pub fn db(&self) -> Db {
        self.db.db()
    }

    /// (type, data) of everything announced so far, oldest first.
    pub async fn events(&self) -> Vec<(String, Value)> {
        let select = Query::select()
            .columns(["event_type", "envelope"])
            .from("outbox")
            .order_by("seq", Order::Asc)
            .limit(10_000)
            .take();
        self.db
            .all::<EventRow>(select)
            .await
            .unwrap()
            .into_iter()
            .map(|row| (row.0, row.1["data"].clone()))
            .collect()
    }

    /// What waits to be done, by kind and key.
    pub async fn due(&self) -> Vec<DueRow> {
        let select = Query::select()
            .columns(["kind", "work_key", "payload", "run_at"])
            .from("due_work")
            .order_by("kind", Order::Asc)
            .order_by("work_key", Order::Asc)
            .limit(1_000)
            .take();
        self.db.all(select).await.unwrap()
    }

    /// Hands a waiting item to its handler.
    pub async fn run_due(&self, row: &DueRow) -> Result<()> {
        let handlers = crate::jobs::handlers(&self.service);
        let handler = handlers.iter().find(|handler| handler.kind() == row.kind).unwrap();
        let item = DueItem {
            id: kernel::ids::uuid_v7(&self.clock),
            kind: row.kind.clone(),
            key: row.key.clone(),
            payload: row.payload.clone(),
            attempt: 1,
            request_id: "due".into(),
        };
        handler.run(&item).await
    }

    /// Ann creates a task in `ABC`.
    pub async fn create(&self, command: Value) -> TaskView {
        self.tick();
        self.service
            .create_task(&self.ann(), self.project_id, body(command))
            .await
            .unwrap()
            .body
    }

    pub async fn patch(&self, id: TaskId, command: Value) -> Result<TaskView> {
        self.tick();
        let reply = self.service.update_task(&self.ann(), id, &if_match(None), body(command)).await?;
        Ok(reply.body)
    }

    pub async fn read(&self, id: TaskId) -> TaskView {
        self.service.get_task(&self.ann(), id).await.unwrap()
    }

    pub async fn label(&self, name: &str) -> LabelId {
        let command = body(serde_json::json!({ "name": name }));
        self.service
            .create_label(&self.ann(), self.workspace_id, command)
            .await
            .unwrap()
            .body
            .id
    }

    pub async fn states(&self) -> Vec<StateView> {
        self.service.list_states(&self.ann(), self.workspace_id).await.unwrap().items
    }

    /// Types announced since the `skip`-th event, short: `task_created`.
    pub async fn event_types(&self, skip: usize) -> Vec<String> {
        let short = |name: String| name.trim_start_matches("tasks.").trim_end_matches(".v1").to_owned();
        self.events().await.into_iter().skip(skip).map(|(name, _)| short(name)).collect()
    }
}

struct EventRow(String, Value);

impl FromRow for EventRow {
    fn from_row(row: &Row<'_>) -> std::result::Result<Self, platform::db::DbError> {
        let envelope = row.get::<String>(1)?;
        Ok(Self(row.get(0)?, serde_json::from_str(&envelope).unwrap()))
    }
}

/// A row of the due work.
pub(super) struct DueRow {
    pub kind: String,
    pub key: Option<String>,
    pub payload: Value,
    pub run_at: Timestamp,
}

impl FromRow for DueRow {
    fn from_row(row: &Row<'_>) -> std::result::Result<Self, platform::db::DbError> {
        let payload = row.get::<String>(2)?;
        Ok(Self {
            kind: row.get(0)?,
            key: row.get(1)?,
            payload: serde_json::from_str(&payload).unwrap(),
            run_at: row.get(3)?,
        })
    }
}

/// A command as it arrives in a body.
pub(super) fn body<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(super) fn if_match(version: Option<i64>) -> IfMatch {
    let mut headers = http::HeaderMap::new();
    if let Some(version) = version {
        headers.insert("if-match", format!("\"{version}\"").parse().unwrap());
    }
    IfMatch::from_headers(&headers)
}

/// The code of the error a call must end with.
pub(super) fn code<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().code.into_owned()
}

/// `pointer code` of every field error.
pub(super) fn field_codes<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
    let error = result.unwrap_err();
    assert_eq!(error.kind, kernel::ErrorKind::Invalid, "{error}");
    error
        .fields
        .iter()
        .map(|field| format!("{} {}", field.pointer, field.code))
        .collect()
}

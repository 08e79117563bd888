//! Use cases on a real database, with a directory of people in memory.

mod access;
mod concurrency;
mod invitations;
mod members;
mod prepare;
mod projects;
mod sweeps;
mod workspaces;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::identity::{CheckSession, FindUserByEmail, GetUsers, Identity, Jwks, JwksRequest, SessionState, UserSummary};
use contracts::workspaces::{GetMembership, GetProjectAccess, ListSoleOwned, Membership, ProjectAccess, SoleOwnedWorkspace, Workspaces};
use contracts::{Envelope, EventPayload};
use http::{HeaderMap, HeaderValue};
use kernel::cursor::CursorCodec;
use kernel::ids::{EntityId, ProjectId, SessionId, UserId, WorkspaceId};
use kernel::roles::{Role, SalesRole};
use kernel::{Actor, CallContext, Clock, Result};
use platform::db::{FromRow, Row};
use platform::due::{DueConfig, DueHandler, DueItem, DueRunner};
use platform::http::IfMatch;
use platform::mail::Mail;
use platform::signals::Signals;
use platform::{Caller, Toolkit};
use sea_query::{Alias, Order, Query};
use testkit::{FixedClock, TestDb};

use crate::model::Member;
use crate::service::invitations::CreateInvitation;
use crate::service::projects::CreateProject;
use crate::service::workspaces::CreateWorkspace;
use crate::views::{ProjectView, WorkspaceView};
use crate::{Config, SCHEMA, WorkspacesService, store};
use kernel::cursor::PageRequest;

/// A directory of people.
#[derive(Default)]
pub(super) struct People {
    by_id: Mutex<HashMap<UserId, UserSummary>>,
    calls: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl Identity for People {
    async fn get_users(&self, _: &CallContext, request: GetUsers) -> Result<Vec<UserSummary>> {
        self.calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let people = self.by_id.lock().expect("people");
        Ok(request.ids.iter().filter_map(|id| people.get(id).cloned()).collect())
    }
    async fn find_user_by_email(&self, _: &CallContext, request: FindUserByEmail) -> Result<Option<UserSummary>> {
        let people = self.by_id.lock().expect("people");
        Ok(people.values().find(|user| user.email == request.email).cloned())
    }
    async fn check_session(&self, _: &CallContext, _: CheckSession) -> Result<SessionState> {
        unreachable!("sessions are checked at the edge")
    }
    async fn jwks(&self, _: &CallContext, _: JwksRequest) -> Result<Jwks> {
        unreachable!("tokens are checked at the edge")
    }
}

pub(super) struct World {
    pub db: TestDb,
    pub service: Arc<WorkspacesService>,
    pub clock: FixedClock,
    people: Arc<People>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let db = TestDb::new(SCHEMA).await;
        let clock = FixedClock::default();
        let people = Arc::new(People::default());
        let toolkit = Toolkit {
            clock: Arc::new(clock.clone()),
            cursors: CursorCodec::new([7; 32]),
            signals: Signals::default(),
        };
        let service = WorkspacesService::new(db.db(), config, toolkit, people.clone());
        Self {
            db,
            service,
            clock,
            people,
        }
    }

    /// Ids are in order of time, to the millisecond.
    pub fn tick(&self) {
        self.clock.advance(std::time::Duration::from_millis(1));
    }

    /// Somebody with an account and the address `<name>@example.com`.
    pub fn person(&self, name: &str) -> UserId {
        self.tick();
        let id = UserId::generate(&self.clock);
        let user = UserSummary {
            id,
            email: format!("{name}@example.com"),
            email_verified: false,
            name: name.to_owned(),
            time_zone: "UTC".into(),
            locale: "en".into(),
            active: true,
        };
        self.people.by_id.lock().expect("people").insert(id, user);
        id
    }

    pub fn directory_calls(&self) -> usize {
        self.people.calls.swap(0, std::sync::atomic::Ordering::SeqCst)
    }

    pub fn caller(&self, user_id: UserId) -> Caller {
        Caller {
            actor: Actor::User {
                user_id,
                session_id: SessionId::generate(&self.clock),
            },
            ..self.nobody()
        }
    }

    pub fn nobody(&self) -> Caller {
        Caller {
            actor: Actor::Anonymous,
            ..Caller::system(&self.clock, "test")
        }
    }

    pub async fn workspace(&self, owner: UserId, name: &str) -> WorkspaceView {
        let command = CreateWorkspace {
            name: name.into(),
            slug: None,
            description: None,
            time_zone: None,
            strict_concurrency: false,
            default_role: None,
        };
        self.service
            .create_workspace(&self.caller(owner), command)
            .await
            .expect("the workspace is made")
            .body
    }

    /// Straight into the tables; how people really come in is for the tests of invitations.
    pub async fn join(&self, workspace: WorkspaceId, user_id: UserId, role: Role, sales_role: Option<SalesRole>) {
        let scope = crate::service::access::Scope::for_system(workspace);
        let mut unit = platform::db::Unit::new(&self.nobody());
        let now = self.clock.now();
        let change = store::workspaces::Headcount {
            members: 1,
            owners: i64::from(role == Role::Owner),
            max_members: 1_000,
            deleted: false,
        };
        store::workspaces::change_headcount(&mut unit, &scope, change, crate::error::WORKSPACE_GONE);
        let member = Member {
            workspace_id: workspace,
            user_id,
            role,
            sales_role,
            version: 1,
            invited_by: None,
            created_at: now,
            updated_at: now,
        };
        store::members::insert(&mut unit, &member);
        self.db.apply(unit).await.expect("joined");
        let changed = platform::signals::Signal::MembershipChanged {
            workspace_id: workspace,
            user_id: None,
        };
        self.service.toolkit.signals.publish(changed);
    }

    pub async fn joined(&self, workspace: WorkspaceId, name: &str, role: Role) -> UserId {
        let user_id = self.person(name);
        self.join(workspace, user_id, role, None).await;
        user_id
    }

    pub async fn project(&self, maker: UserId, workspace_id: WorkspaceId, key: &str, private: bool) -> ProjectView {
        self.tick();
        let command = CreateProject {
            workspace_id,
            key: key.into(),
            name: format!("Project {key}"),
            description: None,
            private,
        };
        self.service
            .create_project(&self.caller(maker), command)
            .await
            .expect("the project is made")
            .body
    }

    pub async fn membership(&self, workspace_id: WorkspaceId, user_id: UserId) -> Option<Membership> {
        let request = GetMembership { user_id, workspace_id };
        self.service
            .get_membership(&self.nobody().call(), request)
            .await
            .expect("an answer")
    }

    pub async fn access(&self, project_id: ProjectId, user_id: UserId) -> Option<ProjectAccess> {
        let request = GetProjectAccess { user_id, project_id };
        self.service
            .get_project_access(&self.nobody().call(), request)
            .await
            .expect("an answer")
    }

    /// Runs the mails that wait.
    pub async fn mails(&self) -> Vec<Mail> {
        let box_ = Arc::new(MailBox::default());
        let handlers: Vec<Arc<dyn DueHandler>> = vec![box_.clone()];
        let runner = DueRunner::new(self.db.db(), Arc::new(self.clock.clone()), handlers, DueConfig::default());
        runner.run_ready().await.expect("due work runs");
        let mut mails = box_.0.lock().expect("mails");
        std::mem::take(&mut *mails)
    }

    /// The token in the one mail that waits.
    pub async fn mailed_token(&self) -> String {
        let mails = self.mails().await;
        assert_eq!(mails.len(), 1, "one mail");
        let (_, rest) = mails[0].text.split_once("/v1/invitations/").expect("a link");
        rest.chars().take(43).collect()
    }

    pub async fn events(&self) -> Vec<Envelope> {
        struct Text(String);
        impl FromRow for Text {
            fn from_row(row: &Row<'_>) -> std::result::Result<Self, platform::db::DbError> {
                row.get(0).map(Self)
            }
        }
        let select = Query::select()
            .column(Alias::new("envelope"))
            .from(Alias::new("outbox"))
            .order_by(Alias::new("seq"), Order::Asc)
            .take();
        let rows: Vec<Text> = self.db.all(select).await.expect("the outbox");
        rows.into_iter()
            .map(|row| serde_json::from_str(&row.0).expect("an envelope"))
            .collect()
    }

    pub async fn events_of<P: EventPayload>(&self) -> Vec<P> {
        let all = self.events().await;
        all.iter()
            .filter_map(Envelope::payload)
            .map(|payload| payload.expect("the payload"))
            .collect()
    }
}

#[derive(Default)]
struct MailBox(Mutex<Vec<Mail>>);

#[async_trait]
impl DueHandler for MailBox {
    fn kind(&self) -> &'static str {
        "mail.send"
    }
    async fn run(&self, item: &DueItem) -> Result<()> {
        let mail = serde_json::from_value(item.payload.clone()).expect("a mail");
        self.0.lock().expect("mails").push(mail);
        Ok(())
    }
}

pub(super) fn if_match(version: i64) -> IfMatch {
    let mut headers = HeaderMap::new();
    headers.insert(
        http::header::IF_MATCH,
        HeaderValue::from_str(&format!("\"{version}\"")).expect("a header"),
    );
    IfMatch::from_headers(&headers)
}

/// `If-Match: *`
pub(super) fn any_match() -> IfMatch {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::IF_MATCH, HeaderValue::from_static("*"));
    IfMatch::from_headers(&headers)
}

pub(super) fn no_match() -> IfMatch {
    IfMatch::from_headers(&HeaderMap::new())
}

pub(super) fn page(limit: u32, cursor: Option<String>) -> PageRequest {
    PageRequest { limit, cursor }
}

pub(super) fn by_mail(email: &str, role: Role) -> CreateInvitation {
    CreateInvitation {
        email: Some(email.into()),
        role: Some(role),
        sales_role: None,
        expires_in: None,
        single_use: None,
    }
}

pub(super) fn by_link(role: Role, single_use: bool) -> CreateInvitation {
    CreateInvitation {
        email: None,
        role: Some(role),
        sales_role: None,
        expires_in: None,
        single_use: Some(single_use),
    }
}

/// The code of the error; the test fails when there is none.
pub(super) fn code<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.code.into_owned(),
    }
}

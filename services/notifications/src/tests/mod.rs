//! The service on a real database, with the other services faked.

mod digest;
mod inbox;
mod news;
mod prepare;
mod reasons;
mod streams;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use contracts::tasks::TaskSummary;
use contracts::tasks::events::{TaskCreated, TaskRef};
use contracts::{Envelope, EventPayload};
use kernel::ids::{EntityId, EventId, ProjectId, SessionId, TaskId, UserId, WorkspaceId};
use kernel::roles::Role;
use kernel::{Actor, Clock};
use platform::db::{Db, DbError, FromRow, Row, Unit};
use platform::due::{DueConfig, DueRunner};
use platform::http::IfMatch;
use platform::signals::Signals;
use platform::{Caller, Service, Toolkit};
use sea_query::{Alias, Asterisk, Expr, ExprTrait, Func, Order, Query};
use testkit::fakes::{FakeIdentity, FakeTasks, FakeWorkspaces};
use testkit::{FixedClock, TestDb};

use crate::service::inbox::ListInbox;
use crate::service::views::NotificationView;
use crate::store::inbox::Count;
use crate::{Config, NotificationsService, SCHEMA};

/// One workspace with a project; Ada owns it, Ben and Cleo collaborate, Mallory is a stranger.
pub(crate) struct World {
    db: TestDb,
    clock: FixedClock,
    signals: Signals,
    identity: Arc<FakeIdentity>,
    workspaces: Arc<FakeWorkspaces>,
    tasks: Arc<FakeTasks>,
    pub(crate) service: Arc<NotificationsService>,
    workspace: WorkspaceId,
    project: ProjectId,
    ada: UserId,
    ben: UserId,
    cleo: UserId,
    mallory: UserId,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let db = TestDb::new(SCHEMA).await;
        let clock = FixedClock::default();
        let signals = Signals::default();
        let identity = Arc::new(FakeIdentity::default());
        let workspaces = Arc::new(FakeWorkspaces::default());
        let tasks = Arc::new(FakeTasks::default());
        let (workspace, project) = (WorkspaceId::generate(&clock), ProjectId::generate(&clock));
        let people = ["Ada", "Ben", "Cleo", "Mallory"].map(|name| {
            let id = UserId::generate(&clock);
            identity.add(id, name);
            id
        });
        let [ada, ben, cleo, mallory] = people;
        workspaces.add_member(workspace, ada, Role::Owner);
        workspaces.add_member(workspace, ben, Role::Collaborator);
        workspaces.add_member(workspace, cleo, Role::Collaborator);
        workspaces.add_project(workspace, project, false);
        let toolkit = Toolkit {
            clock: Arc::new(clock.clone()),
            cursors: kernel::cursor::CursorCodec::new([7; 32]),
            signals: signals.clone(),
        };
        let service = NotificationsService::new(db.db(), config, toolkit, workspaces.clone(), identity.clone(), tasks.clone());
        Self {
            db,
            clock,
            signals,
            identity,
            workspaces,
            tasks,
            service,
            workspace,
            project,
            ada,
            ben,
            cleo,
            mallory,
        }
    }

    fn caller(&self, user_id: UserId) -> Caller {
        Caller {
            actor: Actor::User {
                user_id,
                session_id: SessionId::from_uuid(user_id.uuid()),
            },
            ..Caller::system(&self.clock, "test")
        }
    }

    /// A task of Ada's that tasks knows, in this project.
    fn task(&self, assignees: &[UserId]) -> TaskRef {
        let task = TaskRef {
            task_id: TaskId::generate(&self.clock),
            workspace_id: self.workspace,
            project_id: self.project,
            title: "Fix the login".to_owned(),
            assignee_ids: assignees.to_vec(),
            creator_id: Some(self.ada),
            version: 1,
        };
        self.tasks.add(TaskSummary {
            id: task.task_id,
            workspace_id: task.workspace_id,
            project_id: task.project_id,
            key: "ABC-12".to_owned(),
            title: task.title.clone(),
            assignee_ids: task.assignee_ids.clone(),
            creator_id: task.creator_id,
        });
        task
    }

    fn created(&self, assignees: &[UserId]) -> TaskCreated {
        TaskCreated {
            task: self.task(assignees),
            mentioned_ids: Vec::new(),
            import_id: None,
        }
    }

    fn envelope<P: EventPayload>(&self, actor: Option<UserId>, payload: &P) -> Envelope {
        let service = P::TYPE.split('.').next().unwrap_or_default();
        Envelope {
            specversion: "1.0".to_owned(),
            id: EventId::generate(&self.clock),
            source: format!("/services/{service}"),
            event_type: P::TYPE.to_owned(),
            subject: payload.subject(),
            time: self.clock.now(),
            datacontenttype: "application/json".to_owned(),
            workspaceid: payload.workspace_id(),
            actor: actor.map_or(Actor::System, |actor| self.caller(actor).actor),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            requestid: Some("req-secret".to_owned()),
            data: serde_json::to_value(payload).expect("json"),
        }
    }

    /// What the relay does once: every consumer that wants the event, each in its own unit.
    async fn try_deliver(&self, envelope: &Envelope) -> Result<(), DbError> {
        for consumer in Arc::clone(&self.service).consumers() {
            if consumer.event_types().contains(&envelope.event_type.as_str()) {
                let mut unit = Unit::new(&Caller::system(&self.clock, "relay"));
                consumer.handle(envelope, &mut unit).await.expect("the consumer decides");
                consumer.db().apply(unit).await?;
            }
        }
        Ok(())
    }

    async fn happens<P: EventPayload>(&self, actor: Option<UserId>, payload: &P) {
        self.clock.advance(Duration::from_millis(1));
        self.try_deliver(&self.envelope(actor, payload)).await.expect("delivered");
    }

    async fn inbox(&self, user: UserId) -> Vec<NotificationView> {
        let request = ListInbox {
            unread: None,
            workspace_id: None,
            kinds: Vec::new(),
            cursor: None,
            limit: 200,
            include_total: false,
        };
        self.service.list_inbox(&self.caller(user), request).await.expect("inbox").items
    }

    /// Kinds in a person's inbox, newest first.
    async fn kinds(&self, user: UserId) -> Vec<&'static str> {
        self.inbox(user).await.iter().map(|item| item.kind.as_str()).collect()
    }

    async fn unread(&self, user: UserId) -> u64 {
        self.service.count_unread(&self.caller(user)).await.expect("count").unread
    }

    /// Mails that wait to be sent, oldest first.
    async fn mails(&self) -> Vec<platform::mail::Mail> {
        let select = Query::select()
            .column(Alias::new("payload"))
            .from(Alias::new("due_work"))
            .and_where(Expr::col(Alias::new("kind")).eq("mail.send"))
            .order_by(Alias::new("created_at"), Order::Asc)
            .to_owned();
        let rows: Vec<Text> = self.db.all(select).await.expect("mails");
        rows.iter().map(|row| serde_json::from_str(&row.0).expect("a mail")).collect()
    }

    /// Runs the due work of this service that is ready; the mails wait on.
    async fn work(&self) {
        let handlers = Arc::clone(&self.service).due_handlers();
        let clock = Arc::new(self.clock.clone());
        DueRunner::new(self.db.db(), clock, handlers, DueConfig::default())
            .run_ready()
            .await
            .expect("due work");
    }

    /// Events this service has announced.
    async fn announced(&self) -> usize {
        rows(&self.db, "outbox").await
    }
}

/// No `If-Match`.
fn no_match() -> IfMatch {
    IfMatch::from_headers(&http::HeaderMap::new())
}

/// `If-Match` with the tag of an answer.
fn if_match(version: Option<i64>) -> IfMatch {
    let tag = platform::http::etag(version.expect("a tag"));
    IfMatch::from_headers(&http::HeaderMap::from_iter([(http::header::IF_MATCH, tag)]))
}

struct Text(String);

impl FromRow for Text {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.get(0)?))
    }
}

async fn rows(db: &Db, table: &str) -> usize {
    let mut select = Query::select();
    select.expr(Func::count(Expr::col(Asterisk))).from(Alias::new(table));
    let count: Count = db.one(select).await.expect("count");
    usize::try_from(count.0).expect("a count")
}

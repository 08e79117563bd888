//! The service on a real database, with the other services and the network faked.

mod administration;
mod deliveries;
mod prepare;
mod secrets;
mod sending;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contracts::tasks::events::{TaskCreated, TaskRef};
use contracts::{Envelope, EventPayload};
use http::{HeaderMap, StatusCode};
use kernel::ids::{EntityId, EventId, ProjectId, SessionId, TaskId, UserId, WebhookId, WorkspaceId};
use kernel::roles::Role;
use kernel::time::SharedClock;
use kernel::{Actor, Clock, Error};
use platform::db::{Db, DbError, Unit};
use platform::due::{DueConfig, DueHandler, DueRunner};
use platform::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use platform::mail::{Mail, MailHandler, Mailer};
use platform::seal::SealKey;
use platform::signals::Signals;
use platform::{Caller, Service, Toolkit};
use sea_query::{Alias, Asterisk, Expr, ExprTrait, Func, Query};
use testkit::fakes::{FakeFlags, FakeIdentity, FakeWorkspaces};
use testkit::{FixedClock, TestDb};

use crate::model::{DeliveryId, DeliveryState};
use crate::service::views::{DeliveryDetailView, DeliveryView, WebhookView};
use crate::service::webhooks::CreateWebhook;
use crate::store::deliveries::Filter;
use crate::{Config, SCHEMA, WebhooksService};
use kernel::cursor::PageRequest;

/// What the receiver answers next; 200 when nothing is scripted.
type Scripted = Result<EgressResponse, EgressError>;

/// A network where everything is allowed but what is refused here.
#[derive(Default)]
pub(crate) struct FakeNetwork {
    pub sent: Mutex<Vec<EgressRequest>>,
    pub answers: Mutex<VecDeque<Scripted>>,
    /// Answers for all that is not scripted.
    pub usual: Mutex<Option<Scripted>>,
    pub refused: Mutex<Option<EgressError>>,
}

impl FakeNetwork {
    pub fn sent(&self) -> Vec<EgressRequest> {
        self.sent.lock().expect("lock").clone()
    }
    pub fn will(&self, answers: impl IntoIterator<Item = Scripted>) {
        self.answers.lock().expect("lock").extend(answers);
    }
    pub fn always(&self, answer: Scripted) {
        *self.usual.lock().expect("lock") = Some(answer);
    }
}

/// An answer with a status.
pub(crate) fn status(code: u16) -> Scripted {
    with_header(code, "content-type", "text/plain")
}

#[expect(clippy::unnecessary_wraps, reason = "one of the answers of a script, which may be errors too")]
pub(crate) fn with_header(code: u16, name: &'static str, value: &'static str) -> Scripted {
    let header = (name.parse().expect("a name"), value.parse().expect("a value"));
    Ok(EgressResponse {
        status: StatusCode::from_u16(code).expect("a status"),
        headers: HeaderMap::from_iter([header]),
        body: Bytes::from(format!("said {code}")),
        truncated: false,
    })
}

#[async_trait]
impl Egress for FakeNetwork {
    async fn check(&self, _: &str) -> Result<(), EgressError> {
        self.refused.lock().expect("lock").clone().map_or(Ok(()), Err)
    }
    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        self.sent.lock().expect("lock").push(request);
        let scripted = self.answers.lock().expect("lock").pop_front();
        let usual = self.usual.lock().expect("lock").clone();
        scripted.or(usual).unwrap_or_else(|| status(200))
    }
}

#[derive(Default)]
struct Postbox(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Postbox {
    async fn send(&self, mail: &Mail) -> Result<(), Error> {
        self.0.lock().expect("lock").push(mail.clone());
        Ok(())
    }
}

/// One workspace with a project; Ada owns it, Ben collaborates, Mallory is a stranger.
pub(crate) struct World {
    pub db: TestDb,
    pub clock: FixedClock,
    pub network: Arc<FakeNetwork>,
    pub workspaces: Arc<FakeWorkspaces>,
    pub flags: Arc<FakeFlags>,
    pub service: Arc<WebhooksService>,
    postbox: Arc<Postbox>,
    runner: Arc<DueRunner>,
    pub workspace: WorkspaceId,
    pub project: ProjectId,
    pub ada: UserId,
    pub ben: UserId,
    pub mallory: UserId,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let db = TestDb::new(SCHEMA).await;
        let clock = FixedClock::default();
        let (identity, workspaces) = (Arc::new(FakeIdentity::default()), Arc::new(FakeWorkspaces::default()));
        let (workspace, project) = (WorkspaceId::generate(&clock), ProjectId::generate(&clock));
        let [ada, ben, mallory] = ["Ada", "Ben", "Mallory"].map(|name| {
            let id = UserId::generate(&clock);
            identity.add(id, name);
            id
        });
        workspaces.add_member(workspace, ada, Role::Owner);
        workspaces.add_member(workspace, ben, Role::Collaborator);
        workspaces.add_project(workspace, project, false);
        let shared: SharedClock = Arc::new(clock.clone());
        let toolkit = Toolkit {
            clock: Arc::clone(&shared),
            cursors: kernel::cursor::CursorCodec::new([7; 32]),
            signals: Signals::default(),
        };
        let (network, postbox) = (Arc::new(FakeNetwork::default()), Arc::new(Postbox::default()));
        let flags = Arc::new(FakeFlags::default());
        let service = WebhooksService::new(
            db.db(),
            config,
            toolkit,
            SealKey::new([9; 32]),
            workspaces.clone(),
            identity,
            network.clone(),
            flags.clone(),
        );
        let mut handlers: Vec<Arc<dyn DueHandler>> = Arc::clone(&service).due_handlers();
        handlers.push(Arc::new(MailHandler::new(postbox.clone())));
        let due = service.due_config(&DueConfig::default());
        let runner = DueRunner::new(db.db(), shared, handlers, due);
        Self {
            db,
            clock,
            network,
            workspaces,
            flags,
            service,
            postbox,
            runner,
            workspace,
            project,
            ada,
            ben,
            mallory,
        }
    }

    pub fn caller(&self, user_id: UserId) -> Caller {
        Caller {
            actor: Actor::User {
                user_id,
                session_id: SessionId::from_uuid(user_id.uuid()),
            },
            ..Caller::system(&self.clock, "test")
        }
    }

    pub fn command(event_types: &[&str]) -> CreateWebhook {
        CreateWebhook {
            url: "https://hooks.example.com/in?key=1".to_owned(),
            description: None,
            event_types: event_types.iter().map(|&name| name.to_owned()).collect(),
            project_id: None,
            enabled: true,
        }
    }

    /// A webhook of Ada's, and its secret.
    pub async fn webhook(&self, event_types: &[&str]) -> (WebhookView, String) {
        self.clock.advance(Duration::from_millis(1));
        let made = self
            .service
            .create_webhook(&self.caller(self.ada), self.workspace, Self::command(event_types))
            .await
            .expect("made");
        (made.body.webhook, made.body.secret.expect("a secret"))
    }

    pub async fn read(&self, id: WebhookId) -> WebhookView {
        let reply = self.service.get_webhook(&self.caller(self.ada), self.workspace, id).await;
        reply.expect("the webhook").body
    }

    pub fn task_created(&self) -> TaskCreated {
        TaskCreated {
            task: TaskRef {
                task_id: TaskId::generate(&self.clock),
                workspace_id: self.workspace,
                project_id: self.project,
                title: "Fix the “login”".to_owned(),
                assignee_ids: vec![self.ben],
                creator_id: Some(self.ada),
                version: 1,
            },
            mentioned_ids: Vec::new(),
            import_id: None,
        }
    }

    pub fn envelope<P: EventPayload>(&self, payload: &P) -> Envelope {
        Envelope {
            specversion: "1.0".to_owned(),
            id: EventId::generate(&self.clock),
            source: "/services/tasks".to_owned(),
            event_type: P::TYPE.to_owned(),
            subject: payload.subject(),
            time: self.clock.now(),
            datacontenttype: "application/json".to_owned(),
            workspaceid: payload.workspace_id(),
            actor: self.caller(self.ada).actor,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            requestid: Some("req-secret".to_owned()),
            data: serde_json::to_value(payload).expect("json"),
        }
    }

    /// What the relay does: the consumers that want the event, each in its own unit.
    pub async fn try_deliver(&self, envelope: &Envelope) -> Result<(), DbError> {
        for consumer in Arc::clone(&self.service).consumers() {
            if consumer.event_types().contains(&envelope.event_type.as_str()) {
                let mut unit = Unit::new(&Caller::system(&self.clock, "relay"));
                consumer.handle(envelope, &mut unit).await.expect("the consumer decides");
                self.db.apply(unit).await?;
            }
        }
        Ok(())
    }

    pub async fn happens<P: EventPayload>(&self, payload: &P) -> EventId {
        self.clock.advance(Duration::from_millis(1));
        let envelope = self.envelope(payload);
        self.try_deliver(&envelope).await.expect("delivered");
        envelope.id
    }

    pub async fn task_happens(&self) -> EventId {
        self.happens(&self.task_created()).await
    }

    /// Runs the due work that is ready.
    pub async fn work(&self) {
        self.runner.run_ready().await.expect("runs");
    }

    pub async fn after(&self, time: Duration) {
        self.clock.advance(time);
        self.work().await;
    }

    pub async fn deliveries(&self, webhook: WebhookId, filter: Filter) -> Vec<DeliveryView> {
        let page = PageRequest { limit: 200, cursor: None };
        let listed = self
            .service
            .list_deliveries(&self.caller(self.ada), self.workspace, webhook, filter, page)
            .await;
        listed.expect("the log").items
    }

    pub async fn only_delivery(&self, webhook: WebhookId) -> DeliveryView {
        let mut all = self.deliveries(webhook, Filter::default()).await;
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    pub async fn detail(&self, webhook: WebhookId, id: DeliveryId) -> DeliveryDetailView {
        let found = self.service.get_delivery(&self.caller(self.ada), self.workspace, webhook, id).await;
        found.expect("the delivery")
    }

    pub async fn state(&self, webhook: WebhookId) -> (DeliveryState, i32) {
        let delivery = self.only_delivery(webhook).await;
        (delivery.state, delivery.attempts)
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.postbox.0.lock().expect("lock").clone()
    }
}

/// Rows of a table.
pub(crate) async fn rows(db: &Db, table: &str) -> i64 {
    let mut select = Query::select();
    select.expr(Func::count(Expr::col(Asterisk))).from(Alias::new(table));
    db.one(select).await.expect("count")
}

/// Events of a type that this service has announced.
pub(crate) async fn announced(db: &Db, event_type: &str) -> i64 {
    let select = Query::select()
        .expr(Func::count(Expr::col(Asterisk)))
        .from(Alias::new("outbox"))
        .and_where(Expr::col(Alias::new("event_type")).eq(event_type))
        .take();
    db.one(select).await.expect("count")
}

//! The service on a real database, with the other services faked.

mod prepare;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use contracts::audit::events::{ActionRecorded, Source};
use contracts::audit::{Action, Entry, Log};
use contracts::{Envelope, EventPayload};
use kernel::ids::{EntityId, EventId, SessionId, UserId, WorkspaceId};
use kernel::roles::Role;
use kernel::time::SharedClock;
use kernel::{Actor, Clock};
use platform::db::{DbError, Unit};
use platform::signals::Signals;
use platform::{Caller, Service, Toolkit};
use testkit::fakes::{FakeIdentity, FakeWorkspaces};
use testkit::{FixedClock, TestDb};

use crate::model::seal::{AuditKey, Walk};
use crate::model::{Head, log_id};
use crate::service::views::AuditEntryView;
use crate::store::entries::{self, Filter};
use crate::store::logs;
use crate::{AuditService, Config, SCHEMA};
use kernel::cursor::PageRequest;

/// One workspace; Ada owns it, Ben collaborates, Mallory is a stranger.
pub(crate) struct World {
    pub db: TestDb,
    pub clock: FixedClock,
    pub service: Arc<AuditService>,
    pub workspace: WorkspaceId,
    pub ada: UserId,
    pub ben: UserId,
    pub mallory: UserId,
}

impl World {
    pub async fn new() -> Self {
        let db = TestDb::new(SCHEMA).await;
        let clock = FixedClock::default();
        let (identity, workspaces) = (Arc::new(FakeIdentity::default()), Arc::new(FakeWorkspaces::default()));
        let workspace = WorkspaceId::generate(&clock);
        let [ada, ben, mallory] = ["Ada", "Ben", "Mallory"].map(|name| {
            let id = UserId::generate(&clock);
            identity.add(id, name);
            id
        });
        workspaces.add_member(workspace, ada, Role::Owner);
        workspaces.add_member(workspace, ben, Role::Collaborator);
        let shared: SharedClock = Arc::new(clock.clone());
        let toolkit = Toolkit {
            clock: shared,
            cursors: kernel::cursor::CursorCodec::new([7; 32]),
            signals: Signals::default(),
        };
        let service = AuditService::new(db.db(), Config::default(), toolkit, Self::key(), workspaces, identity);
        Self {
            db,
            clock,
            service,
            workspace,
            ada,
            ben,
            mallory,
        }
    }

    pub fn key() -> AuditKey {
        AuditKey::new([9; 32])
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

    pub fn envelope<P: EventPayload>(&self, payload: &P) -> Envelope {
        Envelope {
            specversion: "1.0".to_owned(),
            id: EventId::generate(&self.clock),
            source: "/services/workspaces".to_owned(),
            event_type: P::TYPE.to_owned(),
            subject: payload.subject(),
            time: self.clock.now(),
            datacontenttype: "application/json".to_owned(),
            workspaceid: payload.workspace_id(),
            actor: self.caller(self.ada).actor,
            traceparent: None,
            requestid: Some("req-1".to_owned()),
            data: serde_json::to_value(payload).expect("json"),
        }
    }

    /// What the relay does.
    pub async fn try_deliver(&self, envelope: &Envelope) -> Result<(), DbError> {
        for consumer in Arc::clone(&self.service).consumers() {
            let mut unit = Unit::new(&Caller::system(&self.clock, "relay"));
            consumer.handle(envelope, &mut unit).await.expect("the consumer decides");
            self.db.db().apply(unit).await?;
        }
        Ok(())
    }

    pub async fn happens<P: EventPayload>(&self, payload: &P) {
        self.clock.advance(Duration::from_millis(1));
        self.try_deliver(&self.envelope(payload)).await.expect("delivered");
    }

    /// An entry in the log of the workspace.
    pub fn recorded(&self, action: Action, name: &str) -> ActionRecorded {
        let entry = Entry::new(Log::Workspace(self.workspace), action, "project").id("p-1").name(name);
        let source = Source {
            address: [203, 0, 113, 9].into(),
            user_agent: Some("curl/8.5.0".into()),
        };
        ActionRecorded::new(entry, Some(source))
    }

    pub async fn page(&self, filter: &Filter) -> Vec<AuditEntryView> {
        let caller = self.caller(self.ada);
        let log = self.service.workspace_log(&caller, self.workspace).await.expect("readable");
        let page = PageRequest { limit: 200, cursor: None };
        self.service.list_entries(&caller, log, filter, page).await.expect("a page").items
    }

    pub async fn head(&self) -> Option<Head> {
        let log = log_id(Log::Workspace(self.workspace));
        logs::find(&self.db.db(), log).await.expect("read")
    }

    /// What `guildhall verify` finds.
    pub async fn faults(&self) -> Vec<String> {
        let db = self.db.db();
        let mut faults = Vec::new();
        for head in db.all::<Head>(logs::page(None, 100)).await.expect("read") {
            let log = head.log_id;
            let key = Self::key();
            let mut walk = Walk::new(head, Some(&key));
            for sealed in entries::list(&db, entries::chain(log, walk.after(), 10_000)).await.expect("read") {
                walk.step(&sealed);
            }
            faults.extend(walk.end().faults);
        }
        faults
    }
}

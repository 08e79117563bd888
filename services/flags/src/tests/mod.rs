//! The service on a real database, with workspaces faked.

mod administration;
mod evaluation;
mod prepare;

use std::sync::Arc;

use kernel::ids::{EntityId, SessionId, UserId, WorkspaceId};
use kernel::roles::Role;
use kernel::time::SharedClock;
use kernel::{Actor, Clock};
use platform::signals::Signals;
use platform::{Caller, Toolkit};
use serde_json::{Value, json};
use testkit::fakes::FakeWorkspaces;
use testkit::{FixedClock, TestDb};

use crate::service::admin::CreateFlag;
use crate::service::views::FlagView;
use crate::{FlagsService, SCHEMA};

/// Ada manages the installation and belongs to a workspace; Ben does neither.
pub(crate) struct World {
    pub db: TestDb,
    pub clock: FixedClock,
    pub service: Arc<FlagsService>,
    pub workspaces: Arc<FakeWorkspaces>,
    pub workspace: WorkspaceId,
    pub ada: UserId,
    pub ben: UserId,
}

impl World {
    pub async fn new() -> Self {
        let db = TestDb::new(SCHEMA).await;
        let clock = FixedClock::default();
        let workspaces = Arc::new(FakeWorkspaces::default());
        let workspace = WorkspaceId::generate(&clock);
        let [ada, ben] = [UserId::generate(&clock), UserId::generate(&clock)];
        workspaces.add_member(workspace, ada, Role::Viewer);
        let service = Self::replica(&db, &clock, &workspaces);
        Self {
            db,
            clock,
            service,
            workspaces,
            workspace,
            ada,
            ben,
        }
    }

    /// Another process on the same database.
    pub fn replica(db: &TestDb, clock: &FixedClock, workspaces: &Arc<FakeWorkspaces>) -> Arc<FlagsService> {
        let shared: SharedClock = Arc::new(clock.clone());
        let toolkit = Toolkit {
            clock: shared,
            cursors: kernel::cursor::CursorCodec::new([7; 32]),
            signals: Signals::default(),
        };
        FlagsService::new(db.db(), toolkit, workspaces.clone())
    }

    pub fn caller(&self, user_id: UserId) -> Caller {
        Caller {
            actor: Actor::User {
                user_id,
                session_id: SessionId::from_uuid(user_id.uuid()),
            },
            instance_admin: user_id == self.ada,
            now: self.clock.now(),
            ..Caller::system(&self.clock, "test")
        }
    }

    /// A boolean flag with these rules.
    pub fn command(key: &str, rules: Value) -> CreateFlag {
        CreateFlag {
            key: key.to_owned(),
            kind: crate::model::FlagKind::Boolean,
            description: None,
            enabled: true,
            variants: None,
            default_variant: None,
            rules: serde_json::from_value(rules).expect("rules"),
        }
    }

    pub async fn make(&self, key: &str, rules: Value) -> FlagView {
        let made = self.service.create_flag(&self.caller(self.ada), Self::command(key, rules)).await;
        made.expect("made").body
    }

    /// What an evaluation says, in short.
    pub async fn told(&self, service: &FlagsService, key: &str, fields: Value) -> Value {
        let Value::Object(fields) = fields else { panic!("an object") };
        let context = service.read_context(&self.caller(self.ada), &fields).await.expect("asked");
        let context = match context {
            Ok(context) => context,
            Err(failure) => return json!(failure.code.as_str()),
        };
        match service.evaluate_one(key, &context).await.expect("evaluated").outcome {
            Ok(found) => json!([found.value, found.reason.as_str()]),
            Err(failure) => json!(failure.code.as_str()),
        }
    }
}

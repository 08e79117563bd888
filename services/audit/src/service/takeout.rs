//! Logs as files of an export, and the note in a log that everything was exported.

use async_trait::async_trait;
use contracts::audit::{Action, Entry, Log};
use kernel::{Error, Result};
use platform::Caller;
use platform::db::Unit;
use platform::takeout::{Disclosure, Given, PART_ROWS, Part, Subject, Takeout};

use crate::AuditService;
use crate::store::entries::Filter;
use kernel::cursor::PageRequest;

const ENTRIES: &str = "log";

/// What becomes of each table.
pub const DISCLOSED: &[Disclosure] = &[
    Disclosure::new("audit_entries", Given::In(ENTRIES), Given::In(ENTRIES)),
    Disclosure::new("audit_logs", Given::Not(SEALS), Given::Not(SEALS)),
];

const SEALS: &str = "the ends of the chain of seals, which only the installation can check";

#[async_trait]
impl Takeout for AuditService {
    fn files(&self, _: Subject) -> &'static [&'static str] {
        &[ENTRIES]
    }

    async fn part(&self, caller: &Caller, subject: Subject, file: &str, cursor: Option<String>) -> Result<Part> {
        if file != ENTRIES {
            return Err(Error::internal(format!("no file {file:?}")));
        }
        let readable = match subject {
            Subject::Person => Self::own_log(caller)?,
            Subject::Workspace(id) => self.workspace_log(caller, id).await?,
        };
        let page = PageRequest { limit: PART_ROWS, cursor };
        Part::page(self.list_entries(caller, readable, &Filter::default(), page).await?)
    }
}

impl AuditService {
    /// Records that everything of a person or of a workspace is taken out, before the first byte goes out.
    pub async fn record_takeout(&self, caller: &Caller, subject: Subject) -> Result<()> {
        let entry = match subject {
            Subject::Person => Entry::of_account(caller.user_id()?, Action::AccountExported),
            Subject::Workspace(id) => Entry::new(Log::Workspace(id), Action::WorkspaceExported, "workspace").id(id),
        };
        let mut unit = Unit::new(caller);
        unit.record(entry);
        Ok(self.db.apply(unit).await.map(drop)?)
    }
}

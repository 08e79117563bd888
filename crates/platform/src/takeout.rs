//! What a service gives out as files: to a person all that is theirs, to an owner all of a workspace.
//!
//! It gives what its routes show, by the same use cases: so an export holds nothing that its reader could not read anyway, and no
//! secret. What becomes of each table is declared as data, and a test holds that to the catalog of the database.

use async_trait::async_trait;
use kernel::cursor::Page;
use kernel::ids::WorkspaceId;
use kernel::{Error, Result};
use serde::Serialize;
use serde_json::Value;

use crate::context::Caller;

/// Whose data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The caller's own.
    Person,
    Workspace(WorkspaceId),
}

/// A part of a file: one object for each line.
#[derive(Debug, Default)]
pub struct Part {
    pub items: Vec<Value>,
    /// Where the next part begins; `None`: the file is whole.
    pub next_cursor: Option<String>,
}

impl Part {
    pub fn page<T: Serialize>(page: Page<T>) -> Result<Self> {
        let next_cursor = page.next_cursor;
        Ok(Self {
            next_cursor,
            ..Self::whole(page.items)?
        })
    }

    pub fn whole<T: Serialize>(items: impl IntoIterator<Item = T>) -> Result<Self> {
        let items: Result<Vec<Value>, _> = items.into_iter().map(serde_json::to_value).collect();
        Ok(Self {
            items: items.map_err(Error::internal)?,
            next_cursor: None,
        })
    }
}

/// One service's share of an export.
#[async_trait]
pub trait Takeout: Send + Sync + 'static {
    /// Names of its files, without their ending.
    fn files(&self, subject: Subject) -> &'static [&'static str];
    /// A part of a file, from `cursor` on. Checks the rights of the caller as the routes do, each time.
    async fn part(&self, caller: &Caller, subject: Subject, file: &str, cursor: Option<String>) -> Result<Part>;
}

/// Rows of a part.
pub const PART_ROWS: u32 = 200;

/// Where the rows of a table are given, or why they are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// In this file of its service.
    In(&'static str),
    /// For this reason.
    Not(&'static str),
}

/// What becomes of a table in the export of a person and in that of a workspace.
#[derive(Debug, Clone, Copy)]
pub struct Disclosure {
    pub table: &'static str,
    pub person: Given,
    pub workspace: Given,
}

impl Disclosure {
    pub const fn new(table: &'static str, person: Given, workspace: Given) -> Self {
        Self { table, person, workspace }
    }
}

/// The tables that the platform keeps for every service.
pub const PLATFORM: &[Disclosure] = &[
    Disclosure::new("due_work", Given::Not(MACHINERY), Given::Not(MACHINERY)),
    Disclosure::new("idempotency_keys", Given::Not(MACHINERY), Given::Not(MACHINERY)),
    Disclosure::new("inbox", Given::Not(MACHINERY), Given::Not(MACHINERY)),
    Disclosure::new("outbox", Given::Not(MACHINERY), Given::Not(MACHINERY)),
    Disclosure::new("outbox_failures", Given::Not(MACHINERY), Given::Not(MACHINERY)),
    Disclosure::new("relay_leases", Given::Not(MACHINERY), Given::Not(MACHINERY)),
];

const MACHINERY: &str = "work and messages on their way, kept for hours to days; what they are about is in the other files";

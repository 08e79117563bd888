//! The stored reply of a request with an `Idempotency-Key`.

use kernel::Timestamp;
use sea_query::{Expr, ExprTrait, Iden, InsertStatement, Query};

use super::statement::Statement;
use super::unit::Reply;
use super::{Db, DbError, FromRow, Row, Unit};
use crate::context::Caller;
use crate::http::idempotency::IdempotencySlot;

#[derive(Iden, Clone, Copy)]
pub(crate) enum IdempotencyKeys {
    Table,
    ScopeHash,
    BodyHash,
    Status,
    Location,
    Version,
    Body,
    CreatedAt,
}

/// The part of a [`Reply`] that is stored.
pub(super) struct Stored {
    status: i32,
    location: Option<String>,
    version: Option<i64>,
    body: String,
}

impl Stored {
    pub fn of<T: serde::Serialize>(reply: &Reply<T>) -> Result<Self, DbError> {
        Ok(Self {
            status: i32::from(reply.status),
            location: reply.location.clone(),
            version: reply.version,
            body: serde_json::to_string(&reply.body).map_err(|error| DbError::Other(format!("reply: {error}")))?,
        })
    }
    /// Holds the key's place until the reply is known, later in the same transaction.
    pub const fn placeholder() -> Self {
        Self {
            status: 0,
            location: None,
            version: None,
            body: String::new(),
        }
    }
}

pub(super) fn insert(slot: &IdempotencySlot, stored: Stored, now: Timestamp) -> InsertStatement {
    Query::insert()
        .into_table(IdempotencyKeys::Table)
        .columns([
            IdempotencyKeys::ScopeHash,
            IdempotencyKeys::BodyHash,
            IdempotencyKeys::Status,
            IdempotencyKeys::Location,
            IdempotencyKeys::Version,
            IdempotencyKeys::Body,
            IdempotencyKeys::CreatedAt,
        ])
        .values_panic([
            slot.scope_hash.to_vec().into(),
            slot.body_hash.to_vec().into(),
            stored.status.into(),
            stored.location.into(),
            stored.version.into(),
            stored.body.into(),
            now.as_micros().into(),
        ])
        .to_owned()
}

pub(super) fn fill(slot: &IdempotencySlot, stored: Stored) -> Statement {
    Query::update()
        .table(IdempotencyKeys::Table)
        .value(IdempotencyKeys::Status, stored.status)
        .value(IdempotencyKeys::Location, stored.location)
        .value(IdempotencyKeys::Version, stored.version)
        .value(IdempotencyKeys::Body, stored.body)
        .and_where(Expr::col(IdempotencyKeys::ScopeHash).eq(slot.scope_hash.to_vec()))
        .to_owned()
        .into()
}

/// A reply as it was committed.
pub(crate) struct StoredReply {
    pub body_hash: Vec<u8>,
    pub status: u16,
    pub location: Option<String>,
    pub version: Option<i64>,
    pub body: String,
}

impl FromRow for StoredReply {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            body_hash: row.get(0)?,
            status: u16::try_from(row.get::<i32>(1)?).unwrap_or(500),
            location: row.get(2)?,
            version: row.get(3)?,
            body: row.get(4)?,
        })
    }
}

impl Db {
    /// The reply stored under the key's scope; the retention sweep ends its life.
    pub(crate) async fn find_reply(&self, scope_hash: &[u8; 32]) -> Result<Option<StoredReply>, DbError> {
        let select = Query::select()
            .columns([
                IdempotencyKeys::BodyHash,
                IdempotencyKeys::Status,
                IdempotencyKeys::Location,
                IdempotencyKeys::Version,
                IdempotencyKeys::Body,
            ])
            .from(IdempotencyKeys::Table)
            .and_where(Expr::col(IdempotencyKeys::ScopeHash).eq(scope_hash.to_vec()))
            .to_owned();
        self.opt(select).await
    }

    /// Stores a reply that no unit carried.
    pub(crate) async fn store_reply(&self, caller: &Caller, slot: &IdempotencySlot, reply: StoredReply) -> Result<(), DbError> {
        let stored = Stored {
            status: i32::from(reply.status),
            location: reply.location,
            version: reply.version,
            body: reply.body,
        };
        let mut unit = Unit::new(caller);
        unit.insert(insert(slot, stored, caller.now));
        self.apply(unit).await.map(|_| ())
    }
}

//! The stored reply of a request with an `Idempotency-Key`.

use kernel::Timestamp;
use sea_query::{Expr, ExprTrait, Iden, Query};

use super::DbError;
use super::statement::Statement;
use super::unit::Reply;
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

pub(super) fn insert(slot: &IdempotencySlot, stored: Stored, now: Timestamp) -> Statement {
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
        .into()
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

//! SQL of due work. `generation` changes when an item is replaced, `claim` when a runner takes it: a handler that
//! ends after its item was replaced or taken over must not remove the newer one.

use kernel::Timestamp;
use sea_query::{DeleteStatement, ExprTrait, Iden, InsertStatement, OnConflict, Query};
use uuid::Uuid;

use super::Due;

#[derive(Iden, Clone, Copy)]
pub(crate) enum DueWork {
    Table,
    Id,
    Kind,
    WorkKey,
    Payload,
    RunAt,
    Generation,
    Attempt,
    Claim,
    LeasedUntil,
    RequestId,
    LastError,
    DeadAt,
    CreatedAt,
}

/// Stores the item; with a key, an item of the same `(kind, key)` becomes the new one. A runner that holds the old
/// one keeps its lease, so that both never run at once.
pub fn insert_due(due: &Due, id: Uuid, generation: Uuid, request_id: &str, now: Timestamp) -> InsertStatement {
    let mut insert = Query::insert();
    insert
        .into_table(DueWork::Table)
        .columns([
            DueWork::Id,
            DueWork::Kind,
            DueWork::WorkKey,
            DueWork::Payload,
            DueWork::RunAt,
            DueWork::Generation,
            DueWork::Attempt,
            DueWork::LeasedUntil,
            DueWork::RequestId,
            DueWork::LastError,
            DueWork::DeadAt,
            DueWork::CreatedAt,
        ])
        .values_panic([
            id.into(),
            due.kind.into(),
            due.key.clone().into(),
            due.payload.to_string().into(),
            due.run_at.as_micros().into(),
            generation.into(),
            0.into(),
            0_i64.into(),
            request_id.into(),
            Option::<String>::None.into(),
            Option::<i64>::None.into(),
            now.as_micros().into(),
        ]);
    if due.key.is_some() {
        insert.on_conflict(
            OnConflict::columns([DueWork::Kind, DueWork::WorkKey])
                .update_columns([
                    DueWork::Payload,
                    DueWork::RunAt,
                    DueWork::Generation,
                    DueWork::Attempt,
                    DueWork::RequestId,
                    DueWork::LastError,
                    DueWork::DeadAt,
                    DueWork::CreatedAt,
                ])
                .to_owned(),
        );
    }
    insert.clone()
}

/// Forgets the item.
pub fn delete_due(kind: &str, key: &str) -> DeleteStatement {
    Query::delete()
        .from_table(DueWork::Table)
        .and_where(sea_query::Expr::col(DueWork::Kind).eq(kind))
        .and_where(sea_query::Expr::col(DueWork::WorkKey).eq(key))
        .to_owned()
}

//! SQL of outbox, inbox and relay lease.

use contracts::Envelope;
use kernel::Timestamp;
use sea_query::{Iden, InsertStatement, Query};

#[derive(Iden, Clone, Copy)]
pub(crate) enum Outbox {
    Table,
    Seq,
    Id,
    EventType,
    Subject,
    Envelope,
    CreatedAt,
    ParkedAt,
}

/// The event's row. `seq` is handed out by the database: put the insert after the guarded writes of the unit, then it
/// is taken under the aggregate's row lock and its order is the order of the aggregate's commits.
pub fn insert_outbox(envelope: &Envelope, now: Timestamp) -> InsertStatement {
    // An envelope is a plain struct with string keys, so serialising it cannot fail.
    let text = serde_json::to_string(envelope).unwrap_or_default();
    Query::insert()
        .into_table(Outbox::Table)
        .columns([Outbox::Id, Outbox::EventType, Outbox::Subject, Outbox::Envelope, Outbox::CreatedAt])
        .values_panic([
            envelope.id.0.into(),
            envelope.event_type.as_str().into(),
            envelope.subject.as_str().into(),
            text.into(),
            now.as_micros().into(),
        ])
        .to_owned()
}

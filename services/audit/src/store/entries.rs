//! Entries: added and read.

use kernel::Timestamp;
use kernel::ids::{EntityId, UserId, Uuid};
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};

use super::AuditEntries as E;
use crate::model::{Entry, SealedEntry, Who};

const COLUMNS: [E; 17] = [
    E::LogId,
    E::Seq,
    E::Id,
    E::OccurredAt,
    E::ActorKind,
    E::ActorId,
    E::ApiKeyId,
    E::Action,
    E::TargetKind,
    E::TargetId,
    E::TargetName,
    E::Address,
    E::UserAgent,
    E::RequestId,
    E::Changes,
    E::KeyId,
    E::Seal,
];

impl FromRow for SealedEntry {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            entry: Entry {
                log_id: row.get(0)?,
                seq: row.get(1)?,
                id: row.id(2)?,
                occurred_at: row.get(3)?,
                who: Who {
                    kind: row.get(4)?,
                    user_id: row.id_opt(5)?,
                    api_key_id: row.id_opt(6)?,
                },
                action: row.get(7)?,
                target_kind: row.get(8)?,
                target_id: row.get(9)?,
                target_name: row.get(10)?,
                address: row.get(11)?,
                user_agent: row.get(12)?,
                request_id: row.get(13)?,
                changes: row.get(14)?,
            },
            key_id: row.get(15)?,
            seal: row.get(16)?,
        })
    }
}

pub(crate) fn insert(unit: &mut Unit, sealed: &SealedEntry) {
    let entry = &sealed.entry;
    unit.insert(
        Query::insert()
            .into_table(E::Table)
            .columns(COLUMNS)
            .values_panic([
                entry.log_id.into(),
                entry.seq.into(),
                entry.id.uuid().into(),
                entry.occurred_at.as_micros().into(),
                entry.who.kind.as_str().into(),
                entry.who.user_id.map(EntityId::uuid).into(),
                entry.who.api_key_id.map(EntityId::uuid).into(),
                entry.action.as_str().into(),
                entry.target_kind.as_str().into(),
                entry.target_id.clone().into(),
                entry.target_name.clone().into(),
                entry.address.clone().into(),
                entry.user_agent.clone().into(),
                entry.request_id.as_str().into(),
                entry.changes.as_str().into(),
                sealed.key_id.as_str().into(),
                sealed.seal.as_str().into(),
            ])
            .take(),
    );
}

fn of_log(log_id: Uuid) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(E::Table)
        .and_where(Expr::col(E::LogId).eq(log_id))
        .take()
}

/// In the order of the chain.
pub fn chain(log_id: Uuid, after: i64, limit: u64) -> SelectStatement {
    of_log(log_id)
        .and_where(Expr::col(E::Seq).gt(after))
        .order_by(E::Seq, Order::Asc)
        .limit(limit)
        .take()
}

/// Which part of a log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Any of these; all when empty.
    pub actions: Vec<&'static str>,
    pub actor: Option<UserId>,
    pub target_kind: Option<String>,
    pub target_id: Option<String>,
    /// At this moment or later.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// Which way to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    NewestFirst,
    OldestFirst,
}

/// Time and number of the entry a page continues.
pub(crate) type Position = (i64, i64);

pub(crate) fn page(log_id: Uuid, filter: &Filter, direction: Direction, after: Option<Position>, limit: u64) -> SelectStatement {
    let mut select = of_log(log_id);
    if !filter.actions.is_empty() {
        select.and_where(Expr::col(E::Action).is_in(filter.actions.iter().copied()));
    }
    select
        .and_where_option(filter.actor.map(|actor| Expr::col(E::ActorId).eq(actor.uuid())))
        .and_where_option(filter.target_kind.as_deref().map(|kind| Expr::col(E::TargetKind).eq(kind)))
        .and_where_option(filter.target_id.as_deref().map(|id| Expr::col(E::TargetId).eq(id)))
        .and_where_option(filter.from.map(|from| Expr::col(E::OccurredAt).gte(from.as_micros())))
        .and_where_option(filter.until.map(|until| Expr::col(E::OccurredAt).lt(until.as_micros())));
    let (time, seq) = (|| Expr::col(E::OccurredAt), || Expr::col(E::Seq));
    if let Some((at, number)) = after {
        let (beyond, beside) = match direction {
            Direction::NewestFirst => (time().lt(at), seq().lt(number)),
            Direction::OldestFirst => (time().gt(at), seq().gt(number)),
        };
        select.cond_where(Cond::any().add(beyond).add(Cond::all().add(time().eq(at)).add(beside)));
    }
    let order = match direction {
        Direction::NewestFirst => Order::Desc,
        Direction::OldestFirst => Order::Asc,
    };
    select
        .order_by(E::OccurredAt, order.clone())
        .order_by(E::Seq, order)
        .limit(limit)
        .take()
}

pub(crate) async fn list(db: &Db, select: SelectStatement) -> Result<Vec<SealedEntry>, DbError> {
    db.all(select).await
}

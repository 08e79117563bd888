//! The schema of these tests and its statements.

use std::sync::atomic::AtomicBool;

use kernel::ids::uuid_v7;
use kernel::{Clock, SystemClock};
use platform::Caller;
use platform::db::{Db, Schema, UniqueRule, Unit};
use platform::http::idempotency::IdempotencySlot;
use sea_query::{Expr, ExprTrait, Func, Iden, InsertStatement, Query, SelectStatement};
use uuid::Uuid;

pub const SCHEMA: Schema = Schema {
    service: "probe",
    migrations: platform::migrations!["0001_probe"],
    unique_rules: &[UniqueRule {
        constraint: "probe_name_key",
        columns: "probe.name",
        pointer: "/name",
        code: "probe.name_taken",
        detail: "This name is taken.",
    }],
};

#[derive(Iden, Clone, Copy)]
pub enum Probe {
    Table,
    Id,
    Name,
    Flag,
    Big,
    Small,
    Ratio,
    Body,
    Note,
    Version,
}

#[derive(Iden, Clone, Copy)]
pub enum Child {
    Table,
    Id,
    ProbeId,
}

#[derive(Iden, Clone, Copy)]
pub enum Owner {
    Table,
    Id,
    Room,
}

pub fn new_id() -> Uuid {
    uuid_v7(&SystemClock)
}

pub fn caller() -> Caller {
    Caller::system(&SystemClock as &dyn Clock, "test")
}

pub fn insert_probe(id: Uuid, name: &str) -> InsertStatement {
    Query::insert()
        .into_table(Probe::Table)
        .columns([Probe::Id, Probe::Name, Probe::Flag, Probe::Big, Probe::Small, Probe::Version])
        .values_panic([id.into(), name.into(), true.into(), 7_i64.into(), 1_i32.into(), 1_i64.into()])
        .to_owned()
}

pub fn insert_child(id: Uuid, probe_id: Uuid) -> InsertStatement {
    Query::insert()
        .into_table(Child::Table)
        .columns([Child::Id, Child::ProbeId])
        .values_panic([id.into(), probe_id.into()])
        .to_owned()
}

pub fn insert_owner(id: Uuid, room: i32) -> InsertStatement {
    Query::insert()
        .into_table(Owner::Table)
        .columns([Owner::Id, Owner::Room])
        .values_panic([id.into(), room.into()])
        .to_owned()
}

pub fn probe_by_id(id: Uuid) -> SelectStatement {
    Query::select()
        .columns([Probe::Name, Probe::Version].map(sea_query::IntoIden::into_iden))
        .from(Probe::Table)
        .and_where(Expr::col(Probe::Id).eq(id))
        .to_owned()
}

pub async fn count(db: &Db, table: impl sea_query::IntoTableRef) -> i64 {
    let select = Query::select()
        .expr(Func::count(Expr::col(sea_query::Asterisk)))
        .from(table)
        .to_owned();
    db.one::<i64>(select).await.expect("count")
}

pub fn idempotency_slot(key: u8) -> IdempotencySlot {
    IdempotencySlot {
        scope_hash: [key; 32],
        body_hash: [0; 32],
        settled: AtomicBool::new(false),
    }
}

/// A parent and its child: one without the other is half a write.
pub fn pair() -> Unit {
    let id = new_id();
    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(id, &id.to_string()));
    unit.read::<(String, i64)>(probe_by_id(id));
    unit.insert(insert_child(new_id(), id));
    unit
}

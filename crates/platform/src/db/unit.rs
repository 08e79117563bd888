//! The unit of work: statements, guards, events and due work that commit together or not at all.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use contracts::audit::Entry;
use contracts::audit::events::{ActionRecorded, Source};
use contracts::{Envelope, EventPayload};
use kernel::ids::{EntityId, EventId, uuid_v7};
use kernel::{Actor, Clock, Timestamp};
use sea_query::{DeleteStatement, InsertStatement, LockType, SelectStatement, UpdateStatement};

use super::row::{Collect, collector};
use super::statement::{Sql, Statement};
use super::{DbError, Engine, FromRow, Guard, record};
use crate::context::Caller;
use crate::due::{Due, DueItem};

/// What a command decided. Built without touching the database; nothing happens until [`super::Db::apply`].
#[derive(Debug)]
pub struct Unit {
    pub(super) caller: Caller,
    ops: Vec<Op>,
    /// Written last, under the row locks of the statements: the order of outbox rows is then the order of the facts
    /// about one aggregate.
    events: Vec<Fact>,
    due: Vec<DueOp>,
    slots: usize,
}

#[derive(Debug)]
enum Op {
    Run(Statement),
    Guarded(Statement, Guard),
    Require(SelectStatement, Guard),
    Read(SelectStatement, MakeCollector),
}

#[derive(Debug)]
enum DueOp {
    Schedule(Due),
    Unschedule(&'static str, String),
    RunAgain(DueItem, Timestamp),
}

#[derive(Debug)]
struct Fact {
    event_type: &'static str,
    subject: String,
    workspace_id: Option<kernel::ids::WorkspaceId>,
    data: Result<serde_json::Value, serde_json::Error>,
}

#[derive(Clone, Copy)]
pub(super) struct MakeCollector(pub fn() -> Box<dyn Collect>);

impl std::fmt::Debug for MakeCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MakeCollector")
    }
}

impl Unit {
    /// Takes actor, time, trace and idempotency key from the caller.
    pub fn new(caller: &Caller) -> Self {
        Self {
            caller: caller.clone(),
            ops: Vec::new(),
            events: Vec::new(),
            due: Vec::new(),
            slots: 0,
        }
    }
    #[track_caller]
    pub fn insert(&mut self, statement: InsertStatement) {
        self.push(Op::Run(statement.into()));
    }
    /// Any number of rows.
    #[track_caller]
    pub fn update(&mut self, statement: UpdateStatement) {
        self.push(Op::Run(statement.into()));
    }
    /// Exactly one row, or the whole unit fails with `guard`. Put `id`, `version` (and state) in the WHERE.
    #[track_caller]
    pub fn update_guarded(&mut self, statement: UpdateStatement, guard: Guard) {
        self.push(Op::Guarded(statement.into(), guard));
    }
    /// Any number of rows.
    #[track_caller]
    pub fn delete(&mut self, statement: DeleteStatement) {
        self.push(Op::Run(statement.into()));
    }
    /// Exactly one row, or the whole unit fails with `guard`.
    #[track_caller]
    pub fn delete_guarded(&mut self, statement: DeleteStatement, guard: Guard) {
        self.push(Op::Guarded(statement.into(), guard));
    }
    /// The SELECT must find at least one row at this point of the transaction, or the whole unit fails with `guard`.
    /// For rules over other rows, such as "another owner remains".
    ///
    /// The found rows are locked FOR UPDATE on PostgreSQL and MySQL (SQLite has one writer), so select plain rows:
    /// no aggregate, DISTINCT or GROUP BY. Two units that each rely on the row the other takes away cannot both pass:
    /// the second finds the row locked, waits, and looks at it again after the first has committed; when both hold a lock
    /// the engine breaks the deadlock and the loser is repeated, and then fails its guard. The rule must be about rows that
    /// the other unit changes or deletes; rows that *appear* meanwhile are not seen (use a unique constraint for those).
    #[track_caller]
    pub fn require(&mut self, select: SelectStatement, guard: Guard) {
        self.push(Op::Require(select, guard));
    }
    /// Reads at this point inside the transaction; take the rows from [`Output::take`].
    #[track_caller]
    pub fn read<T: FromRow>(&mut self, select: SelectStatement) -> Slot<T> {
        self.push(Op::Read(select, MakeCollector(collector::<T>)));
        self.slots += 1;
        Slot {
            index: self.slots - 1,
            rows: PhantomData,
        }
    }
    #[track_caller]
    fn push(&mut self, op: Op) {
        record::note(|| op.statement());
        self.ops.push(op);
    }
    /// Writes the event to the outbox of this database.
    pub fn emit<P: EventPayload>(&mut self, payload: &P) {
        self.events.push(Fact {
            event_type: P::TYPE,
            subject: payload.subject(),
            workspace_id: payload.workspace_id(),
            data: serde_json::to_value(payload),
        });
    }
    /// Records an action in an audit log, with who did it and from where as the caller has it. The log has the entry when, and
    /// only when, the unit commits.
    pub fn record(&mut self, entry: Entry) {
        let source = (self.caller.actor != Actor::System).then(|| Source {
            address: self.caller.client_ip.to_canonical(),
            user_agent: self.caller.user_agent.as_deref().map(printable).filter(|agent| !agent.is_empty()),
        });
        self.emit(&ActionRecorded::new(entry, source));
    }
    /// Stores due work. An item with the same `(kind, key)` that has not run yet is replaced.
    pub fn schedule(&mut self, due: Due) {
        self.due.push(DueOp::Schedule(due));
    }
    /// Lets the item that the handler holds run again at `run_at`, its attempts counted anew. Unlike
    /// [`Unit::schedule`] it gives way to whoever scheduled the same `(kind, key)` meanwhile, so no call gets lost.
    pub fn run_again(&mut self, item: &DueItem, run_at: Timestamp) {
        self.due.push(DueOp::RunAgain(item.clone(), run_at));
    }
    /// Removes due work that has not run yet.
    pub fn unschedule(&mut self, kind: &'static str, key: &str) {
        self.due.push(DueOp::Unschedule(kind, key.to_owned()));
    }
    /// Nothing to do: applying it touches no database.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.events.is_empty() && self.due.is_empty()
    }
    pub(super) fn reads(&self) -> bool {
        self.slots > 0
    }

    /// SQL of one engine, in the order of execution. `traceparent`: of the unit itself, when it is traced.
    pub(super) fn compile(mut self, engine: Engine, service: &str, traceparent: Option<Arc<str>>) -> Result<Compiled, DbError> {
        let clock = At(self.caller.now);
        if traceparent.is_some() {
            self.caller.traceparent = traceparent;
        }
        let mut steps = Vec::with_capacity(self.ops.len() + self.events.len() + self.due.len());
        for op in self.ops {
            steps.push(op.compile(engine));
        }
        let (outbox, due) = (!self.events.is_empty(), !self.due.is_empty());
        for op in self.due {
            let statement: Statement = match op {
                DueOp::Schedule(due) => {
                    let (id, generation) = (uuid_v7(&clock), uuid_v7(&clock));
                    crate::due::store::insert_due(&due, id, generation, &self.caller.request_id, self.caller.now).into()
                }
                DueOp::Unschedule(kind, key) => crate::due::store::delete_due(kind, &key).into(),
                DueOp::RunAgain(item, run_at) => crate::due::store::run_again(&item, uuid_v7(&clock), run_at).into(),
            };
            steps.push(Step::run(&statement, engine));
        }
        for fact in self.events {
            let envelope = fact.envelope(&self.caller, service)?;
            let statement = crate::events::store::insert_outbox(&envelope, self.caller.now);
            steps.push(Step::run(&statement.into(), engine));
        }
        Ok(Compiled { steps, outbox, due })
    }
}

impl Op {
    fn statement(&self) -> Statement {
        match self {
            Self::Run(statement) | Self::Guarded(statement, _) => statement.clone(),
            Self::Require(select, _) => locked(select.clone()).into(),
            Self::Read(select, _) => select.clone().into(),
        }
    }

    fn compile(self, engine: Engine) -> Step {
        match self {
            Self::Run(statement) => Step::run(&statement, engine),
            Self::Guarded(statement, guard) => Step {
                sql: statement.build(engine),
                check: Check::One(guard),
            },
            Self::Require(select, guard) => Step {
                sql: Statement::from(locked(select)).build(engine),
                check: Check::Some(guard),
            },
            Self::Read(select, collector) => Step {
                sql: Statement::from(select).build(engine),
                check: Check::Read(collector),
            },
        }
    }
}

/// FOR UPDATE; SQLite, which has one writer, knows no such clause, and its statements are built without.
fn locked(mut select: SelectStatement) -> SelectStatement {
    select.lock(LockType::Update);
    select
}

impl Fact {
    fn envelope(self, caller: &Caller, service: &str) -> Result<Envelope, DbError> {
        Ok(Envelope {
            specversion: "1.0".to_owned(),
            id: EventId::generate(&At(caller.now)),
            source: format!("/services/{service}"),
            event_type: self.event_type.to_owned(),
            subject: self.subject,
            time: caller.now,
            datacontenttype: "application/json".to_owned(),
            workspaceid: self.workspace_id,
            actor: caller.actor,
            traceparent: caller.traceparent.as_deref().map(str::to_owned),
            requestid: Some(caller.request_id.to_string()),
            data: self
                .data
                .map_err(|error| DbError::Other(format!("event {}: {error}", self.event_type)))?,
        })
    }
}

/// What a device says of itself, fit for every database.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The time of the request as a clock, so that ids made for it carry it.
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// SELECTs that do not wait for each other: asked for in one go with [`super::Db::read`].
#[derive(Debug, Default)]
pub struct Reads {
    selects: Vec<(SelectStatement, MakeCollector)>,
}

impl Reads {
    /// Take the rows from [`Output::take`].
    #[track_caller]
    pub fn add<T: FromRow>(&mut self, select: SelectStatement) -> Slot<T> {
        record::note(|| select.clone().into());
        self.selects.push((select, MakeCollector(collector::<T>)));
        Slot {
            index: self.selects.len() - 1,
            rows: PhantomData,
        }
    }

    pub(super) fn compile(self, engine: Engine) -> Vec<Ask> {
        let selects = self.selects.into_iter();
        selects
            .map(|(select, make)| Ask {
                sql: Statement::from(select).build(engine),
                make,
            })
            .collect()
    }
}

/// A SELECT on its way to an engine, outside of a transaction.
#[derive(Debug)]
pub(super) struct Ask {
    pub sql: Sql,
    pub make: MakeCollector,
}

/// What must hold after a statement has run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    Nothing,
    /// Exactly one row was changed.
    One(Guard),
    /// At least one row was found.
    Some(Guard),
    Read(MakeCollector),
    /// The row of an `Idempotency-Key`: a unique violation means that the request's twin was faster.
    Claim,
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub sql: Sql,
    pub check: Check,
}

impl Step {
    pub fn run(statement: &Statement, engine: Engine) -> Self {
        Self {
            sql: statement.build(engine),
            check: Check::Nothing,
        }
    }
}

pub(super) struct Compiled {
    pub steps: Vec<Step>,
    pub outbox: bool,
    pub due: bool,
}

/// Decides on the rows read so far what else to do in the same transaction.
pub(super) type Then = Box<dyn FnOnce(&mut Output) -> Result<Vec<Step>, DbError> + Send>;

/// One transaction on its way to an engine. Survives a failed attempt, except that `then` runs once.
#[derive(Default)]
pub(super) struct Work {
    pub steps: Arc<Vec<Step>>,
    pub then: Option<Then>,
}

/// Names the rows of one [`Unit::read`].
#[derive(Debug)]
pub struct Slot<T> {
    pub(super) index: usize,
    pub(super) rows: PhantomData<fn() -> T>,
}

/// The rows read inside a committed unit.
#[derive(Default)]
pub struct Output {
    slots: Vec<Option<Box<dyn Any + Send>>>,
    /// What `then` made of the rows.
    pub(super) result: Option<Box<dyn Any + Send>>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Output({} slots)", self.slots.len())
    }
}

impl Output {
    pub(super) fn push(&mut self, rows: Box<dyn Any + Send>) {
        self.slots.push(Some(rows));
    }
    /// The rows of `slot`; empty when taken before.
    pub fn take<T: FromRow>(&mut self, slot: &Slot<T>) -> Vec<T> {
        self.slots
            .get_mut(slot.index)
            .and_then(Option::take)
            .and_then(|rows| rows.downcast::<Vec<T>>().ok())
            .map(|rows| *rows)
            .unwrap_or_default()
    }
    /// The first row of `slot`.
    pub fn first<T: FromRow>(&mut self, slot: &Slot<T>) -> Result<T, DbError> {
        self.take(slot).into_iter().next().ok_or(DbError::NoRow)
    }
}

/// What a successful command answers, rendered inside its transaction. An axum response:
/// status, `Location`, `ETag` from `version`, JSON body.
#[derive(Debug, Clone)]
pub struct Reply<T> {
    /// 200 or 201 (202 for accepted work).
    pub status: u16,
    pub location: Option<String>,
    /// Row version for the strong `ETag`.
    pub version: Option<i64>,
    pub body: T,
}

impl<T> Reply<T> {
    pub fn ok(body: T, version: i64) -> Self {
        Self {
            status: 200,
            location: None,
            version: Some(version),
            body,
        }
    }
    pub fn created(body: T, version: i64, location: String) -> Self {
        Self {
            status: 201,
            location: Some(location),
            version: Some(version),
            body,
        }
    }
    /// 200 without an `ETag`.
    pub fn plain(body: T) -> Self {
        Self {
            status: 200,
            location: None,
            version: None,
            body,
        }
    }
}

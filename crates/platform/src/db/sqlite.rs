//! SQLite: one writer thread that commits in groups, a few readers, and short reads where they are asked for.

mod short;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kernel::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, ffi};
use sea_query::Value;
use tokio::sync::{mpsc, oneshot};

use super::config::{DbConfig, SqliteSynchronous};
use super::migrate::{self, MigrationReport, Pending, Recorded};
use super::row::{Collect, Row};
use super::statement::{Plain, Sql, plain};
use super::unit::{Ask, Check, Output, Step, Work};
use super::{DbError, Engine, Schema};
use short::ShortReads;

/// More would make the first of a group wait too long for its answer.
const GROUP_LIMIT: usize = 128;
const STATEMENT_CACHE: usize = 256;

type Exclusive = Box<dyn FnOnce(&mut Connection) + Send>;
type Read = Box<dyn FnOnce(&Connection) + Send>;
type Answer = oneshot::Sender<(Work, Result<Output, DbError>)>;

enum Job {
    Unit(Work, Answer),
    /// Alone on the connection: migrations.
    Exclusive(Exclusive),
}

/// One database file.
#[derive(Clone)]
pub(super) struct Sqlite {
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Read>,
    short: Arc<ShortReads>,
    patience: Duration,
    schema: Schema,
}

impl Sqlite {
    pub fn open(folder: &Path, config: &DbConfig, schema: Schema) -> Result<Self, DbError> {
        let cannot = |error: &dyn std::fmt::Display| DbError::Other(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(|error| cannot(&error))?;
        let path = folder.join(format!("{}.sqlite3", schema.service));
        // The writer first: it makes the file and its write-ahead log, which a reader cannot.
        let connection = open(&path, config, false).map_err(|error| cannot(&error))?;
        let (writer, jobs) = mpsc::channel(config.sqlite_queue.max(1));
        spawn(format!("{}-writer", schema.service), move || write_loop(connection, jobs, &schema))?;
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let (reader, reads) = mpsc::channel(config.sqlite_queue.max(1));
        let reads = Arc::new(Mutex::new(reads));
        let count = config.sqlite_readers.unwrap_or(cores.min(4)).max(1);
        let connections = (0..count).map(|_| open(&path, config, true)).collect::<Result<_, _>>();
        let short = Arc::new(ShortReads::new(connections.map_err(|error| cannot(&error))?).map_err(|error| cannot(&error))?);
        for index in 0..count {
            let (reads, short) = (Arc::clone(&reads), Arc::clone(&short));
            spawn(format!("{}-reader-{index}", schema.service), move || {
                read_loop(&short, index, &reads);
            })?;
        }
        Ok(Self {
            writer,
            reader,
            short,
            patience: config.acquire_timeout(),
            schema,
        })
    }

    /// Units waiting for the writer.
    pub fn queue_depth(&self) -> usize {
        self.writer.max_capacity() - self.writer.capacity()
    }

    pub async fn run(&self, work: &mut Work) -> Result<Output, DbError> {
        let (answer, answered) = oneshot::channel();
        let permit = self.place(&self.writer).await?;
        permit.send(Job::Unit(std::mem::take(work), answer));
        let (returned, result) = answered.await.map_err(|_| gone())?;
        *work = returned;
        result
    }

    /// At once where it is short, else on a reader.
    pub async fn query(&self, asks: Vec<Ask>) -> Result<Vec<Box<dyn Collect>>, DbError> {
        if let Some(result) = self.short.run(&asks, &self.schema) {
            return result;
        }
        let schema = self.schema;
        self.read(move |connection| collect(connection, &asks, &schema)).await
    }

    /// Runs `task` on a reader.
    pub async fn read<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let (answer, answered) = oneshot::channel();
        let permit = self.place(&self.reader).await?;
        permit.send(Box::new(move |connection| {
            // Nobody listens any more when the request was dropped.
            let _ = answer.send(task(connection));
        }));
        answered.await.map_err(|_| gone())?
    }

    /// Runs `task` on the writer, outside a transaction.
    pub async fn exclusive<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let (answer, answered) = oneshot::channel();
        let permit = self.place(&self.writer).await?;
        permit.send(Job::Exclusive(Box::new(move |connection| {
            let _ = answer.send(task(connection));
        })));
        answered.await.map_err(|_| gone())?
    }

    /// A place in a bounded queue, or a timeout: a full queue must not become a pile of waiting requests.
    async fn place<'a, T>(&self, queue: &'a mpsc::Sender<T>) -> Result<mpsc::Permit<'a, T>, DbError> {
        match tokio::time::timeout(self.patience, queue.reserve()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(DbError::Timeout),
        }
    }
}

fn gone() -> DbError {
    DbError::Other("the SQLite thread ended".to_owned())
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<(), DbError> {
    std::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map(drop)
        .map_err(|error| DbError::Other(format!("cannot start a thread: {error}")))
}

fn open(path: &Path, config: &DbConfig, read_only: bool) -> rusqlite::Result<Connection> {
    let access = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_millis(config.busy_timeout_ms))?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    if !read_only {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // In WAL mode NORMAL loses nothing when the process is killed: the log is in the kernel's hands. Only FULL syncs at
        // every commit and so also survives a power cut.
        let synchronous = match config.sqlite_synchronous {
            SqliteSynchronous::Normal => "NORMAL",
            SqliteSynchronous::Full => "FULL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    }
    // What a savepoint would need to undo goes into a temporary file otherwise.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // By default SQLite takes a quoted name that is no column for a string, which hides mistakes.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // With ENABLE_STAT4 every new value bound to an indexed column has the statement compiled anew. This is the guarantee that plans do
    // not depend on values, so compiled once is compiled for good.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    Ok(connection)
}

fn read_loop(short: &ShortReads, index: usize, jobs: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        // One idle reader waits inside the lock, the others for the lock; both wake in turn.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { return };
        short.patiently(index, |connection| {
            // A decoder that panics costs its request (the answer channel closes), not the reader.
            let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
        });
    }
}

/// Runs every ask and decodes its rows, here and now. Several are one transaction, which takes the locks once.
fn collect(connection: &Connection, asks: &[Ask], schema: &Schema) -> Result<Vec<Box<dyn Collect>>, DbError> {
    let one = |ask: &Ask| {
        let mut rows = (ask.make.0)();
        select(connection, &ask.sql, schema, &mut |row| rows.push(row).map(|()| true))?;
        Ok(rows)
    };
    if let [ask] = asks {
        return Ok(vec![one(ask)?]);
    }
    command(connection, "BEGIN").map_err(|error| classify(error, schema))?;
    let found = catch_unwind(AssertUnwindSafe(|| asks.iter().map(one).collect()));
    // Prepared anew: the steps of a kept statement count on from one run to the next, so that the bound of a short read could break
    // off the very statement that tidies up after it.
    let _ = connection.execute_batch("ROLLBACK");
    found.unwrap_or_else(|panic| resume_unwind(panic))
}

fn write_loop(mut connection: Connection, mut jobs: mpsc::Receiver<Job>, schema: &Schema) {
    while let Some(job) = jobs.blocking_recv() {
        let mut alone = None;
        match job {
            Job::Exclusive(task) => alone = Some(task),
            Job::Unit(work, answer) => {
                let mut group = vec![(work, answer)];
                while group.len() < GROUP_LIMIT {
                    match jobs.try_recv() {
                        Ok(Job::Unit(work, answer)) => group.push((work, answer)),
                        Ok(Job::Exclusive(task)) => {
                            alone = Some(task);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                commit_group(&connection, group, schema);
            }
        }
        if let Some(task) = alone {
            let _ = catch_unwind(AssertUnwindSafe(|| task(&mut connection)));
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
        }
    }
}

/// One transaction for all, a savepoint for each of several: a unit that fails takes only itself back.
fn commit_group(connection: &Connection, group: Vec<(Work, Answer)>, schema: &Schema) {
    let classify = |error| classify(error, schema);
    if let Err(error) = command(connection, "BEGIN IMMEDIATE").map_err(classify) {
        for (work, answer) in group {
            let _ = answer.send((work, Err(error.again())));
        }
        return;
    }
    let alone = group.len() == 1;
    let mut done = Vec::with_capacity(group.len());
    let mut lost = false;
    for (mut work, answer) in group {
        let result = match (lost, alone) {
            (true, _) => Err(rolled_back()),
            (false, true) => guarded(connection, &mut work, schema),
            (false, false) => in_savepoint(connection, &mut work, schema),
        };
        // A full disk or an I/O error ends the whole transaction, not just the statement.
        lost |= connection.is_autocommit() || (alone && result.is_err());
        done.push((work, answer, result));
    }
    let committed = if lost {
        Err(rolled_back())
    } else {
        command(connection, "COMMIT").map_err(classify)
    };
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    for (work, answer, result) in done {
        let result = match (&committed, result) {
            (Err(error), Ok(_)) => Err(error.again()),
            (_, result) => result,
        };
        let _ = answer.send((work, result));
    }
}

fn rolled_back() -> DbError {
    DbError::Contention("another unit of the group ended the transaction".to_owned())
}

fn in_savepoint(connection: &Connection, work: &mut Work, schema: &Schema) -> Result<Output, DbError> {
    let classify = |error| classify(error, schema);
    command(connection, "SAVEPOINT unit").map_err(classify)?;
    let result = guarded(connection, work, schema);
    if connection.is_autocommit() {
        return result.and_then(|_| Err(rolled_back()));
    }
    if result.is_err() {
        command(connection, "ROLLBACK TO unit").map_err(classify)?;
    }
    command(connection, "RELEASE unit").map_err(classify)?;
    result
}

fn guarded(connection: &Connection, work: &mut Work, schema: &Schema) -> Result<Output, DbError> {
    catch_unwind(AssertUnwindSafe(|| run_unit(connection, work, schema)))
        .unwrap_or_else(|_| Err(DbError::Other("a unit panicked inside its transaction".to_owned())))
}

fn run_unit(connection: &Connection, work: &mut Work, schema: &Schema) -> Result<Output, DbError> {
    let mut output = Output::default();
    for step in work.steps.iter() {
        run_step(connection, step, &mut output, schema)?;
    }
    if let Some(then) = work.then.take() {
        for step in then(&mut output)? {
            run_step(connection, &step, &mut output, schema)?;
        }
    }
    Ok(output)
}

fn run_step(connection: &Connection, step: &Step, output: &mut Output, schema: &Schema) -> Result<(), DbError> {
    match step.check {
        Check::Nothing => execute(connection, &step.sql, schema).map(drop),
        Check::One(guard) => match execute(connection, &step.sql, schema)? {
            1 => Ok(()),
            _ => Err(DbError::Guard(guard)),
        },
        Check::Claim => match execute(connection, &step.sql, schema) {
            Err(DbError::Unique { .. }) => Err(DbError::IdempotencyRace),
            other => other.map(drop),
        },
        Check::Some(guard) => {
            let mut found = false;
            select(connection, &step.sql, schema, &mut |_| {
                found = true;
                Ok(false)
            })?;
            if found { Ok(()) } else { Err(DbError::Guard(guard)) }
        }
        Check::Read(collector) => {
            let mut rows = (collector.0)();
            select(connection, &step.sql, schema, &mut |row| rows.push(row).map(|()| true))?;
            output.push(rows.finish());
            Ok(())
        }
    }
}

fn command(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.raw_execute().map(drop)
}

pub(super) struct Bound<'a>(pub Plain<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match &self.0 {
            Plain::Null => ValueRef::Null,
            Plain::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Plain::Int(value) => ValueRef::Integer(*value),
            Plain::Float(value) => ValueRef::Real(*value),
            Plain::Text(value) => ValueRef::Text(value.as_bytes()),
            Plain::Bytes(value) => ValueRef::Blob(value),
            Plain::Uuid(value) => ValueRef::Blob(value.as_bytes()),
        }))
    }
}

fn bind(values: &[Value]) -> Result<Vec<Bound<'_>>, DbError> {
    values.iter().map(|value| plain(value).map(Bound)).collect()
}

fn execute(connection: &Connection, sql: &Sql, schema: &Schema) -> Result<usize, DbError> {
    let values = bind(&sql.values)?;
    let run = || connection.prepare_cached(&sql.text)?.execute(rusqlite::params_from_iter(values));
    run().map_err(|error| classify(error, schema))
}

/// Hands each row to `each` until it answers false.
pub(super) fn select(
    connection: &Connection,
    sql: &Sql,
    schema: &Schema,
    each: &mut dyn FnMut(&Row<'_>) -> Result<bool, DbError>,
) -> Result<(), DbError> {
    let classify = |error| classify(error, schema);
    let mut statement = connection.prepare_cached(&sql.text).map_err(classify)?;
    let mut rows = statement.query(rusqlite::params_from_iter(bind(&sql.values)?)).map_err(classify)?;
    while let Some(row) = rows.next().map_err(classify)? {
        if !each(&Row::Sqlite(row))? {
            break;
        }
    }
    Ok(())
}

pub(super) fn prepare(connection: &Connection, sql: &Sql, schema: &Schema) -> Result<(), DbError> {
    connection.prepare(&sql.text).map(drop).map_err(|error| classify(error, schema))
}

pub(super) fn classify(error: rusqlite::Error, schema: &Schema) -> DbError {
    let rusqlite::Error::SqliteFailure(failure, message) = &error else {
        return DbError::Other(error.to_string());
    };
    let message = message.clone().unwrap_or_else(|| failure.to_string());
    match (failure.code, failure.extended_code) {
        (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
            let columns = message.rsplit_once("failed: ").map_or(message.as_str(), |(_, columns)| columns);
            DbError::unique(columns, schema)
        }
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => DbError::ForeignKey,
        (rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked, _) => DbError::Contention(message),
        (rusqlite::ErrorCode::OperationInterrupted, _) => DbError::Timeout,
        (rusqlite::ErrorCode::TooBig, _) => DbError::Unstorable(message),
        (rusqlite::ErrorCode::DiskFull, _) => DbError::Full(message),
        // A lost mount comes back: worth another try later.
        (rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::SystemIoFailure, _) => DbError::Down(message),
        _ => DbError::Other(message),
    }
}

const MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    component TEXT NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    statements INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (component, name)
) STRICT";

impl Sqlite {
    pub async fn pending(&self) -> Result<Vec<Pending>, DbError> {
        let schema = self.schema;
        self.read(move |connection| migrate::plan(&schema, Engine::Sqlite, &recorded(connection, &schema)?, None))
            .await
    }

    /// All pending migrations in one transaction that keeps other processes out.
    pub async fn migrate(&self, now: Timestamp) -> Result<MigrationReport, DbError> {
        let schema = self.schema;
        // After a failure the writer loop rolls back.
        self.exclusive(move |connection| migrate_connection(connection, &schema, now, None))
            .await
    }
}

/// The pending migrations, of `only` when given. After a failure the transaction is still open.
pub(super) fn migrate_connection(
    connection: &mut Connection,
    schema: &Schema,
    now: Timestamp,
    only: Option<&[String]>,
) -> Result<MigrationReport, DbError> {
    let classify = |error| classify(error, schema);
    connection.execute_batch("BEGIN EXCLUSIVE").map_err(classify)?;
    connection.execute_batch(MIGRATIONS_TABLE).map_err(classify)?;
    let recorded = recorded(connection, schema)?;
    migrate::refuse_unknown(schema, &recorded)?;
    let mut report = MigrationReport::default();
    for pending in migrate::plan(schema, Engine::Sqlite, &recorded, only)? {
        connection
            .execute_batch(pending.sql)
            .map_err(|error| DbError::Other(format!("migration {}: {error}", pending.label())))?;
        connection
            .execute(
                "INSERT INTO schema_migrations (component, name, checksum, statements, finished_at) VALUES (?1, ?2, ?3, 0, ?4)",
                (pending.component, pending.name, &pending.checksum, now.as_micros()),
            )
            .map_err(classify)?;
        report.applied.push(pending.label());
    }
    connection.execute_batch("COMMIT").map_err(classify)?;
    Ok(report)
}

pub(super) fn recorded(connection: &Connection, schema: &Schema) -> Result<Vec<Recorded>, DbError> {
    let classify = |error| classify(error, schema);
    let exists = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'", [], |row| {
            row.get::<_, i64>(0)
        })
        .map_err(classify)?;
    if exists == 0 {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(migrate::RECORDED).map_err(classify)?;
    let rows = statement
        .query_map([], |row| {
            Ok(Recorded {
                component: row.get(0)?,
                name: row.get(1)?,
                checksum: row.get(2)?,
                statements: row.get(3)?,
                finished: row.get::<_, Option<i64>>(4)?.is_some(),
            })
        })
        .map_err(classify)?;
    rows.collect::<Result<_, _>>().map_err(classify)
}

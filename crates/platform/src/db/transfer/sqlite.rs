//! The files of all services, seen at one instant.
//!
//! SQLite knows no transaction over several files in WAL mode. So reading begins with a barrier: take the write lock of every
//! file, begin a reading transaction on every file, give the locks back. No unit commits anywhere in between, and no unit
//! holds two files, so nobody can wait in a circle. It lasts a few milliseconds; writers wait, readers do not.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use kernel::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use tokio::sync::mpsc;

use super::{Chunk, Column, Mode, Record, Records, Table, column_list, kind, quoted, record};
use crate::db::migrate::{MigrationReport, Recorded};
use crate::db::row::{Collect, Row};
use crate::db::sqlite::{Bound, classify, migrate_connection, recorded, select};
use crate::db::statement::Sql;
use crate::db::{DbError, Schema};

/// A busy writer leaves its lock free for microseconds only, so it is asked for often.
const LOCK_POLL: Duration = Duration::from_micros(100);
/// How long all locks may be held or waited for, together. Well below the writers' own patience (`busy_timeout_ms`).
const BARRIER: Duration = Duration::from_secs(2);
const BARRIER_ATTEMPTS: u32 = 10;
const BARRIER_PAUSE: Duration = Duration::from_millis(500);
/// Pages copied between two reports.
const COPY_PAGES: i32 = 2_000;
/// Chunks on their way from the reading thread.
const CHUNKS_AHEAD: usize = 2;

struct File {
    schema: Schema,
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

/// One open transaction per file.
pub(super) struct Files {
    files: Vec<File>,
}

fn path_of(folder: &Path, schema: &Schema) -> PathBuf {
    folder.join(format!("{}.sqlite3", schema.service))
}

/// Blocking work off the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, DbError> + Send + 'static) -> Result<T, DbError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| DbError::Other(error.to_string()))?
}

/// Never makes a file: looking at an installation must not change it.
fn open(path: &Path) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        Ok(connection)
    });
    opened.map_err(|error| DbError::Other(format!("{}: {error}", path.display())))
}

impl Files {
    pub async fn begin(folder: &Path, schemas: &[Schema], mode: Mode) -> Result<(Self, Duration), DbError> {
        let (folder, schemas) = (folder.to_owned(), schemas.to_vec());
        blocking(move || {
            let mut files = Vec::new();
            for schema in schemas {
                let path = path_of(&folder, &schema);
                if path.is_file() {
                    let connection = open(&path)?;
                    files.push((schema, path, connection));
                }
            }
            let waited = match mode {
                Mode::Read => read_at_one_instant(&files)?,
                Mode::Write => {
                    for (schema, _, connection) in &files {
                        fill(connection).map_err(|error| classify(error, schema))?;
                    }
                    Duration::ZERO
                }
            };
            let files = files
                .into_iter()
                .map(|(schema, path, connection)| File {
                    schema,
                    path,
                    connection: Arc::new(Mutex::new(connection)),
                })
                .collect();
            Ok((Self { files }, waited))
        })
        .await
    }

    fn find(&self, schema: Schema) -> Option<&File> {
        self.files.iter().find(|file| file.schema.service == schema.service)
    }

    fn get(&self, schema: Schema) -> Result<&File, DbError> {
        self.find(schema)
            .ok_or_else(|| DbError::Other(format!("{} has no database file", schema.service)))
    }

    async fn on<T: Send + 'static>(
        &self,
        schema: Schema,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DbError> {
        let connection = Arc::clone(&self.get(schema)?.connection);
        blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&connection).map_err(|error| classify(error, &schema))
        })
        .await
    }

    pub async fn recorded(&self, schema: Schema) -> Result<Vec<Recorded>, DbError> {
        let Some(file) = self.find(schema) else { return Ok(Vec::new()) };
        let connection = Arc::clone(&file.connection);
        blocking(move || recorded(&connection.lock().unwrap_or_else(PoisonError::into_inner), &schema)).await
    }

    pub async fn tables(&self, schema: Schema) -> Result<Vec<Table>, DbError> {
        if self.find(schema).is_none() {
            return Ok(Vec::new());
        }
        let described = self.on(schema, describe).await?;
        described
            .into_iter()
            .map(|table| {
                let numbered = table.columns.iter().find(|column| column.2 && table.autoincrement);
                Ok(Table {
                    numbered: numbered.map(|column| column.0.clone()),
                    columns: table
                        .columns
                        .iter()
                        .map(|(name, type_name, _)| {
                            Ok(Column {
                                name: name.clone(),
                                kind: kind(type_name)?,
                            })
                        })
                        .collect::<Result<_, DbError>>()?,
                    name: table.name,
                    parents: table.parents,
                })
            })
            .collect()
    }

    pub fn records(&self, schema: Schema, table: &Table) -> Result<Records<'static>, DbError> {
        let connection = Arc::clone(&self.get(schema)?.connection);
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let table = table.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = read_all(&connection, &schema, &table, &sender) {
                // Nobody listens any more when the reader went away.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(stream::unfold((receiver, Some(reading)), |(mut receiver, reading)| async move {
            if let Some(chunk) = receiver.recv().await {
                return Some((chunk, (receiver, reading)));
            }
            // A thread that panicked must not look like the end of the table.
            let panicked = reading?.await.err()?;
            Some((Err(DbError::Other(panicked.to_string())), (receiver, None)))
        })
        .boxed())
    }

    pub async fn last_number(&self, schema: Schema, table: &str) -> Result<i64, DbError> {
        let table = table.to_owned();
        self.on(schema, move |connection| {
            let find = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
            let last: Option<i64> = connection.query_row(find, [table], |row| row.get(0)).optional()?;
            Ok(last.unwrap_or(0))
        })
        .await
    }

    pub async fn number_after(&self, schema: Schema, table: &str, last: i64) -> Result<(), DbError> {
        let table = table.to_owned();
        self.on(schema, move |connection| {
            connection.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [&table])?;
            let insert = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
            connection.execute(insert, (&table, last)).map(drop)
        })
        .await
    }

    pub async fn insert(&self, schema: Schema, table: &Table, records: Vec<Record>) -> Result<(), DbError> {
        let holders = vec!["?"; table.columns.len()].join(", ");
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({holders})",
            quoted(&table.name, '"'),
            column_list(table, '"')
        );
        self.on(schema, move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            for record in &records {
                let values = record.iter().map(|field| Bound(field.plain()));
                statement.execute(rusqlite::params_from_iter(values))?;
            }
            Ok(())
        })
        .await
    }

    pub async fn query(&self, schema: Schema, sql: Sql, mut rows: Box<dyn Collect>) -> Result<Box<dyn Collect>, DbError> {
        let connection = Arc::clone(&self.get(schema)?.connection);
        blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            select(&connection, &sql, &schema, &mut |row| rows.push(row).map(|()| true))?;
            Ok(rows)
        })
        .await
    }

    pub async fn damage(&self, schema: Schema, limit: usize) -> Result<Vec<String>, DbError> {
        if self.find(schema).is_none() {
            return Ok(Vec::new());
        }
        self.on(schema, move |connection| {
            let mut found: Vec<String> = connection
                .prepare(&format!("PRAGMA integrity_check({limit})"))?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            found.retain(|line| line != "ok");
            let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if found.len() >= limit {
                    break;
                }
                let (child, rowid, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let rowid = rowid.map(|rowid| format!(" row {rowid}")).unwrap_or_default();
                found.push(format!("{child}{rowid} names no row of {parent}"));
            }
            Ok(found)
        })
        .await
    }

    pub async fn copy(&self, schema: Schema, to: PathBuf, pages: impl Fn(u64, u64) + Send + 'static) -> Result<(), DbError> {
        let File { path, connection, .. } = self.get(schema)?;
        let (path, connection) = (path.clone(), Arc::clone(connection));
        blocking(move || {
            let cannot = |error: &dyn std::fmt::Display| DbError::Other(format!("copying {} to {}: {error}", path.display(), to.display()));
            let raw = to.with_extension("raw");
            let source = connection.lock().unwrap_or_else(PoisonError::into_inner);
            copy_pages(&source, &raw, &pages).map_err(|error| cannot(&error))?;
            drop(source);
            // Pages keep what was deleted until they are used again; a backup should not.
            let compact = open(&raw)?;
            let target = to.to_str().ok_or_else(|| DbError::Other("the path is not UTF-8".to_owned()))?;
            compact.execute("VACUUM INTO ?1", [target]).map_err(|error| cannot(&error))?;
            drop(compact);
            std::fs::remove_file(&raw).map_err(|error| cannot(&error))?;
            sync(&to).map_err(|error| cannot(&error))
        })
        .await
    }

    /// The files are complete by themselves afterwards: no log beside them.
    pub async fn commit(self) -> Result<(), DbError> {
        blocking(move || {
            for File { schema, path, connection } in self.files {
                let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                let finish = "COMMIT; PRAGMA journal_mode = DELETE";
                connection.execute_batch(finish).map_err(|error| classify(error, &schema))?;
                sync(&path).map_err(|error| DbError::Other(format!("{}: {error}", path.display())))?;
            }
            Ok(())
        })
        .await
    }
}

fn sync(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

/// Begins a reading transaction on every file while nobody can commit to any; how long writers were kept out.
fn read_at_one_instant(files: &[(Schema, PathBuf, Connection)]) -> Result<Duration, DbError> {
    for attempt in 1.. {
        let mut locks = Vec::with_capacity(files.len());
        for (_, path, _) in files {
            locks.push(open(path)?);
        }
        let started = Instant::now();
        let failed = match hold_and_begin(files, &mut locks, started + BARRIER) {
            Ok(()) => return Ok(started.elapsed()),
            Err(error) => error,
        };
        drop(locks);
        for (_, _, reader) in files.iter().filter(|(_, _, reader)| !reader.is_autocommit()) {
            reader
                .execute_batch("ROLLBACK")
                .map_err(|error| DbError::Other(error.to_string()))?;
        }
        let busy = failed.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy);
        if !busy {
            return Err(DbError::Other(failed.to_string()));
        }
        if attempt >= BARRIER_ATTEMPTS {
            break;
        }
        std::thread::sleep(BARRIER_PAUSE);
    }
    Err(DbError::Contention("another program holds the write lock of a database".to_owned()))
}

/// Dropping the locks' connections gives the locks back.
fn hold_and_begin(files: &[(Schema, PathBuf, Connection)], locks: &mut [Connection], until: Instant) -> rusqlite::Result<()> {
    for lock in locks.iter_mut() {
        lock.busy_handler(Some(move |_| {
            std::thread::sleep(LOCK_POLL);
            Instant::now() < until
        }))?;
        lock.execute_batch("BEGIN IMMEDIATE")?;
    }
    for (_, _, reader) in files {
        // The transaction begins with its first read.
        reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
    }
    for lock in locks {
        lock.execute_batch("ROLLBACK")?;
    }
    Ok(())
}

/// For a file that is thrown away unless it is committed: nothing needs to survive a crash before.
fn fill(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; BEGIN IMMEDIATE")
}

fn copy_pages(source: &Connection, to: &Path, pages: &impl Fn(u64, u64)) -> rusqlite::Result<()> {
    let mut target = Connection::open(to)?;
    target.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF")?;
    let backup = Backup::new(source, &mut target)?;
    loop {
        // The open transaction of the source keeps what is copied from changing under our hands.
        let step = backup.step(COPY_PAGES)?;
        let progress = backup.progress();
        let count = |pages: i32| u64::from(pages.unsigned_abs());
        pages(count(progress.pagecount - progress.remaining), count(progress.pagecount));
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => std::thread::sleep(LOCK_POLL),
        }
    }
}

struct Described {
    name: String,
    /// Name, type, whether it is the primary key or a part of it.
    columns: Vec<(String, String, bool)>,
    parents: Vec<String>,
    autoincrement: bool,
}

fn describe(connection: &Connection) -> rusqlite::Result<Vec<Described>> {
    let tables = "SELECT name, sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'";
    let names: Vec<(String, bool)> = connection
        .prepare(tables)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut columns = connection.prepare("SELECT name, type, pk > 0 FROM pragma_table_info(?1)")?;
    let mut parents = connection.prepare("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1)")?;
    names
        .into_iter()
        .map(|(name, autoincrement)| {
            Ok(Described {
                columns: columns
                    .query_map([&name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                    .collect::<rusqlite::Result<_>>()?,
                parents: parents.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?,
                name,
                autoincrement,
            })
        })
        .collect()
}

/// Sends the whole table in chunks; ends early when nobody listens any more.
fn read_all(
    connection: &Connection,
    schema: &Schema,
    table: &Table,
    sender: &mpsc::Sender<Result<Vec<Record>, DbError>>,
) -> Result<(), DbError> {
    let sql = Sql {
        text: format!("SELECT {} FROM {}", column_list(table, '"'), quoted(&table.name, '"')),
        values: Vec::new(),
    };
    let mut chunk = Chunk::default();
    select(connection, &sql, schema, &mut |row: &Row<'_>| {
        chunk.push(record(row, table)?);
        Ok(!chunk.is_full() || sender.blocking_send(Ok(chunk.take())).is_ok())
    })?;
    if !chunk.records.is_empty() {
        let _ = sender.blocking_send(Ok(chunk.take()));
    }
    Ok(())
}

/// On a connection of its own, closed when it is done.
pub(super) async fn migrate(folder: &Path, schema: Schema, now: Timestamp, only: Option<Vec<String>>) -> Result<MigrationReport, DbError> {
    let path = path_of(folder, &schema);
    blocking(move || {
        let mut connection = Connection::open(&path).map_err(|error| DbError::Other(format!("{}: {error}", path.display())))?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(|error| classify(error, &schema))?;
        migrate_connection(&mut connection, &schema, now, only.as_deref())
    })
    .await
}

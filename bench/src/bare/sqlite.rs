//! rusqlite: a thread and a reading connection for each client, and one writing connection for all, because a file has one
//! writer and waiting in turn is faster than losing the race for its lock. The pragmas are the product's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::{Reel, parts};
use crate::load::{Slice, Window};
use crate::recording::{Act, Cell};
use crate::{Failure, Outcome};

type Files = [(&'static str, String)];
type Connections = HashMap<&'static str, Connection>;

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Bool(value) => ToSqlOutput::Owned(Value::Integer(i64::from(*value))),
            Self::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Self::Float(value) => ToSqlOutput::Owned(Value::Real(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::Uuid(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value.as_bytes())),
        })
    }
}

fn open(files: &Files) -> rusqlite::Result<Connections> {
    let open = |path: &str| -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(256);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        Ok(connection)
    };
    files.iter().map(|(service, path)| Ok((*service, open(path)?))).collect()
}

pub fn measure(files: &Files, reel: &Reel, connections: usize, seconds: f64) -> Outcome<Slice> {
    let writers = Mutex::new(open(files)?);
    let readers = (0..connections).map(|_| open(files)).collect::<Result<Vec<_>, _>>()?;
    let window = Window::open(seconds);
    std::thread::scope(|scope| {
        let workers: Vec<_> = readers
            .into_iter()
            .map(|readers| {
                let writers = &writers;
                scope.spawn(move || work(&readers, writers, reel, window, seconds))
            })
            .collect();
        let mut total = Slice::new(seconds)?;
        for worker in workers {
            total.add(&worker.join().map_err(|_| Failure::from("a worker of the yardstick panicked"))??)?;
        }
        Ok(total)
    })
}

fn work(readers: &Connections, writers: &Mutex<Connections>, reel: &Reel, window: Window, seconds: f64) -> Outcome<Slice> {
    let mut slice = Slice::new(seconds)?;
    loop {
        let acts = reel.next();
        let begun = Instant::now();
        for part in parts(&acts) {
            if part[0].unit.is_none() {
                run(&readers[part[0].service], &part[0])?;
                continue;
            }
            let writers = writers.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = &writers[part[0].service];
            writer.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
            for act in part {
                run(writer, act)?;
            }
            writer.prepare_cached("COMMIT")?.raw_execute()?;
        }
        let ended = Instant::now();
        if ended >= window.from && ended <= window.until {
            slice.record(ended - begun);
        }
        if ended >= window.until {
            return Ok(slice);
        }
    }
}

/// Every column of every row is looked at, as decoding would.
fn run(connection: &Connection, act: &Act) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&act.text)?;
    if !act.is_select() {
        statement.execute(params_from_iter(&act.values))?;
        return Ok(());
    }
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(&act.values))?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            std::hint::black_box(row.get::<_, Value>(column)?);
        }
    }
    Ok(())
}

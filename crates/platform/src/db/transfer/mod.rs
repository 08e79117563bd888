//! One transaction over the databases of *all* services, for what looks at or moves a whole installation: backup, restore,
//! verification, change of engine.
//!
//! [`Transfer::read`] shows every service as of one and the same instant, so that what one service knows of another is in
//! both or in neither (docs/decisions/0013). [`Transfer::write`] fills migrated databases, all or nothing. What there is to
//! copy is read from the catalog of the database, so a new service or table is included without being named here.

mod digest;
mod mysql;
mod postgres;
mod sqlite;

use std::path::Path;
use std::time::Duration;

use futures_util::stream::BoxStream;
use kernel::{Clock, SystemClock, Timestamp};
use sea_query::SelectStatement;

use super::config::{DbConfig, Target};
use super::migrate::{self, MigrationReport, Recorded};
use super::row::{self, Cell};
use super::statement::{Plain, Statement};
use super::{DbError, Engine, FromRow, Row, Schema};

pub use digest::Digest;

/// Rows of a chunk, and bytes after which a chunk ends early: memory stays bounded whatever the rows hold.
const CHUNK_ROWS: usize = 500;
const CHUNK_BYTES: usize = 1 << 20;

/// A value as every engine can hold it: numbers and booleans in 64 bits, ids as their 16 bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The fields of a row in the order of [`Table::columns`].
pub type Record = Vec<Field>;

/// Some rows of a table.
pub type Records<'a> = BoxStream<'a, Result<Vec<Record>, DbError>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Float,
    Text,
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

/// A table as the catalog describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    /// By name: the order on disk differs between engines and grows with migrations.
    pub columns: Vec<Column>,
    /// Tables that its foreign keys name.
    pub parents: Vec<String>,
    /// The column that the database numbers by itself.
    pub numbered: Option<String>,
}

/// A migration that ran in a service's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// `component/name`.
    pub label: String,
    /// The program knows it, with the same text.
    pub known: bool,
    /// False only after a crash within a migration on MySQL.
    pub finished: bool,
}

/// One transaction over the databases of all services.
pub struct Transfer {
    inner: Inner,
    schemas: Vec<Schema>,
    /// The instant that a reading transaction shows.
    pub taken_at: Timestamp,
    /// How long writers of the same databases had to wait for it to begin; only SQLite makes them wait.
    pub writers_waited: Duration,
}

enum Inner {
    Sqlite(sqlite::Files),
    Postgres(postgres::Transaction),
    Mysql(mysql::Transaction),
}

impl Transfer {
    /// Shows the databases of `schemas` as of one instant, while programs go on writing to them. A service whose database
    /// does not exist is shown without tables.
    pub async fn read(config: &DbConfig, data_dir: &Path, schemas: &[Schema]) -> Result<Self, DbError> {
        Self::begin(config, data_dir, schemas, Mode::Read).await
    }

    /// Fills databases that [`migrate_to`] has made; nothing is kept before [`Transfer::commit`].
    pub async fn write(config: &DbConfig, data_dir: &Path, schemas: &[Schema]) -> Result<Self, DbError> {
        Self::begin(config, data_dir, schemas, Mode::Write).await
    }

    async fn begin(config: &DbConfig, data_dir: &Path, schemas: &[Schema], mode: Mode) -> Result<Self, DbError> {
        let mut writers_waited = Duration::ZERO;
        let inner = match config.target(data_dir).map_err(DbError::Other)? {
            Target::Sqlite(folder) => {
                let (files, waited) = sqlite::Files::begin(&folder, schemas, mode).await?;
                writers_waited = waited;
                Inner::Sqlite(files)
            }
            Target::Postgres(url) => Inner::Postgres(postgres::Transaction::begin(&url, config, schemas, mode).await?),
            Target::Mysql(url) => Inner::Mysql(mysql::Transaction::begin(&url, config, schemas, mode).await?),
        };
        Ok(Self {
            inner,
            schemas: schemas.to_vec(),
            taken_at: SystemClock.now(),
            writers_waited,
        })
    }

    pub const fn engine(&self) -> Engine {
        match &self.inner {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
            Inner::Mysql(_) => Engine::Mysql,
        }
    }

    fn schema(&self, service: &str) -> Result<Schema, DbError> {
        let found = self.schemas.iter().find(|schema| schema.service == service);
        found.copied().ok_or_else(|| DbError::Other(format!("no service {service:?} here")))
    }

    /// What ran in the service's database, in order; empty when there is none.
    pub async fn migrations(&mut self, service: &str) -> Result<Vec<Ran>, DbError> {
        let schema = self.schema(service)?;
        let recorded = match &mut self.inner {
            Inner::Sqlite(files) => files.recorded(schema).await?,
            Inner::Postgres(transaction) => transaction.recorded(schema).await?,
            Inner::Mysql(transaction) => transaction.recorded(schema).await?,
        };
        Ok(ran(&schema, self.engine(), &recorded))
    }

    /// The tables of a service but for `schema_migrations`, those named by foreign keys first; empty when it has no database.
    pub async fn tables(&mut self, service: &str) -> Result<Vec<Table>, DbError> {
        let schema = self.schema(service)?;
        let mut tables = match &mut self.inner {
            Inner::Sqlite(files) => files.tables(schema).await?,
            Inner::Postgres(transaction) => transaction.tables(schema).await?,
            Inner::Mysql(transaction) => transaction.tables(schema).await?,
        };
        tables.retain(|table| table.name != "schema_migrations");
        for table in &mut tables {
            table.columns.sort_by(|a, b| a.name.cmp(&b.name));
            table.parents.retain(|parent| *parent != table.name);
            table.parents.sort_unstable();
            table.parents.dedup();
        }
        parents_first(tables)
    }

    /// Every row of a table, in chunks of bounded size.
    pub async fn records<'a>(&'a mut self, service: &str, table: &'a Table) -> Result<Records<'a>, DbError> {
        let schema = self.schema(service)?;
        match &mut self.inner {
            Inner::Sqlite(files) => files.records(schema, table),
            Inner::Postgres(transaction) => transaction.records(schema, table).await,
            Inner::Mysql(transaction) => transaction.records(schema, table).await,
        }
    }

    /// Number of rows and checksum of a table's content.
    pub async fn digest(&mut self, service: &str, table: &Table) -> Result<Digest, DbError> {
        use futures_util::StreamExt as _;
        let mut digest = Digest::default();
        let mut records = self.records(service, table).await?;
        while let Some(chunk) = records.next().await {
            chunk?.iter().for_each(|record| digest.add(record));
        }
        Ok(digest)
    }

    pub async fn is_empty(&mut self, service: &str, table: &Table) -> Result<bool, DbError> {
        let select = sea_query::Query::select()
            .expr(sea_query::Expr::cust("1"))
            .from(sea_query::Alias::new(table.name.clone()))
            .limit(1)
            .to_owned();
        Ok(self.all::<i64>(service, select).await?.is_empty())
    }

    /// The last number that the database gave to [`Table::numbered`]; 0 when none.
    pub async fn last_number(&mut self, service: &str, table: &Table) -> Result<i64, DbError> {
        let schema = self.schema(service)?;
        let Some(column) = &table.numbered else { return Ok(0) };
        match &mut self.inner {
            Inner::Sqlite(files) => files.last_number(schema, &table.name).await,
            Inner::Postgres(transaction) => transaction.last_number(schema, &table.name, column).await,
            Inner::Mysql(transaction) => transaction.last_number(schema, &table.name).await,
        }
    }

    /// Lets the database number on after `last`. Before the first [`Transfer::insert`]: on MySQL it ends a transaction.
    pub async fn number_after(&mut self, service: &str, table: &Table, last: i64) -> Result<(), DbError> {
        let schema = self.schema(service)?;
        let Some(column) = &table.numbered else { return Ok(()) };
        match &mut self.inner {
            Inner::Sqlite(files) => files.number_after(schema, &table.name, last).await,
            Inner::Postgres(transaction) => transaction.number_after(schema, &table.name, column, last).await,
            Inner::Mysql(transaction) => transaction.number_after(schema, &table.name, last).await,
        }
    }

    /// Adds rows to a table.
    pub async fn insert(&mut self, service: &str, table: &Table, records: Vec<Record>) -> Result<(), DbError> {
        let schema = self.schema(service)?;
        match &mut self.inner {
            Inner::Sqlite(files) => files.insert(schema, table, records).await,
            Inner::Postgres(transaction) => transaction.insert(schema, table, &records).await,
            Inner::Mysql(transaction) => transaction.insert(schema, table, &records).await,
        }
    }

    /// All rows of a query on one service. Callers bound the number with LIMIT.
    pub async fn all<T: FromRow>(&mut self, service: &str, select: SelectStatement) -> Result<Vec<T>, DbError> {
        let schema = self.schema(service)?;
        let sql = Statement::from(select).build(self.engine());
        let collect = row::collector::<T>();
        let rows = match &mut self.inner {
            Inner::Sqlite(files) => files.query(schema, sql, collect).await?,
            Inner::Postgres(transaction) => transaction.query(schema, &sql, collect).await?,
            Inner::Mysql(transaction) => transaction.query(schema, &sql, collect).await?,
        };
        rows.finish()
            .downcast::<Vec<T>>()
            .map(|rows| *rows)
            .map_err(|_| DbError::Other("rows of another type".to_owned()))
    }

    /// What the engine itself finds wrong with a service's database: damaged pages and broken foreign keys of a SQLite file.
    /// Servers guard both themselves.
    pub async fn damage(&mut self, service: &str, limit: usize) -> Result<Vec<String>, DbError> {
        let schema = self.schema(service)?;
        match &mut self.inner {
            Inner::Sqlite(files) => files.damage(schema, limit).await,
            Inner::Postgres(_) | Inner::Mysql(_) => Ok(Vec::new()),
        }
    }

    /// Writes the service's SQLite database as of this transaction to a file that does not exist yet, without the traces of
    /// deleted rows, and syncs it. `pages` hears how many pages are done and how many there are.
    pub async fn copy_file(&mut self, service: &str, to: &Path, pages: impl Fn(u64, u64) + Send + 'static) -> Result<(), DbError> {
        let schema = self.schema(service)?;
        match &mut self.inner {
            Inner::Sqlite(files) => files.copy(schema, to.to_owned(), pages).await,
            Inner::Postgres(_) | Inner::Mysql(_) => Err(DbError::Other("only SQLite databases are copied as a file".to_owned())),
        }
    }

    /// Keeps everything that was inserted.
    pub async fn commit(self) -> Result<(), DbError> {
        match self.inner {
            Inner::Sqlite(files) => files.commit().await,
            Inner::Postgres(transaction) => transaction.commit().await,
            Inner::Mysql(transaction) => transaction.commit().await,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Write,
}

/// Brings a service's database to the migrations of `only` (`component/name`), or to all of them.
pub async fn migrate_to(config: &DbConfig, data_dir: &Path, schema: Schema, only: Option<&[String]>) -> Result<MigrationReport, DbError> {
    let now = SystemClock.now();
    match config.target(data_dir).map_err(DbError::Other)? {
        Target::Sqlite(folder) => sqlite::migrate(&folder, schema, now, only.map(<[String]>::to_vec)).await,
        Target::Postgres(url) => super::postgres::Postgres::new(url, config, schema)?.migrate(now, only).await,
        Target::Mysql(url) => super::mysql::Mysql::new(url, config, schema)?.migrate(now, only).await,
    }
}

/// Removes a service's schema or database from a server. For what [`migrate_to`] has just made and nobody has used.
pub async fn drop_database(config: &DbConfig, data_dir: &Path, schema: Schema) -> Result<(), DbError> {
    match config.target(data_dir).map_err(DbError::Other)? {
        Target::Sqlite(_) => Err(DbError::Other("SQLite files are removed as files".to_owned())),
        Target::Postgres(url) => postgres::drop_schema(url, config, schema).await,
        Target::Mysql(url) => mysql::drop_database(url, config, schema).await,
    }
}

/// Labels of the migrations this program knows for a service, in order.
pub fn known_migrations(schema: &Schema) -> Vec<String> {
    let platform = crate::MIGRATIONS.iter().map(|migration| format!("platform/{}", migration.name));
    let own = schema
        .migrations
        .iter()
        .map(|migration| format!("{}/{}", schema.service, migration.name));
    platform.chain(own).collect()
}

/// The recorded migrations in the order of the program; unknown ones last.
fn ran(schema: &Schema, engine: Engine, recorded: &[Recorded]) -> Vec<Ran> {
    let order = known_migrations(schema);
    let place = |label: &String| order.iter().position(|known| known == label).unwrap_or(usize::MAX);
    let mut all: Vec<Ran> = recorded
        .iter()
        .map(|row| Ran {
            label: row.label(),
            known: migrate::is_known(schema, engine, row),
            finished: row.finished,
        })
        .collect();
    all.sort_by(|a, b| (place(&a.label), &a.label).cmp(&(place(&b.label), &b.label)));
    all
}

/// So that a row never comes before the row its foreign key names.
fn parents_first(mut tables: Vec<Table>) -> Result<Vec<Table>, DbError> {
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let mut ordered: Vec<Table> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let placed = |name: &String| ordered.iter().any(|table: &Table| table.name == *name);
        let Some(next) = tables.iter().position(|table| table.parents.iter().all(placed)) else {
            return Err(DbError::Other(format!("the foreign keys of {} form a cycle", tables[0].name)));
        };
        ordered.push(tables.remove(next));
    }
    Ok(ordered)
}

impl Field {
    fn plain(&self) -> Plain<'_> {
        match self {
            Self::Null => Plain::Null,
            Self::Int(number) => Plain::Int(*number),
            Self::Float(number) => Plain::Float(*number),
            Self::Text(text) => Plain::Text(std::borrow::Cow::Borrowed(text)),
            Self::Bytes(bytes) => Plain::Bytes(bytes),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) | Self::Float(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// MySQL calls text and bytes the same, so the catalog decides.
    fn take(cell: Cell<'_>, column: &Column) -> Result<Self, DbError> {
        Ok(match (cell, column.kind) {
            (Cell::Null, _) => Self::Null,
            (Cell::Int(number), _) => Self::Int(number),
            (Cell::Float(number), _) => Self::Float(number),
            (Cell::Text(text), Kind::Bytes) => Self::Bytes(text.as_bytes().to_vec()),
            (Cell::Text(text), _) => Self::Text(text.to_owned()),
            (Cell::Bytes(bytes), Kind::Text) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(error) => return Err(DbError::Other(format!("{}: {error}", column.name))),
            },
            (Cell::Bytes(bytes), _) => Self::Bytes(bytes.to_vec()),
        })
    }
}

fn record(row: &Row<'_>, table: &Table) -> Result<Record, DbError> {
    let columns = table.columns.iter().enumerate();
    columns.map(|(index, column)| Field::take(row.cell(index)?, column)).collect()
}

/// Rows that wait for their chunk to be full.
#[derive(Default)]
struct Chunk {
    records: Vec<Record>,
    bytes: usize,
}

impl Chunk {
    fn push(&mut self, record: Record) {
        self.bytes += record.iter().map(Field::size).sum::<usize>();
        self.records.push(record);
    }

    fn is_full(&self) -> bool {
        self.records.len() >= CHUNK_ROWS || self.bytes >= CHUNK_BYTES
    }

    fn take(&mut self) -> Vec<Record> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }
}

/// The kind behind the name of a column's type, on any engine.
fn kind(type_name: &str) -> Result<Kind, DbError> {
    let name = type_name.to_ascii_lowercase();
    let base = name.split(['(', ' ']).next().unwrap_or_default();
    Ok(match base {
        "bigint" | "int" | "integer" | "smallint" | "tinyint" | "mediumint" | "boolean" | "bool" => Kind::Int,
        "real" | "double" | "float" => Kind::Float,
        "text" | "varchar" | "char" | "character" | "longtext" | "mediumtext" | "tinytext" => Kind::Text,
        "blob" | "bytea" | "uuid" | "binary" | "varbinary" | "longblob" | "mediumblob" | "tinyblob" => Kind::Bytes,
        _ => return Err(DbError::Other(format!("a column of no portable type: {type_name}"))),
    })
}

/// Names come from our own migrations; quoting only keeps words such as `key` from being syntax.
fn quoted(name: &str, quote: char) -> String {
    format!("{quote}{name}{quote}")
}

fn column_list(table: &Table, quote: char) -> String {
    let names: Vec<String> = table.columns.iter().map(|column| quoted(&column.name, quote)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, parents: &[&str]) -> Table {
        Table {
            name: name.to_owned(),
            columns: Vec::new(),
            parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
            numbered: None,
        }
    }

    #[test]
    fn tables_come_after_those_they_name() {
        let ordered = parents_first(vec![table("a", &["c"]), table("b", &["a"]), table("c", &[])]).expect("no cycle");
        assert_eq!(ordered.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
        assert!(parents_first(vec![table("a", &["b"]), table("b", &["a"])]).is_err());
    }

    #[test]
    fn types_of_all_engines_have_a_kind() {
        for (name, expected) in [
            ("BIGINT", Kind::Int),
            ("tinyint", Kind::Int),
            ("boolean", Kind::Int),
            ("double precision", Kind::Float),
            ("character varying", Kind::Text),
            ("VARCHAR(16)", Kind::Text),
            ("uuid", Kind::Bytes),
            ("BLOB", Kind::Bytes),
        ] {
            assert_eq!(kind(name).expect("a kind"), expected, "{name}");
        }
        assert!(kind("timestamp").is_err());
    }
}

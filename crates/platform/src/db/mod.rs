//! One query language on three engines. A command reads, decides in Rust, then applies one [`Unit`].
//!
//! - SQLite: a unit is one hop to the only writer thread, which commits what waits in one transaction with a savepoint
//!   per unit; reads go to a few read-only threads.
//! - PostgreSQL: a unit is one pipelined round trip from BEGIN to COMMIT.
//! - MySQL, MariaDB: a statement is a round trip.
//!
//! A server that is away does not stop the program: calls answer [`DbError::Down`] until it is back.

mod apply;
mod config;
mod count;
mod error;
mod idempotency;
mod migrate;
mod mysql;
mod postgres;
mod record;
mod row;
mod sqlite;
mod statement;
mod tls;
pub mod transfer;
mod trouble;
mod unit;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kernel::{Clock, SystemClock};
use sea_query::SelectStatement;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use config::Target;
use mysql::Mysql;
use postgres::Postgres;
use row::{Collect, collector};
use sqlite::Sqlite;
use unit::{Ask, MakeCollector};

pub use config::{DbConfig, SqliteSynchronous, SslMode, redact_url};
pub use count::count_statements;
pub use error::{DbError, Guard, UniqueRule};
pub(crate) use idempotency::StoredReply;
pub use migrate::{Migration, MigrationReport, Schema};
pub use record::{Recorded, Sent, record_sent, record_statements};
pub use row::{FromColumn, FromRow, Row};
pub use statement::Statement;
pub use unit::{Output, Reads, Reply, Slot, Unit};

/// Tables of the platform itself, made in every service's database before the service's own.
pub const PLATFORM_MIGRATIONS: &[Migration] = crate::MIGRATIONS;

/// Which database the process talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    Sqlite,
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

impl Engine {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }
}

#[derive(Clone)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
    Mysql(Mysql),
}

/// A service's own database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    schema: Schema,
    statements: AtomicU64,
    outbox_wake: Arc<Notify>,
    due_wake: Arc<Notify>,
    /// Units go on when the request that asked for them is dropped.
    units: TaskTracker,
    trouble: trouble::Trouble,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({} on {})", self.inner.schema.service, self.engine().as_str())
    }
}

impl Db {
    /// Opens a service's database. `data_dir` holds the SQLite files when no URL is set. For PostgreSQL and MySQL this does
    /// not connect yet, so the order in which programs start does not matter.
    pub async fn connect(config: &DbConfig, data_dir: &Path, schema: Schema) -> Result<Self, DbError> {
        let backend = match config.target(data_dir).map_err(DbError::Other)? {
            Target::Sqlite(folder) => {
                let config = config.clone();
                let open = tokio::task::spawn_blocking(move || Sqlite::open(&folder, &config, schema));
                Backend::Sqlite(open.await.map_err(|error| DbError::Other(error.to_string()))??)
            }
            Target::Postgres(url) => Backend::Postgres(Postgres::new(url, config, schema)?),
            Target::Mysql(url) => Backend::Mysql(Mysql::new(url, config, schema)?),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                schema,
                statements: AtomicU64::new(0),
                outbox_wake: Arc::default(),
                due_wake: Arc::default(),
                units: TaskTracker::new(),
                trouble: trouble::Trouble::default(),
            }),
        })
    }

    pub fn engine(&self) -> Engine {
        match &self.inner.backend {
            Backend::Sqlite(_) => Engine::Sqlite,
            Backend::Postgres(_) => Engine::Postgres,
            Backend::Mysql(_) => Engine::Mysql,
        }
    }

    /// Name of the service that owns it.
    pub fn service(&self) -> &'static str {
        self.inner.schema.service
    }

    /// Notified after each commit that put an event into the outbox.
    pub fn outbox_wake(&self) -> &Arc<Notify> {
        &self.inner.outbox_wake
    }

    /// Notified after each commit that scheduled due work.
    pub fn due_wake(&self) -> &Arc<Notify> {
        &self.inner.due_wake
    }

    /// Statements asked of this database since it was opened; transaction control not counted.
    pub fn statements(&self) -> u64 {
        self.inner.statements.load(Ordering::Relaxed)
    }

    fn count(&self, statements: usize) {
        self.inner.statements.fetch_add(statements as u64, Ordering::Relaxed);
        count::add(statements);
    }

    /// All rows. Callers bound the number with LIMIT.
    #[track_caller]
    pub fn all<T: FromRow>(&self, select: SelectStatement) -> impl Future<Output = Result<Vec<T>, DbError>> + Send {
        record::note(|| select.clone().into());
        self.select(select)
    }

    /// The first row, if any.
    #[track_caller]
    pub fn opt<T: FromRow>(&self, select: SelectStatement) -> impl Future<Output = Result<Option<T>, DbError>> + Send {
        record::note(|| select.clone().into());
        async move { Ok(self.select(select).await?.into_iter().next()) }
    }

    /// The one row; [`DbError::NoRow`] when there is none. For aggregates such as COUNT.
    #[track_caller]
    pub fn one<T: FromRow>(&self, select: SelectStatement) -> impl Future<Output = Result<T, DbError>> + Send {
        record::note(|| select.clone().into());
        async move { self.select(select).await?.into_iter().next().ok_or(DbError::NoRow) }
    }

    async fn select<T: FromRow>(&self, select: SelectStatement) -> Result<Vec<T>, DbError> {
        let ask = Ask {
            sql: Statement::from(select).build(self.engine()),
            make: MakeCollector(collector::<T>),
        };
        let rows = self.ask(vec![ask]).await?.pop().ok_or(DbError::NoRow)?;
        rows.finish()
            .downcast::<Vec<T>>()
            .map(|rows| *rows)
            .map_err(|_| DbError::Other("rows of another type".to_owned()))
    }

    /// All of `reads` on one connection: one hop on SQLite, one round trip on PostgreSQL. Each sees what is committed when it
    /// runs; what must belong together is read in one statement, or in a [`Unit`].
    pub async fn read(&self, reads: Reads) -> Result<Output, DbError> {
        let mut output = Output::default();
        for rows in self.ask(reads.compile(self.engine())).await? {
            output.push(rows.finish());
        }
        Ok(output)
    }

    async fn ask(&self, asks: Vec<Ask>) -> Result<Vec<Box<dyn Collect>>, DbError> {
        self.count(asks.len());
        record::sent_reads(self.service(), &asks);
        let span = crate::trace::read(self.service(), self.engine());
        crate::trace::statements(&span, asks.iter().map(|ask| ask.sql.text.as_str()));
        let query = async {
            match &self.inner.backend {
                Backend::Sqlite(sqlite) => sqlite.query(asks).await,
                Backend::Postgres(postgres) => postgres.query(&asks).await,
                Backend::Mysql(mysql) => mysql.query(&asks).await,
            }
        };
        query.instrument(span.clone()).await.inspect_err(|error| error.note(&span))
    }

    /// Runs the pending migrations of platform and service; safe to call from several processes at once.
    pub async fn migrate(&self) -> Result<MigrationReport, DbError> {
        let now = SystemClock.now();
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.migrate(now).await,
            Backend::Postgres(postgres) => postgres.migrate(now, None).await,
            Backend::Mysql(mysql) => mysql.migrate(now, None).await,
        }
    }

    /// Names of the migrations that have not run, in order. Fails when one that ran differs from this program's.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, DbError> {
        let pending = match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.pending().await?,
            Backend::Postgres(postgres) => postgres.pending().await?,
            Backend::Mysql(mysql) => mysql.pending().await?,
        };
        Ok(pending.iter().map(migrate::Pending::label).collect())
    }

    /// Asks the database for nothing, to learn whether it answers.
    pub async fn ping(&self) -> Result<(), DbError> {
        let select = sea_query::Query::select().expr(sea_query::Expr::cust("1")).to_owned();
        self.one::<i64>(select).await.map(drop)
    }

    /// Lets the engine check the text of a statement against the migrated schema, without running it.
    pub async fn prepare(&self, statement: impl Into<Statement>) -> Result<(), DbError> {
        let sql = statement.into().build(self.engine());
        let schema = self.inner.schema;
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.read(move |connection| sqlite::prepare(connection, &sql, &schema)).await,
            Backend::Postgres(postgres) => postgres.prepare(&sql).await,
            Backend::Mysql(mysql) => mysql.prepare(&sql).await,
        }
    }

    /// Waits for the units under way. New ones are still accepted, so stop what makes them first.
    pub async fn close(&self) {
        self.inner.units.close();
        self.inner.units.wait().await;
        self.inner.units.reopen();
    }

    /// Waits for the units under way and takes leave of the server, at most for two seconds. Nothing can be asked afterwards.
    pub async fn disconnect(&self) {
        let leave = async {
            self.close().await;
            match &self.inner.backend {
                Backend::Sqlite(_) => {}
                Backend::Postgres(postgres) => postgres.disconnect(),
                Backend::Mysql(mysql) => mysql.disconnect().await,
            }
        };
        // A connection that hangs is closed with the process.
        let _ = tokio::time::timeout(Duration::from_secs(2), leave).await;
    }
}

//! MySQL and MariaDB: a statement is a round trip, guards look at the affected rows before COMMIT.

use std::future::Future;
use std::time::Duration;

use kernel::Timestamp;
use mysql_async::prelude::Queryable;
use mysql_async::{
    Conn, DriverError, Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, SslOpts, Transaction, TxOpts, Value as MysqlValue,
};
use sea_query::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::config::{DbConfig, SslMode, take_ssl_mode};
use super::migrate::{self, MigrationReport, Pending, Recorded};
use super::row::{Collect, Row};
use super::statement::{Plain, Sql, plain};
use super::unit::{Ask, Check, Output, Step, Work};
use super::{DbError, Engine, Schema, tls};

/// Per connection. The server keeps at most `max_prepared_stmt_count` (16,382) of all connections together.
const STATEMENT_CACHE: usize = 64;
/// How long an idle connection is kept. Without, the driver closes each as soon as it is given back.
const IDLE: Duration = Duration::from_secs(60);
/// How long any connection is kept, with as much again at random: so that all find a server that has moved.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
const MIGRATION_LOCK_SECONDS: u32 = 600;
/// A table, column, index or constraint that is there already, or that is gone already.
const ALREADY_DONE: [u16; 6] = [1050, 1051, 1060, 1061, 1091, 1826];

/// The database of one service on a server.
#[derive(Clone)]
pub(super) struct Mysql {
    pool: Pool,
    /// For `sslmode=prefer` on a server without TLS.
    plain: Option<Pool>,
    /// Without a database: migrations create it.
    bare: Opts,
    pub database: String,
    schema: Schema,
    acquire: Duration,
    /// The server gives up first; this is for a network that swallows the answer.
    patience: Duration,
}

impl Mysql {
    pub fn new(mut url: Url, config: &DbConfig, schema: Schema) -> Result<Self, DbError> {
        let mode = take_ssl_mode(&mut url, config.ssl_mode).map_err(DbError::Other)?;
        let invalid = || DbError::Other("database.url is not a MySQL URL".to_owned());
        url.set_scheme("mysql").map_err(|()| invalid())?;
        // The parser's error may quote the URL with its password.
        let given = Opts::from_url(url.as_str()).map_err(|_| invalid())?;
        let database = format!("{}_{}", given.db_name().ok_or_else(invalid)?, schema.service);
        let constraints = PoolConstraints::new(0, config.max_connections).ok_or_else(invalid)?;
        let pooling = PoolOpts::new()
            .with_constraints(constraints)
            .with_inactive_connection_ttl(IDLE)
            .with_abs_conn_ttl(Some(LIFETIME))
            .with_abs_conn_ttl_jitter(Some(LIFETIME))
            .with_reset_connection(false);
        let seconds = config.statement_timeout_ms.div_ceil(1_000);
        let options = |ssl: Option<SslOpts>, database: Option<&str>| -> Opts {
            OptsBuilder::from_opts(given.clone())
                .db_name(database)
                .client_found_rows(true)
                .stmt_cache_size(STATEMENT_CACHE)
                .tcp_keepalive(Some(Duration::from_secs(30)))
                .prefer_socket(false)
                .ssl_opts(ssl)
                .pool_opts(pooling.clone())
                .setup(vec![
                    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
                    // Version comments: the limit of a statement has another name and unit on each server.
                    format!(
                        "SET time_zone = '+00:00', innodb_lock_wait_timeout = {}, sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,\
                         NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' /*M!100101 , max_statement_time = {seconds} */ \
                         /*!80000 , max_execution_time = {} */",
                        seconds.min(10),
                        config.statement_timeout_ms
                    ),
                ])
                .into()
        };
        let ssl = match mode {
            SslMode::Disable => None,
            mode => Some(ssl_options(mode, config)?),
        };
        Ok(Self {
            pool: Pool::new(options(ssl.clone(), Some(&database))),
            plain: (mode == SslMode::Prefer).then(|| Pool::new(options(None, Some(&database)))),
            bare: options(ssl, None),
            database,
            schema,
            acquire: config.acquire_timeout(),
            patience: Duration::from_millis(config.statement_timeout_ms) + Duration::from_secs(5),
        })
    }

    /// Open connections and how many of them are idle.
    pub fn pool_status(&self) -> (usize, usize) {
        use std::sync::atomic::Ordering::Relaxed;
        let metrics = self.pool.metrics();
        (metrics.connection_count.load(Relaxed), metrics.connections_in_pool.load(Relaxed))
    }

    pub async fn disconnect(&self) {
        for pool in [Some(&self.pool), self.plain.as_ref()].into_iter().flatten() {
            // What could not be told the server it finds out by itself.
            let _ = pool.clone().disconnect().await;
        }
    }

    async fn connection(&self) -> Result<Conn, DbError> {
        let take = async {
            match (self.pool.get_conn().await, &self.plain) {
                (Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)), Some(plain)) => plain.get_conn().await,
                (result, _) => result,
            }
        };
        let taken = tokio::time::timeout(self.acquire, take).await.map_err(|_| DbError::Timeout)?;
        taken.map_err(|error| self.classify(error))
    }

    async fn patiently<T>(&self, future: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
        tokio::time::timeout(self.patience, future).await.unwrap_or(Err(DbError::Timeout))
    }

    pub async fn query(&self, asks: &[Ask]) -> Result<Vec<Box<dyn Collect>>, DbError> {
        match self.patiently(self.query_once(asks)).await {
            // A connection that broke while it lay in the pool: reading again is harmless.
            Err(DbError::Down(_)) => self.patiently(self.query_once(asks)).await,
            other => other,
        }
    }

    async fn query_once(&self, asks: &[Ask]) -> Result<Vec<Box<dyn Collect>>, DbError> {
        let mut connection = self.connection().await?;
        let mut found = Vec::with_capacity(asks.len());
        for ask in asks {
            let mut rows = (ask.make.0)();
            self.select(&mut connection, &ask.sql, rows.as_mut()).await?;
            found.push(rows);
        }
        Ok(found)
    }

    pub async fn select(&self, connection: &mut impl Queryable, sql: &Sql, rows: &mut dyn Collect) -> Result<(), DbError> {
        let found: Vec<mysql_async::Row> = connection
            .exec(sql.text.as_str(), bind(&sql.values)?)
            .await
            .map_err(|error| self.classify(error))?;
        for row in &found {
            rows.push(&Row::Mysql(row))?;
        }
        Ok(())
    }

    pub async fn prepare(&self, sql: &Sql) -> Result<(), DbError> {
        let mut connection = self.connection().await?;
        let statement = connection.prep(sql.text.as_str()).await.map_err(|error| self.classify(error))?;
        connection.close(statement).await.map_err(|error| self.classify(error))
    }

    pub async fn run(&self, work: &mut Work) -> Result<Output, DbError> {
        self.patiently(self.transaction(work)).await
    }

    async fn transaction(&self, work: &mut Work) -> Result<Output, DbError> {
        let mut replaced = false;
        let mut connection;
        // Dropped without COMMIT, the transaction is rolled back before the pool hands the connection out again.
        let mut transaction = loop {
            connection = self.connection().await?;
            match connection
                .start_transaction(TxOpts::default())
                .await
                .map_err(|error| self.classify(error))
            {
                Ok(transaction) => break transaction,
                // Stale; nothing was sent that counts.
                Err(DbError::Down(_)) if !replaced => replaced = true,
                Err(error) => return Err(error),
            }
        };
        let mut output = Output::default();
        let result = self.steps(&mut transaction, work, &mut output).await;
        match result {
            Ok(()) => transaction.commit().await.map_err(|error| self.classify(error))?,
            Err(error) => {
                // When the rollback fails too, the connection is broken and the server has rolled back.
                let _ = transaction.rollback().await;
                return Err(error);
            }
        }
        Ok(output)
    }

    async fn steps(&self, transaction: &mut Transaction<'_>, work: &mut Work, output: &mut Output) -> Result<(), DbError> {
        for step in work.steps.iter() {
            self.step(transaction, step, output).await?;
        }
        if let Some(then) = work.then.take() {
            for step in then(output)? {
                self.step(transaction, &step, output).await?;
            }
        }
        Ok(())
    }

    async fn step(&self, transaction: &mut Transaction<'_>, step: &Step, output: &mut Output) -> Result<(), DbError> {
        match step.check {
            Check::Read(collector) => {
                let mut rows = (collector.0)();
                self.select(transaction, &step.sql, rows.as_mut()).await?;
                output.push(rows.finish());
                Ok(())
            }
            Check::Some(guard) => {
                let found: Vec<mysql_async::Row> = transaction
                    .exec(step.sql.text.as_str(), bind(&step.sql.values)?)
                    .await
                    .map_err(|error| self.classify(error))?;
                if found.is_empty() { Err(DbError::Guard(guard)) } else { Ok(()) }
            }
            Check::Nothing | Check::One(_) | Check::Claim => {
                let done = transaction.exec_drop(step.sql.text.as_str(), bind(&step.sql.values)?).await;
                match (done.map_err(|error| self.classify(error)), step.check) {
                    (Err(DbError::Unique { .. }), Check::Claim) => Err(DbError::IdempotencyRace),
                    (Err(error), _) => Err(error),
                    (Ok(()), Check::One(guard)) if transaction.affected_rows() != 1 => Err(DbError::Guard(guard)),
                    (Ok(()), _) => Ok(()),
                }
            }
        }
    }

    pub fn classify(&self, error: mysql_async::Error) -> DbError {
        match error {
            mysql_async::Error::Server(error) => {
                let message = || format!("{} ({})", error.message, error.code);
                match error.code {
                    1062 | 1586 => DbError::unique(constraint(&error.message), &self.schema),
                    1216 | 1217 | 1451 | 1452 => DbError::ForeignKey,
                    // Lock wait timeout, deadlock, record changed since the snapshot, XA deadlock, table definition changed.
                    1205 | 1213 | 1020 | 1614 | 1412 => DbError::Contention(message()),
                    1317 | 1969 | 3024 => DbError::Timeout,
                    // Disk full, table full, and a file that could not be written because of errno 28 (ENOSPC).
                    1021 | 1114 => DbError::Full(message()),
                    3 | 1026 if error.message.contains("28") => DbError::Full(message()),
                    1264 | 1366 | 1406 | 3988 => DbError::Unstorable(message()),
                    // Too many connections or statements, shutting down, refused, read-only, killed; nothing the caller could mend.
                    1040
                    | 1044..=1045
                    | 1049
                    | 1053
                    | 1129..=1130
                    | 1203
                    | 1290
                    | 1461
                    | 1927
                    | 3169
                    | 1077..=1081
                    | 1152..=1161
                    | 1184 => DbError::Down(message()),
                    _ => DbError::Other(message()),
                }
            }
            mysql_async::Error::Io(error) => DbError::Down(error.to_string()),
            mysql_async::Error::Driver(
                error @ (DriverError::ConnectionClosed
                | DriverError::PoolDisconnected
                | DriverError::PacketOutOfOrder
                | DriverError::NoClientSslFlagFromServer
                | DriverError::CantParseServerVersion { .. }),
            ) => DbError::Down(error.to_string()),
            mysql_async::Error::Driver(DriverError::PacketTooLarge) => DbError::Unstorable("larger than max_allowed_packet".to_owned()),
            other => DbError::Other(other.to_string()),
        }
    }
}

/// `Duplicate entry '…' for key 'table.name'`; MariaDB leaves the table out.
fn constraint(message: &str) -> &str {
    let key = message.rsplit_once("for key '").map_or("", |(_, key)| key.trim_end_matches('\''));
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

fn ssl_options(mode: SslMode, config: &DbConfig) -> Result<SslOpts, DbError> {
    // The driver asks rustls for the process's provider, which rustls only guesses when a single one is linked. An error says
    // that somebody has chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if !tls::verifies(mode, config) {
        return Ok(SslOpts::default()
            .with_danger_accept_invalid_certs(true)
            .with_danger_skip_domain_validation(true));
    }
    let roots = tls::roots(config.ca_file.as_deref())?;
    Ok(SslOpts::default()
        .with_disable_built_in_roots(true)
        .with_root_certs(roots.into_iter().map(|root| root.as_ref().to_vec().into()).collect()))
}

pub(super) fn value(plain: Plain<'_>) -> MysqlValue {
    match plain {
        Plain::Null => MysqlValue::NULL,
        Plain::Bool(value) => MysqlValue::Int(i64::from(value)),
        Plain::Int(value) => MysqlValue::Int(value),
        Plain::Float(value) => MysqlValue::Double(value),
        Plain::Text(value) => MysqlValue::Bytes(value.as_bytes().to_vec()),
        Plain::Bytes(value) => MysqlValue::Bytes(value.to_vec()),
        Plain::Uuid(value) => MysqlValue::Bytes(value.as_bytes().to_vec()),
    }
}

fn bind(values: &[Value]) -> Result<Params, DbError> {
    let values: Vec<_> = values.iter().map(|given| plain(given).map(value)).collect::<Result<_, DbError>>()?;
    Ok(if values.is_empty() {
        Params::Empty
    } else {
        Params::Positional(values)
    })
}

const MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    component VARCHAR(100) NOT NULL,
    name VARCHAR(100) NOT NULL,
    checksum CHAR(64) NOT NULL,
    statements BIGINT NOT NULL,
    finished_at BIGINT NULL,
    PRIMARY KEY (component, name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

impl Mysql {
    pub async fn pending(&self) -> Result<Vec<Pending>, DbError> {
        let mut connection = self.bare_connection().await?;
        let exists: Option<i64> = connection
            .exec_first(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = 'schema_migrations'",
                (&self.database,),
            )
            .await
            .map_err(|error| self.classify(error))?;
        let recorded = match exists {
            Some(_) => {
                self.enter(&mut connection).await?;
                self.recorded(&mut connection).await?
            }
            None => Vec::new(),
        };
        self.leave(connection).await;
        migrate::plan(&self.schema, Engine::Mysql, &recorded, None)
    }

    pub async fn bare_connection(&self) -> Result<Conn, DbError> {
        let connected = tokio::time::timeout(self.acquire, Conn::new(self.bare.clone())).await;
        match connected.map_err(|_| DbError::Timeout)? {
            Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.plain.is_some() => {
                let options = OptsBuilder::from_opts(self.bare.clone()).ssl_opts(None);
                Conn::new(options).await.map_err(|error| self.classify(error))
            }
            other => other.map_err(|error| self.classify(error)),
        }
    }

    async fn enter(&self, connection: &mut Conn) -> Result<(), DbError> {
        let entered = connection.query_drop(format!("USE `{}`", self.database)).await;
        entered.map_err(|error| self.classify(error))
    }

    pub async fn leave(&self, connection: Conn) {
        if let Err(error) = connection.disconnect().await {
            tracing::debug!(%error, "closing a MySQL connection");
        }
    }

    pub async fn recorded(&self, connection: &mut Conn) -> Result<Vec<Recorded>, DbError> {
        let rows: Vec<(String, String, String, i64, Option<i64>)> =
            connection.query(migrate::RECORDED).await.map_err(|error| self.classify(error))?;
        Ok(rows
            .into_iter()
            .map(|(component, name, checksum, statements, finished_at)| Recorded {
                component,
                name,
                checksum,
                statements,
                finished: finished_at.is_some(),
            })
            .collect())
    }

    /// All pending migrations, of `only` when given, under a named lock that ends with the connection.
    pub async fn migrate(&self, now: Timestamp, only: Option<&[String]>) -> Result<MigrationReport, DbError> {
        let mut connection = self.bare_connection().await?;
        let classify = |error| self.classify(error);
        // Servers know no limit for DDL that would help; a big table simply takes its time.
        let no_limit = "SET innodb_lock_wait_timeout = 600 /*M!100101 , max_statement_time = 0 */ /*!80000 , max_execution_time = 0 */";
        connection.query_drop(no_limit).await.map_err(classify)?;
        // Lock names hold at most 64 characters.
        let lock = data_encoding::HEXLOWER.encode(&Sha256::digest(&self.database)[..20]);
        let locked: Option<i64> = connection
            .exec_first("SELECT GET_LOCK(?, ?)", (&lock, MIGRATION_LOCK_SECONDS))
            .await
            .map_err(classify)?;
        if locked != Some(1) {
            return Err(DbError::Contention("another program is migrating".to_owned()));
        }
        let create = format!(
            "CREATE DATABASE IF NOT EXISTS `{}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            self.database
        );
        connection.query_drop(create).await.map_err(classify)?;
        self.enter(&mut connection).await?;
        connection.query_drop(MIGRATIONS_TABLE).await.map_err(classify)?;
        let recorded = self.recorded(&mut connection).await?;
        migrate::refuse_unknown(&self.schema, &recorded)?;
        let mut report = MigrationReport::default();
        for pending in migrate::plan(&self.schema, Engine::Mysql, &recorded, only)? {
            self.apply_migration(&mut connection, &pending, now).await?;
            report.applied.push(pending.label());
        }
        self.leave(connection).await;
        Ok(report)
    }

    /// DDL commits by itself, so progress is kept per statement and a crash resumes after the last one that is known.
    async fn apply_migration(&self, connection: &mut Conn, pending: &Pending, now: Timestamp) -> Result<(), DbError> {
        let classify = |error| self.classify(error);
        let key = (pending.component, pending.name);
        if !pending.recorded {
            let insert = "INSERT INTO schema_migrations (component, name, checksum, statements) VALUES (?, ?, ?, 0)";
            let inserted = connection.exec_drop(insert, (key.0, key.1, &pending.checksum)).await;
            inserted.map_err(classify)?;
        }
        for (index, statement) in migrate::split(pending.sql).iter().enumerate().skip(pending.done) {
            let interrupted = pending.recorded && index == pending.done;
            match connection.query_drop(statement.as_str()).await {
                Ok(()) => {}
                // The server went on with it when the program before was killed, and nobody was left to note it.
                Err(mysql_async::Error::Server(error)) if interrupted && ALREADY_DONE.contains(&error.code) => {}
                Err(error) => {
                    let place = format!("migration {} statement {}", pending.label(), index + 1);
                    return Err(DbError::Other(format!("{place}: {error}")));
                }
            }
            let progress = "UPDATE schema_migrations SET statements = ? WHERE component = ? AND name = ?";
            connection.exec_drop(progress, (index + 1, key.0, key.1)).await.map_err(classify)?;
        }
        let finish = "UPDATE schema_migrations SET finished_at = ? WHERE component = ? AND name = ?";
        connection
            .exec_drop(finish, (now.as_micros(), key.0, key.1))
            .await
            .map_err(classify)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_servers_name_the_constraint() {
        let mariadb = "Duplicate entry 'a' for key 'users_email_key'";
        let mysql = "Duplicate entry 'it's for key 'x'' for key 'users.users_email_key'";
        assert_eq!(super::constraint(mariadb), "users_email_key");
        assert_eq!(super::constraint(mysql), "users_email_key");
        assert_eq!(super::constraint("something else"), "");
    }
}

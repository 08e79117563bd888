//! PostgreSQL: a unit is one pipelined round trip from BEGIN to COMMIT.

pub(super) mod value;

use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts};
use futures_util::future::join_all;
use kernel::Timestamp;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use self::value::{Bound, bind};
use super::config::{DbConfig, SslMode, take_ssl_mode};
use super::migrate::{self, MigrationReport, Pending, Recorded};
use super::row::{Collect, Row};
use super::statement::Sql;
use super::unit::{Ask, Check, Output, Step, Work};
use super::{DbError, Engine, Schema, tls};

/// Longer statements (big IN lists, batches) are prepared for one use: their texts hardly ever repeat.
const CACHED_TEXT: usize = 4_000;
/// Prepared statements per connection before the cache starts anew.
const STATEMENT_CACHE: usize = 500;

/// The schema of one service in one database.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: Pool,
    name: String,
    schema: Schema,
    /// The server gives up first; this is for a network that swallows the answer.
    patience: Duration,
}

impl Postgres {
    pub fn new(mut url: Url, config: &DbConfig, schema: Schema) -> Result<Self, DbError> {
        let name = format!("{}{}", config.schema_prefix, schema.service);
        let mode = take_ssl_mode(&mut url, config.ssl_mode).map_err(DbError::Other)?;
        // The parser's error may quote the URL with its password.
        let mut options = Config::from_str(url.as_str()).map_err(|_| DbError::Other("database.url is not a PostgreSQL URL".to_owned()))?;
        let extra = options.get_options().map(|extra| format!(" {extra}")).unwrap_or_default();
        let timeout = config.statement_timeout_ms;
        options
            .ssl_mode(match mode {
                SslMode::Disable => tokio_postgres::config::SslMode::Disable,
                SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
                SslMode::Require | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
            })
            .options(format!(
                "-c search_path={name} -c statement_timeout={timeout} -c idle_in_transaction_session_timeout={timeout} -c timezone=UTC{extra}"
            ))
            .connect_timeout(config.connect_timeout())
            .keepalives_idle(Duration::from_secs(30));
        if options.get_application_name().is_none() {
            options.application_name(format!("guildhall-{}", schema.service));
        }
        let manager = Manager::from_config(
            options,
            MakeRustlsConnect::new(tls::client_config(mode, config)?),
            ManagerConfig {
                // No ping before use: a closed connection is noticed by its task.
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(config.max_connections)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(config.acquire_timeout()),
                create: Some(config.connect_timeout()),
                recycle: Some(config.connect_timeout()),
            })
            .build()
            .map_err(|error| DbError::Other(error.to_string()))?;
        Ok(Self {
            pool,
            name,
            schema,
            patience: Duration::from_millis(timeout) + Duration::from_secs(5),
        })
    }

    pub fn disconnect(&self) {
        self.pool.close();
    }

    /// Open connections and how many of them are idle.
    pub fn pool_status(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }

    pub async fn session(&self) -> Result<Session, DbError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(_) => DbError::Timeout,
            PoolError::Backend(error) => self.classify(&error),
            other => DbError::Down(other.to_string()),
        })?;
        Ok(Session {
            client: Some(client),
            clean: true,
        })
    }

    /// Where one pooled connection turns out to be dead, the others most likely are as well.
    fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    async fn patiently<T>(&self, future: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
        tokio::time::timeout(self.patience, future).await.unwrap_or(Err(DbError::Timeout))
    }

    pub async fn query(&self, asks: &[Ask]) -> Result<Vec<Box<dyn Collect>>, DbError> {
        match self.patiently(self.query_once(asks)).await {
            // A connection that broke while it lay in the pool: reading again is harmless.
            Err(DbError::Down(_)) => {
                self.forget_idle();
                self.patiently(self.query_once(asks)).await
            }
            // The statement became stale.
            Err(DbError::Contention(_)) => self.patiently(self.query_once(asks)).await,
            other => other,
        }
    }

    /// All are sent before the first answer is awaited.
    async fn query_once(&self, asks: &[Ask]) -> Result<Vec<Box<dyn Collect>>, DbError> {
        let mut session = self.session().await?;
        session.clean = false;
        let mut prepared = Vec::with_capacity(asks.len());
        for ask in asks {
            let statement = self.prepare_cached(session.client()?, &ask.sql.text).await?;
            prepared.push((statement, bind(&ask.sql.values)?));
        }
        let client = session.client()?;
        let sent = prepared.iter().map(|(statement, values)| async move {
            let references = references(values);
            client.query(statement, &references).await
        });
        let answers = join_all(sent).await;
        if answers.iter().any(Result::is_err) && client.is_closed() {
            tracing::debug!(service = self.schema.service, "a pooled connection was closed by the server");
        } else {
            session.clean = true;
        }
        let mut found = Vec::with_capacity(asks.len());
        for (ask, answer) in asks.iter().zip(answers) {
            let mut rows = (ask.make.0)();
            for row in answer.map_err(|error| self.fail(&session, &error))? {
                rows.push(&Row::Postgres(&row))?;
            }
            found.push(rows);
        }
        Ok(found)
    }

    pub async fn prepare(&self, sql: &Sql) -> Result<(), DbError> {
        let session = self.session().await?;
        session
            .client()?
            .prepare(&sql.text)
            .await
            .map(drop)
            .map_err(|error| self.classify(&error))
    }

    async fn prepare_cached(&self, client: &Object, text: &str) -> Result<Statement, DbError> {
        let statement = if text.len() > CACHED_TEXT {
            client.prepare(text).await
        } else {
            if client.statement_cache.size() >= STATEMENT_CACHE {
                client.statement_cache.clear();
            }
            client.prepare_cached(text).await
        };
        statement.map_err(|error| self.classify(&error))
    }

    pub async fn run(&self, work: &mut Work) -> Result<Output, DbError> {
        self.patiently(self.transaction(work)).await
    }

    async fn transaction(&self, work: &mut Work) -> Result<Output, DbError> {
        let texts: Vec<_> = work.steps.iter().map(text).collect();
        let (mut session, statements) = self.prepared(&texts).await?;
        let mut output = Output::default();
        session.clean = false;
        if work.then.is_none() {
            self.pipeline(&session, &work.steps, &statements, Some("BEGIN"), Some("COMMIT"), &mut output)
                .await
                .inspect_err(|error| session.settled(error))?;
            session.clean = true;
            return Ok(output);
        }
        let first = self
            .pipeline(&session, &work.steps, &statements, Some("BEGIN"), None, &mut output)
            .await;
        let result = match first {
            Ok(()) => self.second(&session, work, &mut output).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            // Also after a failed pipeline that ended in COMMIT: then it only answers a warning.
            session.clean = session.client()?.batch_execute("ROLLBACK").await.is_ok();
        } else {
            session.clean = true;
        }
        result.map(|()| output)
    }

    async fn second(&self, session: &Session, work: &mut Work, output: &mut Output) -> Result<(), DbError> {
        let Some(then) = work.then.take() else { return Ok(()) };
        let steps = then(output)?;
        let mut statements = Vec::with_capacity(steps.len());
        for step in &steps {
            statements.push(self.prepare_cached(session.client()?, &text(step)).await?);
        }
        self.pipeline(session, &steps, &statements, None, Some("COMMIT"), output).await
    }

    /// A connection on which all `texts` are prepared. A stale connection shows here, before anything was sent that counts,
    /// so it is replaced once.
    async fn prepared(&self, texts: &[String]) -> Result<(Session, Vec<Statement>), DbError> {
        let mut replaced = false;
        'session: loop {
            let session = self.session().await?;
            let mut statements = Vec::with_capacity(texts.len());
            for text in texts {
                match self.prepare_cached(session.client()?, text).await {
                    Ok(statement) => statements.push(statement),
                    Err(DbError::Down(_)) if !replaced => {
                        replaced = true;
                        self.forget_idle();
                        continue 'session;
                    }
                    Err(error) => return Err(error),
                }
            }
            return Ok((session, statements));
        }
    }

    /// Sends everything at once and takes the answers in order. After a failure the server skips to the end and turns
    /// COMMIT into ROLLBACK; the first error is the reason.
    async fn pipeline(
        &self,
        session: &Session,
        steps: &[Step],
        statements: &[Statement],
        begin: Option<&'static str>,
        end: Option<&'static str>,
        output: &mut Output,
    ) -> Result<(), DbError> {
        type Sent<'a> = Pin<Box<dyn Future<Output = Result<Vec<tokio_postgres::Row>, tokio_postgres::Error>> + Send + 'a>>;
        let client = session.client()?;
        let mut values = Vec::with_capacity(steps.len());
        for (step, statement) in steps.iter().zip(statements) {
            let bound = bind(&step.sql.values)?;
            // A value that cannot be encoded would leave a hole in the pipeline, and COMMIT would still be sent.
            value::check(&bound, statement)?;
            values.push(bound);
        }
        let references: Vec<_> = values.iter().map(|values| references(values)).collect();
        let command = |sql: &'static str| -> Sent<'_> { Box::pin(async move { client.batch_execute(sql).await.map(|()| Vec::new()) }) };
        let mut sent: Vec<Sent<'_>> = Vec::with_capacity(steps.len() + 2);
        sent.extend(begin.map(command));
        for ((step, statement), values) in steps.iter().zip(statements).zip(&references) {
            sent.push(match step.check {
                Check::Read(_) => Box::pin(client.query(statement, values)),
                _ => Box::pin(async move { client.execute(statement, values).await.map(|_| Vec::new()) }),
            });
        }
        sent.extend(end.map(command));
        let mut answers = join_all(sent).await.into_iter();
        if begin.is_some() {
            answers.next().transpose().map_err(|error| self.fail(session, &error))?;
        }
        for step in steps {
            let rows = answers
                .next()
                .transpose()
                .map_err(|error| self.fail_step(session, step, &error))?
                .unwrap_or_default();
            if let Check::Read(collector) = step.check {
                let mut decoded = (collector.0)();
                for row in &rows {
                    decoded.push(&Row::Postgres(row))?;
                }
                output.push(decoded.finish());
            }
        }
        answers.next().transpose().map_err(|error| self.fail(session, &error))?;
        Ok(())
    }

    fn fail_step(&self, session: &Session, step: &Step, error: &tokio_postgres::Error) -> DbError {
        match step.check {
            Check::One(guard) | Check::Some(guard) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => DbError::Guard(guard),
            Check::Claim if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => DbError::IdempotencyRace,
            _ => self.fail(session, error),
        }
    }

    /// A table was altered, or a pooler lost the statement: prepare anew and try again.
    fn fail(&self, session: &Session, error: &tokio_postgres::Error) -> DbError {
        let stale = match error.as_db_error() {
            Some(error) if *error.code() == SqlState::FEATURE_NOT_SUPPORTED => error.message().contains("cached plan"),
            Some(error) => *error.code() == SqlState::INVALID_SQL_STATEMENT_NAME,
            None => false,
        };
        if stale && let Ok(client) = session.client() {
            client.statement_cache.clear();
            return DbError::Contention("prepared statements became stale".to_owned());
        }
        self.classify(error)
    }

    pub fn classify(&self, error: &tokio_postgres::Error) -> DbError {
        let Some(database) = error.as_db_error() else {
            return value::classify(error);
        };
        let code = database.code();
        // Without DETAIL, which quotes the values of the row.
        let message = || format!("{} ({})", database.message(), code.code());
        match code.code() {
            "23505" => DbError::unique(database.constraint().unwrap_or_default(), &self.schema),
            "23503" => DbError::ForeignKey,
            "40001" | "40P01" | "55P03" => DbError::Contention(message()),
            "57014" => DbError::Timeout,
            "53100" => DbError::Full(message()),
            "22021" | "22P05" | "22001" | "22003" => DbError::Unstorable(message()),
            // Shutting down, starting, too many connections, refused; nothing the caller could mend.
            "57P01" | "57P02" | "57P03" | "25P03" | "53300" | "3D000" | "28000" | "28P01" => DbError::Down(message()),
            other if other.starts_with("08") || other.starts_with("58") || other.starts_with("53") => DbError::Down(message()),
            _ => DbError::Other(message()),
        }
    }
}

/// The SQL of a step. Guards become a division by zero, so that the pipeline stops without asking us.
fn text(step: &Step) -> String {
    match step.check {
        Check::One(_) => format!(
            "WITH guarded AS ({} RETURNING 1) SELECT 1 / (count(*) = 1)::int FROM guarded",
            step.sql.text
        ),
        Check::Some(_) => format!("WITH found AS ({}) SELECT 1 / (count(*) > 0)::int FROM found", step.sql.text),
        Check::Nothing | Check::Read(_) | Check::Claim => step.sql.text.clone(),
    }
}

pub(super) fn references<'a>(values: &'a [Bound<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// A pooled connection that goes back only when nothing is under way on it; else it is closed, and the server rolls back.
pub(super) struct Session {
    client: Option<Object>,
    pub clean: bool,
}

impl Session {
    pub fn client(&self) -> Result<&Object, DbError> {
        self.client
            .as_ref()
            .ok_or_else(|| DbError::Other("a connection was used after its end".to_owned()))
    }
    /// The server answered each statement, COMMIT included: the connection is as good as new.
    fn settled(&mut self, _error: &DbError) {
        self.clean = self.client.as_ref().is_some_and(|client| !client.is_closed());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.clean
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}

const MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    component text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    statements bigint NOT NULL,
    finished_at bigint,
    PRIMARY KEY (component, name)
)";

impl Postgres {
    pub async fn pending(&self) -> Result<Vec<Pending>, DbError> {
        let session = self.session().await?;
        let exists = session
            .client()?
            .query_one(
                "SELECT to_regclass($1) IS NOT NULL",
                &[&format!("\"{}\".schema_migrations", self.name)],
            )
            .await
            .map_err(|error| self.classify(&error))?;
        let recorded = if exists.get(0) {
            self.recorded(&session).await?
        } else {
            Vec::new()
        };
        migrate::plan(&self.schema, Engine::Postgres, &recorded, None)
    }

    pub async fn recorded(&self, session: &Session) -> Result<Vec<Recorded>, DbError> {
        let rows = session
            .client()?
            .query(migrate::RECORDED, &[])
            .await
            .map_err(|error| self.classify(&error))?;
        Ok(rows
            .iter()
            .map(|row| Recorded {
                component: row.get(0),
                name: row.get(1),
                checksum: row.get(2),
                statements: row.get(3),
                finished: row.get::<_, Option<i64>>(4).is_some(),
            })
            .collect())
    }

    /// All pending migrations, of `only` when given, in one transaction, under an advisory lock that ends with it.
    pub async fn migrate(&self, now: Timestamp, only: Option<&[String]>) -> Result<MigrationReport, DbError> {
        let mut session = self.session().await?;
        session.clean = false;
        let name = &self.name;
        let classify = |error| self.classify(&error);
        let client = session.client()?;
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL client_min_messages = warning;
             SELECT pg_advisory_xact_lock(hashtext('guildhall migrations'), hashtext('{name}'));
             CREATE SCHEMA IF NOT EXISTS \"{name}\""
        );
        client.batch_execute(&begin).await.map_err(classify)?;
        client.batch_execute(MIGRATIONS_TABLE).await.map_err(classify)?;
        let recorded = self.recorded(&session).await?;
        migrate::refuse_unknown(&self.schema, &recorded)?;
        let mut report = MigrationReport::default();
        for pending in migrate::plan(&self.schema, Engine::Postgres, &recorded, only)? {
            let failed = |error: tokio_postgres::Error| DbError::Other(format!("migration {}: {}", pending.label(), self.classify(&error)));
            client.batch_execute(pending.sql).await.map_err(failed)?;
            let insert = "INSERT INTO schema_migrations (component, name, checksum, statements, finished_at) VALUES ($1, $2, $3, 0, $4)";
            let values: [&(dyn ToSql + Sync); 4] = [&pending.component, &pending.name, &pending.checksum, &now.as_micros()];
            client.execute(insert, &values).await.map_err(classify)?;
            report.applied.push(pending.label());
        }
        client.batch_execute("COMMIT").await.map_err(classify)?;
        session.clean = true;
        Ok(report)
    }
}

//! From a [`Unit`] to a commit: compile, run off the request's task, repeat on contention, wake who waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tracing::{Instrument as _, Span};

use super::idempotency::{self, Stored};
use super::unit::{Check, Compiled, Output, Reply, Step, Then, Unit, Work};
use super::{Backend, Db, DbError, record};
use crate::trace;

/// Deadlocks and busy locks are over within milliseconds; who lost this often is better told.
const MAX_ATTEMPTS: u32 = 8;
const FIRST_BACKOFF: Duration = Duration::from_millis(4);
const LONGEST_BACKOFF: Duration = Duration::from_millis(250);

/// What a commit made ready; set while compiling, read after the commit.
#[derive(Default)]
struct Wake {
    outbox: AtomicBool,
    due: AtomicBool,
}

impl Wake {
    fn note(&self, compiled: &Compiled) {
        self.outbox.fetch_or(compiled.outbox, Ordering::Relaxed);
        self.due.fetch_or(compiled.due, Ordering::Relaxed);
    }
}

impl Db {
    /// Commits everything in `unit` or nothing. Retries on contention. Not undone when the future is dropped.
    pub async fn apply(&self, unit: Unit) -> Result<Output, DbError> {
        if unit.is_empty() {
            return Ok(Output::default());
        }
        let wake = Arc::new(Wake::default());
        let span = trace::unit(self.service(), self.engine());
        let steps = self.compile(unit, &wake, &span)?;
        self.detached(steps, None, wake, span).await
    }

    /// [`Db::apply`], then renders the reply *inside* the transaction, so that it is stored with
    /// the `Idempotency-Key` of the request in the same commit. Use it in every POST and PATCH.
    pub async fn apply_reply<T, F>(&self, unit: Unit, render: F) -> Result<Reply<T>, DbError>
    where
        T: serde::Serialize + Send + 'static,
        F: FnOnce(&mut Output) -> Result<Reply<T>, DbError> + Send + 'static,
    {
        let slot = unit.caller.idempotency.clone().filter(|slot| !slot.settled.load(Ordering::Acquire));
        let (now, reads) = (unit.caller.now, unit.reads());
        let wake = Arc::new(Wake::default());
        let span = trace::unit(self.service(), self.engine());
        let mut steps = self.compile(unit, &wake, &span)?;
        let engine = self.engine();
        // The key's row comes first: a twin of this request waits there, and learns that it is a twin before it can run
        // into the traces of this one (a duplicate name, a stale version).
        let claim = |stored| {
            slot.as_ref()
                .map(|slot| super::Statement::from(idempotency::insert(slot, stored, now)))
        };
        let (first, then, early) = if reads {
            let fill = slot.clone();
            let then: Then = Box::new(move |output| {
                let reply = render(output)?;
                let step = match fill {
                    Some(slot) => Some(Step::run(&idempotency::fill(&slot, Stored::of(&reply)?), engine)),
                    None => None,
                };
                output.result = Some(Box::new(reply));
                Ok(step.into_iter().collect())
            });
            (claim(Stored::placeholder()), Some(then), None)
        } else {
            // Nothing is read, so the reply is known already and the whole is one round trip.
            let reply = render(&mut Output::default())?;
            (claim(Stored::of(&reply)?), None, Some(reply))
        };
        if let Some(statement) = first {
            let step = Step {
                check: Check::Claim,
                ..Step::run(&statement, engine)
            };
            steps.insert(0, step);
        }
        let mut output = if steps.is_empty() {
            Output::default()
        } else {
            self.detached(steps, then, wake, span).await?
        };
        if let Some(slot) = slot {
            slot.settled.store(true, Ordering::Release);
        }
        early
            .or_else(|| output.result.take()?.downcast::<Reply<T>>().ok().map(|reply| *reply))
            .ok_or_else(|| DbError::Other("the reply was not rendered".to_owned()))
    }

    /// Reads with locks (`read` of a SELECT … FOR UPDATE [SKIP LOCKED] in `first`), decides in `then`, and writes what
    /// it decided, in one transaction: for claims. On SQLite the lock clause falls away, because the whole runs on the only
    /// writer; so `then` must be quick. The second unit may not read.
    pub async fn tx<R, F>(&self, first: Unit, then: F) -> Result<R, DbError>
    where
        R: Send + 'static,
        F: FnOnce(&mut Output) -> Result<(Unit, R), DbError> + Send + 'static,
    {
        let wake = Arc::new(Wake::default());
        let span = trace::unit(self.service(), self.engine());
        let steps = self.compile(first, &wake, &span)?;
        let (db, later, of_both) = (self.clone(), Arc::clone(&wake), span.clone());
        let then: Then = Box::new(move |output| {
            let (unit, result) = then(output)?;
            if unit.reads() {
                return Err(DbError::Other("the second unit of Db::tx may not read".to_owned()));
            }
            output.result = Some(Box::new(result));
            db.compile(unit, &later, &of_both)
        });
        let mut output = self.detached(steps, Some(then), wake, span).await?;
        output
            .result
            .take()
            .and_then(|result| result.downcast::<R>().ok())
            .map(|result| *result)
            .ok_or_else(|| DbError::Other("Db::tx made no result".to_owned()))
    }

    /// Events of the unit go on with the trace of its span.
    fn compile(&self, unit: Unit, wake: &Wake, span: &Span) -> Result<Vec<Step>, DbError> {
        let compiled = unit.compile(self.engine(), self.service(), trace::traceparent(span))?;
        wake.note(&compiled);
        self.count(compiled.steps.len());
        Ok(compiled.steps)
    }

    /// On a task of its own: a request that its client drops neither stops halfway nor leaves a connection behind inside a
    /// transaction.
    async fn detached(&self, steps: Vec<Step>, then: Option<Then>, wake: Arc<Wake>, span: Span) -> Result<Output, DbError> {
        let db = self.clone();
        trace::statements(&span, steps.iter().map(|step| step.sql.text.as_str()));
        let then = record::sent_unit(self.service(), &steps, then);
        let within = span.clone();
        let work = Work {
            steps: Arc::new(steps),
            then,
        };
        self.inner
            .units
            .spawn(
                async move {
                    let result = db.attempts(work).await;
                    match &result {
                        Ok(_) => {
                            if wake.outbox.load(Ordering::Relaxed) {
                                db.inner.outbox_wake.notify_one();
                            }
                            if wake.due.load(Ordering::Relaxed) {
                                db.inner.due_wake.notify_one();
                            }
                        }
                        Err(error) => error.note(&span),
                    }
                    result
                }
                .instrument(within),
            )
            .await
            .map_err(|error| DbError::Other(format!("a unit ended early: {error}")))?
    }

    async fn attempts(&self, mut work: Work) -> Result<Output, DbError> {
        let started = Instant::now();
        let renders = work.then.is_some();
        let mut attempt = 1;
        let result = loop {
            self.gauges();
            let result = self.run(&mut work).await;
            // What `then` decided is spent once it ran, so such a unit is repeated only when it failed before.
            let repeatable = matches!(result, Err(DbError::Contention(_))) && (!renders || work.then.is_some());
            if !repeatable || attempt >= MAX_ATTEMPTS {
                break result;
            }
            metrics::counter!("guildhall_db_unit_retries_total", "service" => self.service()).increment(1);
            tokio::time::sleep(backoff(attempt)).await;
            attempt += 1;
        };
        let outcome = if result.is_ok() { "committed" } else { "failed" };
        metrics::histogram!("guildhall_db_unit_seconds", "service" => self.service(), "outcome" => outcome)
            .record(started.elapsed().as_secs_f64());
        result
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of connections and queued units are small")]
    fn gauges(&self) {
        let service = self.service();
        let (open, idle) = match &self.inner.backend {
            Backend::Sqlite(sqlite) => {
                metrics::gauge!("guildhall_db_writer_queue", "service" => service).set(sqlite.queue_depth() as f64);
                return;
            }
            Backend::Postgres(postgres) => postgres.pool_status(),
            Backend::Mysql(mysql) => mysql.pool_status(),
        };
        metrics::gauge!("guildhall_db_pool_connections", "service" => service, "state" => "open").set(open as f64);
        metrics::gauge!("guildhall_db_pool_connections", "service" => service, "state" => "idle").set(idle as f64);
    }

    async fn run(&self, work: &mut Work) -> Result<Output, DbError> {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.run(work).await,
            Backend::Postgres(postgres) => postgres.run(work).await,
            Backend::Mysql(mysql) => mysql.run(work).await,
        }
    }
}

/// Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): colliding units spread out.
fn backoff(attempt: u32) -> Duration {
    let ceiling = FIRST_BACKOFF.saturating_mul(1 << attempt.min(10)).min(LONGEST_BACKOFF);
    rand::rng().random_range(FIRST_BACKOFF / 2..=ceiling)
}

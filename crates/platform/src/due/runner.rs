//! Claims ready items, runs them under a lease, and repeats what failed.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use kernel::ids::uuid_v7;
use kernel::time::SharedClock;
use kernel::{Error, ErrorKind, Result};
use rand::RngExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::store::{self, Claimed};
use super::{DueHandler, DueItem, Sweep};
use crate::config::HumanDuration;
use crate::context::Caller;
use crate::db::{Db, DbError, Unit};
use crate::lifecycle::{Lifecycle, panic_text};
use crate::trace;

/// The lease outlives the handler's time limit by this, so that the outcome can be written.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// How much of an error is kept with the item.
const ERROR_LIMIT: usize = 1_000;

/// Due work: mails, reminders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DueConfig {
    /// Items that run at the same time, per service.
    pub concurrency: u32,
    /// How often the table is looked at when nothing wakes the runner.
    pub poll: HumanDuration,
    /// How long one run may take.
    pub timeout: HumanDuration,
    /// Runs before an item is given up; it stays in the table, with its last error. As many as make about ten hours with these pauses, so
    /// that no mail is lost while a mail server is away for a day's work.
    pub max_attempts: u32,
    /// Pause after the first failure; doubles with every further one.
    pub backoff: HumanDuration,
    /// The longest pause.
    pub backoff_max: HumanDuration,
}

impl Default for DueConfig {
    fn default() -> Self {
        Self {
            concurrency: 8,
            poll: HumanDuration::from_secs(1),
            timeout: HumanDuration::from_mins(1),
            max_attempts: 24,
            backoff: HumanDuration::from_secs(2),
            backoff_max: HumanDuration::from_hours(1),
        }
    }
}

impl DueConfig {
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, value) in [("concurrency", self.concurrency), ("max_attempts", self.max_attempts)] {
            if value == 0 {
                problems.push(format!("due.{name}: must be at least 1"));
            }
        }
        for (name, value) in [("poll", self.poll), ("timeout", self.timeout)] {
            if value.get().is_zero() {
                problems.push(format!("due.{name}: must be more than nothing"));
            }
        }
        problems
    }
}

/// `base`, doubled with every attempt up to `max`, of which the upper half is random: those who failed together do
/// not come back together.
pub(crate) fn backoff(base: Duration, max: Duration, attempt: u32) -> Duration {
    let full = base
        .saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(max);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Runs the due work of one service's database.
pub struct DueRunner {
    db: Db,
    clock: SharedClock,
    handlers: HashMap<&'static str, Arc<dyn DueHandler>>,
    kinds: Vec<&'static str>,
    config: DueConfig,
}

impl DueRunner {
    pub fn new(db: Db, clock: SharedClock, handlers: Vec<Arc<dyn DueHandler>>, config: DueConfig) -> Arc<Self> {
        let mut kinds: Vec<_> = handlers.iter().map(|handler| handler.kind()).collect();
        kinds.sort_unstable();
        Arc::new(Self {
            db,
            clock,
            handlers: handlers.into_iter().map(|handler| (handler.kind(), handler)).collect(),
            kinds,
            config,
        })
    }

    /// Runs until the process stops.
    pub fn start(self: Arc<Self>, lifecycle: &Lifecycle) {
        if self.kinds.is_empty() {
            return;
        }
        let stopping = lifecycle.stopping();
        lifecycle.spawn(format!("due:{}", self.db.service()), async move { self.run(stopping).await });
    }

    async fn run(self: Arc<Self>, stopping: CancellationToken) {
        // Tasks of their own: an item that is not polled while more are claimed would keep the connection that the claim waits for.
        let mut running = JoinSet::new();
        let mut busy = HashMap::new();
        let concurrency = self.config.concurrency as usize;
        while !stopping.is_cancelled() {
            let free = concurrency.saturating_sub(running.len());
            let claimed = self.claim(free, &busy.values().copied().collect()).await.unwrap_or_else(|error| {
                self.db.trouble("due work cannot be read", &error);
                Vec::new()
            });
            // A full claim says that more may wait.
            let more = free > 0 && claimed.len() == free;
            for claimed in claimed {
                let (runner, item) = (Arc::clone(&self), claimed.item.id);
                let task = running.spawn(async move { runner.run_one(claimed).await });
                busy.insert(task.id(), item);
            }
            let pause = self.config.poll.get().mul_f64(rand::rng().random_range(0.8..=1.2));
            tokio::select! {
                () = stopping.cancelled() => break,
                Some(ended) = running.join_next_with_id() => {
                    busy.remove(&task_of(ended));
                }
                () = self.db.due_wake().notified(), if !more => {}
                () = tokio::time::sleep(pause) => self.measure().await,
            }
        }
        // Finish what was begun; the rest of the process' drain time bounds it.
        while running.join_next().await.is_some() {}
    }

    /// Runs everything that is ready now, one after another. For tests and for the command line.
    pub async fn run_ready(&self) -> Result<usize> {
        let mut count = 0;
        loop {
            let claimed = self.claim(self.config.concurrency as usize, &HashSet::new()).await?;
            if claimed.is_empty() {
                return Ok(count);
            }
            for claimed in claimed {
                self.run_one(claimed).await;
                count += 1;
            }
        }
    }

    async fn claim(&self, limit: usize, running: &HashSet<Uuid>) -> Result<Vec<Claimed>, DbError> {
        if limit == 0 || self.kinds.is_empty() {
            return Ok(Vec::new());
        }
        let token = uuid_v7(&*self.clock);
        let caller = Caller::system(&*self.clock, format!("due-{token}"));
        let lease = self.config.timeout.get() + LEASE_MARGIN;
        store::claim(&self.db, &caller, &self.kinds, limit, token, lease, running).await
    }

    async fn run_one(&self, claimed: Claimed) {
        let item = &claimed.item;
        let span = tracing::info_span!("due", request_id = %item.request_id, kind = %item.kind, item = %item.id, attempt = item.attempt);
        let trace = trace::due(&item.kind, &item.request_id, item.attempt);
        async {
            let started = tokio::time::Instant::now();
            let outcome = self.handle(item).await;
            if let Err(error) = &outcome {
                trace::fail(&trace, &error.code);
            }
            metrics::histogram!("due_run_seconds", "kind" => item.kind.clone()).record(started.elapsed().as_secs_f64());
            if let Err(error) = self.settle(&claimed, outcome).await {
                // The lease runs out and the item runs again: handlers are idempotent.
                tracing::warn!(%error, "the outcome of due work could not be written");
            }
        }
        .instrument(span)
        .instrument(trace.clone())
        .await;
    }

    async fn handle(&self, item: &DueItem) -> Result<()> {
        let Some(handler) = self.handlers.get(item.kind.as_str()) else {
            return Err(Error::internal(format!("no handler for {}", item.kind)));
        };
        let run = AssertUnwindSafe(handler.run(item)).catch_unwind();
        match tokio::time::timeout(self.config.timeout.get(), run).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::internal(format!("panicked: {}", panic_text(panic.as_ref())))),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "due.timeout", "The handler did not finish in time.")),
        }
    }

    async fn settle(&self, claimed: &Claimed, outcome: Result<()>) -> Result<()> {
        let item = &claimed.item;
        let mut unit = Unit::new(&Caller::system(&*self.clock, item.request_id.clone()));
        let result = match outcome {
            Ok(()) => {
                store::complete(&mut unit, claimed);
                "done"
            }
            Err(error) => self.note_failure(&mut unit, claimed, &error),
        };
        metrics::counter!("due_runs_total", "kind" => item.kind.clone(), "outcome" => result).increment(1);
        self.db.apply(unit).await?;
        Ok(())
    }

    fn note_failure(&self, unit: &mut Unit, claimed: &Claimed, error: &Error) -> &'static str {
        let attempt = claimed.item.attempt.unsigned_abs();
        let dead = error.kind == ErrorKind::Invalid || attempt >= self.config.max_attempts;
        let now = self.clock.now();
        let pause = backoff(self.config.backoff.get(), self.config.backoff_max.get(), attempt);
        let text: String = error.to_string().chars().take(ERROR_LIMIT).collect();
        store::fail(unit, claimed, &text, now.plus(pause), dead.then_some(now));
        let cause = error.cause.as_ref().map(ToString::to_string).unwrap_or_default();
        if dead {
            tracing::error!(%error, cause, "due work is given up; it stays in due_work with dead_at set");
            "dead"
        } else {
            tracing::warn!(%error, cause, again_in = ?pause, "due work failed");
            "failed"
        }
    }

    async fn measure(&self) {
        let oldest = store::find_oldest(&self.db).await.ok().flatten();
        let age = oldest.map_or(0.0, |run_at| self.clock.now().since(run_at).as_secs_f64());
        metrics::gauge!("due_oldest_seconds", "service" => self.db.service()).set(age);
    }
}

/// What a handler does wrong is caught and noted with its item; this is a panic of the runner.
fn task_of(ended: std::result::Result<(tokio::task::Id, ()), JoinError>) -> tokio::task::Id {
    match ended {
        Ok((task, ())) => task,
        Err(error) => {
            tracing::error!(%error, "due work ended without an outcome; it runs again when its lease is over");
            error.id()
        }
    }
}

/// Runs a sweep at its interval, give or take a tenth, until the process stops. A failed run is logged and comes again.
pub fn spawn_sweep(lifecycle: &Lifecycle, sweep: Arc<dyn Sweep>) {
    let own = lifecycle.clone();
    lifecycle.spawn(format!("sweep:{}", sweep.name()), async move {
        // Soon after the start, but not all replicas at once.
        let mut pause = sweep
            .every()
            .min(Duration::from_secs(20))
            .mul_f64(rand::rng().random_range(0.1..=1.0));
        while own.sleep(pause).await {
            let run = AssertUnwindSafe(sweep.run()).catch_unwind();
            match run.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(sweep = sweep.name(), %error, "a sweep failed; it comes again"),
                Err(panic) => tracing::error!(
                    sweep = sweep.name(),
                    panic = panic_text(panic.as_ref()),
                    "a sweep panicked; it comes again"
                ),
            }
            pause = sweep.every().mul_f64(rand::rng().random_range(0.9..=1.1));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_outlives_a_peer_that_is_away_for_a_working_day() {
        let config = DueConfig::default();
        let pauses = (1..config.max_attempts).map(|attempt| backoff(config.backoff.get(), config.backoff_max.get(), attempt));
        let total: Duration = pauses.sum();
        assert!((6..=16).contains(&(total.as_secs() / 3_600)), "{total:?}");
    }
}

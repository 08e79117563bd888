//! Carries events from one service's outbox to the consumers.
//!
//! One loop owns all state; database calls and deliveries are futures it polls side by side. At most one of {scan, flush}
//! is under way, so a scan never sees rows that a flush is about to remove.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use kernel::ids::{EventId, Uuid, uuid_v7};
use kernel::time::SharedClock;
use kernel::{Error, ErrorKind, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deliver::{Outcome, deliver};
use super::store::{self, Failure, OutboxRow};
use super::window::{Delivery, Settled, Window};
use super::{Consumer, EventsConfig};
use crate::context::Caller;
use crate::db::{Db, DbError, Engine, Unit};
use crate::due::backoff;
use crate::lifecycle::Lifecycle;

/// Rows per read and per removal.
const BATCH: u64 = 250;
/// A later `seq` can become visible before an earlier one: every scan looks back by this many.
const OVERLAP: i64 = 256;
/// How often the whole table is looked at, for what even the overlap missed.
const RESCAN: Duration = Duration::from_secs(5);
/// Pause while a peer is away.
const AWAY_PAUSE: Duration = Duration::from_secs(2);
/// Pause after a failed write to the outbox.
const STORE_PAUSE: Duration = Duration::from_millis(500);
const ERROR_LIMIT: usize = 1_000;

/// The relay of one service's database.
pub struct Relay {
    db: Db,
    clock: SharedClock,
    consumers: Vec<Arc<dyn Consumer>>,
    wanted: HashMap<&'static str, Vec<usize>>,
    config: EventsConfig,
    /// Names this process in the lease.
    holder: Uuid,
    /// Creation of the oldest event not tried yet, in µs; 0: none.
    oldest_untried: AtomicI64,
}

impl Relay {
    /// `consumers`: those of all services in this process; each gets the types it wants.
    pub fn new(db: Db, clock: SharedClock, consumers: Vec<Arc<dyn Consumer>>, config: EventsConfig) -> Arc<Self> {
        let mut wanted: HashMap<&'static str, Vec<usize>> = HashMap::new();
        for (index, consumer) in consumers.iter().enumerate() {
            for event_type in consumer.event_types() {
                wanted.entry(event_type).or_default().push(index);
            }
        }
        Arc::new(Self {
            holder: uuid_v7(&*clock),
            db,
            clock,
            consumers,
            wanted,
            config,
            oldest_untried: AtomicI64::new(0),
        })
    }

    pub fn service(&self) -> &'static str {
        self.db.service()
    }

    /// How long the oldest event has been waiting for its first attempt; for readiness. Events that fail do not
    /// count: a consumer's bug must not take the process out of service.
    pub fn lag(&self) -> Duration {
        match self.oldest_untried.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            micros => self.clock.now().since(Timestamp::from_micros(micros)),
        }
    }

    /// Relays until the process stops.
    pub fn start(self: Arc<Self>, lifecycle: &Lifecycle) {
        let stopping = lifecycle.stopping();
        lifecycle.spawn(format!("relay:{}", self.service()), async move { self.run(stopping).await });
    }

    /// Relays until `stopping` fires, then ends the deliveries under way and gives the lease back.
    pub async fn run(&self, stopping: CancellationToken) {
        let mut run = Run::new(self);
        while !stopping.is_cancelled() {
            run.begin();
            let tick = run.next_tick();
            tokio::select! {
                () = stopping.cancelled() => break,
                Some(done) = run.work.next() => run.take(done),
                () = self.db.outbox_wake().notified() => run.request_scan(),
                () = tokio::time::sleep_until(tick) => run.tick(),
            }
        }
        run.drain().await;
    }

    fn caller(&self) -> Caller {
        Caller::system(&*self.clock, format!("relay-{}", self.service()))
    }

    async fn lease(&self, force: bool) -> Result<bool, DbError> {
        let force = force && self.db.engine() == Engine::Sqlite;
        store::take_lease(&self.db, &self.caller(), self.holder, self.config.lease.get(), force).await
    }

    /// `with_failures`: the rows may have been tried by an earlier holder of the lease.
    async fn scan(&self, after: i64, with_failures: bool) -> Result<(Vec<OutboxRow>, Vec<Failure>), DbError> {
        let rows = store::list_outbox(&self.db, after, BATCH).await?;
        let mut unit = Unit::new(&self.caller());
        let mut ids: Vec<EventId> = Vec::new();
        for row in &rows {
            match &row.envelope {
                Ok(envelope) => ids.push(envelope.id),
                Err(error) => {
                    tracing::error!(service = self.service(), seq = row.seq, %error, "an outbox row is no envelope; it is parked");
                    unit.update(store::park(row.seq, self.clock.now()));
                }
            }
        }
        if !unit.is_empty() {
            self.db.apply(unit).await?;
        }
        let failures = if with_failures && !ids.is_empty() {
            store::list_failures(&self.db, ids).await?
        } else {
            Vec::new()
        };
        Ok((rows, failures))
    }

    async fn flush(&self, settled: &[Settled]) -> Result<(), DbError> {
        let mut unit = Unit::new(&self.caller());
        store::flush(&mut unit, settled, self.clock.now());
        self.db.apply(unit).await.map(drop)
    }

    async fn deliver(&self, delivery: &Delivery) -> Verdict {
        let consumer = &self.consumers[delivery.lane.0];
        let result = deliver(&**consumer, &delivery.envelope, &self.clock, self.config.timeout.get()).await;
        let (outcome, verdict) = match result {
            Ok(Outcome::Handled) => ("handled", Verdict::Done),
            Ok(Outcome::Duplicate) => ("duplicate", Verdict::Done),
            Err(error) => self.judge(delivery, consumer.name(), &error).await,
        };
        let event_type = delivery.envelope.event_type.clone();
        metrics::counter!("event_deliveries_total", "consumer" => consumer.name(), "event_type" => event_type, "outcome" => outcome)
            .increment(1);
        verdict
    }

    async fn judge(&self, delivery: &Delivery, consumer: &'static str, error: &Error) -> (&'static str, Verdict) {
        let event = &delivery.envelope;
        let cause = error.cause.as_ref().map(ToString::to_string).unwrap_or_default();
        if error.kind == ErrorKind::Unavailable {
            tracing::warn!(consumer, event = %event.id, %error, cause, "a consumer cannot take events now; trying again");
            let pause = backoff(AWAY_PAUSE, AWAY_PAUSE, 1);
            return ("unavailable", Verdict::Again { pause, counts: false });
        }
        let attempts = delivery.failures + 1;
        let pause = backoff(self.config.backoff.get(), self.config.backoff_max.get(), attempts);
        let now = self.clock.now();
        let dead = attempts >= self.config.max_attempts;
        let text: String = error.to_string().chars().take(ERROR_LIMIT).collect();
        let mut unit = Unit::new(&self.caller());
        unit.insert(store::upsert_failure(
            event.id,
            consumer,
            attempts,
            now.plus(pause),
            &text,
            dead.then_some(now),
        ));
        let noted = self.db.apply(unit).await;
        if let Err(error) = &noted {
            tracing::warn!(consumer, event = %event.id, %error, "a failed delivery could not be noted");
        }
        if dead && noted.is_ok() {
            tracing::error!(consumer, event = %event.id, event_type = event.event_type, subject = event.subject, attempts, %error, cause,
                "an event is given up for a consumer; it stays in the outbox with parked_at set");
            return ("given_up", Verdict::GivenUp);
        }
        tracing::warn!(consumer, event = %event.id, event_type = event.event_type, attempts, %error, cause, again_in = ?pause, "a delivery failed");
        ("failed", Verdict::Again { pause, counts: true })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    GivenUp,
    Again { pause: Duration, counts: bool },
}

/// What a future of the loop brings back.
enum Done {
    Leased(Result<bool, DbError>, Instant),
    Scanned(i64, Result<(Vec<OutboxRow>, Vec<Failure>), DbError>),
    Flushed(Vec<Settled>, Result<(), DbError>),
    Delivered(Delivery, Verdict),
}

/// State of the loop.
struct Run<'a> {
    relay: &'a Relay,
    window: Window,
    work: FuturesUnordered<BoxFuture<'a, Done>>,
    deliveries: usize,
    /// A scan or a flush is under way.
    storing: bool,
    flushed_last: bool,
    /// The database has just failed: not before this.
    store_after: Instant,
    leasing: bool,
    lease_until: Option<Instant>,
    renew_at: Instant,
    /// Where the current scan goes on.
    scan: Option<i64>,
    /// Something was committed during the scan.
    scan_again: bool,
    /// Highest `seq` seen.
    cursor: i64,
    /// The first scan of everything under this lease is not through: rows may have failures of an earlier holder.
    fresh: bool,
    next_poll: Instant,
    next_rescan: Instant,
}

impl<'a> Run<'a> {
    fn new(relay: &'a Relay) -> Self {
        let now = Instant::now();
        Self {
            relay,
            window: Window::default(),
            work: FuturesUnordered::new(),
            deliveries: 0,
            storing: false,
            flushed_last: false,
            store_after: now,
            leasing: false,
            lease_until: None,
            renew_at: now,
            scan: None,
            scan_again: false,
            cursor: 0,
            fresh: true,
            next_poll: now,
            next_rescan: now,
        }
    }

    /// We lead, with time to spare: nobody else can have the lease before what we begin now is well under way.
    fn leads(&self) -> bool {
        self.lease_until.is_some_and(|until| Instant::now() < until)
    }

    /// Begins whatever can be begun.
    fn begin(&mut self) {
        let relay = self.relay;
        let now = Instant::now();
        if !self.leasing && now >= self.renew_at {
            self.leasing = true;
            let first = self.lease_until.is_none();
            self.work.push(Box::pin(async move { Done::Leased(relay.lease(first).await, now) }));
        }
        if !self.leads() {
            return;
        }
        self.begin_storing();
        while self.deliveries < relay.config.concurrency as usize {
            let Some(delivery) = self.window.next(now) else { break };
            self.deliveries += 1;
            self.work.push(Box::pin(async move {
                let verdict = relay.deliver(&delivery).await;
                Done::Delivered(delivery, verdict)
            }));
        }
    }

    fn begin_storing(&mut self) {
        if self.storing || Instant::now() < self.store_after {
            return;
        }
        let relay = self.relay;
        let scan = self.scan.filter(|_| self.window.len() < relay.config.window as usize);
        match scan {
            // Turn by turn, so that neither starves.
            Some(after) if self.flushed_last || !self.window.has_settled() => {
                self.storing = true;
                self.flushed_last = false;
                let fresh = self.fresh;
                self.work
                    .push(Box::pin(async move { Done::Scanned(after, relay.scan(after, fresh).await) }));
            }
            _ if self.window.has_settled() => self.begin_flush(),
            _ => {}
        }
    }

    fn begin_flush(&mut self) {
        let relay = self.relay;
        self.storing = true;
        self.flushed_last = true;
        let settled = self.window.take_settled(usize::try_from(BATCH).unwrap_or(usize::MAX));
        self.work.push(Box::pin(async move {
            let result = relay.flush(&settled).await;
            Done::Flushed(settled, result)
        }));
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Leased(result, asked_at) => self.take_lease(result, asked_at),
            Done::Scanned(after, result) => self.take_rows(after, result),
            Done::Flushed(settled, result) => {
                self.storing = false;
                match result {
                    Ok(()) => self.window.removed(&settled),
                    Err(error) => {
                        self.relay.db.trouble("delivered events could not be removed", &error);
                        self.window.not_removed(settled);
                        self.store_after = Instant::now() + STORE_PAUSE;
                    }
                }
            }
            Done::Delivered(delivery, verdict) => {
                self.deliveries -= 1;
                match verdict {
                    Verdict::Done => self.window.delivered(&delivery, false),
                    Verdict::GivenUp => self.window.delivered(&delivery, true),
                    Verdict::Again { pause, counts } => self.window.failed(&delivery, Instant::now() + pause, counts),
                }
            }
        }
    }

    fn take_lease(&mut self, result: Result<bool, DbError>, asked_at: Instant) {
        self.leasing = false;
        let lease = self.relay.config.lease.get();
        self.renew_at = Instant::now() + lease / 3;
        match result {
            Ok(true) => {
                if !self.leads() {
                    // Somebody else may have relayed meanwhile.
                    self.reset();
                    tracing::debug!(service = self.relay.service(), "relaying");
                }
                self.lease_until = Some(asked_at + lease.mul_f64(0.8));
            }
            Ok(false) => {
                if self.lease_until.take().is_some() {
                    tracing::warn!(service = self.relay.service(), "another replica has taken the relay over");
                    self.reset();
                }
                self.lease_until = None;
            }
            Err(error) => {
                self.relay.db.trouble("the relay's lease could not be renewed", &error);
                self.renew_at = Instant::now() + Duration::from_secs(1);
            }
        }
    }

    /// Forgets everything, deliveries under way included: the database knows.
    fn reset(&mut self) {
        let leasing = self.leasing;
        *self = Self::new(self.relay);
        self.leasing = leasing;
        self.renew_at = Instant::now() + self.relay.config.lease.get() / 3;
        self.scan = Some(0);
        self.next_rescan = Instant::now() + RESCAN;
    }

    fn take_rows(&mut self, after: i64, result: Result<(Vec<OutboxRow>, Vec<Failure>), DbError>) {
        self.storing = false;
        let (rows, failures) = match result {
            Ok(found) => found,
            Err(error) => {
                self.relay.db.trouble("the outbox cannot be read", &error);
                // The next poll asks again, from where this scan was.
                self.scan = None;
                self.cursor = self.cursor.min(after);
                self.next_rescan = Instant::now();
                return;
            }
        };
        let full = rows.len() as u64 == BATCH;
        let last = rows.last().map_or(after, |row| row.seq);
        for row in rows {
            self.add(row, &failures);
        }
        self.cursor = self.cursor.max(last);
        if full {
            self.scan = Some(last);
            return;
        }
        self.scan = None;
        self.fresh = false;
        if std::mem::take(&mut self.scan_again) {
            self.request_scan();
        }
    }

    fn add(&mut self, row: OutboxRow, failures: &[Failure]) {
        let Ok(envelope) = row.envelope else { return };
        let wanted = self.relay.wanted.get(envelope.event_type.as_str()).map_or(&[][..], Vec::as_slice);
        let mut given_up = false;
        let mut waiting = Vec::with_capacity(wanted.len());
        for consumer in wanted {
            let name = self.relay.consumers[*consumer].name();
            let failure = failures
                .iter()
                .find(|failure| failure.event_id == envelope.id && failure.consumer == name);
            match failure {
                Some(failure) if failure.dead => given_up = true,
                failure => waiting.push((*consumer, failure.map_or(0, |failure| failure.attempts))),
            }
        }
        self.window.add(row.seq, envelope, row.created_at, &waiting, given_up);
    }

    fn request_scan(&mut self) {
        if self.scan.is_some() {
            self.scan_again = true;
        } else {
            self.scan = Some((self.cursor - OVERLAP).max(0));
        }
    }

    fn next_tick(&self) -> Instant {
        let mut tick = self.next_poll;
        if !self.leasing {
            tick = tick.min(self.renew_at);
        }
        if self.deliveries < self.relay.config.concurrency as usize {
            tick = self.window.next_wake().map_or(tick, |wake| tick.min(wake));
        }
        tick
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if now < self.next_poll {
            return;
        }
        self.next_poll = now + self.relay.config.poll.get();
        if now >= self.next_rescan && self.scan.is_none() {
            self.next_rescan = now + RESCAN;
            self.scan = Some(0);
        } else {
            self.request_scan();
        }
        self.measure();
    }

    fn measure(&self) {
        let service = self.relay.service();
        let clock = self.relay.clock.now();
        let untried = self.window.oldest_untried().map_or(0, Timestamp::as_micros);
        self.relay.oldest_untried.store(untried, Ordering::Relaxed);
        let age = self.window.oldest().map_or(Duration::ZERO, |oldest| clock.since(oldest));
        metrics::gauge!("outbox_oldest_seconds", "service" => service).set(age.as_secs_f64());
        metrics::gauge!("outbox_waiting", "service" => service).set(u32::try_from(self.window.len()).unwrap_or(u32::MAX));
    }

    /// Ends what was begun and gives the lease back. The process' drain time bounds it.
    async fn drain(&mut self) {
        loop {
            if !self.storing && self.deliveries == 0 && self.window.has_settled() && self.leads() {
                self.begin_flush();
            }
            let Some(done) = self.work.next().await else { break };
            let failed = matches!(done, Done::Flushed(_, Err(_)));
            self.take(done);
            if failed {
                break;
            }
        }
        if self.lease_until.is_some() {
            let mut unit = Unit::new(&self.relay.caller());
            unit.delete(store::release_lease(self.relay.holder));
            if let Err(error) = self.relay.db.apply(unit).await {
                tracing::debug!(%error, "the relay's lease was not given back; it expires");
            }
        }
    }
}

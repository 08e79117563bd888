//! A table of what was seen, a consumer that fills it, and ways to look at the platform's tables.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contracts::tasks::events::TaskSettingsChanged;
use contracts::{Envelope, EventPayload};
use kernel::ids::{EntityId, WorkspaceId};
use kernel::time::SharedClock;
use kernel::{Clock, Error, Result, SystemClock};
use platform::Caller;
use platform::config::HumanDuration;
use platform::db::{Db, Migration, Schema, Unit};
use platform::events::{Consumer, EventsConfig, Relay};
use sea_query::{Alias, Expr, ExprTrait, Func, Query};
use tokio_util::sync::CancellationToken;

const SEEN: &str = "CREATE TABLE seen (consumer VARCHAR(50) NOT NULL, subject VARCHAR(50) NOT NULL, n BIGINT NOT NULL);\n";

pub const SCHEMA: Schema = Schema {
    service: "probe",
    migrations: &[Migration {
        name: "0001_seen",
        sqlite: SEEN,
        postgres: SEEN,
        mysql: SEEN,
    }],
    unique_rules: &[],
};

pub fn caller() -> Caller {
    Caller::system(&SystemClock as &dyn Clock, "test")
}

pub fn subject() -> WorkspaceId {
    WorkspaceId::generate(&SystemClock)
}

/// The n-th fact about a subject.
pub fn fact(subject: WorkspaceId, n: usize) -> TaskSettingsChanged {
    TaskSettingsChanged {
        workspace_id: subject,
        changed: vec![n.to_string()],
    }
}

pub async fn emit(db: &Db, subject: WorkspaceId, n: usize) {
    let mut unit = Unit::new(&caller());
    unit.emit(&fact(subject, n));
    db.apply(unit).await.expect("emits");
}

pub async fn count(db: &Db, table: &'static str) -> i64 {
    let select = Query::select()
        .expr(Func::count(Expr::col(sea_query::Asterisk)))
        .from(Alias::new(table))
        .to_owned();
    db.one::<(i64,)>(select).await.expect("counts").0
}

/// Waits up to 20 s for `check`.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut check: F) {
    for _ in 0..800 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never came true: {what}");
}

type Fault = Box<dyn Fn(&str, usize) -> Option<Error> + Send + Sync>;

/// Writes every event to `seen` and remembers the order.
pub struct Recorder {
    name: &'static str,
    db: Db,
    fault: Mutex<Fault>,
    pub order: Mutex<Vec<(String, usize)>>,
    pub calls: AtomicUsize,
    panics: AtomicBool,
    too_early: AtomicUsize,
}

impl Recorder {
    pub fn new(name: &'static str, db: &Db) -> Arc<Self> {
        Arc::new(Self {
            name,
            db: db.clone(),
            fault: Mutex::new(Box::new(|_, _| None)),
            order: Mutex::default(),
            calls: AtomicUsize::new(0),
            panics: AtomicBool::new(false),
            too_early: AtomicUsize::new(0),
        })
    }
    pub fn fail_when(&self, fault: impl Fn(&str, usize) -> Option<Error> + Send + Sync + 'static) {
        *self.fault.lock().expect("lock") = Box::new(fault);
    }
    pub fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
    /// What was handled of one subject, in order; repeats, whose unit changed nothing, left out.
    pub fn of(&self, subject: WorkspaceId) -> Vec<usize> {
        let subject = subject.to_string();
        let order = self.order.lock().expect("lock");
        let mut seen = Vec::new();
        for (_, n) in order.iter().filter(|(of, _)| *of == subject) {
            if !seen.contains(n) {
                seen.push(*n);
            }
        }
        seen
    }
    /// How often an event came before all earlier ones of its subject were committed.
    pub fn too_early(&self) -> usize {
        self.too_early.load(Ordering::SeqCst)
    }
    async fn committed_before(&self, subject: &str, n: usize) -> Result<usize> {
        let earlier = Query::select()
            .expr(Func::count(Expr::col(sea_query::Asterisk)))
            .from(Alias::new("seen"))
            .and_where(Expr::col(Alias::new("consumer")).eq(self.name))
            .and_where(Expr::col(Alias::new("subject")).eq(subject))
            .and_where(Expr::col(Alias::new("n")).lt(i64::try_from(n).expect("small")))
            .to_owned();
        Ok(usize::try_from(self.db.one::<(i64,)>(earlier).await?.0).expect("a count"))
    }
}

#[async_trait]
impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        self.name
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[TaskSettingsChanged::TYPE]
    }
    fn db(&self) -> &Db {
        &self.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let fact = event
            .payload::<TaskSettingsChanged>()
            .expect("the type asked for")
            .map_err(Error::internal)?;
        let n: usize = fact.changed[0].parse().map_err(Error::internal)?;
        if self.committed_before(&event.subject, n).await? < n {
            self.too_early.fetch_add(1, Ordering::SeqCst);
        }
        assert!(!self.panics.swap(false, Ordering::SeqCst), "on purpose");
        if let Some(error) = (self.fault.lock().expect("lock"))(&event.subject, n) {
            return Err(error);
        }
        let insert = Query::insert()
            .into_table(Alias::new("seen"))
            .columns(["consumer", "subject", "n"].map(Alias::new))
            .values_panic([
                self.name.into(),
                event.subject.as_str().into(),
                i64::try_from(n).expect("small").into(),
            ])
            .to_owned();
        unit.insert(insert);
        self.order.lock().expect("lock").push((event.subject.clone(), n));
        Ok(())
    }
}

/// Short pauses, so that failures come back within a test.
pub fn quick() -> EventsConfig {
    EventsConfig {
        poll: HumanDuration::from_millis(50),
        backoff: HumanDuration::from_millis(5),
        backoff_max: HumanDuration::from_millis(20),
        lease: HumanDuration::from_secs(2),
        ..EventsConfig::default()
    }
}

/// A relay that runs beside the test until it is stopped.
pub struct Running {
    pub relay: Arc<Relay>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub fn start(db: &Db, consumers: &[&Arc<Recorder>], config: EventsConfig) -> Self {
        Self::start_at(db, consumers, config, Arc::new(SystemClock))
    }
    #[expect(clippy::disallowed_methods, reason = "a test waits for its own tasks")]
    pub fn start_at(db: &Db, consumers: &[&Arc<Recorder>], config: EventsConfig, clock: SharedClock) -> Self {
        let consumers = consumers.iter().map(|consumer| Arc::clone(consumer) as Arc<dyn Consumer>).collect();
        let relay = Relay::new(db.clone(), clock, consumers, config);
        let stop = CancellationToken::new();
        let (own, token) = (Arc::clone(&relay), stop.clone());
        let task = tokio::spawn(async move { own.run(token).await });
        Self { relay, stop, task }
    }
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the relay does not panic");
    }
    /// Like SIGKILL: nothing is finished, no lease is given back.
    pub fn kill(self) {
        self.task.abort();
    }
}

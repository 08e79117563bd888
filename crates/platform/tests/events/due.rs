//! Due work: once, later, again, never.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kernel::{Clock, Error, Result};
use platform::Caller;
use platform::config::HumanDuration;
use platform::db::{Db, Unit};
use platform::due::{Due, DueConfig, DueHandler, DueItem, DueRunner};
use platform::lifecycle::Lifecycle;
use platform::mail::{self, Mail, MailHandler, Mailer};
use sea_query::{Alias, Query};
use serde_json::json;
use testkit::{FixedClock, TestDb};

use crate::support::{SCHEMA, count, eventually};

const KIND: &str = "probe.work";

#[derive(Default)]
struct Worker {
    ran: Mutex<Vec<(i64, i32)>>,
    /// Answers of the next runs; empty: success.
    answers: Mutex<Vec<Error>>,
    /// Schedules the same key again while it runs.
    reschedule: Mutex<Option<(Db, FixedClock)>>,
    hang: std::sync::atomic::AtomicBool,
}

impl Worker {
    fn ran(&self) -> Vec<(i64, i32)> {
        self.ran.lock().expect("lock").clone()
    }
}

#[async_trait]
impl DueHandler for Worker {
    fn kind(&self) -> &'static str {
        KIND
    }
    async fn run(&self, item: &DueItem) -> Result<()> {
        self.ran
            .lock()
            .expect("lock")
            .push((item.payload["n"].as_i64().expect("n"), item.attempt));
        if self.hang.load(std::sync::atomic::Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let again = self.reschedule.lock().expect("lock").take();
        if let Some((db, clock)) = again {
            schedule(&db, &clock, Some("same"), 99, Duration::ZERO).await;
        }
        match self.answers.lock().expect("lock").pop() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

async fn schedule(db: &Db, clock: &FixedClock, key: Option<&str>, n: i64, after: Duration) {
    let mut unit = Unit::new(&Caller::system(clock as &dyn Clock, "req-7"));
    unit.schedule(Due {
        kind: KIND,
        key: key.map(str::to_owned),
        payload: json!({ "n": n }),
        run_at: clock.now().plus(after),
    });
    db.apply(unit).await.expect("schedules");
}

struct Bench {
    db: TestDb,
    clock: FixedClock,
    worker: Arc<Worker>,
    runner: Arc<DueRunner>,
}

impl Bench {
    async fn new() -> Self {
        let db = TestDb::new(SCHEMA).await;
        let (clock, worker) = (FixedClock::default(), Arc::new(Worker::default()));
        let runner = Self::runner(&db, &clock, &worker);
        Self { db, clock, worker, runner }
    }
    fn runner(db: &Db, clock: &FixedClock, worker: &Arc<Worker>) -> Arc<DueRunner> {
        let config = DueConfig {
            max_attempts: 3,
            poll: HumanDuration::from_millis(50),
            ..DueConfig::default()
        };
        DueRunner::new(
            db.clone(),
            Arc::new(clock.clone()),
            vec![Arc::clone(worker) as Arc<dyn DueHandler>],
            config,
        )
    }
    /// A runner that was dropped in the middle of its work on item 1.
    async fn crashed() -> Self {
        let bench = Self::new().await;
        schedule(&bench.db, &bench.clock, None, 1, Duration::ZERO).await;
        bench.worker.hang.store(true, std::sync::atomic::Ordering::SeqCst);
        let crash = tokio::time::timeout(Duration::from_millis(500), bench.runner.run_ready()).await;
        assert!(crash.is_err(), "dropped in the middle of its work");
        bench.worker.hang.store(false, std::sync::atomic::Ordering::SeqCst);
        bench
    }
    async fn run(&self) -> usize {
        self.runner.run_ready().await.expect("runs")
    }
}

#[tokio::test]
async fn work_runs_at_its_time_and_is_gone() {
    let bench = Bench::new().await;
    schedule(&bench.db, &bench.clock, None, 1, Duration::ZERO).await;
    schedule(&bench.db, &bench.clock, None, 2, Duration::from_secs(60)).await;
    assert_eq!(bench.run().await, 1);
    bench.clock.advance(Duration::from_secs(59));
    assert_eq!(bench.run().await, 0);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.run().await, 1);
    assert_eq!(bench.worker.ran(), [(1, 1), (2, 1)]);
    assert_eq!(count(&bench.db, "due_work").await, 0);
}

#[tokio::test]
async fn the_same_key_replaces_and_unschedule_removes() {
    let bench = Bench::new().await;
    schedule(&bench.db, &bench.clock, Some("k"), 1, Duration::ZERO).await;
    schedule(&bench.db, &bench.clock, Some("k"), 2, Duration::ZERO).await;
    schedule(&bench.db, &bench.clock, Some("other"), 3, Duration::from_secs(1)).await;
    assert_eq!(count(&bench.db, "due_work").await, 2);
    assert_eq!(bench.run().await, 1);
    let mut unit = Unit::new(&Caller::system(&bench.clock as &dyn Clock, "test"));
    unit.unschedule(KIND, "other");
    bench.db.apply(unit).await.expect("unschedules");
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.run().await, 0);
    assert_eq!(bench.worker.ran(), [(2, 1)]);
}

#[tokio::test]
async fn what_is_replaced_while_it_runs_runs_again() {
    let bench = Bench::new().await;
    *bench.worker.reschedule.lock().expect("lock") = Some((bench.db.db(), bench.clock.clone()));
    schedule(&bench.db, &bench.clock, Some("same"), 1, Duration::ZERO).await;
    assert_eq!(bench.run().await, 2);
    assert_eq!(bench.worker.ran(), [(1, 1), (99, 1)]);
    assert_eq!(count(&bench.db, "due_work").await, 0);
}

/// Runs again once, ten seconds later; a newer order of the same key goes before.
struct Repeater {
    bench: Mutex<Option<(Db, FixedClock, bool)>>,
    ran: Mutex<Vec<(i64, i32)>>,
}

#[async_trait]
impl DueHandler for Repeater {
    fn kind(&self) -> &'static str {
        KIND
    }
    async fn run(&self, item: &DueItem) -> Result<()> {
        self.ran
            .lock()
            .expect("lock")
            .push((item.payload["n"].as_i64().expect("n"), item.attempt));
        let bench = self.bench.lock().expect("lock").take();
        if let Some((db, clock, replaced)) = bench {
            if replaced {
                schedule(&db, &clock, Some("same"), 99, Duration::ZERO).await;
            }
            let mut unit = Unit::new(&Caller::system(&clock as &dyn Clock, "req-7"));
            unit.run_again(item, clock.now().plus(Duration::from_secs(10)));
            db.apply(unit).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_can_ask_to_run_again_and_gives_way_to_a_newer_order() {
    for replaced in [false, true] {
        let db = TestDb::new(SCHEMA).await;
        let clock = FixedClock::default();
        let repeater = Arc::new(Repeater {
            bench: Mutex::new(Some((db.db(), clock.clone(), replaced))),
            ran: Mutex::default(),
        });
        let handler = Arc::clone(&repeater) as Arc<dyn DueHandler>;
        let runner = DueRunner::new(db.db(), Arc::new(clock.clone()), vec![handler], DueConfig::default());
        schedule(&db, &clock, Some("same"), 1, Duration::ZERO).await;
        let at_once = runner.run_ready().await.expect("runs");
        clock.advance(Duration::from_secs(10));
        let later = runner.run_ready().await.expect("runs");
        let ran = repeater.ran.lock().expect("lock").clone();
        if replaced {
            assert_eq!((at_once, later, ran), (2, 0, vec![(1, 1), (99, 1)]));
        } else {
            assert_eq!((at_once, later, ran), (1, 1, vec![(1, 1), (1, 1)]));
        }
        assert_eq!(count(&db, "due_work").await, 0);
    }
}

#[tokio::test]
async fn failures_come_back_later_and_are_given_up_in_the_end() {
    let bench = Bench::new().await;
    let refuse = || Error::unavailable(Duration::from_secs(1));
    *bench.worker.answers.lock().expect("lock") = vec![refuse(), refuse(), refuse()];
    schedule(&bench.db, &bench.clock, Some("k"), 1, Duration::ZERO).await;
    assert_eq!(bench.run().await, 1);
    assert_eq!(bench.run().await, 0, "backoff of one to two seconds");
    for _ in 0..9 {
        bench.clock.advance(Duration::from_secs(4));
        bench.run().await;
    }
    assert_eq!(bench.worker.ran(), [(1, 1), (1, 2), (1, 3)], "three attempts");
    let row = Query::select()
        .columns(["last_error", "dead_at"].map(Alias::new))
        .from(Alias::new("due_work"))
        .to_owned();
    let (error, dead): (Option<String>, Option<i64>) = bench.db.one(row).await.expect("kept");
    assert!(error.is_some_and(|error| error.contains("service.unavailable")) && dead.is_some());
    // A new order of the same key brings it back to life.
    schedule(&bench.db, &bench.clock, Some("k"), 2, Duration::ZERO).await;
    assert_eq!(bench.run().await, 1);
    assert_eq!(bench.worker.ran().last(), Some(&(2, 1)));
    assert_eq!(count(&bench.db, "due_work").await, 0);
}

#[tokio::test]
async fn what_can_never_work_is_not_tried_again() {
    let bench = Bench::new().await;
    *bench.worker.answers.lock().expect("lock") = vec![Error::invalid_field("/to", "invalid", "no such mailbox")];
    schedule(&bench.db, &bench.clock, None, 1, Duration::ZERO).await;
    bench.run().await;
    bench.clock.advance(Duration::from_secs(100_000));
    assert_eq!(bench.run().await, 0);
    assert_eq!(count(&bench.db, "due_work").await, 1);
}

#[tokio::test]
async fn a_crashed_runner_loses_its_items_to_the_next_when_the_lease_ends() {
    let bench = Bench::crashed().await;
    assert_eq!(bench.worker.ran(), [(1, 1)]);
    let next = Bench::runner(&bench.db, &bench.clock, &bench.worker);
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(next.run_ready().await.expect("runs"), 0, "the lease still holds");
    bench.clock.advance(Duration::from_secs(20));
    assert_eq!(next.run_ready().await.expect("runs"), 1);
    assert_eq!(bench.worker.ran(), [(1, 1), (1, 2)]);
    assert_eq!(count(&bench.db, "due_work").await, 0);
}

#[tokio::test]
async fn the_only_process_need_not_wait_for_what_a_killed_one_had_in_hand() {
    let bench = Bench::crashed().await;
    let next = Bench::runner(&bench.db, &bench.clock, &bench.worker);
    assert_eq!(next.run_ready().await.expect("runs"), 0);
    let caller = Caller::system(&bench.clock, "start");
    platform::due::store::release_all(&bench.db, &caller).await.expect("released");
    assert_eq!(next.run_ready().await.expect("runs"), 1);
    assert_eq!(bench.worker.ran(), [(1, 1), (1, 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runners_side_by_side_run_each_item_once_and_wake_on_commit() {
    let bench = Bench::new().await;
    let lifecycle = Lifecycle::new();
    for _ in 0..3 {
        Bench::runner(&bench.db, &bench.clock, &bench.worker).start(&lifecycle);
    }
    for n in 0..60 {
        schedule(&bench.db, &bench.clock, None, n, Duration::ZERO).await;
    }
    eventually("all done", async || count(&bench.db, "due_work").await == 0).await;
    lifecycle.stop("test");
    assert!(lifecycle.wait(Duration::from_secs(10)).await.drained);
    let mut ran = bench.worker.ran();
    ran.sort_unstable();
    assert_eq!(ran, (0..60).map(|n| (n, 1)).collect::<Vec<_>>());
}

#[derive(Default)]
struct Postbox {
    sent: Mutex<Vec<Mail>>,
}

#[async_trait]
impl Mailer for Postbox {
    async fn send(&self, mail: &Mail) -> Result<()> {
        self.sent.lock().expect("lock").push(mail.clone());
        Ok(())
    }
}

#[tokio::test]
async fn a_scheduled_mail_is_sent_once() {
    let db = TestDb::new(SCHEMA).await;
    let (clock, postbox) = (FixedClock::default(), Arc::new(Postbox::default()));
    let mail = Mail {
        to: "ada@example.test".into(),
        subject: "Hello".into(),
        text: "Hi Ada".into(),
        html: None,
        message_id: "m-1".into(),
    };
    let handler = MailHandler::new(Arc::clone(&postbox) as Arc<dyn Mailer>);
    let runner = DueRunner::new(db.db(), Arc::new(clock.clone()), vec![Arc::new(handler)], DueConfig::default());
    for _ in 0..2 {
        let caller = Caller::system(&clock as &dyn Clock, "test");
        let mut unit = Unit::new(&caller);
        unit.schedule(mail::due(&mail, caller.now));
        db.apply(unit).await.expect("schedules");
    }
    assert_eq!(runner.run_ready().await.expect("runs"), 1, "same message id, one mail");
    assert_eq!(*postbox.sent.lock().expect("lock"), [mail]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_forward_runs_nothing_twice() {
    let bench = Bench::new().await;
    bench.worker.hang.store(true, std::sync::atomic::Ordering::SeqCst);
    let lifecycle = Lifecycle::new();
    Arc::clone(&bench.runner).start(&lifecycle);
    schedule(&bench.db, &bench.clock, None, 1, Duration::ZERO).await;
    eventually("the run", async || bench.worker.ran().len() == 1).await;
    // The lease has long ended by this clock, but whoever holds it is still at work.
    bench.clock.advance(Duration::from_secs(24 * 3_600));
    schedule(&bench.db, &bench.clock, None, 2, Duration::ZERO).await;
    eventually("the next run", async || bench.worker.ran().len() >= 2).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(bench.worker.ran(), [(1, 1), (2, 1)]);
    lifecycle.stop("test");
}

/// Holds a connection for a good part of its run.
struct Reader(Db);

#[async_trait]
impl DueHandler for Reader {
    fn kind(&self) -> &'static str {
        KIND
    }
    async fn run(&self, _: &DueItem) -> Result<()> {
        for _ in 0..4 {
            count(&self.0, "due_work").await;
        }
        Ok(())
    }
}

/// With all connections in the hands of items that nobody polled, claiming more waited until it gave up, and with it everybody who
/// asked for a connection.
#[tokio::test(flavor = "multi_thread")]
async fn more_work_than_connections_goes_on_without_a_pause() {
    let (db, clock) = (TestDb::new(SCHEMA).await, FixedClock::default());
    let config = DueConfig {
        concurrency: 40,
        poll: HumanDuration::from_millis(1),
        ..DueConfig::default()
    };
    let handler = Arc::new(Reader(db.db()));
    let runner = DueRunner::new(db.db(), Arc::new(clock.clone()), vec![handler], config);
    let mut unit = Unit::new(&Caller::system(&clock as &dyn Clock, "req-7"));
    for n in 0..100 {
        unit.schedule(Due {
            kind: KIND,
            key: None,
            payload: json!({ "n": n }),
            run_at: clock.now(),
        });
    }
    db.apply(unit).await.expect("schedules");
    let lifecycle = Lifecycle::new();
    runner.start(&lifecycle);
    // Whoever waits for a connection gives up later than this.
    let patience = Duration::from_millis(testkit::PATIENCE_MS - 5_000);
    let all = async {
        while count(&db, "due_work").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience, all)
        .await
        .expect("nothing waits for what it holds up itself");
    lifecycle.stop("test");
}

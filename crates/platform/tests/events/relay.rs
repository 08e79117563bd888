//! Order, repetition, failure and take-over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use contracts::Envelope;
use kernel::{Clock, Error, SystemClock};
use platform::db::{Engine, Unit};
use platform::due::Sweep;
use platform::events::store::insert_outbox;
use platform::events::{EventsConfig, RetentionSweep, requeue_parked};
use sea_query::{Alias, Query};
use testkit::{FixedClock, TestDb};

use crate::support::{Recorder, Running, SCHEMA, caller, count, emit, eventually, quick, subject};

fn broken() -> Error {
    Error::internal("broken on purpose")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_once_and_in_the_order_of_its_aggregate() {
    let db = TestDb::new(SCHEMA).await;
    let (first, second) = (Recorder::new("first", &db), Recorder::new("second", &db));
    // One delivery in seven fails the first time it is tried.
    let tries = AtomicUsize::new(0);
    first.fail_when(move |_, _| tries.fetch_add(1, Ordering::SeqCst).is_multiple_of(7).then(broken));
    let running = Running::start(&db, &[&first, &second], quick());
    let subjects: Vec<_> = (0..12).map(|_| subject()).collect();
    let writers = subjects.iter().map(|subject| {
        let db = db.db();
        async move {
            for n in 0..20 {
                emit(&db, *subject, n).await;
            }
        }
    });
    futures_util::future::join_all(writers).await;
    eventually("the outbox is empty", async || count(&db, "outbox").await == 0).await;
    for subject in subjects {
        assert_eq!(first.of(subject), (0..20).collect::<Vec<_>>());
        assert_eq!(second.of(subject), (0..20).collect::<Vec<_>>());
    }
    assert_eq!(first.too_early() + second.too_early(), 0);
    assert_eq!(count(&db, "seen").await, 2 * 12 * 20);
    assert_eq!(count(&db, "outbox_failures").await, 0, "who recovered leaves nothing behind");
    eventually("no lag is left", async || running.relay.lag() == Duration::ZERO).await;
    running.stop().await;
    assert_eq!(count(&db, "relay_leases").await, 0, "the lease is given back");
}

/// As after a crash between the consumer's commit and the removal from the outbox.
#[tokio::test]
async fn a_second_delivery_changes_nothing() {
    let db = TestDb::new(SCHEMA).await;
    let recorder = Recorder::new("recorder", &db);
    let subject = subject();
    for n in 0..3 {
        emit(&db, subject, n).await;
    }
    let envelopes = Query::select().column(Alias::new("envelope")).from(Alias::new("outbox")).to_owned();
    let envelopes: Vec<(String,)> = db.all(envelopes).await.expect("reads");
    let running = Running::start(&db, &[&recorder], quick());
    eventually("delivered", async || count(&db, "outbox").await == 0).await;
    // Even when the consumer now fails, for the state has moved on: the inbox decides.
    recorder.fail_when(|_, _| Some(broken()));
    let mut again = Unit::new(&caller());
    for (text,) in &envelopes {
        let envelope: Envelope = serde_json::from_str(text).expect("an envelope");
        again.insert(insert_outbox(&envelope, SystemClock.now()));
    }
    db.apply(again).await.expect("re-inserts");
    eventually("settled again", async || count(&db, "outbox").await == 0).await;
    recorder.fail_when(|_, _| None);
    let mut again = Unit::new(&caller());
    for (text,) in &envelopes {
        let envelope: Envelope = serde_json::from_str(text).expect("an envelope");
        again.insert(insert_outbox(&envelope, SystemClock.now()));
    }
    db.apply(again).await.expect("re-inserts");
    eventually("settled once more", async || count(&db, "outbox").await == 0).await;
    assert_eq!(recorder.calls(), 9, "it was handed over again");
    assert_eq!(count(&db, "seen").await, 3, "and written once");
    running.stop().await;
}

#[tokio::test]
async fn a_failing_aggregate_waits_alone() {
    let db = TestDb::new(SCHEMA).await;
    let (weak, strong) = (Recorder::new("weak", &db), Recorder::new("strong", &db));
    let (bad, good) = (subject(), subject());
    let name = bad.to_string();
    weak.fail_when(move |subject, _| (subject == name).then(broken));
    for n in 0..3 {
        emit(&db, bad, n).await;
        emit(&db, good, n).await;
    }
    let config = EventsConfig {
        max_attempts: 10_000,
        ..quick()
    };
    let running = Running::start(&db, &[&weak, &strong], config);
    eventually("the others go on", async || {
        weak.of(good).len() == 3 && strong.of(bad).len() == 3 && strong.of(good).len() == 3
    })
    .await;
    eventually("it is tried again and again", async || weak.calls() > 3 + 5).await;
    assert!(weak.of(bad).is_empty());
    assert_eq!(count(&db, "outbox").await, 3, "nothing is dropped");
    eventually("a failing consumer is no lag", async || running.relay.lag() == Duration::ZERO).await;
    weak.fail_when(|_, _| None);
    eventually("it recovers", async || count(&db, "outbox").await == 0).await;
    assert_eq!(weak.too_early(), 0);
    assert_eq!(weak.of(bad), [0, 1, 2]);
    running.stop().await;
}

#[tokio::test]
async fn what_keeps_failing_is_parked_and_can_be_sent_again() {
    let db = TestDb::new(SCHEMA).await;
    let (weak, strong) = (Recorder::new("weak", &db), Recorder::new("strong", &db));
    weak.fail_when(|_, n| (n == 0).then(broken));
    let subject = subject();
    emit(&db, subject, 0).await;
    emit(&db, subject, 1).await;
    let config = EventsConfig {
        max_attempts: 3,
        ..quick()
    };
    let running = Running::start(&db, &[&weak, &strong], config);
    eventually("the next one passes", async || weak.of(subject) == [1]).await;
    let parked = Query::select()
        .column(Alias::new("parked_at"))
        .from(Alias::new("outbox"))
        .to_owned();
    eventually("one is parked", async || {
        let rows: Vec<(Option<i64>,)> = db.all(parked.clone()).await.expect("reads");
        rows.len() == 1 && rows[0].0.is_some()
    })
    .await;
    assert_eq!(weak.calls(), 3 + 1, "three attempts, then no more");
    let failure = Query::select()
        .columns(["attempts", "last_error"].map(Alias::new))
        .from(Alias::new("outbox_failures"))
        .to_owned();
    let failure: (i32, String) = db.one(failure).await.expect("kept with its error");
    assert_eq!(failure.0, 3);
    assert!(
        !failure.1.contains("on purpose"),
        "causes go to the log, not to the table: {}",
        failure.1
    );
    weak.fail_when(|_, _| None);
    requeue_parked(&db, &caller()).await.expect("requeues");
    eventually("it arrives after all", async || count(&db, "outbox").await == 0).await;
    assert_eq!(weak.of(subject), [1, 0]);
    assert_eq!(count(&db, "seen").await, 4, "the other consumer keeps its one copy");
    assert!(strong.calls() >= 3, "though it was handed over again");
    running.stop().await;
}

#[tokio::test]
async fn a_consumer_that_is_away_never_loses_an_event() {
    let db = TestDb::new(SCHEMA).await;
    let recorder = Recorder::new("recorder", &db);
    let tries = AtomicUsize::new(0);
    recorder.fail_when(move |_, _| (tries.fetch_add(1, Ordering::SeqCst) < 2).then(|| Error::unavailable(Duration::from_secs(1))));
    let subject = subject();
    emit(&db, subject, 0).await;
    let config = EventsConfig {
        max_attempts: 1,
        ..quick()
    };
    let running = Running::start(&db, &[&recorder], config);
    eventually("delivered", async || recorder.of(subject) == [0]).await;
    eventually("the outbox is empty", async || count(&db, "outbox").await == 0).await;
    running.stop().await;
}

#[tokio::test]
async fn a_panicking_consumer_is_a_failing_one() {
    let db = TestDb::new(SCHEMA).await;
    let recorder = Recorder::new("recorder", &db);
    recorder.panic_once();
    let subject = subject();
    emit(&db, subject, 0).await;
    let running = Running::start(&db, &[&recorder], quick());
    eventually("delivered", async || recorder.of(subject) == [0]).await;
    assert_eq!(recorder.calls(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_take_over_and_never_relay_side_by_side() {
    let db = TestDb::new(SCHEMA).await;
    let recorder = Recorder::new("recorder", &db);
    let subjects: Vec<_> = (0..4).map(|_| subject()).collect();
    let first = Running::start(&db, &[&recorder], quick());
    eventually("the first leads", async || count(&db, "relay_leases").await == 1).await;
    // SQLite has one process; there a newcomer takes over at once instead of waiting for the lease.
    let second = (db.engine() != Engine::Sqlite).then(|| Running::start(&db, &[&recorder], quick()));
    for n in 0..10 {
        for subject in &subjects {
            emit(&db, *subject, n).await;
        }
    }
    eventually("delivered", async || count(&db, "outbox").await == 0).await;
    first.kill();
    let third = Running::start(&db, &[&recorder], quick());
    for n in 10..20 {
        for subject in &subjects {
            emit(&db, *subject, n).await;
        }
    }
    eventually("taken over", async || count(&db, "outbox").await == 0).await;
    for subject in &subjects {
        assert_eq!(recorder.of(*subject), (0..20).collect::<Vec<_>>());
    }
    assert_eq!(recorder.too_early(), 0);
    assert_eq!(count(&db, "seen").await, 4 * 20);
    third.stop().await;
    if let Some(second) = second {
        second.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_a_clock_that_was_set_back_holds_nobody_up() {
    let db = TestDb::new(SCHEMA).await;
    let recorder = Recorder::new("recorder", &db);
    let ahead = FixedClock::at(SystemClock.now().plus(Duration::from_secs(48 * 3_600)));
    let first = Running::start_at(&db, &[&recorder], quick(), Arc::new(ahead));
    eventually("the first leads", async || count(&db, "relay_leases").await == 1).await;
    first.kill();
    let second = Running::start(&db, &[&recorder], quick());
    emit(&db, subject(), 0).await;
    eventually("delivered", async || count(&db, "outbox").await == 0).await;
    assert_eq!(recorder.calls(), 1);
    second.stop().await;
}

#[tokio::test]
async fn retention_forgets_old_inbox_rows_and_keeps_young_ones() {
    let db = TestDb::new(SCHEMA).await;
    let recorder = Recorder::new("recorder", &db);
    emit(&db, subject(), 0).await;
    let running = Running::start(&db, &[&recorder], quick());
    eventually("delivered", async || count(&db, "inbox").await == 1).await;
    running.stop().await;
    let clock = FixedClock::at(SystemClock.now());
    let sweep = RetentionSweep::new(db.db(), Arc::new(clock.clone()), EventsConfig::default());
    sweep.run().await.expect("sweeps");
    assert_eq!(count(&db, "inbox").await, 1);
    clock.advance(Duration::from_secs(15 * 86_400));
    sweep.run().await.expect("sweeps");
    assert_eq!(count(&db, "inbox").await, 0);
}

//! A request may be dropped at any moment, and so may the whole runtime: no half write, no spoilt connection.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use platform::db::{Db, Reply};
use sea_query::Query;
use testkit::{TestDb, TestServer};
use tokio::task::JoinSet;

use crate::support::*;

/// Different moments from run to run would hide a failure; a walk through the range finds it again.
fn moment(trial: u64) -> Duration {
    Duration::from_micros((trial * 37) % if trial % 8 < 4 { 250 } else { 2_500 })
}

/// The timer's steps of a millisecond are too wide here.
async fn wait(time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {
        tokio::task::yield_now().await;
    }
}

async fn assert_whole(db: &Db) -> i64 {
    let (parents, children) = (count(db, Probe::Table).await, count(db, Child::Table).await);
    assert_eq!(parents, children, "a unit was half written");
    parents
}

/// More than the pool has: a slot that leaked, or a session left inside a transaction, shows.
async fn assert_usable(db: &Db) {
    for _ in 0..2 {
        for result in join_all((0..24).map(|_| db.apply(pair()))).await {
            result.expect("every connection is usable");
        }
        for result in join_all((0..24).map(|_| db.ping())).await {
            result.expect("every connection is usable");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_request_leaves_no_half_write_and_no_spoilt_connection() {
    let db = TestDb::new(SCHEMA).await;
    let mut aborted = 0;
    for trial in 0..400 {
        let mut tasks = JoinSet::new();
        let handle = db.db();
        tasks.spawn(async move {
            match trial % 4 {
                0 => drop(
                    handle
                        .all::<String>(Query::select().column(Probe::Name).from(Probe::Table).to_owned())
                        .await,
                ),
                1 => drop(handle.apply_reply(pair(), |_| Ok(Reply::plain(1))).await),
                _ => drop(handle.apply(pair()).await),
            }
        });
        wait(moment(trial)).await;
        tasks.abort_all();
        while let Some(ended) = tasks.join_next().await {
            aborted += usize::from(ended.is_err_and(|error| error.is_cancelled()));
        }
    }
    assert!(aborted > 20, "only {aborted} requests were dropped: the test proves nothing");
    db.close().await;
    assert_usable(&db).await;
    assert_eq!(assert_whole(&db).await, count(&db, Child::Table).await);
}

#[test]
fn a_runtime_that_ends_leaves_no_half_write() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let outer = runtime();
    let server = outer.block_on(TestServer::new(&[SCHEMA]));
    for trial in 0..25 {
        let inner = runtime();
        let config = server.config().clone();
        let folder = server.folder().to_owned();
        let work = async move {
            let db = Db::connect(&config, &folder, SCHEMA).await.expect("opens");
            join_all((0..50).map(|_| db.apply(pair()))).await
        };
        inner.block_on(async { drop(tokio::time::timeout(moment(trial * 11) * 8, work).await) });
        inner.shutdown_timeout(Duration::ZERO);
    }
    outer.block_on(async {
        let db = server.db(SCHEMA).await;
        // The server may still be rolling back what lost its client.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_whole(&db).await;
        assert_usable(&db).await;
        assert_whole(&db).await;
    });
}

//! A unit commits as a whole or not at all.

use std::time::Duration;

use contracts::EventPayload;
use kernel::ErrorKind;
use platform::db::{DbError, Guard, Reply, Unit};
use platform::due::Due;
use sea_query::{Expr, ExprTrait, Query, UpdateStatement};
use serde::{Deserialize, Serialize};
use testkit::TestDb;
use uuid::Uuid;

use crate::support::*;

#[derive(Serialize, Deserialize)]
pub struct Probed {
    id: String,
}

impl EventPayload for Probed {
    const TYPE: &'static str = "probe.probed.v1";
    fn subject(&self) -> String {
        self.id.clone()
    }
    fn workspace_id(&self) -> Option<kernel::ids::WorkspaceId> {
        None
    }
}

fn rename(id: Uuid, version: i64, name: &str) -> UpdateStatement {
    Query::update()
        .table(Probe::Table)
        .value(Probe::Name, name)
        .value(Probe::Version, version + 1)
        .and_where(Expr::col(Probe::Id).eq(id))
        .and_where(Expr::col(Probe::Version).eq(version))
        .to_owned()
}

#[tokio::test]
async fn a_unit_commits_its_rows_and_its_event_together() {
    let db = TestDb::new(SCHEMA).await;
    let id = new_id();
    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(id, "one"));
    let seen = unit.read::<(String, i64)>(probe_by_id(id));
    unit.emit(&Probed { id: id.to_string() });
    let mut output = db.apply(unit).await.expect("commits");
    assert_eq!(output.first(&seen).expect("read inside the unit"), ("one".to_owned(), 1));
    assert_eq!(count(&db, Probe::Table).await, 1);
    assert_eq!(count(&db, "outbox").await, 1);
}

#[tokio::test]
async fn a_failed_guard_takes_everything_back() {
    let db = TestDb::new(SCHEMA).await;
    let id = new_id();
    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(id, "one"));
    db.apply(unit).await.expect("commits");

    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(new_id(), "two"));
    unit.emit(&Probed { id: id.to_string() });
    unit.update_guarded(rename(id, 9, "stale"), Guard::VERSION);
    unit.insert(insert_probe(new_id(), "three"));
    let error = db.apply(unit).await.expect_err("the version is stale");
    assert!(matches!(error, DbError::Guard(Guard::VERSION)), "{error:?}");
    assert_eq!(kernel::Error::from(error).kind, ErrorKind::Precondition);
    assert_eq!(count(&db, Probe::Table).await, 1);
    assert_eq!(count(&db, "outbox").await, 0);

    let mut unit = Unit::new(&caller());
    unit.update_guarded(rename(id, 1, "fresh"), Guard::VERSION);
    db.apply(unit).await.expect("the version is right");
    let row = db.one::<(String, i64)>(probe_by_id(id)).await.expect("row");
    assert_eq!(row, ("fresh".to_owned(), 2));
}

fn due(key: Option<&str>, run_at: kernel::Timestamp) -> Due {
    Due {
        kind: "probe.remind",
        key: key.map(str::to_owned),
        payload: serde_json::json!({"n": 1}),
        run_at,
    }
}

#[tokio::test]
async fn due_work_with_a_key_is_replaced_or_removed() {
    let db = TestDb::new(SCHEMA).await;
    let now = caller().now;
    let run_at = Query::select()
        .column("run_at")
        .from("due_work")
        .and_where(Expr::col("work_key").eq("a"))
        .to_owned();
    for seconds in [60, 30, 90] {
        let mut unit = Unit::new(&caller());
        unit.schedule(due(Some("a"), now.plus(Duration::from_secs(seconds))));
        unit.schedule(due(None, now));
        db.apply(unit).await.expect("commits");
        let stored = db.all::<kernel::Timestamp>(run_at.clone()).await.expect("read");
        assert_eq!(stored, [now.plus(Duration::from_secs(seconds))]);
    }
    assert_eq!(count(&db, "due_work").await, 4, "items without a key are independent");
    let mut unit = Unit::new(&caller());
    unit.unschedule("probe.remind", "a");
    db.apply(unit).await.expect("commits");
    assert_eq!(count(&db, "due_work").await, 3);
}

#[tokio::test]
async fn a_commit_wakes_who_waits_for_its_kind_of_news() {
    let db = TestDb::new(SCHEMA).await;
    let woken = async |notify: &tokio::sync::Notify| tokio::time::timeout(Duration::from_millis(20), notify.notified()).await.is_ok();
    for (emit, schedule, fail) in [
        (false, false, false),
        (true, false, false),
        (false, true, false),
        (true, true, true),
    ] {
        let mut unit = Unit::new(&caller());
        unit.insert(insert_probe(new_id(), &new_id().to_string()));
        if emit {
            unit.emit(&Probed { id: "1".to_owned() });
        }
        if schedule {
            unit.schedule(due(None, caller().now));
        }
        if fail {
            unit.update_guarded(rename(new_id(), 1, "nobody"), Guard::VERSION);
        }
        assert_eq!(db.apply(unit).await.is_err(), fail);
        assert_eq!(woken(db.outbox_wake()).await, emit && !fail);
        assert_eq!(woken(db.due_wake()).await, schedule && !fail);
    }
}

#[tokio::test]
async fn an_empty_unit_asks_nothing_of_the_database() {
    let db = TestDb::new(SCHEMA).await;
    let before = db.statements();
    db.apply(Unit::new(&caller())).await.expect("nothing to do");
    let reply = db
        .apply_reply(Unit::new(&caller()), |_| Ok(Reply::ok(1, 3)))
        .await
        .expect("nothing to do");
    assert_eq!((reply.status, reply.version, db.statements()), (200, Some(3), before));
}

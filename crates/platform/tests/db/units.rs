//! A unit commits as a whole or not at all.

use contracts::EventPayload;
use kernel::ErrorKind;
use platform::db::{DbError, Guard, Unit};
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

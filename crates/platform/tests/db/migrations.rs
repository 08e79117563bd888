//! Forward only, once, under a lock.

use futures_util::future::join_all;
use platform::db::{Db, DbError, Engine, Migration, Schema, Unit};
use sea_query::{Expr, ExprTrait, Query};
use testkit::{TestDb, TestServer};

use crate::support::*;

const SECOND: &str = "CREATE TABLE later (id INTEGER NOT NULL PRIMARY KEY);\nCREATE UNIQUE INDEX owner_room_once ON owner (room);\n";

/// A table, then an index that fails while two owners share a room.
const WITH_SECOND: Schema = Schema {
    migrations: &[
        SCHEMA.migrations[0],
        Migration {
            name: "0002_second",
            sqlite: SECOND,
            postgres: SECOND,
            mysql: SECOND,
        },
    ],
    ..SCHEMA
};

const EDITED: Schema = Schema {
    migrations: &[Migration {
        sqlite: "CREATE TABLE other (id INTEGER)",
        postgres: "CREATE TABLE other (id INTEGER)",
        mysql: "CREATE TABLE other (id INTEGER)",
        ..SCHEMA.migrations[0]
    }],
    ..SCHEMA
};

async fn open(server: &TestServer, schema: Schema) -> Db {
    Db::connect(server.config(), server.folder(), schema).await.expect("opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn programs_that_migrate_at_once_do_it_once() {
    let server = TestServer::new(&[]).await;
    let programs = join_all((0..6).map(|_| open(&server, SCHEMA))).await;
    let pending = programs[0].pending_migrations().await.expect("asked before anything exists");
    assert_eq!(pending.first().map(String::as_str), Some("platform/0001_platform"));
    assert_eq!(pending.last().map(String::as_str), Some("probe/0001_probe"));
    let reports = join_all(programs.iter().map(Db::migrate)).await;
    let applied: Vec<_> = reports.into_iter().flat_map(|report| report.expect("migrates").applied).collect();
    assert_eq!(applied, pending, "each ran once, in order, in one program");
    assert_eq!(programs[3].pending_migrations().await.expect("asked"), Vec::<String>::new());
    assert_eq!(count(&programs[5], Probe::Table).await, 0);
}

#[tokio::test]
async fn an_edited_migration_is_refused() {
    let db = TestDb::new(SCHEMA).await;
    let edited = open(db.server(), EDITED).await;
    for error in [edited.migrate().await.map(drop), edited.pending_migrations().await.map(drop)] {
        let error = error.expect_err("the checksum differs").to_string();
        assert!(error.contains("probe/0001_probe was changed"), "{error}");
    }
}

#[tokio::test]
async fn a_program_older_than_its_database_does_not_migrate() {
    let db = TestDb::new(WITH_SECOND).await;
    let older = open(db.server(), SCHEMA).await;
    let error = older.migrate().await.expect_err("0002 is unknown").to_string();
    assert!(error.contains("probe/0002_second"), "{error}");
    // Replicas of the old version go on while the new one rolls out.
    assert_eq!(older.pending_migrations().await.expect("asked"), Vec::<String>::new());
}

#[tokio::test]
async fn a_migration_that_failed_is_resumed() {
    let db = TestDb::new(SCHEMA).await;
    let mut unit = Unit::new(&caller());
    unit.insert(insert_owner(new_id(), 1));
    unit.insert(insert_owner(new_id(), 1));
    db.apply(unit).await.expect("two owners in a room");
    let newer = open(db.server(), WITH_SECOND).await;
    for _ in 0..2 {
        let error = newer.migrate().await.expect_err("the room is not unique");
        assert!(matches!(&error, DbError::Other(text) if text.contains("0002_second")), "{error:?}");
        assert_eq!(newer.pending_migrations().await.expect("asked"), ["probe/0002_second"]);
    }
    let mut unit = Unit::new(&caller());
    unit.delete(Query::delete().from_table(Owner::Table).to_owned());
    db.apply(unit).await.expect("emptied");
    // On MySQL the table of the first statement exists by now, and is not made again.
    assert_eq!(newer.migrate().await.expect("resumes").applied, ["probe/0002_second"]);
    assert_eq!(count(&newer, "later").await, 0);
}

/// DDL commits by itself on MySQL and MariaDB, and the server finishes it though the program that asked is gone.
#[tokio::test]
async fn a_statement_that_was_done_and_not_noted_is_not_done_again() {
    let db = TestDb::new(WITH_SECOND).await;
    if db.engine() != Engine::Mysql {
        return;
    }
    for noted in [0, 1] {
        let mut unit = Unit::new(&caller());
        unit.update(
            Query::update()
                .table("schema_migrations")
                .value("statements", noted)
                .value("finished_at", Option::<i64>::None)
                .and_where(Expr::col("name").eq("0002_second"))
                .to_owned(),
        );
        db.apply(unit).await.expect("as after a kill");
        let resumed = db.migrate().await;
        // Only the statement under way may have been done; one after it that is done means something else.
        assert_eq!(resumed.is_ok(), noted == 1, "{resumed:?}");
    }
    assert_eq!(db.pending_migrations().await.expect("asked"), Vec::<String>::new());
}

//! All services' databases in one transaction: one instant to read, all or nothing to write, the same content on any engine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use platform::db::transfer::{Transfer, known_migrations, migrate_to};
use platform::db::{Db, DbConfig, Engine, Schema, Unit};
use sea_query::{Expr, ExprTrait, Query};
use testkit::TestServer;
use uuid::Uuid;

use crate::support::*;

/// A second service.
const OTHER: Schema = Schema {
    service: "other",
    ..SCHEMA
};
const BOTH: [Schema; 2] = [SCHEMA, OTHER];

fn files(folder: &Path) -> DbConfig {
    DbConfig {
        url: Some(format!("sqlite:{}", folder.display())),
        ..DbConfig::default()
    }
}

/// Rows with every kind of value, and events, which the database numbers.
async fn fill(db: &Db, rows: u8) {
    for number in 0..rows {
        let id = new_id();
        let mut unit = Unit::new(&caller());
        let insert = if number % 2 == 0 {
            Query::insert()
                .into_table(Probe::Table)
                .columns([
                    Probe::Id,
                    Probe::Name,
                    Probe::Flag,
                    Probe::Big,
                    Probe::Small,
                    Probe::Ratio,
                    Probe::Body,
                    Probe::Note,
                    Probe::Version,
                ])
                .values_panic([
                    id.into(),
                    format!("full {number}").into(),
                    false.into(),
                    i64::MIN.into(),
                    (-1_i32).into(),
                    (f64::from(number) / 3.0).into(),
                    vec![0_u8, 255, number].into(),
                    "x".repeat(usize::from(number) * 1_000).into(),
                    i64::MAX.into(),
                ])
                .to_owned()
        } else {
            insert_probe(id, &format!("row {number} – ü\u{1F980}\\ 'quoted'\n"))
        };
        unit.insert(insert);
        unit.insert(insert_child(new_id(), id));
        db.apply(unit).await.expect("stored");
    }
}

async fn copy(from: &mut Transfer, to: &mut Transfer, service: &str) {
    for table in to.tables(service).await.expect("tables") {
        let last = from.last_number(service, &table).await.expect("a number");
        to.number_after(service, &table, last).await.expect("numbered");
    }
    for table in from.tables(service).await.expect("tables") {
        let mut records = from.records(service, &table).await.expect("rows");
        while let Some(chunk) = records.next().await {
            to.insert(service, &table, chunk.expect("a chunk")).await.expect("inserted");
        }
    }
}

async fn digests(transfer: &mut Transfer, service: &str) -> Vec<(String, u64, String)> {
    let mut digests = Vec::new();
    for table in transfer.tables(service).await.expect("tables") {
        let digest = transfer.digest(service, &table).await.expect("a digest");
        digests.push((table.name, digest.rows, digest.hex()));
    }
    digests.sort();
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn content_survives_the_way_to_sqlite_and_back() {
    let source = TestServer::new(&BOTH).await;
    let db = source.db(SCHEMA).await;
    fill(&db, 20).await;
    let folder = tempfile::tempdir().expect("a folder");
    for schema in BOTH {
        migrate_to(&files(folder.path()), folder.path(), schema, None)
            .await
            .expect("migrated");
    }
    let mut from = Transfer::read(source.config(), source.folder(), &BOTH).await.expect("a snapshot");
    let mut to = Transfer::write(&files(folder.path()), folder.path(), &BOTH)
        .await
        .expect("a target");
    copy(&mut from, &mut to, "probe").await;
    to.commit().await.expect("committed");
    let expected = digests(&mut from, "probe").await;
    assert!(
        expected.iter().any(|(table, rows, _)| table == "probe" && *rows == 20),
        "{expected:?}"
    );
    drop(from);

    let mut from = Transfer::read(&files(folder.path()), folder.path(), &BOTH)
        .await
        .expect("a snapshot");
    assert_eq!(digests(&mut from, "probe").await, expected);
    assert_eq!(from.damage("probe", 10).await.expect("looked"), Vec::<String>::new());
    let back = TestServer::new(&BOTH).await;
    // What is not committed was never there.
    let mut to = Transfer::write(back.config(), back.folder(), &BOTH).await.expect("a target");
    copy(&mut from, &mut to, "probe").await;
    drop(to);
    let mut to = Transfer::write(back.config(), back.folder(), &BOTH).await.expect("a target");
    for table in to.tables("probe").await.expect("tables") {
        assert!(to.is_empty("probe", &table).await.expect("looked"), "{}", table.name);
    }
    copy(&mut from, &mut to, "probe").await;
    assert_eq!(digests(&mut to, "probe").await, expected, "read back before it is committed");
    to.commit().await.expect("committed");
    let mut to = Transfer::read(back.config(), back.folder(), &BOTH).await.expect("a snapshot");
    assert_eq!(digests(&mut to, "probe").await, expected);
    assert!(digests(&mut to, "other").await.iter().all(|(_, rows, _)| *rows == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_the_database_go_on_where_they_were() {
    let source = TestServer::new(&[SCHEMA]).await;
    let db = source.db(SCHEMA).await;
    let insert = |subject: &str| {
        let mut unit = Unit::new(&caller());
        unit.insert(
            Query::insert()
                .into_table("outbox")
                .columns(["id", "event_type", "subject", "envelope", "created_at"])
                .values_panic([new_id().into(), "t".into(), subject.into(), "{}".into(), 1_i64.into()])
                .to_owned(),
        );
        unit
    };
    for _ in 0..3 {
        db.apply(insert("a")).await.expect("stored");
    }
    let mut unit = Unit::new(&caller());
    unit.delete(Query::delete().from_table("outbox").to_owned());
    db.apply(unit).await.expect("deleted");
    let mut from = Transfer::read(source.config(), source.folder(), &[SCHEMA])
        .await
        .expect("a snapshot");
    let tables = from.tables("probe").await.expect("tables");
    let outbox = tables.iter().find(|table| table.name == "outbox").expect("an outbox");
    assert_eq!(outbox.numbered.as_deref(), Some("seq"));
    let last = from.last_number("probe", outbox).await.expect("a number");
    assert!(last >= 3, "{last}");

    let target = TestServer::new(&[SCHEMA]).await;
    let mut to = Transfer::write(target.config(), target.folder(), &[SCHEMA])
        .await
        .expect("a target");
    to.number_after("probe", outbox, last).await.expect("numbered");
    to.commit().await.expect("committed");
    let db = target.db(SCHEMA).await;
    db.apply(insert("b")).await.expect("stored");
    let select = Query::select().column("seq").from("outbox").to_owned();
    assert_eq!(db.one::<i64>(select).await.expect("one row"), last + 1);
}

/// Writes the same number first here and then there, so at any instant the first is equal or one ahead.
#[tokio::test(flavor = "multi_thread")]
async fn all_databases_are_seen_at_one_instant_while_they_are_written_to() {
    let server = TestServer::new(&BOTH).await;
    let (first, second) = (server.db(SCHEMA).await, server.db(OTHER).await);
    let id = Uuid::from_u128(1);
    for db in [&first, &second] {
        let mut unit = Unit::new(&caller());
        unit.insert(insert_probe(id, "counter"));
        db.apply(unit).await.expect("stored");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let set = move |number: i64| {
        let mut unit = Unit::new(&caller());
        unit.update(
            Query::update()
                .table(Probe::Table)
                .value(Probe::Big, number)
                .and_where(Expr::col(Probe::Id).eq(id))
                .to_owned(),
        );
        unit
    };
    // Others keep both writers busy, so that the barrier has to fight for its locks.
    let noise = |db: Db, stop: Arc<AtomicBool>| async move {
        while !stop.load(Ordering::Relaxed) {
            db.apply(pair()).await.expect("stored");
        }
    };
    let counting = {
        let (stop, first, second) = (Arc::clone(&stop), first.clone(), second.clone());
        async move {
            // The row begins with 7.
            for number in 8.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                first.apply(set(number)).await.expect("stored");
                second.apply(set(number)).await.expect("stored");
            }
        }
    };
    let looking = {
        let stop = Arc::clone(&stop);
        let server = &server;
        async move {
            let mut seen = 0_i64;
            let mut longest = Duration::ZERO;
            for _ in 0..25 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut all = Transfer::read(server.config(), server.folder(), &BOTH).await.expect("a snapshot");
                longest = longest.max(all.writers_waited);
                let select = Query::select()
                    .column(Probe::Big)
                    .from(Probe::Table)
                    .and_where(Expr::col(Probe::Id).eq(id))
                    .to_owned();
                // The second is read first and later again: neither order nor time may matter.
                let b: Vec<i64> = all.all("other", select.clone()).await.expect("a row");
                tokio::time::sleep(Duration::from_millis(5)).await;
                let a: Vec<i64> = all.all("probe", select.clone()).await.expect("a row");
                let again: Vec<i64> = all.all("other", select).await.expect("a row");
                assert_eq!(b, again, "a snapshot does not move");
                assert!(a[0] == b[0] || a[0] == b[0] + 1, "first {} second {}", a[0], b[0]);
                seen = a[0];
            }
            stop.store(true, Ordering::Relaxed);
            (seen, longest)
        }
    };
    let ((), (), (), (seen, longest)) = tokio::join!(
        counting,
        noise(first.clone(), Arc::clone(&stop)),
        noise(second.clone(), Arc::clone(&stop)),
        looking
    );
    assert!(seen > 18, "nothing was written meanwhile: {seen}");
    println!("{seen} writes seen; writers waited at most {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_to_two_services_has_two_answers() {
    let server = TestServer::new(&BOTH).await;
    fill(&server.db(OTHER).await, 3).await;
    let mut all = Transfer::read(server.config(), server.folder(), &BOTH).await.expect("a snapshot");
    let select = Query::select().column(Probe::Version).from(Probe::Table).to_owned();
    for (service, rows) in [("probe", 0), ("other", 3), ("probe", 0)] {
        let found: Vec<i64> = all.all(service, select.clone()).await.expect("rows");
        assert_eq!(found.len(), rows, "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_level_is_reached_and_then_the_newest() {
    let server = TestServer::new(&[]).await;
    let all = known_migrations(&SCHEMA);
    let (first, rest) = all.split_at(1);
    let report = migrate_to(server.config(), server.folder(), SCHEMA, Some(first))
        .await
        .expect("migrated");
    assert_eq!(report.applied, first);
    let mut transfer = Transfer::read(server.config(), server.folder(), &[SCHEMA])
        .await
        .expect("a snapshot");
    let ran = transfer.migrations("probe").await.expect("migrations");
    assert_eq!(ran.iter().map(|ran| ran.label.as_str()).collect::<Vec<_>>(), first);
    assert!(ran.iter().all(|ran| ran.known && ran.finished));
    drop(transfer);
    let report = migrate_to(server.config(), server.folder(), SCHEMA, None).await.expect("migrated");
    assert_eq!(report.applied, rest);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_makes_nothing() {
    let server = TestServer::new(&[]).await;
    let mut transfer = Transfer::read(server.config(), server.folder(), &BOTH)
        .await
        .expect("nothing to see");
    for schema in BOTH {
        assert!(transfer.tables(schema.service).await.expect("none").is_empty());
        assert!(transfer.migrations(schema.service).await.expect("none").is_empty());
    }
    if testkit::engine() == Engine::Sqlite {
        let files = std::fs::read_dir(server.folder()).expect("the folder").count();
        assert_eq!(files, 0, "no file was made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_is_copied_without_what_was_deleted() {
    let server = TestServer::on(Engine::Sqlite, &[SCHEMA]).await;
    let db = server.db(SCHEMA).await;
    let id = new_id();
    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(id, "a-secret-that-was-deleted"));
    db.apply(unit).await.expect("stored");
    let mut unit = Unit::new(&caller());
    unit.delete(
        Query::delete()
            .from_table(Probe::Table)
            .and_where(Expr::col(Probe::Id).eq(id))
            .to_owned(),
    );
    db.apply(unit).await.expect("deleted");
    fill(&db, 3).await;
    let mut transfer = Transfer::read(server.config(), server.folder(), &[SCHEMA])
        .await
        .expect("a snapshot");
    let copy = server.folder().join("copy.sqlite3");
    transfer.copy_file("probe", &copy, |_, _| {}).await.expect("copied");
    let bytes = std::fs::read(&copy).expect("the copy");
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(holds(b"full 2") && !holds(b"a-secret-that-was-deleted"));
    assert!(
        transfer.copy_file("probe", &copy, |_, _| {}).await.is_err(),
        "nothing is overwritten"
    );
}

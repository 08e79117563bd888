//! Reads, one or several at once, short or long.

use std::collections::BTreeSet;

use platform::db::{DbError, Engine, Reads, Unit, count_statements};
use sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};
use testkit::TestDb;

use crate::support::*;

async fn filled(rows: usize) -> TestDb {
    let db = TestDb::new(SCHEMA).await;
    let mut unit = Unit::new(&caller());
    for number in 0..rows {
        unit.insert(insert_probe(new_id(), &format!("probe {number}")));
    }
    db.apply(unit).await.expect("rows");
    db
}

fn names_like(pattern: &str) -> SelectStatement {
    Query::select()
        .expr(Func::count(Expr::col(sea_query::Asterisk)))
        .from(Probe::Table)
        .and_where(Expr::col(Probe::Name).like(pattern))
        .to_owned()
}

#[tokio::test]
async fn several_reads_answer_together_and_each_is_counted() {
    let db = TestDb::new(SCHEMA).await;
    let (first, second) = (new_id(), new_id());
    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(first, "one"));
    unit.insert(insert_probe(second, "two"));
    db.apply(unit).await.expect("rows");

    let mut reads = Reads::default();
    let one = reads.add::<(String, i64)>(probe_by_id(first));
    let none = reads.add::<(String, i64)>(probe_by_id(new_id()));
    let all = reads.add::<i64>(names_like("%"));
    let (found, statements) = count_statements(db.read(reads)).await;
    let mut found = found.expect("rows");
    assert_eq!(statements, 3);
    assert_eq!(found.take(&all), [2]);
    assert_eq!(found.take(&one), [("one".to_owned(), 1)]);
    assert!(found.take(&none).is_empty());
}

/// To open a connection, set it up and prepare statements costs ten times what a read does.
#[tokio::test]
async fn connections_to_a_server_are_used_again() {
    let db = TestDb::new(SCHEMA).await;
    let whoami = match db.engine() {
        Engine::Sqlite => return,
        Engine::Postgres => "CAST(pg_backend_pid() AS bigint)",
        Engine::Mysql => "CAST(CONNECTION_ID() AS SIGNED)",
    };
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let select = Query::select().expr(Expr::cust(whoami)).to_owned();
        seen.insert(db.one::<i64>(select).await.expect("a number"));
    }
    // The driver gives a connection back in a task of its own, so that the next one may already be under way.
    assert!(seen.len() <= 8, "{} connections for 40 reads", seen.len());
}

#[tokio::test]
async fn one_bad_read_fails_all_and_the_next_ones_are_well() {
    let db = filled(1).await;
    let mut reads = Reads::default();
    reads.add::<i64>(names_like("%"));
    // Text is no number.
    reads.add::<i64>(Query::select().column(Probe::Name).from(Probe::Table).to_owned());
    let error = db.read(reads).await.expect_err("cannot be decoded");
    assert!(matches!(error, DbError::Decode { .. }), "{error:?}");
    for _ in 0..20 {
        assert_eq!(db.one::<i64>(names_like("%")).await.expect("a row"), 1);
    }
}

/// On SQLite the short ones run where they are asked for and the long ones on threads; nobody can tell from the answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_and_short_reads_side_by_side_are_right() {
    const ROWS: usize = 3_000;
    let db = filled(ROWS).await;
    let id = new_id();
    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(id, "short"));
    db.apply(unit).await.expect("a row");
    let mut tasks = tokio::task::JoinSet::new();
    for turn in 0..40 {
        let db = db.db();
        tasks.spawn(async move {
            for _ in 0..5 {
                if turn % 4 == 0 {
                    let count = db.one::<i64>(names_like("probe%")).await.expect("a count");
                    assert_eq!(usize::try_from(count).expect("positive"), ROWS);
                } else {
                    let row = db.one::<(String, i64)>(probe_by_id(id)).await.expect("a row");
                    assert_eq!(row.0, "short");
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("every answer is right");
    }
}

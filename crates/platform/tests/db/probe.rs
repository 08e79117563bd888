//! What the three engines must agree on.

use std::collections::BTreeSet;

use kernel::{ErrorKind, Timestamp};
use platform::db::{DbError, Engine, FromRow, Guard, Row, Unit, count_statements, record_statements};
use sea_query::{Asterisk, Expr, ExprTrait, Func, OnConflict, Order, Query, SelectStatement};
use testkit::TestDb;
use uuid::Uuid;

use crate::support::*;

#[derive(Debug, Clone, PartialEq)]
struct ProbeRow {
    id: Uuid,
    name: String,
    flag: bool,
    big: i64,
    small: i32,
    ratio: Option<f64>,
    body: Option<Vec<u8>>,
    note: Option<String>,
}

impl FromRow for ProbeRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            flag: row.get(2)?,
            big: row.get(3)?,
            small: row.get(4)?,
            ratio: row.get(5)?,
            body: row.get(6)?,
            note: row.get(7)?,
        })
    }
}

const COLUMNS: [Probe; 8] = [
    Probe::Id,
    Probe::Name,
    Probe::Flag,
    Probe::Big,
    Probe::Small,
    Probe::Ratio,
    Probe::Body,
    Probe::Note,
];

async fn store(db: &TestDb, row: &ProbeRow) -> Result<(), DbError> {
    let mut unit = Unit::new(&caller());
    unit.insert(
        Query::insert()
            .into_table(Probe::Table)
            .columns(COLUMNS.into_iter().chain([Probe::Version]))
            .values_panic([
                row.id.into(),
                row.name.as_str().into(),
                row.flag.into(),
                row.big.into(),
                // An i64 must fit a column of 32 bits.
                i64::from(row.small).into(),
                row.ratio.into(),
                row.body.clone().into(),
                row.note.clone().into(),
                1_i32.into(),
            ])
            .to_owned(),
    );
    db.apply(unit).await.map(drop)
}

fn select(id: Uuid) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(Probe::Table)
        .and_where(Expr::col(Probe::Id).eq(id))
        .to_owned()
}

fn row(name: &str) -> ProbeRow {
    ProbeRow {
        id: new_id(),
        name: name.to_owned(),
        flag: true,
        big: 1,
        small: 1,
        ratio: None,
        body: None,
        note: None,
    }
}

#[tokio::test]
async fn every_type_comes_back_as_it_went() {
    let db = TestDb::new(SCHEMA).await;
    let rows = [
        row("plain"),
        ProbeRow {
            flag: false,
            big: i64::MAX,
            small: i32::MAX,
            ratio: Some(-0.1),
            body: Some((0..=255).collect()),
            note: Some("𝄞 🦀 ß ' \" \\ % _ \r\n\t".to_owned()),
            ..row("🦀 'quoted' \\")
        },
        ProbeRow {
            big: i64::MIN,
            small: i32::MIN,
            ratio: Some(f64::MAX),
            body: Some(Vec::new()),
            note: Some(String::new()),
            ..row("")
        },
        ProbeRow {
            note: Some("long ".repeat(40_000)),
            ..row("trailing space ")
        },
    ];
    for row in &rows {
        store(&db, row).await.expect("stored");
        assert_eq!(db.one::<ProbeRow>(select(row.id)).await.expect("found"), *row);
    }
    assert_eq!(db.opt::<ProbeRow>(select(new_id())).await.expect("asked"), None);
    let error = db.one::<ProbeRow>(select(new_id())).await.expect_err("none");
    assert!(matches!(error, DbError::NoRow), "{error:?}");
}

#[tokio::test]
async fn getters_read_times_json_and_reject_other_types() {
    let db = TestDb::new(SCHEMA).await;
    let row = ProbeRow {
        big: 1_772_442_000_000_001,
        note: Some(r#"{"a":[1,null]}"#.to_owned()),
        ..row("json")
    };
    store(&db, &row).await.expect("stored");
    let of = |columns: &[Probe]| Query::select().columns(columns.to_vec()).from(Probe::Table).to_owned();
    let (time, json) = db
        .one::<(Timestamp, serde_json::Value)>(of(&[Probe::Big, Probe::Note]))
        .await
        .expect("read");
    assert_eq!(time.to_string(), "2026-03-02T09:00:00.000001Z");
    assert_eq!(json, serde_json::json!({"a": [1, null]}));
    assert_eq!(db.one::<Option<f64>>(of(&[Probe::Ratio])).await.expect("read"), None);
    for error in [
        db.one::<i64>(of(&[Probe::Note])).await.err(),
        db.one::<i32>(of(&[Probe::Big])).await.err(),
        db.one::<String>(of(&[Probe::Big])).await.err(),
        db.one::<Uuid>(of(&[Probe::Name])).await.err(),
        db.one::<f64>(of(&[Probe::Ratio])).await.err(),
        db.one::<bool>(of(&[Probe::Big])).await.err(),
        db.one::<(String, String)>(of(&[Probe::Name])).await.err(),
    ] {
        assert!(matches!(error, Some(DbError::Decode { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn sums_counts_and_limits_are_plain_numbers() {
    let db = TestDb::new(SCHEMA).await;
    let sum = Query::select()
        .expr(Func::coalesce([Func::sum(Expr::col(Probe::Big)).into(), Expr::val(0_i64)]))
        .expr(Func::count(Expr::col(Asterisk)))
        .expr(Func::max(Expr::col(Probe::Small)))
        .from(Probe::Table)
        .to_owned();
    assert_eq!(db.one::<(i64, i64, Option<i32>)>(sum.clone()).await.expect("empty"), (0, 0, None));
    // The type of the parameter is that of the sum: NUMERIC on PostgreSQL.
    for number in [0, -1, 9_999, 10_000, -123_456_789_012_345, i64::MAX, i64::MIN] {
        let or = Query::select()
            .expr(Func::coalesce([Func::sum(Expr::col(Probe::Big)).into(), Expr::val(number)]))
            .from(Probe::Table)
            .to_owned();
        assert_eq!(db.one::<i64>(or).await.expect("a number"), number);
    }
    let all = [123_456_789_012_345, -23, 40_000, 0, 70_000_000];
    for (index, big) in all.into_iter().enumerate() {
        let row = ProbeRow {
            big,
            ..row(&format!("n{index}"))
        };
        store(&db, &row).await.expect("stored");
    }
    let (total, rows, _) = db.one::<(i64, i64, Option<i32>)>(sum).await.expect("summed");
    assert_eq!((total, rows), (all.iter().sum(), 5));
    let largest = Query::select()
        .column(Probe::Big)
        .from(Probe::Table)
        .order_by(Probe::Big, Order::Desc)
        .limit(2)
        .to_owned();
    assert_eq!(db.all::<i64>(largest).await.expect("limited"), [123_456_789_012_345, 70_000_000]);
    db.ping().await.expect("answers");
}

#[tokio::test]
async fn text_is_compared_byte_by_byte() {
    let db = TestDb::new(SCHEMA).await;
    // Not "up ": the binary collation that MySQL and MariaDB share ignores spaces at the end. Input is trimmed.
    for name in ["up", "UP", "Üp", "u%p"] {
        store(&db, &row(name))
            .await
            .unwrap_or_else(|error| panic!("{name:?} is a name of its own: {error}"));
    }
    let names = |condition: Expr| {
        let mut select = Query::select();
        select.column(Probe::Name).from(Probe::Table).and_where(condition);
        db.all::<String>(select.clone())
    };
    assert_eq!(names(Expr::col(Probe::Name).eq("UP")).await.expect("equal"), ["UP"]);
    let escaped = sea_query::LikeExpr::new("u\\%%").escape('\\');
    assert_eq!(names(Expr::col(Probe::Name).like(escaped)).await.expect("escaped"), ["u%p"]);
    let listed: BTreeSet<_> = names(Expr::col(Probe::Name).is_in(["up", "Üp", "none"]))
        .await
        .expect("listed")
        .into_iter()
        .collect();
    assert_eq!(listed, BTreeSet::from(["up".to_owned(), "Üp".to_owned()]));
}

#[tokio::test]
async fn an_upsert_replaces_what_it_names() {
    let db = TestDb::new(SCHEMA).await;
    let id = new_id();
    for (name, flag) in [("first", true), ("second", false), ("second", false)] {
        let mut insert = insert_probe(id, name);
        insert.on_conflict(OnConflict::column(Probe::Id).update_columns([Probe::Name]).to_owned());
        let mut unit = Unit::new(&caller());
        unit.insert(insert);
        db.apply(unit).await.expect("upserted");
        let _ = flag;
    }
    let row = db.one::<(String, i64)>(probe_by_id(id)).await.expect("one row");
    assert_eq!(row, ("second".to_owned(), 1));
    let mut ignored = insert_probe(id, "third");
    ignored.on_conflict(OnConflict::column(Probe::Id).do_nothing_on([Probe::Id]).to_owned());
    let mut unit = Unit::new(&caller());
    unit.insert(ignored);
    db.apply(unit).await.expect("ignored");
    assert_eq!(db.one::<(String, i64)>(probe_by_id(id)).await.expect("one row").0, "second");
}

#[tokio::test]
async fn violations_are_classified() {
    let db = TestDb::new(SCHEMA).await;
    store(&db, &row("taken")).await.expect("stored");
    let error = store(&db, &row("taken")).await.expect_err("taken");
    assert!(error.is_unique(), "{error:?}");
    let error = kernel::Error::from(error);
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Conflict, "probe.name_taken"));
    assert_eq!(error.fields[0].pointer, "/name");

    let twice = row("other");
    store(&db, &twice).await.expect("stored");
    let error = store(
        &db,
        &ProbeRow {
            name: "free".to_owned(),
            ..twice
        },
    )
    .await
    .expect_err("same id");
    assert!(matches!(error, DbError::Unique { rule: None, .. }), "{error:?}");

    let mut unit = Unit::new(&caller());
    unit.insert(insert_child(new_id(), new_id()));
    let error = db.apply(unit).await.expect_err("no parent");
    assert!(matches!(error, DbError::ForeignKey), "{error:?}");
}

#[tokio::test]
async fn values_an_engine_cannot_hold_are_the_callers_fault() {
    let db = TestDb::new(SCHEMA).await;
    let stored = store(
        &db,
        &ProbeRow {
            note: Some("nul\0 inside".to_owned()),
            ..row("nul")
        },
    )
    .await;
    match (db.engine(), stored) {
        (Engine::Postgres, Err(error)) => {
            assert!(matches!(error, DbError::Unstorable(_)), "{error:?}");
            assert_eq!(kernel::Error::from(error).kind, ErrorKind::Invalid);
        }
        (Engine::Sqlite | Engine::Mysql, Ok(())) => {}
        (engine, other) => panic!("{engine:?}: {other:?}"),
    }
    if db.engine() != Engine::Sqlite {
        let mut unit = Unit::new(&caller());
        unit.update(Query::update().table(Probe::Table).value(Probe::Small, i64::MAX).to_owned());
        unit.insert(insert_probe(new_id(), "must not stay"));
        // Nothing matches on PostgreSQL, but the value is refused before it is sent.
        store(&db, &row("one")).await.expect("stored");
        let error = db.apply(unit).await.expect_err("out of range");
        assert!(matches!(error, DbError::Unstorable(_)), "{error:?}");
        let kept = Query::select()
            .column(Probe::Name)
            .from(Probe::Table)
            .and_where(Expr::col(Probe::Name).eq("must not stay"))
            .to_owned();
        assert_eq!(db.opt::<String>(kept).await.expect("asked"), None);
    }
    store(&db, &row("afterwards")).await.expect("the connection is as good as before");
}

#[tokio::test]
async fn statements_are_counted() {
    let db = TestDb::new(SCHEMA).await;
    let before = db.statements();
    let ((), counted) = count_statements(async {
        let id = new_id();
        let mut unit = Unit::new(&caller());
        unit.insert(insert_probe(id, "counted"));
        unit.insert(insert_child(new_id(), id));
        db.apply(unit).await.expect("commits");
        db.one::<(String, i64)>(probe_by_id(id)).await.expect("read");
    })
    .await;
    assert_eq!((counted, db.statements() - before), (3, 3));
}

#[tokio::test]
async fn statements_are_recorded_with_the_line_that_sent_them() {
    let db = TestDb::new(SCHEMA).await;
    let (lines, recorded) = record_statements(async {
        let mut unit = Unit::new(&caller());
        unit.insert(insert_probe(new_id(), "never applied"));
        let one = line!() - 1;
        db.opt::<(String, i64)>(probe_by_id(new_id())).await.expect("read");
        let two = line!() - 1;
        unit.require(probe_by_id(new_id()), Guard::VERSION);
        [one, two, line!() - 1]
    })
    .await;
    let sites: Vec<(bool, u32)> = recorded
        .iter()
        .map(|one| (one.site.file().ends_with("probe.rs"), one.site.line()))
        .collect();
    assert_eq!(sites, lines.map(|line| (true, line)));
    for one in recorded {
        db.prepare(one.statement).await.expect("the engine accepts it");
    }
}

#[tokio::test]
async fn a_statement_with_a_mistake_is_refused_when_prepared() {
    let db = TestDb::new(SCHEMA).await;
    let wrong = Query::select().column(Probe::Table).from(Child::Table).to_owned();
    db.prepare(wrong).await.expect_err("no such column");
}

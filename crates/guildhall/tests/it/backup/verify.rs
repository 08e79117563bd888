//! What `guildhall verify` says of what is gone or was changed by hand.

use platform::db::transfer::{drop_database, migrate_to};
use platform::db::{Db, Engine, Migration, Schema};
use sea_query::{Expr, ExprTrait, InsertStatement, Query};
use serde_json::{Value, json};
use testkit::TestServer;

use super::{Breaker, json_of, refused, run_on, settle, text, uuid};
use crate::process::{Server, free_port};
use crate::support::{SCHEMAS, eventually};

const TASKS: Schema = SCHEMAS[2];
const NOTIFICATIONS: Schema = SCHEMAS[3];
const AUDIT: Schema = SCHEMAS[5];
const FLAGS: Schema = SCHEMAS[6];

async fn open(database: &TestServer, schema: Schema) -> Breaker {
    Breaker {
        db: database.db(schema).await,
    }
}

#[track_caller]
fn found(report: &Value, service: &str, check: &str, severity: &str, names: &str) {
    let findings = report["report"]["findings"].as_array().expect("findings");
    let finding = findings
        .iter()
        .find(|finding| finding["service"] == service && finding["check"] == check)
        .unwrap_or_else(|| panic!("{check} of {service} is not reported: {report:#}"));
    assert_eq!(finding["severity"], severity, "{finding:#}");
    assert!(finding["rows"].to_string().contains(names), "{names} is not named: {finding:#}");
}

/// Takes a service's database away.
async fn lose(database: &TestServer, schema: Schema) {
    if testkit::engine() == Engine::Sqlite {
        std::fs::remove_file(database.folder().join(format!("{}.sqlite3", schema.service))).expect("removed");
    } else {
        drop_database(database.config(), database.folder(), schema).await.expect("dropped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_is_missed_and_the_others_are_not_saved_as_if_they_were_the_whole() {
    let database = TestServer::new(&SCHEMAS).await;
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("copy.tar.zst");
    lose(&database, TASKS).await;
    // Nobody has worked here yet: a set-up that was not finished.
    let report = json_of(&run_on(&database, &["verify", "--json"]), 0);
    found(&report, "tasks", "database.present", "attention", "tasks");
    refused(&run_on(&database, &["backup", "--to", text(&archive)]), 1, "guildhall migrate");

    let counter = Query::insert()
        .into_table("event_counters")
        .columns(["workspace_id", "last_seq"])
        .values_panic([uuid(1).into(), 1_i64.into()])
        .to_owned();
    open(&database, NOTIFICATIONS).await.apply(|unit| unit.insert(counter)).await;
    let report = json_of(&run_on(&database, &["verify", "--json"]), 1);
    found(&report, "tasks", "database.present", "broken", "tasks");
    assert!(report.to_string().contains("guildhall migrate"), "{report:#}");
    if testkit::engine() == Engine::Sqlite {
        std::fs::write(database.folder().join("tasks.sqlite3"), "").expect("an empty file");
        let report = json_of(&run_on(&database, &["verify", "--json"]), 1);
        found(&report, "tasks", "database.present", "broken", "tasks");
    }
    refused(&run_on(&database, &["backup", "--to", text(&archive)]), 1, "no database of tasks");
    assert!(!archive.exists());

    // As after an upgrade that brings a service.
    json_of(&run_on(&database, &["migrate", "--json"]), 0);
    let report = json_of(&run_on(&database, &["verify", "--json"]), 0);
    assert_eq!(report["report"]["findings"], json!([]), "{report:#}");
    json_of(&run_on(&database, &["backup", "--to", text(&archive), "--json"]), 0);
}

/// Changes the schema as a hand in the database does: by a migration of which no trace is left.
async fn change(database: &TestServer, schema: Schema, sql: &'static str, mysql: &'static str) {
    const NAME: &str = "9999_by_hand";
    let mut migrations = schema.migrations.to_vec();
    migrations.push(Migration {
        name: NAME,
        sqlite: sql,
        postgres: sql,
        mysql,
    });
    let extended = Schema {
        migrations: migrations.leak(),
        ..schema
    };
    migrate_to(database.config(), database.folder(), extended, None)
        .await
        .expect("changed");
    let db = Db::connect(database.config(), database.folder(), extended)
        .await
        .expect("a database");
    let trace = Query::delete()
        .from_table("schema_migrations")
        .and_where(Expr::col("name").eq(NAME))
        .to_owned();
    Breaker { db }.apply(|unit| unit.delete(trace)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_or_an_index_that_is_gone_is_missed() {
    let database = TestServer::new(&SCHEMAS).await;
    change(
        &database,
        TASKS,
        "DROP TABLE task_feeds;\nDROP INDEX tasks_parent;\n",
        "DROP TABLE task_feeds;\nDROP INDEX tasks_parent ON tasks;\n",
    )
    .await;
    let report = json_of(&run_on(&database, &["verify", "--json"]), 1);
    found(&report, "tasks", "schema.tables", "broken", "task_feeds");
    found(&report, "tasks", "schema.indexes", "broken", "tasks_parent");
    assert_eq!(report["broken"], 2, "{report:#}");
}

fn damaged_flag() -> InsertStatement {
    Query::insert()
        .into_table("flags")
        .columns([
            "flag_key",
            "kind",
            "enabled",
            "definition",
            "version",
            "updated_by",
            "created_at",
            "updated_at",
        ])
        .values_panic([
            "damaged".into(),
            "colour".into(),
            true.into(),
            "{".into(),
            1_i64.into(),
            uuid(1).into(),
            1_i64.into(),
            1_i64.into(),
        ])
        .to_owned()
}

fn handled(consumer: &str, event: Expr) -> InsertStatement {
    Query::insert()
        .into_table("inbox")
        .columns(["consumer", "event_id", "handled_at"])
        .values_panic([consumer.into(), event, 1_i64.into()])
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_are_named() {
    let database = TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let mut server = Server::start(&database, free_port());
    server.ready(&http).await;
    let world = settle(&server.base, &http).await;
    // Where people work and nobody meddles there is nothing to say.
    eventually("a settled installation", || async {
        let report = json_of(&run_on(&database, &["verify", "--json"]), 0);
        let inbox = report["report"]["services"][3]["inbox"].as_i64();
        (report["report"]["findings"] == json!([]) && inbox > Some(2)).then_some(())
    })
    .await;
    assert!(server.terminate().success());

    let (tasks, notifications) = (open(&database, TASKS).await, open(&database, NOTIFICATIONS).await);
    tasks.set("tasks", "completed_at", Expr::val(5_i64)).await;
    tasks.set("tasks", "due_sort", Expr::val(7_i64)).await;
    tasks.set("labels", "workspace_id", Expr::val(uuid(7))).await;
    tasks.set("task_projects", "workspace_id", Expr::val(uuid(7))).await;
    tasks.set("task_workspaces", "workspace_id", Expr::val(uuid(8))).await;
    tasks.apply(|unit| unit.insert(handled("nobody", uuid(3).into()))).await;
    notifications.delete("inbox").await;
    let audit = open(&database, AUDIT).await;
    audit.set("inbox", "consumer", Expr::val("audit.others")).await;
    open(&database, FLAGS).await.apply(|unit| unit.insert(damaged_flag())).await;

    let report = json_of(&run_on(&database, &["verify", "--json"]), 1);
    let broken = |service: &str, check: &str, names: &str| found(&report, service, check, "broken", names);
    let (missing, other) = (uuid(7).to_string(), uuid(8).to_string());
    broken("tasks", "tasks.completed_at", &world.task);
    broken("tasks", "tasks.due_sort", &world.task);
    broken("tasks", "tasks.label_workspace", &missing);
    broken("tasks", "tasks.numbered_workspace", &missing);
    broken("tasks", "tasks.seeded_workspace", &other);
    broken("tasks", "tasks.task_seeded", &world.task);
    broken("tasks", "tasks.state_seeded", "workspace_id=");
    found(&report, "tasks", "inbox.consumer", "attention", "nobody");
    broken("notifications", "notifications.logged_event", "event_id=");
    broken("audit", "audit.handled_event", "id=");
    broken("flags", "flags.definition", "damaged");
    broken("flags", "flags.kind", "colour");

    // The others know their types.
    if testkit::engine() == Engine::Sqlite {
        tasks
            .apply(|unit| unit.insert(handled("tasks.people", vec![0xA5_u8, 0x5A].into())))
            .await;
        let report = json_of(&run_on(&database, &["verify", "--json"]), 1);
        found(&report, "tasks", "database.ids", "broken", "a55a");
    }
}

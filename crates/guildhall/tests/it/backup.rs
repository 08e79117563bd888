//! `guildhall backup`, `restore`, `verify` and `export-to` through the binary, on the engine under test.

mod verify;

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use platform::db::{Db, Engine, Unit};
use reqwest::StatusCode;
use sea_query::{Expr, ExprTrait, Query};
use serde_json::{Value, json};
use testkit::TestServer;

use crate::process::{Server, free_port, guildhall};
use crate::support::{Client, SCHEMAS, eventually};

/// A command on the installation of `database`.
pub fn run_on(database: &TestServer, arguments: &[&str]) -> Output {
    run_at(database.folder(), database.config().url.as_deref().expect("a URL"), arguments)
}

pub fn run_at(folder: &Path, url: &str, arguments: &[&str]) -> Output {
    let mut command = guildhall();
    command.args(arguments).arg("--data-dir").arg(folder).args(["--database-url", url]);
    command.output().expect("the command runs")
}

#[track_caller]
pub fn json_of(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

#[track_caller]
pub fn refused(output: &Output, code: i32, why: &str) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(why), "{why:?} is not said: {said}");
}

/// An empty place on the engine under test, as an operator gives it to `restore`: nothing is migrated.
pub struct Place {
    server: TestServer,
}

impl Place {
    pub async fn new() -> Self {
        Self {
            server: TestServer::new(&[]).await,
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.server.folder().join("data")
    }

    pub fn url(&self) -> String {
        match testkit::engine() {
            Engine::Sqlite => format!("sqlite:{}", self.data_dir().display()),
            Engine::Postgres | Engine::Mysql => self.server.config().url.clone().expect("a URL"),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        run_at(&self.data_dir(), &self.url(), arguments)
    }

    pub async fn serve(&self, http: &reqwest::Client) -> Server {
        let (url, folder) = (self.url(), self.data_dir());
        let mut server = Server::start_at(&folder, Some(&url), free_port(), |command| {
            command.env("GUILDHALL_LOG__LEVEL", "error");
        });
        server.ready(http).await;
        server
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The same person on another server, with nothing but the refresh token of before.
pub async fn continue_on(base: &str, person: &Client) -> Client {
    let answer = Client::anonymous(base, &person.http)
        .post("/v1/auth/refresh", json!({ "refresh_token": person.refresh }))
        .await
        .expect(StatusCode::OK);
    Client {
        base: base.to_owned(),
        token: answer.body["access_token"].as_str().map(str::to_owned),
        refresh: answer.body["refresh_token"].as_str().expect("a token").to_owned(),
        ..person.clone()
    }
}

/// A person with a bit of everything.
pub struct World {
    pub ada: Client,
    pub project: String,
    pub task: String,
}

pub async fn settle(base: &str, http: &reqwest::Client) -> World {
    let ada = Client::anonymous(base, http).register("ada").await;
    let workspace = ada.workspace("Engine works").await;
    let project = ada.project(&workspace, "ENG").await;
    let task = ada.task(&project, "Polish the gears").await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/v1/projects/{project}/tasks");
    let parts = json!({ "title": "Größere Räder \u{1F980}", "parent_id": task, "due_date": "2027-01-01" });
    ada.post(&path, parts).await.expect(StatusCode::CREATED);
    let comment = json!({ "body": "Steam is **up**" });
    ada.post(&format!("/v1/tasks/{task}/comments"), comment)
        .await
        .expect(StatusCode::CREATED);
    let label = json!({ "name": "brass", "color": "#aa8800" });
    ada.post(&format!("/v1/workspaces/{workspace}/labels"), label)
        .await
        .expect(StatusCode::CREATED);
    World { ada, project, task }
}

/// Everything is where it was, and life goes on.
pub async fn goes_on(base: &str, world: &World) {
    let ada = continue_on(base, &world.ada).await;
    let tasks = ada
        .get(&format!("/v1/projects/{}/tasks", world.project))
        .await
        .expect(StatusCode::OK);
    assert_eq!(tasks.items().len(), 2, "{tasks:#?}");
    let found = ada.get("/v1/tasks?q=gears").await.expect(StatusCode::OK);
    assert_eq!(found.items().len(), 1, "{found:#?}");
    let task = ada.get(&format!("/v1/tasks/{}", world.task)).await.expect(StatusCode::OK);
    assert_eq!(task.body["comment_count"], 1);
    assert_eq!(ada.task(&world.project, "The next one").await["number"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_comes_back_on_its_engine_and_on_sqlite() {
    let database = TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let mut server = Server::start(&database, free_port());
    server.ready(&http).await;
    let world = settle(&server.base, &http).await;

    let archives = tempfile::tempdir().expect("a folder");
    let archive = archives.path().join("copy.tar.zst");
    let saved = json_of(
        &run_on(&database, &["backup", "--to", text(&archive), "--include-secret", "--json"]),
        0,
    );
    assert_eq!(saved["manifest"]["services"].as_array().map(Vec::len), Some(SCHEMAS.len()));
    assert_eq!(saved["manifest"]["engine"], testkit::engine().as_str());
    refused(&run_on(&database, &["backup", "--to", text(&archive)]), 1, "exists already");
    let named = json_of(&run_on(&database, &["backup", "--to", text(archives.path()), "--json"]), 0);
    let bare = PathBuf::from(named["path"].as_str().expect("a path"));
    assert!(
        bare.starts_with(archives.path()) && text(&bare).ends_with(".tar.zst"),
        "{}",
        text(&bare)
    );
    let left = std::fs::read_dir(archives.path()).expect("the folder").count();
    assert_eq!(left, 2, "nothing but the two archives");
    #[cfg(unix)]
    {
        let mode = std::fs::metadata(&archive).expect("the archive").permissions().mode();
        assert_eq!(mode & 0o077, 0, "others cannot read it");
    }
    let report = json_of(&run_on(&database, &["verify", "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");
    server.kill();
    let report = json_of(&run_on(&database, &["verify", "--from", text(&archive), "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");

    // Without the secret the operator is told; with it life goes on where it was.
    let place = Place::new().await;
    let told = json_of(&place.run(&["restore", "--from", text(&bare), "--json"]), 0);
    assert!(told["warning"].as_str().is_some_and(|text| text.contains("secret.key")), "{told:#}");
    refused(&place.run(&["restore", "--from", text(&archive)]), 1, "not empty");

    let place = Place::new().await;
    let restored = json_of(&place.run(&["restore", "--from", text(&archive), "--json"]), 0);
    assert_eq!(restored["warning"], Value::Null);
    assert_eq!(restored["rows"], saved["rows"]);
    let report = json_of(&place.run(&["verify", "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");
    let server = place.serve(&http).await;
    goes_on(&server.base, &world).await;
    server.kill();

    let elsewhere = tempfile::tempdir().expect("a folder");
    let data = elsewhere.path().join("new/data");
    let url = format!("sqlite:{}", data.display());
    json_of(&run_at(&data, &url, &["restore", "--from", text(&archive), "--json"]), 0);
    let mut server = Server::start_at(&data, None, free_port(), |_| {});
    server.ready(&http).await;
    goes_on(&server.base, &world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_or_makes_no_sense_is_refused_and_leaves_nothing_behind() {
    let database = TestServer::new(&SCHEMAS).await;
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("good.tar.zst");
    json_of(&run_on(&database, &["backup", "--to", text(&archive), "--json"]), 0);
    let good = std::fs::read(&archive).expect("the archive");
    let bad = folder.path().join("bad.tar.zst");
    let middle = good.len() / 2;
    for damaged in [
        good[..good.len() - 1].to_vec(),
        good[..middle].to_vec(),
        [&good[..middle], &[good[middle] ^ 1], &good[middle + 1..]].concat(),
        b"not an archive at all".to_vec(),
        Vec::new(),
    ] {
        std::fs::write(&bad, &damaged).expect("written");
        let place = Place::new().await;
        for arguments in [["verify", "--from", text(&bad)], ["restore", "--from", text(&bad)]] {
            let output = place.run(&arguments);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(!place.data_dir().exists(), "{arguments:?} left something");
        }
        // The place is as good as new.
        if damaged.is_empty() {
            json_of(&place.run(&["restore", "--from", text(&archive), "--json"]), 0);
        }
    }
    let nowhere = folder.path().join("no/such/folder/copy.tar.zst");
    refused(&run_on(&database, &["backup", "--to", text(&nowhere)]), 1, "no such folder");
    let place = Place::new().await;
    refused(&place.run(&["backup", "--to", text(&bad.with_extension("new"))]), 1, "there");
    let missing = folder.path().join("missing.tar.zst");
    refused(&place.run(&["restore", "--from", text(&missing)]), 1, "missing.tar.zst");
    refused(&guildhall().arg("backup").output().expect("the command runs"), 2, "--to");
}

/// Without the events' tables: as an older version would have left it.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_schema_is_restored_and_then_migrated() {
    let old = TestServer::new(&[]).await;
    for schema in SCHEMAS {
        let labels = platform::db::transfer::known_migrations(&schema);
        let level: Vec<String> = labels.into_iter().filter(|label| label != "platform/0002_events").collect();
        platform::db::transfer::migrate_to(old.config(), old.folder(), schema, Some(&level))
            .await
            .expect("migrated");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("old.tar.zst");
    json_of(&run_on(&old, &["backup", "--to", text(&archive), "--json"]), 0);
    let report = json_of(&run_on(&old, &["verify", "--from", text(&archive), "--json"]), 0);
    assert_eq!(report["attention"], SCHEMAS.len(), "{report:#}");
    let place = Place::new().await;
    json_of(&place.run(&["restore", "--from", text(&archive), "--json"]), 0);
    let report = json_of(&place.run(&["verify", "--json", "--strict"]), 0);
    assert_eq!(report["ok"], true, "{report:#}");
}

/// Every service of the application has its databases saved and its checks made.
#[tokio::test]
async fn no_service_is_forgotten() {
    let database = TestServer::on(Engine::Sqlite, &SCHEMAS).await;
    let config = crate::support::config_for(&database);
    let databases = guildhall::compose::Databases::connect(&config).await.expect("databases");
    let all: Vec<_> = databases.all().iter().map(|db| db.service()).collect();
    let kept: Vec<_> = guildhall::compose::KEPT.iter().map(|(schema, _)| schema.service).collect();
    assert_eq!(all, kept);
    assert!(guildhall::compose::KEPT.iter().all(|(_, checks)| !checks.is_empty()));
    let mut names: Vec<_> = guildhall::compose::KEPT
        .iter()
        .flat_map(|(_, checks)| *checks)
        .map(|check| check.name)
        .collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "two checks of one name");
}

struct Breaker {
    db: Db,
}

impl Breaker {
    async fn apply(&self, change: impl FnOnce(&mut Unit)) {
        let caller = platform::Caller::system(&kernel::SystemClock as &dyn kernel::Clock, "vandal");
        let mut unit = Unit::new(&caller);
        change(&mut unit);
        self.db.apply(unit).await.expect("broken");
    }
    async fn set(&self, table: &'static str, column: &'static str, value: Expr) {
        let update = Query::update().table(table).value(column, value).to_owned();
        self.apply(|unit| unit.update(update)).await;
    }
    async fn delete(&self, table: &'static str) {
        let delete = Query::delete().from_table(table).to_owned();
        self.apply(|unit| unit.delete(delete)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_by_hand_is_named() {
    let database = TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let mut server = Server::start(&database, free_port());
    server.ready(&http).await;
    let world = settle(&server.base, &http).await;
    eventually("an inbox row", || async {
        let report = json_of(&run_on(&database, &["verify", "--json"]), 0);
        let services = report["report"]["services"].as_array().expect("services");
        services
            .iter()
            .any(|service| service["service"] == "notifications" && service["inbox"].as_i64() > Some(2))
            .then_some(())
    })
    .await;
    assert!(server.terminate().success());
    let open = async |index: usize| Breaker {
        db: database.db(SCHEMAS[index]).await,
    };
    let (identity, workspaces, tasks, notifications) = (open(0).await, open(1).await, open(2).await, open(3).await);
    let audit = open(5).await;

    let forged = Query::update()
        .table("audit_entries")
        .value("action", "project.updated")
        .and_where(Expr::col("action").eq("project.created"))
        .to_owned();
    audit.apply(|unit| unit.update(forged)).await;

    tasks.set("tasks", "comment_count", Expr::col("comment_count").add(7)).await;
    tasks.set("tasks", "subtask_count", Expr::col("subtask_count").add(1)).await;
    tasks.set("tasks", "status", Expr::val("cancelled")).await;
    tasks.set("task_projects", "last_number", Expr::val(1_i64)).await;
    workspaces.set("workspaces", "owner_count", Expr::val(0_i64)).await;
    workspaces.set("members", "user_id", Expr::val(uuid(7))).await;
    workspaces.delete("projects").await;
    identity.delete("refresh_tokens").await;
    notifications.set("event_counters", "last_seq", Expr::val(0_i64)).await;
    let outbox = |envelope: &str, parked: Option<i64>| {
        Query::insert()
            .into_table("outbox")
            .columns(["id", "event_type", "subject", "envelope", "created_at", "parked_at"])
            .values_panic([
                uuid(9).into(),
                "tasks.task_created.v1".into(),
                "lost".into(),
                envelope.into(),
                1_i64.into(),
                parked.into(),
            ])
            .to_owned()
    };
    tasks.apply(|unit| unit.insert(outbox("{}", Some(5)))).await;
    tasks.apply(|unit| unit.insert(outbox("no envelope", None))).await;
    let due = Query::insert()
        .into_table("due_work")
        .columns([
            "id",
            "kind",
            "payload",
            "run_at",
            "generation",
            "attempt",
            "leased_until",
            "request_id",
            "last_error",
            "dead_at",
            "created_at",
        ])
        .values_panic([
            uuid(11).into(),
            "mail".into(),
            "{}".into(),
            1_i64.into(),
            uuid(12).into(),
            20.into(),
            0_i64.into(),
            "r".into(),
            "no route to host".into(),
            5_i64.into(),
            1_i64.into(),
        ])
        .to_owned();
    identity.apply(|unit| unit.insert(due)).await;

    let report = json_of(&run_on(&database, &["verify", "--json"]), 1);
    let found = |service: &str, check: &str, severity: &str, names: &str| {
        let findings = report["report"]["findings"].as_array().expect("findings");
        let finding = findings
            .iter()
            .find(|finding| finding["service"] == service && finding["check"] == check)
            .unwrap_or_else(|| panic!("{check} of {service} is not reported: {report:#}"));
        assert_eq!(finding["severity"], severity, "{finding:#}");
        assert!(finding["rows"].to_string().contains(names), "{names} is not named: {finding:#}");
    };
    let missing = uuid(7).to_string();
    found("tasks", "tasks.comment_count", "broken", &world.task);
    found("tasks", "tasks.subtask_count", "broken", &world.task);
    found("tasks", "tasks.status", "broken", &world.task);
    found("tasks", "tasks.number", "broken", &world.project);
    found("tasks", "tasks.task_project", "broken", &world.project);
    found("tasks", "outbox.parked", "broken", "lost");
    found("tasks", "outbox.repeated", "broken", &uuid(9).to_string());
    found("tasks", "outbox.readable", "broken", "seq=");
    found("tasks", "outbox.age", "attention", "events wait");
    found("workspaces", "workspaces.owner_count", "broken", "engine-works");
    found("workspaces", "workspaces.owned", "broken", "engine-works");
    found("workspaces", "workspaces.member_user", "broken", &missing);
    found("identity", "identity.current_token", "broken", &world.ada.user_id);
    found("identity", "due_work.given_up", "attention", "no route to host");
    found("notifications", "notifications.sequence", "broken", "1");
    found("audit", "audit.seals", "broken", "not as it was written");
    let said = run_on(&database, &["verify"]);
    refused(&said, 1, "need attention");
    assert!(String::from_utf8_lossy(&said.stdout).contains("BROKEN"), "{said:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_on_the_machine_can_read_the_data_folder() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("data");
    let http = reqwest::Client::new();
    let mut server = Server::start_at(&folder, None, free_port(), |command| {
        command.env("GUILDHALL_LOG__LEVEL", "error");
    });
    server.ready(&http).await;
    // Makes a mail as well.
    server.anonymous(&http).register("ada").await;
    eventually("the mail", || async { folder.join("mailbox.json").exists().then_some(()) }).await;
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

fn uuid(number: u128) -> kernel::ids::Uuid {
    kernel::ids::Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 + number)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_sqlite_file_is_found_and_not_saved_as_if_it_were_whole() {
    let database = TestServer::on(Engine::Sqlite, &SCHEMAS).await;
    let file = database.folder().join("tasks.sqlite3");
    let whole = std::fs::read(&file).expect("the file");
    // Some pages in the middle: the rest is still looked at, and the report names the file.
    let mut bytes = whole.clone();
    let middle = whole.len() / 2;
    bytes[middle..middle + 12 * 1024].fill(0xA5);
    std::fs::write(&file, bytes).expect("written");
    let report = json_of(&run_on(&database, &["verify", "--json"]), 1);
    let broken = |finding: &Value| finding["service"] == "tasks" && finding["severity"] == "broken";
    let found = report["report"]["findings"].as_array().expect("findings");
    assert!(found.iter().any(broken), "{report:#}");
    // All but the first, which says what the file is.
    let mut bytes = whole;
    bytes[4096..].fill(0xA5);
    std::fs::write(&file, bytes).expect("written");
    let output = run_on(&database, &["verify", "--json"]);
    refused(&output, 1, "tasks.sqlite3");
    let target = database.folder().join("copy.tar.zst");
    let output = run_on(&database, &["backup", "--to", text(&target)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!target.exists());
}

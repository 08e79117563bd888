//! `guildhall export-to`: from SQLite to the server under test, and on with life there.

use std::process::Stdio;
use std::time::Duration;

use platform::db::Engine;
use testkit::{PATIENCE_MS, TestServer};

use crate::backup::{goes_on, json_of, refused, run_at, settle};
use crate::process::{Server, free_port, guildhall};
use crate::support::SCHEMAS;

/// A target where nobody answers.
const NOWHERE: &str = "postgres://nobody@127.0.0.1:1/none";

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_data_moves_to_a_server_and_everybody_stays_signed_in() {
    let source = TestServer::on(Engine::Sqlite, &SCHEMAS).await;
    let http = reqwest::Client::new();
    let mut server = Server::start(&source, free_port());
    server.ready(&http).await;
    let world = settle(&server.base, &http).await;

    let target = TestServer::new(&[]).await;
    let url = target.config().url.clone().expect("a URL");
    if testkit::engine() == Engine::Sqlite {
        refused(&run_at(source.folder(), &url, &["export-to"]), 1, "name the target");
        let output = guildhall().args(["export-to", "--data-dir"]).arg(source.folder()).output();
        refused(&output.expect("the command runs"), 2, "--database-url");
        return;
    }
    refused(&run_at(source.folder(), &url, &["export-to"]), 4, "works on the data folder");
    assert!(server.terminate().success());
    let moved = json_of(&run_at(source.folder(), &url, &["export-to", "--json"]), 0);
    assert_eq!(moved["services"].as_array().map(Vec::len), Some(SCHEMAS.len()), "{moved:#}");
    refused(&run_at(source.folder(), &url, &["export-to"]), 1, "not empty");

    let report = json_of(&run_at(source.folder(), &url, &["verify", "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");
    let mut server = Server::start_at(source.folder(), Some(&url), free_port(), |_| {});
    server.ready(&http).await;
    goes_on(&server.base, &world).await;
    server.kill();
    let report = json_of(&run_at(source.folder(), &url, &["verify", "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_fails_leaves_the_target_empty() {
    // From SQLite to SQLite is refused: the test above.
    if testkit::engine() == Engine::Sqlite {
        return;
    }
    let source = TestServer::on(Engine::Sqlite, &SCHEMAS).await;
    let tasks = source.db(SCHEMAS[2]).await;
    // SQLite does not know how long a text may be; the servers do.
    let caller = platform::Caller::system(&kernel::SystemClock as &dyn kernel::Clock, "test");
    let label = |name: String| {
        sea_query::Query::insert()
            .into_table("labels")
            .columns([
                "id",
                "workspace_id",
                "name",
                "name_folded",
                "color",
                "version",
                "created_at",
                "updated_at",
            ])
            .values_panic([
                kernel::ids::Uuid::from_u128(name.len() as u128).into(),
                kernel::ids::Uuid::from_u128(2).into(),
                name.as_str().into(),
                name.as_str().into(),
                "#fff".into(),
                1_i64.into(),
                1_i64.into(),
                1_i64.into(),
            ])
            .to_owned()
    };
    let mut unit = platform::db::Unit::new(&caller);
    unit.insert(label("short".to_owned()));
    unit.insert(label("x".repeat(300)));
    tasks.apply(unit).await.expect("stored");
    let target = TestServer::new(&[]).await;
    let url = target.config().url.clone().expect("a URL");
    let output = run_at(source.folder(), &url, &["export-to"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");

    let mut unit = platform::db::Unit::new(&caller);
    unit.delete(sea_query::Query::delete().from_table("labels").to_owned());
    tasks.apply(unit).await.expect("deleted");
    json_of(&run_at(source.folder(), &url, &["export-to", "--json"]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_lacks_a_service_is_not_moved() {
    let source = TestServer::on(Engine::Sqlite, &SCHEMAS).await;
    std::fs::remove_file(source.folder().join("tasks.sqlite3")).expect("removed");
    refused(&run_at(source.folder(), NOWHERE, &["export-to"]), 1, "no database of tasks");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_noticed_long_after_its_lease() {
    let place = tempfile::tempdir().expect("a folder");
    let (folder, http) = (place.path().join("data"), reqwest::Client::new());
    let mut server = Server::start_at(&folder, None, free_port(), |command| {
        command.env("GUILDHALL_LOG__LEVEL", "error").env("GUILDHALL_EVENTS__LEASE", "1s");
    });
    server.ready(&http).await;
    // Asked for, it goes ahead, as far as there is a target.
    let rehearsal = run_at(&folder, NOWHERE, &["export-to", "--while-running"]);
    assert_eq!(rehearsal.status.code(), Some(3), "{rehearsal:?}");
    let stopped = std::process::Command::new("kill")
        .args(["-STOP", &server.id().to_string()])
        .status();
    assert!(stopped.expect("kill runs").success());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let output = run_at(&folder, NOWHERE, &["export-to"]);
    server.kill();
    refused(&output, 4, "works on the data folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_starts_while_the_data_moves() {
    let source = TestServer::on(Engine::Sqlite, &SCHEMAS).await;
    // A target that takes the connection and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("postgres://nobody@{}/none", silent.local_addr().expect("an address"));
    let patience = Duration::from_millis(PATIENCE_MS);
    let mut export = guildhall()
        .args(["export-to", "--database-url", &url, "--data-dir"])
        .arg(source.folder())
        .env("GUILDHALL_DATABASE__ACQUIRE_TIMEOUT_MS", "600000")
        .env("GUILDHALL_DATABASE__CONNECT_TIMEOUT_MS", "600000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command runs");
    let asked = tokio::time::timeout(patience, silent.accept()).await;

    let mut second = guildhall()
        .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off", "--data-dir"])
        .arg(source.folder())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut left = 600;
    while second.try_wait().expect("its state").is_none() && left > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        left -= 1;
    }
    let _ = second.kill();
    let output = second.wait_with_output().expect("its end");
    export.kill().expect("SIGKILL");
    export.wait().expect("its end");
    assert!(asked.is_ok_and(|asked| asked.is_ok()), "the export never asked the target");
    refused(&output, 4, "an export");

    // The lock went with it.
    let mut server = Server::start_at(source.folder(), None, free_port(), |_| {});
    server.ready(&reqwest::Client::new()).await;
    server.kill();
}

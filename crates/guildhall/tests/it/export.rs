//! `guildhall export-to`: from SQLite to the server under test, and on with life there.

use platform::db::Engine;
use testkit::TestServer;

use crate::backup::{goes_on, json_of, refused, run_at, settle};
use crate::process::{Server, free_port, guildhall};
use crate::support::SCHEMAS;

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
    refused(
        &run_at(source.folder(), &url, &["export-to"]),
        1,
        "a server works on this data folder",
    );
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

//! Databases on the servers of the test environment: made for one test, dropped with it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use kernel::{Clock, SystemClock};
use mysql_async::prelude::Queryable;
use tokio_postgres::NoTls;

use crate::db::environment;

/// What a crashed test run left behind is dropped when it is this old.
const STALE_SECONDS: i64 = 3_600;

/// A name that tells when it was made: `gh_<seconds>_<process>_<number>`.
pub(crate) fn fresh_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("gh_{}_{}_{number}", SystemClock.now().as_seconds(), std::process::id())
}

fn is_stale(name: &str) -> bool {
    let made = name
        .strip_prefix("gh_")
        .and_then(|rest| rest.split('_').next())
        .and_then(|made| made.parse::<i64>().ok());
    made.is_some_and(|made| SystemClock.now().as_seconds() - made > STALE_SECONDS)
}

/// The URL of the server with another database.
///
/// # Panics
/// When the variable is not set: a missing server fails the run, it is never skipped.
fn url(variable: &str) -> String {
    environment(variable).unwrap_or_else(|| panic!("{variable} is not set; start the servers with scripts/backends.sh up"))
}

pub(crate) fn postgres_url() -> String {
    url("GUILDHALL_TEST_POSTGRES_URL")
}

pub(crate) fn mysql_url() -> String {
    url("GUILDHALL_TEST_MYSQL_URL")
}

/// Replaces the database in `scheme://authority/database?query`.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{database}{query}", &base[..end])
}

/// Runs statements on the server's own database; the connection ends with the call.
pub(crate) async fn postgres(statements: &[String]) {
    let (client, connection) = tokio_postgres::connect(&postgres_url(), NoTls).await.expect("PostgreSQL answers");
    let run = async {
        for statement in statements {
            client
                .batch_execute(statement)
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        drop(client);
    };
    let (outcome, ()) = tokio::join!(connection, run);
    outcome.expect("the connection ends well");
}

/// Makes `template` unless it exists; `fill` gets it under another name, so that nobody sees it half done.
pub(crate) async fn postgres_template(template: &str, fill: impl AsyncFnOnce(&str)) {
    let (client, connection) = tokio_postgres::connect(&postgres_url(), NoTls).await.expect("PostgreSQL answers");
    let run = async {
        // Ends with the session; other test programs wait here for the same template.
        let lock = format!("SELECT pg_advisory_lock(hashtext('{template}'))");
        client.batch_execute(&lock).await.expect("the lock of the template");
        let find = "SELECT datname FROM pg_database WHERE datname LIKE 'gh\\_%'";
        let names: Vec<String> = client.query(find, &[]).await.expect("names").iter().map(|row| row.get(0)).collect();
        if !names.iter().any(|name| name == template) {
            for stale in names.iter().filter(|name| is_stale(name)) {
                // Another program may have been faster.
                let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {stale} WITH (FORCE)")).await;
            }
            let draft = fresh_name();
            client
                .batch_execute(&format!("CREATE DATABASE {draft}"))
                .await
                .expect("a database is created");
            fill(&draft).await;
            // Connections of the fill must be gone before the database can be renamed.
            let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{draft}'");
            client.batch_execute(&end).await.expect("the draft is left");
            let rename = format!("ALTER DATABASE {draft} RENAME TO {template}");
            for attempt in 1.. {
                match client.batch_execute(&rename).await {
                    Ok(()) => break,
                    Err(error) => assert!(attempt < 50, "{rename}: {error}"),
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        drop(client);
    };
    let (outcome, ()) = tokio::join!(connection, run);
    outcome.expect("the connection ends well");
}

/// SQL that makes the databases `{name}_<service>` as copies of the migrated templates. MySQL cannot copy a database, and
/// migrating takes a commit to disk per statement; so the finished tables are made at once.
///
/// Makes the templates unless they exist; `fill` gets the prefix of their names.
pub(crate) async fn mysql_template(template: &str, services: &[&str], fill: impl AsyncFnOnce(&str)) -> String {
    let mut connection = mysql_connection().await;
    // Ends with the connection; other test programs wait here for the same templates.
    let locked: Option<i64> = connection
        .exec_first("SELECT GET_LOCK(?, 300)", (template,))
        .await
        .expect("the lock");
    assert_eq!(locked, Some(1), "another test program fills {template} for ever");
    let names: Vec<String> = connection.query("SHOW DATABASES").await.expect("names");
    // Made last, so what a killed run left behind is not taken for complete.
    let complete = format!("{template}_complete");
    if !names.contains(&complete) {
        drop_mysql(template).await;
        fill(template).await;
        connection
            .query_drop(format!("CREATE DATABASE `{complete}`"))
            .await
            .expect("the mark");
    }
    let mut script = "SET foreign_key_checks = 0;".to_owned();
    for service in services {
        let source = format!("{template}_{service}");
        let _ = write!(
            script,
            "CREATE DATABASE `{{name}}_{service}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; USE `{{name}}_{service}`;"
        );
        connection.query_drop(format!("USE `{source}`")).await.expect("the template");
        for table in connection.query::<String, _>("SHOW TABLES").await.expect("tables") {
            let (_, create): (String, String) = connection
                .query_first(format!("SHOW CREATE TABLE `{table}`"))
                .await
                .expect("a table")
                .expect("its definition");
            let _ = write!(script, "{create};");
            let filled: Option<i64> = connection
                .query_first(format!("SELECT 1 FROM `{table}` LIMIT 1"))
                .await
                .expect("rows");
            if filled.is_some() {
                let _ = write!(script, "INSERT INTO `{table}` SELECT * FROM `{source}`.`{table}`;");
            }
        }
    }
    connection.disconnect().await.expect("the connection ends well");
    script
}

pub(crate) async fn mysql_script(script: &str, name: &str) {
    let mut connection = mysql_connection().await;
    connection
        .query_drop(script.replace("{name}", name))
        .await
        .expect("the databases are copied");
    connection.disconnect().await.expect("the connection ends well");
}

async fn mysql_connection() -> mysql_async::Conn {
    let options = mysql_async::Opts::from_url(&mysql_url()).expect("GUILDHALL_TEST_MYSQL_URL is a URL");
    mysql_async::Conn::new(options).await.expect("MySQL answers")
}

/// Drops every database whose name starts with `prefix`, and what crashed runs left behind.
pub(crate) async fn drop_mysql(prefix: &str) {
    let mut connection = mysql_connection().await;
    let names: Vec<String> = connection.query("SHOW DATABASES").await.expect("names");
    for name in names {
        if name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_')) || is_stale(&name) {
            connection
                .query_drop(format!("DROP DATABASE IF EXISTS `{name}`"))
                .await
                .expect("a database is dropped");
        }
    }
    connection.disconnect().await.expect("the connection ends well");
}

/// Runs clean-up to its end from a destructor, whatever runtime the test had.
pub(crate) fn finish(future: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(future);
    });
    // A test that failed already says why; a second panic would abort the whole program.
    let dropped = thread.join().is_ok();
    assert!(dropped || std::thread::panicking(), "the test database could not be dropped");
}

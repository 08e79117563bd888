//! Databases for tests: copies of a migrated template.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use platform::db::transfer::Transfer;
use platform::db::{Db, DbConfig, Engine, Migration, Schema};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::server;

#[expect(clippy::disallowed_methods, reason = "tests are configured by the environment of `cargo test`")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The engine under test.
///
/// # Panics
/// When `GUILDHALL_TEST_ENGINE` names none.
pub fn engine() -> Engine {
    match environment("GUILDHALL_TEST_ENGINE").as_deref() {
        None | Some("sqlite") => Engine::Sqlite,
        Some("postgres") => Engine::Postgres,
        Some("mysql") => Engine::Mysql,
        Some(other) => panic!("GUILDHALL_TEST_ENGINE is {other:?}; use sqlite, postgres or mysql"),
    }
}

/// Room for the databases of one test, removed with it.
#[derive(Debug)]
pub struct TestServer {
    config: DbConfig,
    folder: TempDir,
    /// Name on the server: a PostgreSQL database, a prefix of MySQL databases.
    name: Option<String>,
}

/// How long tests wait for a connection to a database. Many tests at once keep the servers of a small machine busy for longer
/// than the product's default, and then it answers 503, as it should.
pub const PATIENCE_MS: u64 = 30_000;

impl TestServer {
    /// A place on the engine under test that holds migrated databases of `schemas`. Every service of an application can
    /// be connected to its [`TestServer::config`].
    pub async fn new(schemas: &[Schema]) -> Self {
        Self::on(engine(), schemas).await
    }

    pub async fn on(engine: Engine, schemas: &[Schema]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let small = DbConfig {
            max_connections: 8,
            sqlite_readers: Some(2),
            acquire_timeout_ms: PATIENCE_MS,
            connect_timeout_ms: PATIENCE_MS,
            busy_timeout_ms: PATIENCE_MS,
            statement_timeout_ms: PATIENCE_MS,
            ..DbConfig::default()
        };
        let (url, name) = match engine {
            Engine::Sqlite => {
                seed_sqlite(folder.path(), schemas).await;
                (format!("sqlite:{}", folder.path().display()), None)
            }
            Engine::Postgres => {
                let (name, template) = (server::fresh_name(), format!("gh_template_{}", fingerprint(schemas)));
                server::postgres_template(&template, async |draft| {
                    let url = Some(server::with_database(&server::postgres_url(), draft));
                    migrate_all(&DbConfig { url, ..small.clone() }, folder.path(), schemas).await;
                })
                .await;
                server::postgres(&[format!("CREATE DATABASE {name} TEMPLATE {template}")]).await;
                (server::with_database(&server::postgres_url(), &name), Some(name))
            }
            Engine::Mysql => {
                let name = server::fresh_name();
                if !schemas.is_empty() {
                    server::mysql_script(&mysql_script(&small, folder.path(), schemas).await, &name).await;
                }
                (server::with_database(&server::mysql_url(), &name), Some(name))
            }
        };
        let config = DbConfig { url: Some(url), ..small };
        Self { config, folder, name }
    }

    /// How an application reaches the databases.
    pub const fn config(&self) -> &DbConfig {
        &self.config
    }

    /// A folder for the files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A migrated database in this place.
    pub async fn db(&self, schema: Schema) -> Db {
        let db = Db::connect(&self.config, self.folder.path(), schema)
            .await
            .expect("the test database opens");
        db.migrate().await.expect("the migrations run");
        db
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        if self.config.engine() == Ok(Engine::Postgres) {
            server::finish(async move { server::postgres(&[format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")]).await });
        } else {
            server::finish(async move { server::drop_mysql(&name).await });
        }
    }
}

/// The copying script, captured once per program.
async fn mysql_script(small: &DbConfig, folder: &Path, schemas: &[Schema]) -> Arc<str> {
    static SCRIPTS: OnceLock<tokio::sync::Mutex<HashMap<String, Arc<str>>>> = OnceLock::new();
    let key = fingerprint(schemas);
    let mut scripts = SCRIPTS.get_or_init(tokio::sync::Mutex::default).lock().await;
    if let Some(script) = scripts.get(&key) {
        return Arc::clone(script);
    }
    let services: Vec<_> = schemas.iter().map(|schema| schema.service).collect();
    let script = server::mysql_template(&format!("gh_template_{key}"), &services, async |name| {
        let url = Some(server::with_database(&server::mysql_url(), name));
        migrate_all(&DbConfig { url, ..small.clone() }, folder, schemas).await;
    })
    .await;
    let script: Arc<str> = script.into();
    scripts.insert(key, Arc::clone(&script));
    script
}

async fn migrate_all(config: &DbConfig, folder: &Path, schemas: &[Schema]) {
    for schema in schemas {
        let db = Db::connect(config, folder, *schema).await.expect("the test database opens");
        db.migrate().await.expect("the migrations run");
    }
}

/// Changes with every migration, so that a template is never out of date.
fn fingerprint(schemas: &[Schema]) -> String {
    let mut hash = Sha256::new();
    let mut add = |migration: &Migration| {
        for text in [migration.name, migration.sqlite, migration.postgres, migration.mysql] {
            hash.update(text);
        }
    };
    platform::db::PLATFORM_MIGRATIONS.iter().for_each(&mut add);
    for schema in schemas {
        schema.migrations.iter().for_each(&mut add);
    }
    for schema in schemas {
        hash.update(schema.service);
    }
    hash.finalize().iter().take(10).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Puts a copy of the migrated file in place: cheaper than migrating, and every file is the same.
async fn seed_sqlite(folder: &Path, schemas: &[Schema]) {
    static TEMPLATES: OnceLock<tokio::sync::Mutex<HashMap<String, Vec<u8>>>> = OnceLock::new();
    for schema in schemas {
        let key = fingerprint(&[*schema]);
        let mut templates = TEMPLATES.get_or_init(tokio::sync::Mutex::default).lock().await;
        if !templates.contains_key(&key) {
            let scratch = tempfile::tempdir().expect("a temporary folder");
            let db = Db::connect(&DbConfig::default(), scratch.path(), *schema)
                .await
                .expect("the template opens");
            db.migrate().await.expect("the migrations run");
            let copy = scratch.path().join("copy");
            let mut template = Transfer::read(&DbConfig::default(), scratch.path(), &[*schema])
                .await
                .expect("the template is read");
            template
                .copy_file(schema.service, &copy, |_, _| {})
                .await
                .expect("the template is copied");
            templates.insert(key.clone(), std::fs::read(copy).expect("the template is read"));
        }
        let file = folder.join(format!("{}.sqlite3", schema.service));
        std::fs::write(file, &templates[&key]).expect("the template is written");
    }
}

/// A fresh migrated database of one service. Derefs to [`Db`].
#[derive(Debug)]
pub struct TestDb {
    db: Db,
    server: TestServer,
}

impl TestDb {
    pub async fn new(schema: Schema) -> Self {
        let server = TestServer::new(&[schema]).await;
        let db = server.db(schema).await;
        Self { db, server }
    }
    /// A handle of its own, as services take it.
    pub fn db(&self) -> Db {
        self.db.clone()
    }
    pub const fn server(&self) -> &TestServer {
        &self.server
    }
}

impl Deref for TestDb {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.db
    }
}

//! Databases for tests: copies of a migrated template.

use std::collections::HashMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::OnceLock;

use platform::db::{Db, DbConfig, Engine, Schema, Statement};
use tempfile::TempDir;

#[expect(clippy::disallowed_methods, reason = "tests are configured by the environment of `cargo test`")]
fn environment(name: &str) -> Option<String> {
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
}

impl TestServer {
    /// An empty place on the engine under test. Every service of an application can be connected to it.
    pub async fn new() -> Self {
        Self::on(engine()).await
    }

    #[expect(clippy::unused_async, reason = "the servers' databases are made here")]
    pub async fn on(engine: Engine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = match engine {
            Engine::Sqlite => DbConfig {
                url: Some(format!("sqlite:{}", folder.path().display())),
                sqlite_readers: Some(2),
                ..DbConfig::default()
            },
            Engine::Postgres | Engine::Mysql => panic!("not yet"),
        };
        Self { config, folder }
    }

    pub const fn config(&self) -> &DbConfig {
        &self.config
    }

    /// A folder for the files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A migrated database in this place.
    pub async fn db(&self, schema: Schema) -> Db {
        self.seed(schema).await;
        let db = Db::connect(&self.config, self.folder.path(), schema)
            .await
            .expect("the test database opens");
        db.migrate().await.expect("the migrations run");
        db
    }

    /// Puts a copy of the migrated template in place, where copying is cheaper than migrating.
    async fn seed(&self, schema: Schema) {
        if self.config.engine() != Ok(Engine::Sqlite) {
            return;
        }
        static TEMPLATES: OnceLock<tokio::sync::Mutex<HashMap<String, Vec<u8>>>> = OnceLock::new();
        let names: Vec<_> = schema.migrations.iter().map(|migration| migration.name).collect();
        let key = format!("{}:{names:?}", schema.service);
        let mut templates = TEMPLATES.get_or_init(tokio::sync::Mutex::default).lock().await;
        if !templates.contains_key(&key) {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let db = Db::connect(&DbConfig::default(), folder.path(), schema)
                .await
                .expect("the template opens");
            db.migrate().await.expect("the migrations run");
            let copy = folder.path().join("copy");
            db.copy_to(&copy).await.expect("the template is copied");
            templates.insert(key.clone(), std::fs::read(copy).expect("the template is read"));
        }
        let file = self.folder.path().join(format!("{}.sqlite3", schema.service));
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
        let server = TestServer::new().await;
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

/// Lets the engine under test check every statement against the migrated schema.
///
/// # Panics
/// Names each statement that the engine refuses.
pub async fn prepare_all(schema: Schema, statements: Vec<(&str, Statement)>) {
    let db = TestDb::new(schema).await;
    let mut refused = Vec::new();
    for (name, statement) in statements {
        if let Err(error) = db.prepare(statement).await {
            refused.push(format!("{name}: {error}"));
        }
    }
    assert!(refused.is_empty(), "statements the engine refuses:\n{}", refused.join("\n"));
}

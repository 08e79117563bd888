//! Where a run keeps its data: a folder, and databases of its own on the servers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mysql_async::prelude::Queryable as _;
use platform::db::Engine;
use tokio_postgres::NoTls;
use url::Url;

use crate::{Options, Outcome, fail};

pub fn parse(text: &str) -> Result<Engine, String> {
    match text {
        "sqlite" => Ok(Engine::Sqlite),
        "postgres" => Ok(Engine::Postgres),
        "mysql" => Ok(Engine::Mysql),
        other => Err(format!("{other:?} is none of sqlite, postgres, mysql")),
    }
}

/// Databases of which a recording may need a copy.
pub const SERVICES: [&str; 6] = ["identity", "workspaces", "tasks", "notifications", "webhooks", "audit"];

/// The databases of one run on one engine.
pub struct Place {
    pub engine: Engine,
    /// Data folder of the product.
    pub folder: PathBuf,
    /// Where the yardstick's copies of SQLite files are.
    bare_folder: PathBuf,
    /// The server, with whatever database its URL names.
    server: Option<Url>,
    /// On the server: a database, or a prefix of databases.
    name: String,
}

impl Place {
    pub async fn new(options: &Options, engine: Engine, root: &Path) -> Outcome<Self> {
        let root = root.join(engine.as_str());
        let (folder, bare_folder) = (root.join("data"), root.join("bare"));
        std::fs::create_dir_all(&folder)?;
        std::fs::create_dir_all(&bare_folder)?;
        let given = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => options.postgres_url.as_deref(),
            Engine::Mysql => options.mysql_url.as_deref(),
        };
        if engine != Engine::Sqlite && given.is_none() {
            return fail(format!("no URL of a {} server; scripts/bench.sh starts one", engine.as_str()));
        }
        let mut server = given.map(Url::parse).transpose()?;
        if let Some(url) = &mut server {
            // Server and client share the machine; a real network has other costs than TLS.
            url.set_query(None);
        }
        let place = Self {
            engine,
            folder,
            bare_folder,
            server,
            name: format!("ghbench_{}", std::process::id()),
        };
        if engine == Engine::Postgres {
            place.postgres(&[format!("CREATE DATABASE {}", place.name)]).await?;
        }
        Ok(place)
    }

    /// What the product is told.
    pub fn url(&self) -> Option<String> {
        let mut url = self.server.clone()?;
        url.set_path(&self.name);
        url.set_query(Some("sslmode=disable"));
        Some(url.into())
    }

    fn bare_name(&self) -> String {
        format!("{}_bare", self.name)
    }

    /// The copy that the yardstick works on: a file, or the URL of a server with a database.
    pub fn bare(&self, service: &str) -> String {
        match &self.server {
            None => self.bare_folder.join(format!("{service}.sqlite3")).display().to_string(),
            Some(server) => {
                let mut url = server.clone();
                match self.engine {
                    Engine::Mysql => url.set_path(&format!("{}_{service}", self.bare_name())),
                    _ => url.set_path(&self.bare_name()),
                }
                url.into()
            }
        }
    }

    /// The product's own file or database, to look into.
    pub fn live(&self, service: &str) -> String {
        match &self.server {
            None => self.folder.join(format!("{service}.sqlite3")).display().to_string(),
            Some(server) => {
                let mut url = server.clone();
                match self.engine {
                    Engine::Mysql => url.set_path(&format!("{}_{service}", self.name)),
                    _ => url.set_path(&self.name),
                }
                url.into()
            }
        }
    }

    /// The program with the settings of the benchmark. Rates and throttles stay on, with limits that are not reached.
    pub fn command(&self, bin: &Path, arguments: &[&str]) -> Command {
        const MANY: &str = "1000000000";
        let mut command = Command::new(bin);
        command.args(arguments).env_clear();
        let settings = [
            ("HTTP__MAX_BODY_BYTES", "4194304"),
            ("HTTP__RATE_LIMITS__ANONYMOUS__REQUESTS", MANY),
            ("HTTP__RATE_LIMITS__ANONYMOUS__PER_SECONDS", "60"),
            ("HTTP__RATE_LIMITS__AUTH__REQUESTS", MANY),
            ("HTTP__RATE_LIMITS__AUTH__PER_SECONDS", "60"),
            ("HTTP__RATE_LIMITS__USER__REQUESTS", MANY),
            ("HTTP__RATE_LIMITS__USER__PER_SECONDS", "60"),
            ("HTTP__SHUTDOWN_DELAY_MS", "0"),
            ("IDENTITY__THROTTLE__GLOBAL_PER_MINUTE", MANY),
            ("IDENTITY__THROTTLE__IP_FREE_FAILURES", MANY),
            ("NOTIFICATIONS__MAX_STREAMS_PER_USER", "1000"),
            ("SERVER__METRICS_LISTEN", "off"),
            ("TASKS__IMPORT_MAX_ROWS", "5000"),
        ];
        for (name, value) in settings {
            command.env(format!("GUILDHALL_{name}"), value);
        }
        command.env("GUILDHALL_SERVER__DATA_DIR", &self.folder);
        if let Some(url) = self.url() {
            command.env("GUILDHALL_DATABASE__URL", url);
        }
        command
    }

    pub fn log(&self) -> PathBuf {
        self.folder.with_file_name("server.log")
    }

    pub fn migrate(&self, bin: &Path) -> Outcome<()> {
        let log = std::fs::File::create(self.log())?;
        let status = self
            .command(bin, &["migrate"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()?;
        if status.success() {
            Ok(())
        } else {
            fail(format!("migrate: {status}; see {}", self.log().display()))
        }
    }

    /// Copies what is there for the yardstick, so that nobody relays what it writes. The product must not run.
    pub async fn copy_for_bare(&self) -> Outcome<()> {
        match self.engine {
            Engine::Sqlite => {
                for service in SERVICES {
                    let source = rusqlite::Connection::open(self.live(service))?;
                    source.execute("VACUUM INTO ?1", [self.bare(service)])?;
                    // As the product has it; kept in the file.
                    rusqlite::Connection::open(self.bare(service))?.pragma_update(None, "journal_mode", "WAL")?;
                }
                Ok(())
            }
            Engine::Postgres => {
                // Connections of whoever has just stopped may still be closing, and a template must have none.
                let end = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                    self.name
                );
                let copy = format!("CREATE DATABASE {} TEMPLATE {}", self.bare_name(), self.name);
                self.postgres(&[end, copy]).await
            }
            Engine::Mysql => self.copy_mysql().await,
        }
    }

    async fn copy_mysql(&self) -> Outcome<()> {
        let mut connection = self.mysql().await?;
        connection.query_drop("SET foreign_key_checks = 0, unique_checks = 0").await?;
        for service in SERVICES {
            let (from, to) = (format!("{}_{service}", self.name), format!("{}_{service}", self.bare_name()));
            let create = format!("CREATE DATABASE `{to}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
            connection.query_drop(create).await?;
            connection.query_drop(format!("USE `{to}`")).await?;
            let tables: Vec<String> = connection.query(format!("SHOW TABLES FROM `{from}`")).await?;
            for table in tables {
                let shown: Option<(String, String)> = connection.query_first(format!("SHOW CREATE TABLE `{from}`.`{table}`")).await?;
                let Some((_, create)) = shown else { continue };
                connection.query_drop(create).await?;
                connection
                    .query_drop(format!("INSERT INTO `{table}` SELECT * FROM `{from}`.`{table}`"))
                    .await?;
            }
        }
        connection.disconnect().await?;
        Ok(())
    }

    /// Events that wait for their delivery, in all services.
    pub async fn waiting(&self) -> Outcome<i64> {
        const WAITING: &str = "SELECT count(*) FROM outbox WHERE parked_at IS NULL";
        let mut total = 0;
        match self.engine {
            Engine::Sqlite => {
                for service in SERVICES {
                    let connection = rusqlite::Connection::open(self.live(service))?;
                    connection.busy_timeout(std::time::Duration::from_secs(5))?;
                    total += connection.query_row(WAITING, [], |row| row.get::<_, i64>(0))?;
                }
            }
            Engine::Postgres => {
                let parts: Vec<String> = SERVICES
                    .iter()
                    .map(|service| format!("(SELECT count(*) FROM {service}.outbox WHERE parked_at IS NULL)"))
                    .collect();
                let (client, connection) = tokio_postgres::connect(&self.live(""), NoTls).await?;
                let text = format!("SELECT {}", parts.join(" + "));
                let ask = async {
                    let row = client.query_one(&text, &[]).await;
                    drop(client);
                    row
                };
                let (ended, row) = tokio::join!(connection, ask);
                ended?;
                total = row?.get(0);
            }
            Engine::Mysql => {
                let mut connection = self.mysql().await?;
                for service in SERVICES {
                    let text = format!("SELECT count(*) FROM `{}_{service}`.outbox WHERE parked_at IS NULL", self.name);
                    total += connection.query_first::<i64, _>(text).await?.unwrap_or_default();
                }
                connection.disconnect().await?;
            }
        }
        Ok(total)
    }

    /// Name and version of the engine.
    pub async fn version(&self) -> Outcome<String> {
        Ok(match self.engine {
            Engine::Sqlite => format!("SQLite {}", rusqlite::version()),
            Engine::Postgres => {
                let (client, connection) = tokio_postgres::connect(&self.live(""), NoTls).await?;
                let ask = async {
                    let row = client.query_one("SHOW server_version", &[]).await;
                    drop(client);
                    row
                };
                let (ended, row) = tokio::join!(connection, ask);
                ended?;
                format!("PostgreSQL {}", row?.get::<_, String>(0))
            }
            Engine::Mysql => {
                let mut connection = self.mysql().await?;
                let version: Option<String> = connection.query_first("SELECT version()").await?;
                connection.disconnect().await?;
                let version = version.unwrap_or_default();
                let maker = if version.contains("MariaDB") { "" } else { "MySQL " };
                format!("{maker}{version}")
            }
        })
    }

    /// Drops the databases on the server; the folder is the caller's.
    pub async fn remove(&self) -> Outcome<()> {
        match self.engine {
            Engine::Sqlite => Ok(()),
            Engine::Postgres => {
                let drop = |name: &str| format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                self.postgres(&[drop(&self.name), drop(&self.bare_name())]).await
            }
            Engine::Mysql => {
                let mut connection = self.mysql().await?;
                for service in SERVICES {
                    for prefix in [self.name.clone(), self.bare_name()] {
                        connection
                            .query_drop(format!("DROP DATABASE IF EXISTS `{prefix}_{service}`"))
                            .await?;
                    }
                }
                connection.disconnect().await?;
                Ok(())
            }
        }
    }

    async fn postgres(&self, statements: &[String]) -> Outcome<()> {
        let Some(server) = &self.server else { return Ok(()) };
        let (client, connection) = tokio_postgres::connect(server.as_str(), NoTls).await?;
        let run = async {
            for statement in statements {
                client.batch_execute(statement).await?;
            }
            drop(client);
            Ok::<_, tokio_postgres::Error>(())
        };
        let (ended, done) = tokio::join!(connection, run);
        ended?;
        Ok(done?)
    }

    async fn mysql(&self) -> Outcome<mysql_async::Conn> {
        match &self.server {
            Some(server) => Ok(mysql_async::Conn::new(mysql_async::Opts::from_url(server.as_str())?).await?),
            None => fail("not on a server"),
        }
    }
}

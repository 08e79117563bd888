//! The `[database]` section.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::Engine;

/// How far a connection to a server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    Disable,
    /// TLS when the server offers it, so it does not stop an active attacker; the certificate is checked only when
    /// `ca_file` is set.
    #[default]
    Prefer,
    /// TLS or no connection; the certificate is checked only when `ca_file` is set.
    Require,
    /// TLS, certificate chain and host name checked against `ca_file` or the system's roots.
    VerifyFull,
}

/// When SQLite calls a commit done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SqliteSynchronous {
    /// Survives the end of the process, however violent; a power cut may take the last moments (never the consistency).
    #[default]
    Normal,
    /// Also survives a power cut: one fsync per group of commits.
    Full,
}

/// Where the data lives and how many connections reach it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DbConfig {
    /// `postgres://…`, `mysql://…`, `mariadb://…` or `sqlite:<folder>`; absent: SQLite files in the data folder.
    #[serde(serialize_with = "redacted")]
    pub url: Option<String>,
    /// The same in a file, for secrets.
    pub url_file: Option<PathBuf>,
    /// Prefix of the PostgreSQL schema names, so that several installations can share a database.
    pub schema_prefix: String,
    /// TLS to PostgreSQL and MySQL. `sslmode=` in the URL wins.
    pub ssl_mode: SslMode,
    /// PEM file of the certificate authority that signed the server's certificate.
    pub ca_file: Option<PathBuf>,
    /// Connections per service and process (PostgreSQL, MySQL).
    pub max_connections: usize,
    /// Longest wait for a free connection or a place in the writer's queue, milliseconds.
    pub acquire_timeout_ms: u64,
    /// Longest time to open a connection, milliseconds.
    pub connect_timeout_ms: u64,
    /// The server cancels a longer statement, milliseconds (PostgreSQL, MySQL).
    pub statement_timeout_ms: u64,
    /// How long SQLite waits for a lock of another process, milliseconds.
    pub busy_timeout_ms: u64,
    /// Reader threads per SQLite database; absent: the number of cores, at most 4.
    pub sqlite_readers: Option<usize>,
    /// What an acknowledged commit survives on SQLite.
    pub sqlite_synchronous: SqliteSynchronous,
    /// Units that may wait for the SQLite writer.
    pub sqlite_queue: usize,
}

impl Default for DbConfig {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            schema_prefix: String::new(),
            ssl_mode: SslMode::default(),
            ca_file: None,
            max_connections: 16,
            acquire_timeout_ms: 5_000,
            connect_timeout_ms: 5_000,
            statement_timeout_ms: 15_000,
            busy_timeout_ms: 5_000,
            sqlite_readers: None,
            sqlite_synchronous: SqliteSynchronous::default(),
            sqlite_queue: 1_024,
        }
    }
}

impl fmt::Debug for DbConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbConfig")
            .field("url", &self.url.as_deref().map(redact_url))
            .field("ssl_mode", &self.ssl_mode)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::ref_option, reason = "the signature serde wants")]
fn redacted<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Some(url) => serializer.serialize_some(&redact_url(url)),
        None => serializer.serialize_none(),
    }
}

/// The URL without its password, for logs and `config print`.
pub fn redact_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return if text.contains('@') { "***".to_owned() } else { text.to_owned() };
    };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "***".to_owned();
    }
    // libpq and others also accept secrets as parameters.
    if url.query_pairs().any(|(name, _)| name.to_ascii_lowercase().contains("pass")) {
        url.set_query(Some("***"));
    }
    url.to_string()
}

/// Where a service's data is, resolved from the configuration.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The folder of the files.
    Sqlite(PathBuf),
    Postgres(Url),
    Mysql(Url),
}

impl DbConfig {
    /// Everything that is wrong with the section.
    pub fn validate(&self) -> Vec<String> {
        let mut errors = Vec::new();
        if let Err(error) = self.target(std::path::Path::new(".")) {
            errors.push(error);
        }
        if self.max_connections == 0 || self.max_connections > 1_000 {
            errors.push("database.max_connections: must be between 1 and 1000".to_owned());
        }
        if self.sqlite_queue == 0 {
            errors.push("database.sqlite_queue: must be at least 1".to_owned());
        }
        if !self
            .schema_prefix
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            || self.schema_prefix.len() > 30
        {
            errors.push("database.schema_prefix: may hold a-z, 0-9 and _ only, at most 30 characters".to_owned());
        }
        for (name, value) in [
            ("acquire_timeout_ms", self.acquire_timeout_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("statement_timeout_ms", self.statement_timeout_ms),
        ] {
            if value == 0 || value > 3_600_000 {
                errors.push(format!("database.{name}: must be between 1 and 3600000"));
            }
        }
        if let Some(file) = &self.ca_file
            && !file.is_file()
        {
            errors.push(format!("database.ca_file: no such file: {}", file.display()));
        }
        errors
    }

    /// The engine that the URL names.
    pub fn engine(&self) -> Result<Engine, String> {
        Ok(match self.target(std::path::Path::new("."))? {
            Target::Sqlite(_) => Engine::Sqlite,
            Target::Postgres(_) => Engine::Postgres,
            Target::Mysql(_) => Engine::Mysql,
        })
    }

    /// The folder of the SQLite files; an error for a server.
    pub fn sqlite_folder(&self, data_dir: &std::path::Path) -> Result<PathBuf, String> {
        match self.target(data_dir)? {
            Target::Sqlite(folder) => Ok(folder),
            Target::Postgres(_) | Target::Mysql(_) => Err("database.url names a server, not a folder of SQLite files".to_owned()),
        }
    }

    pub(super) fn target(&self, data_dir: &std::path::Path) -> Result<Target, String> {
        let from_file = match &self.url_file {
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| format!("database.url_file: {}: {error}", file.display()))?),
            None => None,
        };
        let Some(text) = self.url.as_deref().or(from_file.as_deref()).map(str::trim) else {
            return Ok(Target::Sqlite(data_dir.to_owned()));
        };
        if let Some(folder) = text.strip_prefix("sqlite:") {
            let folder = folder.strip_prefix("//").unwrap_or(folder);
            if folder.is_empty() {
                return Err("database.url: sqlite: needs a folder".to_owned());
            }
            return Ok(Target::Sqlite(PathBuf::from(folder)));
        }
        // The text may hold a password, so it is not repeated.
        let url = Url::parse(text).map_err(|error| format!("database.url: is not a URL: {error}"))?;
        let database = url.path().trim_start_matches('/');
        match url.scheme() {
            "postgres" | "postgresql" => Ok(Target::Postgres(url)),
            "mysql" | "mariadb" if database.is_empty() || database.contains('/') => {
                Err("database.url: name the database, as in mysql://user@host/guildhall".to_owned())
            }
            "mysql" | "mariadb" => Ok(Target::Mysql(url)),
            other => Err(format!(
                "database.url: unknown scheme {other:?}; use sqlite:, postgres:// or mysql://"
            )),
        }
    }

    pub(super) const fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }
    pub(super) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

/// Takes `sslmode` (`ssl-mode` is MySQL's spelling) out of the URL.
pub(super) fn take_ssl_mode(url: &mut Url, default: SslMode) -> Result<SslMode, String> {
    let mut mode = default;
    let mut rest = Vec::new();
    for (name, value) in url.query_pairs() {
        if matches!(name.as_ref(), "sslmode" | "ssl-mode" | "ssl_mode") {
            mode = match value.to_ascii_lowercase().replace('_', "-").as_str() {
                "disable" | "disabled" => SslMode::Disable,
                "prefer" | "preferred" | "allow" => SslMode::Prefer,
                "require" | "required" => SslMode::Require,
                // We check the host name whenever we check the chain, so the weaker verify-ca is served too.
                "verify-full" | "verify-identity" | "verify-ca" => SslMode::VerifyFull,
                other => return Err(format!("database.url: unknown sslmode {other:?}")),
            };
        } else {
            rest.push((name.into_owned(), value.into_owned()));
        }
    }
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    Ok(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_url(url: &str) -> DbConfig {
        DbConfig {
            url: Some(url.to_owned()),
            ..DbConfig::default()
        }
    }

    #[test]
    fn the_url_names_the_engine() {
        for (url, engine) in [
            ("sqlite:/var/lib/guildhall", Engine::Sqlite),
            ("sqlite:///var/lib/guildhall", Engine::Sqlite),
            ("postgres://u:p@db/guildhall?sslmode=require", Engine::Postgres),
            ("postgresql://db/guildhall", Engine::Postgres),
            ("mysql://u:p@db:3307/guildhall", Engine::Mysql),
            (" mariadb://db/guildhall\n", Engine::Mysql),
        ] {
            assert_eq!(with_url(url).engine(), Ok(engine), "{url}");
            assert_eq!(with_url(url).validate(), Vec::<String>::new(), "{url}");
        }
        assert_eq!(DbConfig::default().engine(), Ok(Engine::Sqlite));
        for url in ["sqlite:", "mysql://db", "mysql://db/a/b", "oracle://db/x", "no url", ""] {
            assert_eq!(with_url(url).validate().len(), 1, "{url}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let config = DbConfig {
            schema_prefix: "Bad-".to_owned(),
            ca_file: Some("/does/not/exist".into()),
            max_connections: 0,
            sqlite_queue: 0,
            statement_timeout_ms: 0,
            ..with_url("oracle://db/x")
        };
        assert_eq!(config.validate().len(), 6);
    }

    #[test]
    fn no_password_is_shown() {
        for url in [
            "postgres://guild:s3cret@db/guildhall",
            "mysql://guild:s3cret@db/guildhall?sslmode=require",
            "postgres://db/guildhall?password=s3cret",
            "not a url: guild:s3cret@db",
        ] {
            let config = with_url(url);
            for shown in [
                redact_url(url),
                format!("{config:?}"),
                serde_json::to_string(&config).expect("JSON"),
            ] {
                assert!(!shown.contains("s3cret"), "{shown}");
            }
        }
        assert_eq!(redact_url("postgres://guild:x@db/guildhall"), "postgres://guild:***@db/guildhall");
    }

    #[test]
    fn a_url_in_a_file_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("url");
        std::fs::write(&file, "postgres://db/guildhall\n").expect("written");
        let config = DbConfig {
            url_file: Some(file),
            ..DbConfig::default()
        };
        assert_eq!(config.engine(), Ok(Engine::Postgres));
        let missing = DbConfig {
            url_file: Some(folder.path().join("none")),
            ..DbConfig::default()
        };
        assert_eq!(missing.validate().len(), 1);
    }

    #[test]
    fn the_ssl_mode_is_taken_out_of_the_url() {
        let taken = |text: &str| {
            let mut url = Url::parse(text).expect("a URL");
            take_ssl_mode(&mut url, SslMode::Prefer).map(|mode| (mode, url.to_string()))
        };
        let plain = "postgres://db/x".to_owned();
        assert_eq!(taken("postgres://db/x"), Ok((SslMode::Prefer, plain.clone())));
        assert_eq!(taken("postgres://db/x?sslmode=verify-full"), Ok((SslMode::VerifyFull, plain)));
        assert_eq!(
            taken("mysql://db/x?ssl-mode=REQUIRED&a=1"),
            Ok((SslMode::Require, "mysql://db/x?a=1".to_owned()))
        );
        assert!(taken("postgres://db/x?sslmode=maybe").is_err());
    }
}

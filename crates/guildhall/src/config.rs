//! The whole configuration: sections owned by their crates, composed here.

use std::path::{Path, PathBuf};

use platform::config::{self, ConfigProblem, Provenance, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret;

/// Every section. Defaults < file < environment (`GUILDHALL_SECTION__KEY`) < flags.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Listeners, data folder, shutdown.
    pub server: ServerConfig,
    /// Where the data lives.
    pub database: platform::db::DbConfig,
    /// Limits, proxies, CORS.
    pub http: platform::http::HttpConfig,
    /// Logs.
    pub log: platform::telemetry::LogConfig,
    /// Distributed traces.
    pub traces: adapters::otlp::TracesConfig,
    /// Reports of failures.
    pub sentry: adapters::sentry::SentryConfig,
    /// Outgoing mail.
    pub mail: MailConfig,
    /// Requests to addresses that users name.
    pub egress: adapters::egress::EgressConfig,
    /// Event delivery.
    pub events: platform::events::EventsConfig,
    /// Due work and sweeps.
    pub due: platform::due::DueConfig,
    /// Accounts, sessions, tokens.
    pub identity: identity::Config,
    /// Workspaces, members, projects.
    pub workspaces: workspaces::Config,
    /// Tasks.
    pub tasks: tasks::Config,
    /// Inbox, mails, live events.
    pub notifications: notifications::Config,
    /// Events sent to programs of a workspace's own.
    pub webhooks: webhooks::Config,
    /// Who did what, from where.
    pub audit: audit::Config,
    /// Tools and resources for assistants.
    pub mcp: crate::mcp::Config,
}

/// Listeners, data folder, shutdown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address of the API.
    pub listen: String,
    /// Address of the Prometheus metrics; `off` for none.
    pub metrics_listen: String,
    /// Where people reach this installation; links in mails and the token issuer start with it. Absent: `http://` + `listen`.
    pub public_url: Option<String>,
    /// 32 bytes in base64 from which keys are derived; the same for every replica. Absent: made once in the data folder.
    pub secret: Option<Secret>,
    /// Folder for databases, keys and the mailbox; made when absent.
    pub data_dir: PathBuf,
    /// How long running requests may take after a stop was asked for, seconds.
    pub drain_seconds: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            metrics_listen: "127.0.0.1:9464".into(),
            public_url: None,
            secret: None,
            data_dir: "./data".into(),
            drain_seconds: 25,
        }
    }
}

impl ServerConfig {
    /// Without a trailing slash.
    pub fn public_url(&self) -> String {
        let url = self
            .public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", self.listen.replace("0.0.0.0", "127.0.0.1")));
        url.trim_end_matches('/').to_owned()
    }

    /// From the configuration, or from the data folder.
    pub fn installation_secret(&self) -> kernel::Result<[u8; 32]> {
        match &self.secret {
            Some(text) => secret::parse(text.expose())
                .ok_or_else(|| kernel::Error::invalid_field("server.secret", "invalid", "is not 32 bytes in base64")),
            None => secret::load_or_create(&self.data_dir),
        }
    }

    /// The installation's secret, if it has one already.
    pub fn existing_secret(&self) -> kernel::Result<Option<[u8; 32]>> {
        match &self.secret {
            Some(_) => self.installation_secret().map(Some),
            None => secret::load(&self.data_dir),
        }
    }

    fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.secret.as_ref().is_some_and(|text| secret::parse(text.expose()).is_none()) {
            problems.push("server.secret: is not 32 bytes in base64; make one with `openssl rand -base64 32`".into());
        }
        if self.listen.parse::<std::net::SocketAddr>().is_err() {
            problems.push(format!("server.listen: {:?} is no address such as 127.0.0.1:8080", self.listen));
        }
        if self.metrics_listen != "off" && self.metrics_listen.parse::<std::net::SocketAddr>().is_err() {
            problems.push(format!(
                "server.metrics_listen: {:?} is neither an address nor `off`",
                self.metrics_listen
            ));
        }
        if let Some(text) = &self.public_url
            && !url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        {
            problems.push(format!("server.public_url: {text:?} is no http(s) URL"));
        }
        problems
    }
}

/// Outgoing mail.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// The server that takes our mails. Without a host, mails go to the mailbox page at `/dev/mailbox`.
    pub smtp: adapters::smtp::SmtpConfig,
    /// Shows the mailbox page to other machines too. It holds sign-in links: only for a trusted network.
    pub mailbox_public: bool,
}

impl Config {
    /// All problems at once, each with its key and where the value came from.
    pub fn load(file: Option<&Path>, overrides: &[(String, String)]) -> Result<Self, Vec<String>> {
        Self::load_with_sources(file, overrides).map(|(config, _)| config)
    }

    /// Also says where each value came from.
    pub fn load_with_sources(file: Option<&Path>, overrides: &[(String, String)]) -> Result<(Self, Provenance), Vec<String>> {
        // GUILDHALL_CONFIG names the file, and GUILDHALL_TEST_… belongs to the test suite.
        let env = config::process_env()
            .into_iter()
            .filter(|(name, _)| name != "GUILDHALL_CONFIG" && !name.starts_with("GUILDHALL_TEST_"));
        config::load(file, env, &overrides.iter().cloned().collect(), Self::validate)
            .map_err(|problems| problems.iter().map(ConfigProblem::to_string).collect())
    }

    /// Rules that types cannot express: `key: what is wrong`, one each.
    fn validate(&self) -> Vec<String> {
        [
            self.server.validate(),
            self.database.validate(),
            self.http.validate(),
            self.log.validate(),
            self.traces.validate(),
            self.sentry.validate(),
            self.mail.smtp.validate(),
            self.egress.validate(),
            self.events.validate(),
            self.due.validate(),
            self.identity.validate(),
            self.workspaces.validate(),
            self.tasks.validate(),
            self.notifications.validate(),
            self.webhooks.validate(),
            self.audit.validate(),
        ]
        .concat()
    }
}

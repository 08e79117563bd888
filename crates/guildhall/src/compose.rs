//! The wiring, in plain code: databases, services in dependency order, routes, workers.
//! A check of the target stands in this file and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use adapters::egress::EgressClient;
use async_trait::async_trait;
use audit::{AuditKey, AuditService};
use axum::Router;
use axum::middleware::from_fn_with_state;
use flags::FlagsService;
use identity::IdentityService;
use kernel::cursor::CursorCodec;
use kernel::time::SharedClock;
use kernel::{Result, SystemClock};
use notifications::NotificationsService;
use platform::check::Check;
use platform::db::{Db, Schema};
use platform::due::{DueRunner, spawn_sweep};
use platform::events::{Relay, RetentionSweep};
use platform::http::auth::{AuthConfig, Authenticator};
use platform::http::health::HealthCheck;
use platform::http::idempotency::{self, Idempotency};
use platform::http::inside::Inside;
use platform::http::rerun;
use platform::http::scopes::ScopeTable;
use platform::http::unasked::{self, QueryFree};
use platform::http::{self, Edge};
use platform::lifecycle::Lifecycle;
use platform::mail::{DevMailbox, MailHandler, Mailer};
use platform::seal::SealKey;
use platform::service::{Service, Toolkit};
use platform::signals::{Signal, Signals};
use platform::takeout::Disclosure;
use platform::telemetry::{Metrics, metrics_router};
use serde_json::Value;
use tasks::TasksService;
use tokio::net::TcpListener;
use webhooks::WebhooksService;
use workspaces::WorkspacesService;

use crate::config::Config;
use crate::late::LateWorkspaces;
use crate::mcp::{self, Mcp};
use crate::takeout::Takeouts;
use crate::{openapi, pages, secret};

/// Services this binary can run, with what they are for.
pub const TARGETS: &[(&str, &str)] = &[
    ("identity", "accounts, sessions, tokens"),
    ("workspaces", "workspaces, members, invitations, projects"),
    ("tasks", "tasks, comments, labels, search"),
    ("notifications", "inbox, mails, live events"),
    ("webhooks", "events sent to other programs"),
    ("audit", "who did what, from where"),
    ("flags", "feature flags"),
];

/// What each service keeps, and what must hold of it.
pub const KEPT: &[(Schema, &[Check])] = &[
    (identity::SCHEMA, identity::CHECKS),
    (workspaces::SCHEMA, workspaces::CHECKS),
    (tasks::SCHEMA, tasks::CHECKS),
    (notifications::SCHEMA, notifications::CHECKS),
    (webhooks::SCHEMA, webhooks::CHECKS),
    (audit::SCHEMA, audit::CHECKS),
    (flags::SCHEMA, flags::CHECKS),
];

/// What becomes of each service's tables when people and owners take their data with them.
pub const DISCLOSED: &[(&str, &[Disclosure])] = &[
    ("identity", identity::DISCLOSED),
    ("workspaces", workspaces::DISCLOSED),
    ("tasks", tasks::DISCLOSED),
    ("notifications", notifications::DISCLOSED),
    ("webhooks", webhooks::DISCLOSED),
    ("audit", audit::DISCLOSED),
    ("flags", flags::DISCLOSED),
];

/// The databases of an installation.
pub fn schemas() -> Vec<Schema> {
    KEPT.iter().map(|(schema, _)| *schema).collect()
}

/// Checks `--target`. Today every process hosts all services: the calls between them stay in process.
pub fn check_targets(targets: &[String]) -> Result<(), String> {
    for target in targets {
        if target != "all" && !TARGETS.iter().any(|(name, _)| name == target) {
            let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            return Err(format!("--target {target}: unknown; choose `all` or from {}", known.join(", ")));
        }
    }
    let every = targets.iter().any(|target| target == "all") || TARGETS.iter().all(|(name, _)| targets.iter().any(|t| t == name));
    if every {
        return Ok(());
    }
    Err(format!(
        "--target {}: a process with a part of the services needs remote clients for the others, which this version does not have; run `--target all`",
        targets.join(",")
    ))
}

/// What a test may replace.
pub struct Parts {
    pub clock: SharedClock,
    /// Instead of SMTP or the mailbox.
    pub mailer: Option<Arc<dyn Mailer>>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            mailer: None,
        }
    }
}

/// One database per service.
pub struct Databases {
    pub identity: Db,
    pub workspaces: Db,
    pub tasks: Db,
    pub notifications: Db,
    pub webhooks: Db,
    pub audit: Db,
    pub flags: Db,
}

impl Databases {
    /// Opens pools; a server that is away is no error here, the process becomes ready when it comes.
    pub async fn connect(config: &Config) -> Result<Self> {
        let open = |schema| Db::connect(&config.database, &config.server.data_dir, schema);
        Ok(Self {
            identity: open(identity::SCHEMA).await?,
            workspaces: open(workspaces::SCHEMA).await?,
            tasks: open(tasks::SCHEMA).await?,
            notifications: open(notifications::SCHEMA).await?,
            webhooks: open(webhooks::SCHEMA).await?,
            audit: open(audit::SCHEMA).await?,
            flags: open(flags::SCHEMA).await?,
        })
    }

    pub fn all(&self) -> [&Db; 7] {
        [
            &self.identity,
            &self.workspaces,
            &self.tasks,
            &self.notifications,
            &self.webhooks,
            &self.audit,
            &self.flags,
        ]
    }

    /// Applies pending migrations of every service.
    pub async fn migrate(&self) -> Result<()> {
        for db in self.all() {
            db.migrate().await?;
        }
        Ok(())
    }

    /// At the end of the process.
    pub async fn disconnect(&self) {
        futures_util::future::join_all(self.all().map(Db::disconnect)).await;
    }

    /// What a killed process had begun is free at once instead of when its lease ends. For the only process there is.
    pub async fn release_claims(&self) -> Result<()> {
        let caller = platform::Caller::system(&SystemClock, "start");
        for db in self.all() {
            platform::due::store::release_all(db, &caller).await?;
        }
        Ok(())
    }

    /// Names of migrations that have not run, `service/name`.
    pub async fn pending_migrations(&self) -> Result<Vec<String>> {
        let mut pending = Vec::new();
        for db in self.all() {
            pending.extend(
                db.pending_migrations()
                    .await?
                    .into_iter()
                    .map(|name| format!("{}/{name}", db.service())),
            );
        }
        Ok(pending)
    }
}

/// The composed application.
pub struct App {
    pub identity: Arc<IdentityService>,
    pub databases: Databases,
    services: Vec<Arc<dyn Service>>,
    takeouts: Arc<Takeouts>,
    relays: Vec<Arc<Relay>>,
    config: Config,
    toolkit: Toolkit,
    authenticator: Arc<Authenticator>,
    mailer: Arc<dyn Mailer>,
    mailbox: Option<Arc<DevMailbox>>,
}

impl App {
    /// Builds everything; writes to no database yet.
    pub async fn build(config: &Config, parts: Parts) -> Result<Self> {
        let databases = Databases::connect(config).await?;
        let installation_secret = config.server.installation_secret()?;
        let toolkit = Toolkit {
            clock: parts.clock,
            cursors: CursorCodec::new(secret::derive(&installation_secret, "list cursors")),
            signals: Signals::default(),
        };
        let (mailer, mailbox) = mailer(config, parts.mailer, &toolkit)?;
        let late_workspaces = Arc::new(LateWorkspaces::default());
        let identity = build_identity(
            config,
            &databases,
            &toolkit,
            &installation_secret,
            late_workspaces.clone(),
            mailer.clone(),
        )?;
        let workspaces = WorkspacesService::new(
            databases.workspaces.clone(),
            workspaces::Config {
                invitation_link: config
                    .workspaces
                    .invitation_link
                    .replace("{public_url}", &config.server.public_url()),
                ..config.workspaces.clone()
            },
            toolkit.clone(),
            identity.clone(),
        );
        late_workspaces.bind(workspaces.clone());
        let tasks = TasksService::new(
            databases.tasks.clone(),
            config.tasks.clone(),
            toolkit.clone(),
            workspaces.clone(),
            identity.clone(),
        );
        let notifications = NotificationsService::new(
            databases.notifications.clone(),
            notifications::Config {
                public_url: config.server.public_url(),
                allowed_origins: config.http.cors_origins.clone(),
                ..config.notifications.clone()
            },
            toolkit.clone(),
            workspaces.clone(),
            identity.clone(),
            tasks.clone(),
        );
        let flags = FlagsService::new(databases.flags.clone(), toolkit.clone(), workspaces.clone());
        let webhooks = WebhooksService::new(
            databases.webhooks.clone(),
            config.webhooks.clone(),
            toolkit.clone(),
            SealKey::new(secret::derive(&installation_secret, "webhooks seal")),
            workspaces.clone(),
            identity.clone(),
            Arc::new(EgressClient::new(&config.egress)?),
            flags.clone(),
        );
        let audit = AuditService::new(
            databases.audit.clone(),
            config.audit.clone(),
            toolkit.clone(),
            audit_key(&installation_secret),
            workspaces.clone(),
            identity.clone(),
        );
        let authenticator = Arc::new(Authenticator::new(
            identity.clone(),
            toolkit.clock.clone(),
            AuthConfig {
                issuer: config.server.public_url(),
                audience: config.identity.audience.clone(),
            },
        ));
        let services: Vec<Arc<dyn Service>> = vec![
            identity.clone(),
            workspaces.clone(),
            tasks,
            notifications,
            webhooks,
            audit.clone(),
            flags,
        ];
        let shares = services
            .iter()
            .filter_map(|service| Some((service.name(), service.clone().takeout()?)));
        let takeouts = Takeouts::new(shares.collect(), workspaces, audit, toolkit.clock.clone());
        let consumers: Vec<_> = services.iter().flat_map(|service| service.clone().consumers()).collect();
        let relays = services
            .iter()
            .map(|service| {
                Relay::new(
                    service.db().clone(),
                    toolkit.clock.clone(),
                    consumers.clone(),
                    config.events.clone(),
                )
            })
            .collect();
        Ok(Self {
            identity,
            databases,
            services,
            takeouts,
            relays,
            config: config.clone(),
            toolkit,
            authenticator,
            mailer,
            mailbox,
        })
    }

    /// Relays events, runs due work and sweeps.
    pub fn start_workers(&self, lifecycle: &Lifecycle) {
        for relay in &self.relays {
            relay.clone().start(lifecycle);
        }
        for service in &self.services {
            let mut handlers = service.clone().due_handlers();
            handlers.push(Arc::new(MailHandler::new(self.mailer.clone())));
            let due = service.due_config(&self.config.due);
            DueRunner::new(service.db().clone(), self.toolkit.clock.clone(), handlers, due).start(lifecycle);
            spawn_sweep(
                lifecycle,
                Arc::new(RetentionSweep::new(
                    service.db().clone(),
                    self.toolkit.clock.clone(),
                    self.config.events.clone(),
                )),
            );
            for sweep in service.clone().sweeps() {
                spawn_sweep(lifecycle, sweep);
            }
        }
    }

    /// Every route behind the rules for all of them; without `with_api` only health.
    pub fn router(&self, lifecycle: &Lifecycle, with_api: bool) -> Router {
        let document = self.openapi();
        let edge = Edge::new(
            self.config.http.clone(),
            self.toolkit.clock.clone(),
            self.authenticator.clone(),
            ScopeTable::of(&document),
        );
        if with_api {
            http::stack(self.routes(lifecycle, &document, &edge), &edge)
        } else {
            http::stack(self.health(lifecycle), &edge)
        }
    }

    /// Serves the API (or, without `with_api`, only health) until the process stops.
    pub fn spawn_http(&self, listener: TcpListener, lifecycle: &Lifecycle, with_api: bool) {
        let router = self.router(lifecycle, with_api);
        lifecycle.spawn("sessions", self.authenticator.clone().follow(self.toolkit.signals.clone()));
        let (stop, signals) = (lifecycle.stopping(), self.toolkit.signals.clone());
        lifecycle.spawn("streams", async move {
            // Live streams never end by themselves; without this they would use up the whole drain time.
            stop.cancelled().await;
            signals.publish(Signal::Stopping);
        });
        lifecycle.spawn(
            "http",
            http::server::serve(listener, router, self.config.http.clone(), lifecycle.stopping()),
        );
    }

    /// `GET /metrics`, on a listener of its own.
    pub fn spawn_metrics(&self, listener: TcpListener, lifecycle: &Lifecycle, metrics: Metrics) {
        let config = self.config.http.clone();
        lifecycle.spawn(
            "metrics",
            http::server::serve(listener, metrics_router(metrics), config, lifecycle.stopping()),
        );
    }

    /// The mails of an installation without SMTP.
    pub fn mailbox(&self) -> Option<&Arc<DevMailbox>> {
        self.mailbox.as_ref()
    }

    fn routes(&self, lifecycle: &Lifecycle, document: &Value, edge: &Arc<Edge>) -> Router {
        let api = self.api();
        let mut routes = self.health(lifecycle).merge(pages::routes(document));
        if self.config.mcp.enabled {
            let origins = [vec![self.config.server.public_url()], self.config.http.cors_origins.clone()].concat();
            let inside = Inside::new(api.clone(), edge);
            let mcp = Mcp::new(document, inside, origins, self.config.http.max_body_bytes);
            routes = routes.merge(mcp::router().with_state(mcp));
        }
        routes = routes.merge(api);
        match &self.mailbox {
            Some(mailbox) => routes.merge(mailbox.clone().routes()),
            None => routes,
        }
    }

    /// The routes of every service, each behind the layers that need its database or its description.
    fn api(&self) -> Router {
        let max_body = self.config.http.max_body_bytes;
        let mut routes = Router::new();
        for service in &self.services {
            let (router, api) = service.clone().routes().split_for_parts();
            let idempotency = Idempotency::new(service.db().clone(), max_body);
            let rules = (
                from_fn_with_state(idempotency, idempotency::layer),
                from_fn_with_state(QueryFree::new(&api), unasked::layer),
                from_fn_with_state(max_body, rerun::layer),
            );
            routes = routes.merge(router.layer(rules));
        }
        let (exports, api) = self.takeouts.clone().routes().split_for_parts();
        routes.merge(exports.layer(from_fn_with_state(QueryFree::new(&api), unasked::layer)))
    }

    fn health(&self, lifecycle: &Lifecycle) -> Router {
        let mut checks: Vec<Arc<dyn HealthCheck>> = Vec::new();
        for db in self.databases.all() {
            checks.push(Arc::new(DatabaseCheck(db.clone())));
        }
        for relay in &self.relays {
            checks.push(Arc::new(RelayCheck {
                relay: relay.clone(),
                max_lag: self.config.events.max_lag.get(),
            }));
        }
        http::health::routes(checks, lifecycle.stopping())
    }

    /// The OpenAPI document, from the handlers themselves.
    pub fn openapi(&self) -> Value {
        let mut document = openapi::base();
        for service in &self.services {
            http::merge_descriptions(&mut document, service.clone().routes().into_openapi());
        }
        http::merge_descriptions(&mut document, self.takeouts.clone().routes().into_openapi());
        if self.config.mcp.enabled {
            http::merge_descriptions(&mut document, mcp::router().into_openapi());
        }
        let mut document = serde_json::to_value(document).unwrap_or_default();
        document["webhooks"] = openapi::webhooks();
        http::openapi::complete(document)
    }
}

/// Seals the entries of audit logs.
pub fn audit_key(installation_secret: &[u8; 32]) -> AuditKey {
    AuditKey::new(secret::derive(installation_secret, "audit log"))
}

fn build_identity(
    config: &Config,
    databases: &Databases,
    toolkit: &Toolkit,
    installation_secret: &[u8; 32],
    workspaces: Arc<LateWorkspaces>,
    mailer: Arc<dyn Mailer>,
) -> Result<Arc<IdentityService>> {
    // A client of its own: what the operator opens for providers stays shut for what users name.
    let egress = EgressClient::new(&config.egress)?.trusting(&config.identity.oidc.private_origins);
    Ok(IdentityService::new(
        databases.identity.clone(),
        config.identity.clone(),
        identity::Installation {
            public_url: config.server.public_url(),
            secret: secret::derive(installation_secret, "identity"),
        },
        toolkit.clone(),
        workspaces,
        mailer,
        Arc::new(egress),
    ))
}

/// identity alone, on migrated databases, for the command line.
pub async fn identity_for_cli(config: &Config) -> Result<Arc<IdentityService>> {
    let databases = Databases::connect(config).await?;
    databases.migrate().await?;
    let installation_secret = config.server.installation_secret()?;
    let toolkit = Toolkit {
        clock: Arc::new(SystemClock),
        cursors: CursorCodec::new(secret::derive(&installation_secret, "list cursors")),
        signals: Signals::default(),
    };
    let (mailer, _) = mailer(config, None, &toolkit)?;
    build_identity(config, &databases, &toolkit, &installation_secret, Arc::default(), mailer)
}

type Mailing = (Arc<dyn Mailer>, Option<Arc<DevMailbox>>);

fn mailer(config: &Config, given: Option<Arc<dyn Mailer>>, toolkit: &Toolkit) -> Result<Mailing> {
    if let Some(mailer) = given {
        return Ok((mailer, None));
    }
    if config.mail.smtp.host.is_some() {
        return Ok((Arc::new(adapters::smtp::SmtpMailer::new(&config.mail.smtp)?), None));
    }
    let mailbox = DevMailbox::open(&config.server.data_dir, config.mail.mailbox_public, toolkit.clock.clone())?;
    Ok((mailbox.clone(), Some(mailbox)))
}

struct DatabaseCheck(Db);

#[async_trait]
impl HealthCheck for DatabaseCheck {
    fn name(&self) -> String {
        format!("database:{}", self.0.service())
    }
    async fn check(&self) -> Result<(), String> {
        let pending = self.0.pending_migrations().await.map_err(|_| "cannot be reached".to_owned())?;
        if pending.is_empty() {
            Ok(())
        } else {
            Err(format!("{} migrations are pending", pending.len()))
        }
    }
}

/// A relay that lags is a sign that consumers or their database are in trouble.
struct RelayCheck {
    relay: Arc<Relay>,
    max_lag: Duration,
}

#[async_trait]
impl HealthCheck for RelayCheck {
    fn name(&self) -> String {
        format!("relay:{}", self.relay.service())
    }
    async fn check(&self) -> Result<(), String> {
        let lag = self.relay.lag();
        if lag <= self.max_lag {
            Ok(())
        } else {
            Err(format!("the oldest event waits for {} s", lag.as_secs()))
        }
    }
}

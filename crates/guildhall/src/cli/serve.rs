//! `guildhall serve`

use std::fs::File;
use std::pin::pin;
use std::time::Duration;

use adapters::otlp::Traces;
use adapters::sentry::Reporter;
use platform::db::Engine;
use platform::lifecycle::{Lifecycle, StopSignals};
use tokio::net::TcpListener;

use super::{CliResult, Failure, Global, ProcessRole, ServeArgs, load, lock, print};
use crate::compose::{self, App, Parts};
use crate::config::Config;

pub async fn serve(global: &Global, args: ServeArgs) -> CliResult {
    compose::check_targets(&args.target).map_err(Failure::usage)?;
    let mut extra = Vec::new();
    if let Some(listen) = args.listen {
        extra.push(("server.listen".to_owned(), listen));
    }
    if let Some(listen) = args.metrics_listen {
        extra.push(("server.metrics_listen".to_owned(), listen));
    }
    let config = load(global, &extra)?;
    check_roles(&config, &args.roles)?;
    let (version, authorities) = (env!("CARGO_PKG_VERSION"), &config.egress.ca_file);
    let (traces, spans) = Traces::start(&config.traces, version, authorities.clone())?.unzip();
    let (reporter, errors) = Reporter::start(&config.sentry, version, authorities.clone())?.unzip();
    platform::telemetry::init_logs(&config.log, spans.into_iter().chain(errors).collect()).map_err(Failure::failed)?;
    let metrics = platform::telemetry::init_metrics().map_err(Failure::failed)?;

    let _lock = take_folder(&config)?;
    let lifecycle = Lifecycle::new();
    metrics.keep_small(&lifecycle);
    if let Some(reporter) = reporter {
        reporter.spawn(&lifecycle);
    }
    // Take the address first: a busy port should not cost migrations.
    let listener = bind(&config.server.listen).await?;
    let metrics_listener = match config.server.metrics_listen.as_str() {
        "off" => None,
        address => Some(bind(address).await?),
    };
    let app = App::build(&config, Parts::default()).await?;
    prepare_database(&config, &app).await?;
    if let Some(listener) = metrics_listener {
        app.spawn_metrics(listener, &lifecycle, metrics);
    }
    if args.roles.contains(&ProcessRole::Worker) {
        app.start_workers(&lifecycle);
    }
    let address = listener.local_addr().map_err(Failure::failed)?;
    let with_api = args.roles.contains(&ProcessRole::Api);
    // Before the first request, which a stop must not cut off.
    let signals = StopSignals::new().map_err(Failure::failed)?;
    app.spawn_http(listener, &lifecycle, with_api);
    let mut stopped = pin!(lifecycle.run(signals, Duration::from_secs(config.server.drain_seconds)));
    let stopped = tokio::select! {
        stopped = &mut stopped => stopped,
        announced = announce(&config, &app, address) => {
            announced?;
            stopped.await
        }
    };
    app.databases.disconnect().await;
    if let Some(traces) = traces {
        traces.stop().await;
    }
    if stopped.is_success() {
        Ok(())
    } else {
        Err(Failure::failed(format!("stopped: {:?}", stopped.reason)))
    }
}

/// On SQLite one process does everything: the file has one writer, and signals stay in the process.
fn check_roles(config: &Config, roles: &[ProcessRole]) -> CliResult {
    let engine = config.database.engine().map_err(Failure::usage)?;
    if engine == Engine::Sqlite && roles.len() < 2 && !(roles.contains(&ProcessRole::Api) && roles.contains(&ProcessRole::Worker)) {
        return Err(Failure::usage(
            "--roles: on SQLite one process must be both `api` and `worker`; give a PostgreSQL or MySQL --database-url to split them",
        ));
    }
    Ok(())
}

/// The data folder, where one is needed; on SQLite with the lock that keeps a second server out.
fn take_folder(config: &Config) -> Result<Option<File>, Failure> {
    if config.server.secret.is_none() {
        lock::make_folder(&config.server.data_dir)?;
    }
    if config.database.engine().map_err(Failure::usage)? != Engine::Sqlite {
        return Ok(None);
    }
    let folder = config.database.sqlite_folder(&config.server.data_dir).map_err(Failure::usage)?;
    lock::take(&folder)
}

async fn bind(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::unreachable(format!("cannot listen on {address}: {error}")))
}

/// SQLite migrates by itself; a server database is migrated by `guildhall migrate`, so that N replicas do not race
/// a release. A server that is away is waited for while the process already answers `/livez`.
async fn prepare_database(config: &Config, app: &App) -> CliResult {
    if config.database.engine().map_err(Failure::usage)? == Engine::Sqlite {
        app.databases.migrate().await?;
        return Ok(app.databases.release_claims().await?);
    }
    match app.databases.pending_migrations().await {
        Ok(pending) if pending.is_empty() => Ok(()),
        Ok(pending) => Err(Failure::failed(format!(
            "migrations are pending ({}); run `guildhall migrate` first",
            pending.join(", ")
        ))),
        Err(error) if error.kind == kernel::ErrorKind::Unavailable => {
            tracing::warn!(%error, "the database cannot be reached; not ready until it can");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The few lines a newcomer needs.
async fn announce(config: &Config, app: &App, address: std::net::SocketAddr) -> CliResult {
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    let public = config.server.public_url();
    let mut text = format!("Guildhall is listening on http://{address}\n  API documentation  {public}/api-docs\n");
    if app.mailbox().is_some() {
        text.push_str(&format!(
            "  Mailbox            {public}/dev/mailbox (mails go here until mail.smtp.host is set)\n"
        ));
    }
    match app.identity.ensure_setup_code().await {
        Ok(Some(code)) => text.push_str(&format!(
            "\n  No administrator yet. One-time set-up code: {code}\n  Use it with POST {public}/v1/auth/setup {{\"code\", \"email\", \"password\", \"name\"}}\n"
        )),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "cannot tell whether an administrator exists"),
    }
    print(&text)
}

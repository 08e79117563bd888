//! `guildhall backup | restore | verify | export-to`

use std::path::PathBuf;

use clap::Args;
use platform::check::Severity;
use platform::db::redact_url;
use serde_json::json;

use super::{CliResult, Failure, Global, Json, load, lock, print, print_json};
use crate::backup::{self, Manifest, Problem, Progress, Report};
use crate::config::Config;

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The new archive, or a folder in which it gets a name with its time. Nothing is overwritten.
    #[arg(long, value_name = "FILE|DIR")]
    to: PathBuf,
    /// Put the installation's secret in too. Whoever has such an archive can sign in as anybody.
    #[arg(long)]
    include_secret: bool,
    #[command(flatten)]
    output: Json,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The archive. It goes into the data folder or database of this command line, which must be empty.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    output: Json,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// An archive instead of the data folder or database.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Exit code 1 also for what only needs attention.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: Json,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Copy although a server works on the data folder; what it writes meanwhile is not in the target.
    #[arg(long)]
    while_running: bool,
    #[command(flatten)]
    output: Json,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Refused(text) => Self::failed(text),
            Problem::Database(error) => error.into(),
        }
    }
}

/// Runs the work with a progress bar that is gone afterwards, whatever happened. Ctrl-C and SIGTERM drop the work, which
/// takes its temporary files and its transaction back.
async fn with_progress<T>(work: impl AsyncFnOnce(&Progress) -> Result<T, Problem>) -> Result<T, Failure> {
    let progress = Progress::new();
    let done = tokio::select! {
        done = work(&progress) => done.map_err(Failure::from),
        signal = platform::lifecycle::stop_signal() => {
            let signal = signal.map_err(Failure::failed)?;
            Err(Failure::failed(format!("stopped by {signal} before the work was done")))
        }
    };
    progress.end();
    done
}

pub async fn backup(config: &Config, args: &BackupArgs) -> CliResult {
    let saved = with_progress(async |progress| backup::save(config, &args.to, args.include_secret, progress).await).await?;
    let waited = u64::try_from(saved.writers_waited.as_micros()).unwrap_or(u64::MAX);
    if args.output.json {
        return print_json(&json!({
            "path": saved.path,
            "bytes": saved.bytes,
            "taken_at": saved.manifest.taken_at,
            "rows": saved.manifest.rows(),
            "writers_waited_us": waited,
            "manifest": saved.manifest,
        }));
    }
    let secret = if saved.manifest.secret.included {
        "The installation's secret is in it: keep it like a password."
    } else {
        "The installation's secret (secret.key or server.secret) is not in it: keep that elsewhere, a restore needs it."
    };
    print(&format!(
        "{}: {} rows of {} services as of {}, {} bytes. {secret}",
        saved.path.display(),
        saved.manifest.rows(),
        saved.manifest.services.len(),
        saved.manifest.taken_at,
        saved.bytes
    ))
}

pub async fn restore(config: &Config, args: &RestoreArgs) -> CliResult {
    let restored = with_progress(async |progress| backup::restore(config, &args.from, progress).await).await?;
    let manifest = &restored.manifest;
    if args.output.json {
        return print_json(&json!({
            "restored": true,
            "taken_at": manifest.taken_at,
            "rows": manifest.rows(),
            "warning": restored.secret,
            "manifest": manifest,
        }));
    }
    print(&format!("restored {}", describe(manifest)))?;
    restored.secret.map_or(Ok(()), |warning| print(&format!("Attention: {warning}.")))
}

fn describe(manifest: &Manifest) -> String {
    format!(
        "{} rows of {} services as of {}",
        manifest.rows(),
        manifest.services.len(),
        manifest.taken_at
    )
}

pub async fn verify(config: &Config, args: &VerifyArgs) -> CliResult {
    let (manifest, report) = match &args.from {
        Some(from) => {
            let (manifest, report) = with_progress(async |progress| backup::verify_archive(config, from, progress).await).await?;
            (Some(manifest), report)
        }
        None => (None, with_progress(async |progress| backup::verify(config, progress).await).await?),
    };
    let (broken, attention) = (report.count(Severity::Broken), report.count(Severity::Attention));
    let failed = broken > 0 || (args.strict && attention > 0);
    if args.output.json {
        print_json(&json!({ "ok": !failed, "broken": broken, "attention": attention, "archive": manifest, "report": report }))?;
    } else {
        if let Some(manifest) = &manifest {
            print(&format!("archive: {}", describe(manifest)))?;
        }
        print(&page(&report))?;
    }
    if failed {
        Err(Failure::failed(format!("{broken} checks are broken, {attention} need attention")))
    } else {
        Ok(())
    }
}

/// The report for people.
fn page(report: &Report) -> String {
    let mut text = String::new();
    for service in &report.services {
        text.push_str(&format!(
            "{:<14} {} tables; outbox {} waiting, {} parked; inbox {}; due work {} waiting, {} given up\n",
            service.service,
            service.tables,
            service.outbox_waiting,
            service.outbox_parked,
            service.inbox,
            service.due_waiting,
            service.due_given_up
        ));
    }
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Broken => "BROKEN   ",
            Severity::Attention => "attention",
        };
        let more = if finding.more { " or more" } else { "" };
        text.push_str(&format!(
            "{severity} {} {}: {} Found {}{more}:\n",
            finding.service, finding.check, finding.about, finding.count
        ));
        for row in &finding.rows {
            text.push_str(&format!("            {row}\n"));
        }
    }
    text.push_str(&format!(
        "{} checks on {} as of {}: {} broken, {} need attention",
        report.checks,
        report.engine,
        report.as_of,
        report.count(Severity::Broken),
        report.count(Severity::Attention)
    ));
    text
}

/// Here `--database-url` names the target; the source is the data folder.
pub async fn export_to(global: &Global, args: &ExportArgs) -> CliResult {
    let Some(url) = &global.database_url else {
        return Err(Failure::usage(
            "--database-url: name the target, as in postgres://user@host/guildhall or mysql://user@host/guildhall",
        ));
    };
    let source = load(
        &Global {
            database_url: None,
            ..global.clone()
        },
        &[],
    )?;
    let target = load(global, &[])?.database;
    backup::check_move(&source, &target)?;
    let folder = source.database.sqlite_folder(&source.server.data_dir).map_err(Failure::usage)?;
    // Until the end: what a server writes while we copy would be missing in the target.
    let lock = if args.while_running {
        None
    } else {
        lock::take_for_export(&folder)?
    };
    // The lock says more than a lease, which a killed server leaves behind.
    let running = args.while_running || lock.is_some();
    let exported = with_progress(async |progress| backup::export(&source, &target, running, progress).await).await?;
    drop(lock);
    if args.output.json {
        let services: Vec<_> = exported
            .tables
            .iter()
            .map(|(service, tables)| json!({ "service": service, "tables": tables }))
            .collect();
        return print_json(&json!({ "exported": true, "engine": exported.engine.as_str(), "rows": exported.rows, "services": services }));
    }
    for (service, tables) in &exported.tables {
        let rows: u64 = tables.iter().map(|table| table.rows).sum();
        print(&format!("{service:<14} {} tables, {rows} rows", tables.len()))?;
    }
    print(&format!(
        "{} rows moved to {}, counts and checksums compared. Start the server there with the same secret:\n  guildhall serve --data-dir {} --database-url {}",
        exported.rows,
        exported.engine.as_str(),
        source.server.data_dir.display(),
        redact_url(url)
    ))
}

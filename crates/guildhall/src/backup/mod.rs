//! A whole installation: saved to an archive, brought back, verified, moved to another engine.
//!
//! Everything is driven by the catalog of the databases and by what each service declares ([`compose::KEPT`]); no table is
//! named here. The form of an archive and why its copies fit together: docs/decisions/0013.

mod archive;
mod export;
mod levels;
mod load;
mod manifest;
mod restore;
mod save;
mod verify;

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use platform::db::transfer::Transfer;
use platform::db::{DbConfig, DbError};

use crate::compose;
use crate::config::Config;

pub use export::{Exported, check_move, export};
pub use manifest::Manifest;
pub use restore::{Restored, restore};
pub use save::{Saved, save};
pub use verify::{Finding, Report, ServiceReport, verify, verify_archive};

/// Why the work ended.
#[derive(Debug)]
pub enum Problem {
    /// The work makes no sense here, or something is not as it should be; the text says what.
    Refused(String),
    Database(DbError),
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl From<kernel::Error> for Problem {
    fn from(error: kernel::Error) -> Self {
        let cause = error.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::Refused(format!("{error}{cause}"))
    }
}

type Result<T> = std::result::Result<T, Problem>;

fn refused<T>(text: impl Into<String>) -> Result<T> {
    Err(Problem::Refused(text.into()))
}

/// For I/O errors, which do not name the file.
fn at(path: &Path) -> impl Fn(std::io::Error) -> Problem + '_ {
    move |error| Problem::Refused(format!("{}: {error}", path.display()))
}

/// Refuses an installation without any database; commands that open one would otherwise make it.
pub async fn check_present(config: &Config) -> Result<()> {
    let schemas = compose::schemas();
    let mut transfer = Transfer::read(&config.database, &config.server.data_dir, &schemas).await?;
    for schema in schemas {
        if !transfer.migrations(schema.service).await?.is_empty() {
            return Ok(());
        }
    }
    refused("there is no installation here: none of the databases exists")
}

/// File work off the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::Refused(error.to_string()))?
}

/// The configuration of an installation whose SQLite files lie in `folder`.
fn files_in(folder: &Path) -> DbConfig {
    DbConfig {
        url: Some(format!("sqlite:{}", folder.display())),
        ..DbConfig::default()
    }
}

/// Identifies an installation's secret without telling it; `None` when it has none yet.
fn secret_fingerprint(config: &Config) -> Result<Option<String>> {
    Ok(config.server.existing_secret()?.as_ref().map(manifest::fingerprint))
}

/// A progress bar on a terminal, nothing elsewhere.
#[derive(Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    pub fn new() -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{msg:32} [{bar:30}] {percent:>3} %  {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    fn phase(&self, what: impl Into<String>, length: u64) {
        self.0.set_message(what.into());
        self.0.set_length(length);
        self.0.set_position(0);
    }

    fn reach(&self, position: u64, length: u64) {
        self.0.set_length(length);
        self.0.set_position(position);
    }

    fn add(&self, more: u64) {
        self.0.inc(more);
    }

    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

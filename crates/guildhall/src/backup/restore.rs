//! `guildhall restore`

use std::path::{Path, PathBuf};

use platform::db::transfer::{Transfer, migrate_to};
use platform::db::{Engine, Schema};

use super::archive::{self, Unpacked};
use super::levels::Level;
use super::load::{Target, load};
use super::manifest::{self, Manifest};
use super::{Problem, Progress, Result, at, blocking, files_in, refused};
use crate::compose;
use crate::config::Config;
use crate::secret;

/// What was brought back, and what the operator still has to know.
#[derive(Debug)]
pub struct Restored {
    pub manifest: Manifest,
    /// `None`: the target has the secret that the data was made with.
    pub secret: Option<String>,
}

/// Brings an archive back into an empty data folder or into empty schemas: whole, or not at all.
pub async fn restore(config: &Config, from: &Path, progress: &Progress) -> Result<Restored> {
    let engine = config.database.engine().map_err(Problem::Refused)?;
    match engine {
        Engine::Sqlite => into_folder(config, from, progress).await,
        Engine::Postgres | Engine::Mysql => into_server(config, from, progress).await,
    }
}

pub async fn unpack(from: &Path, into: PathBuf, progress: &Progress) -> Result<Unpacked> {
    let (from, progress) = (from.to_owned(), progress.clone());
    blocking(move || archive::unpack(&from, &into, &progress)).await
}

/// The new folder is made beside the target and takes its place when it is complete.
async fn into_folder(config: &Config, from: &Path, progress: &Progress) -> Result<Restored> {
    let target = plain_path(&config.database.sqlite_folder(&config.server.data_dir).map_err(Problem::Refused)?);
    let keys = plain_path(&config.server.data_dir);
    check_empty_folder(&target)?;
    let beside = archive::parent(&target);
    std::fs::create_dir_all(&beside).map_err(at(&beside))?;
    let Unpacked {
        manifest,
        folder,
        secret: key,
    } = unpack(from, beside.clone(), progress).await?;
    let files = files_in(folder.path());
    for schema in compose::schemas() {
        progress.phase(format!("migrating {}", schema.service), 1);
        migrate_to(&files, folder.path(), schema, None).await?;
    }
    let note = secret_note(config, &manifest, key.as_deref())?;
    if let Some(key) = key.as_ref().filter(|_| keys == target) {
        secret::write(folder.path(), key.trim()).map_err(at(folder.path()))?;
    }
    let staged = folder.keep();
    let moved = blocking({
        let (staged, target) = (staged.clone(), target.clone());
        move || take_place(&staged, &target, &beside)
    })
    .await;
    if let Err(problem) = moved {
        // The reason counts, not whether a folder of copies stays behind.
        let _ = std::fs::remove_dir_all(&staged);
        return Err(problem);
    }
    if keys != target {
        write_secret(config, key.as_deref())?;
    }
    Ok(Restored { manifest, secret: note })
}

/// `data/` and a link to it are the folder itself.
fn plain_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.components().collect())
}

fn check_empty_folder(folder: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(folder)(error)),
    };
    match entries.next() {
        None => Ok(()),
        Some(entry) => {
            let name = entry.map_err(at(folder))?.file_name();
            refused(format!(
                "{} is not empty ({}); nothing was changed. Restore into a new folder, or move the old one away",
                folder.display(),
                name.to_string_lossy()
            ))
        }
    }
}

/// One rename: the target is the empty folder it was, or everything.
fn take_place(staged: &Path, target: &Path, beside: &Path) -> Result<()> {
    // An empty folder that somebody made for this keeps its permissions and its owner.
    #[cfg(unix)]
    if let Ok(made) = std::fs::metadata(target) {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::set_permissions(staged, made.permissions()).map_err(at(staged))?;
        let owner = std::fs::metadata(staged).map_err(at(staged))?;
        if (owner.uid(), owner.gid()) != (made.uid(), made.gid()) {
            let mut paths = vec![staged.to_owned()];
            for entry in std::fs::read_dir(staged).map_err(at(staged))? {
                paths.push(entry.map_err(at(staged))?.path());
            }
            for path in paths {
                std::os::unix::fs::chown(&path, Some(made.uid()), Some(made.gid())).map_err(at(&path))?;
            }
        }
    }
    archive::sync_folder(staged)?;
    std::fs::rename(staged, target).map_err(|error| {
        Problem::Refused(format!(
            "{}: {error}. Is it a mount point? Then restore into a folder below it",
            target.display()
        ))
    })?;
    archive::sync_folder(beside)
}

async fn into_server(config: &Config, from: &Path, progress: &Progress) -> Result<Restored> {
    let Unpacked {
        manifest,
        folder,
        secret: key,
    } = unpack(from, std::env::temp_dir(), progress).await?;
    let note = secret_note(config, &manifest, key.as_deref())?;
    let levels: Vec<Level> = compose::schemas()
        .into_iter()
        .filter_map(|schema| {
            let copy = manifest.services.iter().find(|copy| copy.service == schema.service)?;
            Some((schema, copy.migrations.clone()))
        })
        .collect();
    let schemas: Vec<Schema> = levels.iter().map(|(schema, _)| *schema).collect();
    let mut source = Transfer::read(&files_in(folder.path()), folder.path(), &schemas).await?;
    let target = Target {
        config: &config.database,
        data_dir: &config.server.data_dir,
    };
    load(&mut source, &levels, target, &manifest.services, progress).await?;
    write_secret(config, key.as_deref())?;
    Ok(Restored { manifest, secret: note })
}

/// Into the data folder, unless the installation has its secret already.
fn write_secret(config: &Config, key: Option<&str>) -> Result<()> {
    if let (Some(key), None) = (key, config.server.existing_secret()?) {
        let folder = &config.server.data_dir;
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        secret::write(folder, key.trim()).map_err(at(folder))?;
    }
    Ok(())
}

/// Compares the secret of the target with the one that the data was made with. A wrong one is refused, for keys sealed with
/// one cannot be opened with another; a missing one is told.
fn secret_note(config: &Config, manifest: &Manifest, key: Option<&str>) -> Result<Option<String>> {
    let Some(expected) = &manifest.secret.fingerprint else {
        return Ok(None);
    };
    if let Some(existing) = config.server.existing_secret()? {
        if manifest::fingerprint(&existing) == *expected {
            return Ok(None);
        }
        return refused("the target has another installation secret than the data was made with; nothing was changed");
    }
    match key {
        Some(text) => {
            let right = secret::parse(text.trim()).is_some_and(|secret| manifest::fingerprint(&secret) == *expected);
            if right {
                Ok(None)
            } else {
                refused("the secret in the archive is not the one its manifest names")
            }
        }
        None => Ok(Some(format!(
            "the archive holds no installation secret. Before the first start put the original secret.key into {} (or set server.secret); \
             with a new one everybody is signed out and what is sealed with it cannot be opened",
            config.server.data_dir.display()
        ))),
    }
}

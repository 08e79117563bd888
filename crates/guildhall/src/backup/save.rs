//! `guildhall backup`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use kernel::Timestamp;
use platform::db::transfer::{Digest, Transfer, migrate_to};
use platform::db::{Engine, Schema};

use super::levels::{Level, levels};
use super::load::same_tables;
use super::manifest::{FORMAT, Manifest, SecretNote, ServiceCopy, TableCopy};
use super::{Progress, Result, archive, at, blocking, files_in, refused, secret_fingerprint};
use crate::compose;
use crate::config::Config;
use crate::secret;

/// What was written.
#[derive(Debug)]
pub struct Saved {
    pub path: PathBuf,
    pub bytes: u64,
    pub manifest: Manifest,
    /// How long writers had to wait for the copies to begin at one instant.
    pub writers_waited: std::time::Duration,
}

/// Writes an archive of the installation as of one instant, while it runs or not. `to`: the new file, or a folder in which it
/// gets a name with its time.
pub async fn save(config: &Config, to: &Path, include_secret: bool, progress: &Progress) -> Result<Saved> {
    let beside = if to.is_dir() { to.to_owned() } else { archive::parent(to) };
    if !beside.is_dir() {
        return refused(format!("{}: there is no such folder", beside.display()));
    }
    if !to.is_dir() && to.symlink_metadata().is_ok() {
        return refused(format!("{} exists already; a backup overwrites nothing", to.display()));
    }
    let included = include_secret.then(|| secret_text(config)).transpose()?;
    let folder = tempfile::Builder::new()
        .prefix(".guildhall-backup-")
        .tempdir_in(&beside)
        .map_err(at(&beside))?;

    let mut source = Transfer::read(&config.database, &config.server.data_dir, &compose::schemas()).await?;
    let (taken_at, writers_waited, engine) = (source.taken_at, source.writers_waited, source.engine());
    let levels = levels(&mut source).await?;
    if levels.is_empty() {
        return refused(match engine {
            Engine::Sqlite => format!("there are no databases in {}", config.server.data_dir.display()),
            Engine::Postgres | Engine::Mysql => "there is no installation in this database".to_owned(),
        });
    }
    let read = match engine {
        Engine::Sqlite => {
            copy_files(&mut source, &levels, folder.path(), progress).await?;
            None
        }
        Engine::Postgres | Engine::Mysql => Some(copy_rows(&mut source, &levels, folder.path(), progress).await?),
    };
    // The databases need not keep old rows for us any more.
    drop(source);

    let services = describe(&levels, folder.path(), progress).await?;
    if let Some(read) = read {
        compare(&services, &read)?;
    }
    let manifest = Manifest {
        format: FORMAT,
        guildhall: env!("CARGO_PKG_VERSION").to_owned(),
        engine: engine.as_str().to_owned(),
        taken_at,
        secret: SecretNote {
            included: included.is_some(),
            fingerprint: secret_fingerprint(config)?,
        },
        services,
    };
    let path = if to.is_dir() { to.join(file_name(taken_at)) } else { to.to_owned() };
    let (manifest, path, bytes) = {
        let progress = progress.clone();
        blocking(move || {
            let bytes = archive::pack(&manifest, folder.path(), included.as_deref(), &path, &progress)?;
            Ok((manifest, path, bytes))
        })
        .await?
    };
    Ok(Saved {
        path,
        bytes,
        manifest,
        writers_waited,
    })
}

/// `guildhall-20261121T101500Z.tar.zst`; sorts by time.
fn file_name(taken_at: Timestamp) -> String {
    let digits: String = taken_at
        .to_string()
        .chars()
        .take_while(|c| *c != '.' && *c != 'Z')
        .filter(|c| c.is_ascii_digit() || *c == 'T')
        .collect();
    format!("guildhall-{digits}Z.tar.zst")
}

fn secret_text(config: &Config) -> Result<String> {
    match config.server.existing_secret()? {
        Some(secret) => Ok(secret::encode(&secret)),
        None => refused("--include-secret: this installation has no secret; give it as server.secret or in the data folder"),
    }
}

async fn copy_files(source: &mut Transfer, levels: &[Level], folder: &Path, progress: &Progress) -> Result<()> {
    for (schema, _) in levels {
        progress.phase(format!("copying {}", schema.service), 1);
        let bar = progress.clone();
        let to = folder.join(format!("{}.sqlite3", schema.service));
        source.copy_file(schema.service, &to, move |done, all| bar.reach(done, all)).await?;
    }
    Ok(())
}

type Digests = BTreeMap<(&'static str, String), Digest>;

/// From a server into new SQLite files of the same migrations. Gives what was read.
async fn copy_rows(source: &mut Transfer, levels: &[Level], folder: &Path, progress: &Progress) -> Result<Digests> {
    let files = files_in(folder);
    let schemas: Vec<Schema> = levels.iter().map(|(schema, _)| *schema).collect();
    for (schema, migrations) in levels {
        migrate_to(&files, folder, *schema, Some(migrations)).await?;
    }
    let mut target = Transfer::write(&files, folder, &schemas).await?;
    let mut digests = Digests::new();
    for schema in schemas {
        let service = schema.service;
        let tables = target.tables(service).await?;
        same_tables(service, &source.tables(service).await?, &tables)?;
        for table in tables {
            progress.phase(format!("reading {service}.{}", table.name), 0);
            let mut digest = Digest::default();
            let mut records = source.records(service, &table).await?;
            while let Some(chunk) = records.next().await {
                let chunk = chunk?;
                for record in &chunk {
                    digest.add(record);
                }
                progress.add(chunk.len() as u64);
                target.insert(service, &table, chunk).await?;
            }
            drop(records);
            let last = source.last_number(service, &table).await?;
            target.number_after(service, &table, last).await?;
            digests.insert((service, table.name), digest);
        }
    }
    target.commit().await?;
    Ok(digests)
}

/// Reads the copies back: what the manifest says was really in the files.
async fn describe(levels: &[Level], folder: &Path, progress: &Progress) -> Result<Vec<ServiceCopy>> {
    let schemas: Vec<Schema> = levels.iter().map(|(schema, _)| *schema).collect();
    let mut copies = Transfer::read(&files_in(folder), folder, &schemas).await?;
    let mut services = Vec::new();
    for (schema, migrations) in levels {
        let all = copies.tables(schema.service).await?;
        progress.phase(format!("checking {}", schema.service), all.len() as u64);
        let mut tables = Vec::new();
        for table in all {
            let digest = copies.digest(schema.service, &table).await?;
            progress.add(1);
            tables.push(TableCopy {
                table: table.name,
                rows: digest.rows,
                digest: digest.hex(),
            });
        }
        services.push((schema.service, migrations.clone(), tables));
    }
    drop(copies);
    let folder = folder.to_owned();
    blocking(move || {
        let measured = services.into_iter().map(|(service, migrations, tables)| {
            let file = format!("{service}.sqlite3");
            let (bytes, sha256) = archive::measure(&folder.join(&file))?;
            Ok(ServiceCopy {
                service: service.to_owned(),
                file,
                bytes,
                sha256,
                migrations,
                tables,
            })
        });
        measured.collect()
    })
    .await
}

/// What came out of the server is what is in the files.
fn compare(services: &[ServiceCopy], read: &Digests) -> Result<()> {
    for copy in services {
        for table in &copy.tables {
            let expected = read
                .iter()
                .find(|((service, name), _)| *service == copy.service && *name == table.table);
            let same = expected.is_some_and(|(_, digest)| digest.rows == table.rows && digest.hex() == table.digest);
            if !same {
                return refused(format!("{}.{} did not arrive whole in the archive", copy.service, table.table));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        let name = |text: &str| file_name(text.parse().expect("a time"));
        assert_eq!(name("2026-11-21T10:15:00.123456Z"), "guildhall-20261121T101500Z.tar.zst");
        assert!(name("2026-11-21T10:15:00Z") < name("2026-12-01T00:00:00Z"));
    }
}

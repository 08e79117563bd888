//! One server at a time on a folder of SQLite files: its signals stay in the process, and two would not hear of each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use super::{CliResult, Failure};

/// Name of the locked file in the folder. The file stays behind; only the lock counts.
const FILE: &str = "serve.lock";

/// Makes the folder when it is absent.
pub fn make_folder(folder: &Path) -> CliResult {
    std::fs::create_dir_all(folder).map_err(|error| {
        Failure::failed(format!(
            "cannot make the data folder {}: {error} (server.data_dir)",
            folder.display()
        ))
    })
}

/// The server's lock on `folder`, held until the file is closed: at the latest by the operating system when the process ends, in
/// whatever way. Commands that only read or that go through the databases, such as a backup, do not ask for it. `None` on a file
/// system without locks.
pub fn take(folder: &Path) -> Result<Option<File>, Failure> {
    make_folder(folder)?;
    lock(folder, || {
        format!(
            "another server, or an export, works on the data folder {} (it holds {FILE}); on SQLite there can be one. Stop it first, or \
             give a PostgreSQL or MySQL --database-url to run several",
            folder.display()
        )
    })
}

/// The same lock for an export: no server may write while the data moves, nor start meanwhile. Where no database lies there is
/// nothing to lock, and nothing is made.
pub fn take_for_export(folder: &Path) -> Result<Option<File>, Failure> {
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    if !entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "sqlite3")) {
        return Ok(None);
    }
    lock(folder, || {
        format!(
            "a server, or another export, works on the data folder {} (it holds {FILE}). Stop it first: what it writes from now on \
             would be missing in the target. --while-running copies all the same",
            folder.display()
        )
    })
}

fn lock(folder: &Path, held: impl FnOnce() -> String) -> Result<Option<File>, Failure> {
    let path = folder.join(FILE);
    let cannot = |error: std::io::Error| Failure::failed(format!("cannot lock {}: {error}", path.display()));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Failure::in_use(held())),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
            tracing::warn!(folder = %folder.display(), "this file system has no locks: see to it that no second server uses the folder");
            Ok(None)
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_lets_go() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("new/data");
        let first = take(&folder).expect("free").expect("a file system with locks");
        let refused = take(&folder).expect_err("held");
        assert_eq!(refused.code, 4, "{refused:?}");
        drop(first);
        assert!(take(&folder).expect("free again").is_some());
    }

    #[test]
    fn an_export_and_a_server_keep_each_other_out() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path();
        assert!(take_for_export(&folder.join("none")).expect("nothing to lock").is_none());
        assert!(take_for_export(folder).expect("nothing to lock").is_none());
        assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 0, "looking makes nothing");
        std::fs::write(folder.join("tasks.sqlite3"), "").expect("a file");
        let server = take(folder).expect("free");
        assert_eq!(take_for_export(folder).expect_err("held").code, 4);
        drop(server);
        let export = take_for_export(folder).expect("free").expect("a file system with locks");
        assert_eq!(take(folder).expect_err("held").code, 4);
        drop(export);
        assert!(take(folder).expect("free again").is_some());
    }
}

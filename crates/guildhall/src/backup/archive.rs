//! The archive: a tar file under zstd, with the manifest first and one SQLite file per service.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::manifest::Manifest;
use super::{Problem, Progress, Result, at, refused};

const MANIFEST: &str = "manifest.json";
const SECRET: &str = "secret.key";
/// Far more than any manifest; whoever sends a gigabyte of JSON does not send an archive.
const MANIFEST_LIMIT: u64 = 16 << 20;
const SECRET_LIMIT: u64 = 1_024;
const LEVEL: i32 = 3;
const BUFFER: usize = 1 << 16;

/// Size and hex SHA-256 of a file.
pub fn measure(path: &Path) -> Result<(u64, String)> {
    let mut hash = HashingWriter(io::sink(), Sha256::new());
    let bytes = File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hash))
        .map_err(at(path))?;
    Ok((bytes, hash.hex()))
}

struct HashingWriter<W>(W, Sha256);

impl<W> HashingWriter<W> {
    fn hex(self) -> String {
        data_encoding::HEXLOWER.encode(&self.1.finalize())
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.update(&bytes[..written]);
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Counts what is read, for the progress bar.
struct Counted<R>(R, Progress);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.add(read as u64);
        Ok(read)
    }
}

/// Writes the archive beside `target` under another name, syncs it and gives it its name; never over something else.
/// It holds password hashes, so only its owner may read it. Gives its size in bytes.
pub fn pack(manifest: &Manifest, folder: &Path, secret: Option<&str>, target: &Path, progress: &Progress) -> Result<u64> {
    let beside = parent(target);
    let draft = tempfile::Builder::new()
        .prefix(".guildhall-backup-")
        .suffix(".tmp")
        .tempfile_in(&beside)
        .map_err(at(&beside))?;
    progress.phase("packing", manifest.services.iter().map(|copy| copy.bytes).sum());
    let size = write_archive(manifest, folder, secret, &draft, progress).map_err(at(draft.path()))?;
    draft
        .persist_noclobber(target)
        .map_err(|error| Problem::Refused(format!("{}: {}", target.display(), error.error)))?;
    sync_folder(&beside)?;
    Ok(size)
}

fn write_archive(manifest: &Manifest, folder: &Path, secret: Option<&str>, draft: &NamedTempFile, progress: &Progress) -> io::Result<u64> {
    let mut encoder = zstd::Encoder::new(draft.as_file(), LEVEL)?;
    encoder.include_checksum(true)?;
    let mut archive = tar::Builder::new(encoder);
    let seconds = u64::try_from(manifest.taken_at.as_seconds()).unwrap_or(0);
    let header = |size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        header
    };
    let text = serde_json::to_vec_pretty(manifest)?;
    archive.append_data(&mut header(text.len() as u64), MANIFEST, text.as_slice())?;
    if let Some(secret) = secret {
        archive.append_data(&mut header(secret.len() as u64), SECRET, secret.as_bytes())?;
    }
    for copy in &manifest.services {
        let file = Counted(File::open(folder.join(&copy.file))?, progress.clone());
        archive.append_data(&mut header(copy.bytes), &copy.file, file)?;
    }
    archive.into_inner()?.finish()?;
    draft.as_file().sync_all()?;
    Ok(draft.as_file().metadata()?.len())
}

/// The folder a file lies in.
pub fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a new name in the folder survive a power cut.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// An archive whose files lie in a folder now, each as the manifest says.
pub struct Unpacked {
    pub manifest: Manifest,
    pub folder: TempDir,
    /// The text of `secret.key`.
    pub secret: Option<String>,
}

/// Unpacks into a new folder inside `into` and compares every checksum.
pub fn unpack(path: &Path, into: &Path, progress: &Progress) -> Result<Unpacked> {
    let file = File::open(path).map_err(at(path))?;
    progress.phase("unpacking", file.metadata().map_err(at(path))?.len());
    let folder = tempfile::Builder::new()
        .prefix(".guildhall-restore-")
        .tempdir_in(into)
        .map_err(at(into))?;
    let decoder = zstd::Decoder::new(Counted(file, progress.clone())).map_err(at(path))?;
    let mut archive = tar::Archive::new(decoder);
    let mut manifest: Option<Manifest> = None;
    let mut secret = None;
    let mut found = Vec::new();
    for entry in archive.entries().map_err(at(path))? {
        let mut entry = entry.map_err(at(path))?;
        let name = entry.path().map_err(at(path))?.to_string_lossy().into_owned();
        let Some(manifest) = &manifest else {
            if name != MANIFEST {
                return refused(format!(
                    "{} is no backup of Guildhall: it does not begin with {MANIFEST}",
                    path.display()
                ));
            }
            let text = read_small(&mut entry, MANIFEST_LIMIT).map_err(at(path))?;
            let read: Manifest =
                serde_json::from_str(&text).map_err(|error| Problem::Refused(format!("{}: {MANIFEST}: {error}", path.display())))?;
            read.check()?;
            manifest = Some(read);
            continue;
        };
        if name == SECRET && manifest.secret.included {
            secret = Some(read_small(&mut entry, SECRET_LIMIT).map_err(at(path))?);
            continue;
        }
        let Some(copy) = manifest.services.iter().find(|copy| copy.file == name) else {
            return refused(format!("{}: {name:?} is in the archive and not in its manifest", path.display()));
        };
        let to = folder.path().join(&copy.file);
        // One byte more than it should be shows that it is longer, without filling the disk.
        let sha256 = write_file(&mut entry.take(copy.bytes + 1), &to).map_err(at(&to))?;
        if sha256 != copy.sha256 {
            return refused(format!("{}: {name} is damaged: its checksum is not the manifest's", path.display()));
        }
        found.push(name);
    }
    let Some(manifest) = manifest else {
        return refused(format!("{} is no backup of Guildhall: it is empty", path.display()));
    };
    // The checksum of the compressed stream comes after the last entry.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(at(path))?;
    if let Some(missing) = manifest.services.iter().find(|copy| !found.contains(&copy.file)) {
        return refused(format!("{}: {} is missing", path.display(), missing.file));
    }
    if manifest.secret.included && secret.is_none() {
        return refused(format!("{}: {SECRET} is missing", path.display()));
    }
    Ok(Unpacked { manifest, folder, secret })
}

fn read_small(entry: &mut impl Read, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    entry.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

/// Gives the hex SHA-256 of what was written.
fn write_file(from: &mut impl Read, to: &Path) -> io::Result<String> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut writer = HashingWriter(options.open(to)?, Sha256::new());
    let mut reader = io::BufReader::with_capacity(BUFFER, from);
    io::copy(&mut reader, &mut writer)?;
    writer.0.sync_all()?;
    Ok(writer.hex())
}

//! The installation's secret: 32 random bytes from which keys are derived.
//!
//! Embedded: `<data_dir>/secret.key`, made at the first start. With replicas every process must be
//! given the same one (`server.secret`).

use std::io::Write;
use std::path::Path;

use data_encoding::BASE64;
use hmac::Mac;
use kernel::mac::hmac_sha256;
use kernel::{Error, Result};

/// Name of the key file in the data folder.
pub const FILE: &str = "secret.key";

/// Reads the key file; `None` when there is none.
pub fn load(data_dir: &Path) -> Result<Option<[u8; 32]>> {
    let path = data_dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => match parse(text.trim()) {
            Some(key) => Ok(Some(key)),
            None => Err(Error::internal(format!("{} does not hold 32 bytes in base64", path.display()))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::internal(error)),
    }
}

/// Reads the key file, or makes it when absent.
pub fn load_or_create(data_dir: &Path) -> Result<[u8; 32]> {
    if let Some(key) = load(data_dir)? {
        return Ok(key);
    }
    let key: [u8; 32] = rand::random();
    std::fs::create_dir_all(data_dir).map_err(Error::internal)?;
    match write(data_dir, &encode(&key)) {
        Ok(()) => Ok(key),
        // Another process was quicker; its key counts.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => load_or_create(data_dir),
        Err(error) => Err(Error::internal(error)),
    }
}

/// Makes the key file, for its owner only; never over another.
pub fn write(data_dir: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(data_dir.join(FILE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The text of the key file.
pub fn encode(key: &[u8; 32]) -> String {
    BASE64.encode(key)
}

/// 32 bytes in base64.
pub fn parse(text: &str) -> Option<[u8; 32]> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// A key for one purpose, so that no two purposes share one (HMAC-SHA-256 as a KDF, NIST SP 800-108).
pub fn derive(secret: &[u8; 32], purpose: &str) -> [u8; 32] {
    hmac_sha256(secret, &[purpose.as_bytes()]).finalize().into_bytes().into()
}

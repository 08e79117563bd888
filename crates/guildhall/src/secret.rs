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

/// Reads the key file, or makes it (mode 0600) when absent.
pub fn load_or_create(data_dir: &Path) -> Result<[u8; 32]> {
    let path = data_dir.join("secret.key");
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(text.trim()).ok_or_else(|| Error::internal(format!("{} does not hold 32 bytes in base64", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key: [u8; 32] = rand::random();
            std::fs::create_dir_all(data_dir).map_err(Error::internal)?;
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = match options.open(&path) {
                Ok(file) => file,
                // Another process was quicker; its key counts.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return load_or_create(data_dir),
                Err(error) => return Err(Error::internal(error)),
            };
            file.write_all(BASE64.encode(&key).as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(Error::internal)?;
            Ok(key)
        }
        Err(error) => Err(Error::internal(error)),
    }
}

/// 32 bytes in base64.
pub fn parse(text: &str) -> Option<[u8; 32]> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// A key for one purpose, so that no two purposes share one (HMAC-SHA-256 as a KDF, NIST SP 800-108).
pub fn derive(secret: &[u8; 32], purpose: &str) -> [u8; 32] {
    hmac_sha256(secret, &[purpose.as_bytes()]).finalize().into_bytes().into()
}

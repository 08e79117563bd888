//! What an archive says of itself: `manifest.json`, its first entry.

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Result, refused};
use crate::compose;
use crate::secret;

/// Grows when an older program could not read the archive.
pub const FORMAT: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the program that made it.
    pub guildhall: String,
    /// Where the data came from: `sqlite`, `postgres` or `mysql`.
    pub engine: String,
    /// The instant that the copies of all services show.
    pub taken_at: Timestamp,
    pub secret: SecretNote,
    pub services: Vec<ServiceCopy>,
}

/// Whether the archive can stand for the installation's secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretNote {
    pub included: bool,
    /// Tells the right secret from a wrong one, and tells nothing else.
    pub fingerprint: Option<String>,
}

/// One service's database, as a SQLite file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceCopy {
    pub service: String,
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
    /// `component/name`, in order.
    pub migrations: Vec<String>,
    pub tables: Vec<TableCopy>,
}

/// Tells whether a table arrived whole, on whatever engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCopy {
    pub table: String,
    pub rows: u64,
    pub digest: String,
}

impl Manifest {
    pub fn rows(&self) -> u64 {
        self.services
            .iter()
            .flat_map(|service| &service.tables)
            .map(|table| table.rows)
            .sum()
    }

    /// Refuses what this program cannot bring back whole.
    pub fn check(&self) -> Result<()> {
        if self.format != FORMAT {
            return refused(format!(
                "the archive has format {}, this program reads {FORMAT}; it was made by guildhall {}",
                self.format, self.guildhall
            ));
        }
        for copy in &self.services {
            let Some(schema) = compose::schemas().into_iter().find(|schema| schema.service == copy.service) else {
                return refused(format!(
                    "the archive holds the service {:?}, which this program does not have; it was made by guildhall {}",
                    copy.service, self.guildhall
                ));
            };
            if copy.file != format!("{}.sqlite3", schema.service) {
                return refused(format!("the archive's manifest names an odd file: {:?}", copy.file));
            }
            let known = platform::db::transfer::known_migrations(&schema);
            if let Some(newer) = copy.migrations.iter().find(|label| !known.contains(label)) {
                return refused(format!(
                    "the archive has migration {newer}, which this program does not know; it was made by guildhall {}",
                    self.guildhall
                ));
            }
        }
        Ok(())
    }
}

/// 16 bytes in hexadecimal of a key that is used for nothing else.
pub fn fingerprint(secret: &[u8; 32]) -> String {
    let derived = secret::derive(secret, "backup fingerprint");
    data_encoding::HEXLOWER.encode(&derived[..16])
}

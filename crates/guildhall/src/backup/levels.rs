//! What there is to copy: the services' databases, with what ran in them.

use platform::db::transfer::Transfer;
use platform::db::{DbError, Schema};

use super::{Result, refused};
use crate::compose;

/// A service with the migrations that ran in its database.
pub type Level = (Schema, Vec<String>);

/// What it means that one service has no database while others have theirs.
pub const LOST_OR_NEW: &str =
    "A service that came with an upgrade, or a set-up that was not finished, gets it from `guildhall migrate`; else it is lost";

/// Of every service; nothing where there is no installation at all. Refuses what could not be brought back, and an installation
/// that lacks a service, for a copy of the others would pass for the whole.
pub async fn levels(source: &mut Transfer) -> Result<Vec<Level>> {
    let (mut levels, mut absent) = (Vec::new(), Vec::new());
    for schema in compose::schemas() {
        let ran = source.migrations(schema.service).await?;
        if let Some(odd) = ran.iter().find(|ran| !ran.known) {
            return refused(format!(
                "{} has migration {}, which is not this program's: use the version that made the database",
                schema.service, odd.label
            ));
        }
        if let Some(open) = ran.iter().find(|ran| !ran.finished) {
            return refused(format!(
                "migration {} of {} is unfinished; run `guildhall migrate` first",
                open.label, schema.service
            ));
        }
        if ran.is_empty() {
            absent.push(schema.service);
        } else {
            levels.push((schema, ran.into_iter().map(|ran| ran.label).collect()));
        }
    }
    if levels.is_empty() || absent.is_empty() {
        return Ok(levels);
    }
    refused(format!(
        "there is no database of {}, while other services have theirs; nothing was copied. {LOST_OR_NEW}, and a backup has to be restored",
        absent.join(", ")
    ))
}

/// Whether a table of the service holds a row.
pub async fn holds_rows(databases: &mut Transfer, service: &str) -> std::result::Result<bool, DbError> {
    for table in databases.tables(service).await? {
        if !databases.is_empty(service, &table).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

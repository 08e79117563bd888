//! `guildhall export-to`: from SQLite to a server.

use kernel::{Clock, SystemClock};
use platform::db::transfer::Transfer;
use platform::db::{DbConfig, Engine};
use platform::events::store::find_lease;

use super::levels::{Level, levels};
use super::load::{Loaded, Target, load};
use super::{Problem, Progress, Result, refused};
use crate::compose;
use crate::config::Config;

/// What was moved.
#[derive(Debug)]
pub struct Exported {
    pub engine: Engine,
    pub tables: Loaded,
    pub rows: u64,
}

/// Refuses a move that is none from SQLite to a server; gives the target's engine.
pub fn check_move(source: &Config, target: &DbConfig) -> Result<Engine> {
    let engine = target.engine().map_err(Problem::Refused)?;
    if source.database.engine().map_err(Problem::Refused)? != Engine::Sqlite {
        return refused("the source is not SQLite: from one server to another go by way of `guildhall backup` and `guildhall restore`");
    }
    if engine == Engine::Sqlite {
        return refused("--database-url: name the target, as in postgres://user@host/guildhall or mysql://user@host/guildhall");
    }
    Ok(engine)
}

/// Moves the SQLite data of `source` to the empty schemas of `target`, counts and checksums compared. The source stays as it is.
/// Without `running` a source that a server works on is refused: what it writes from now on would be missing in the target. The
/// caller then keeps servers from starting meanwhile, by their lock.
pub async fn export(source: &Config, target: &DbConfig, running: bool, progress: &Progress) -> Result<Exported> {
    let engine = check_move(source, target)?;
    let mut transfer = Transfer::read(&source.database, &source.server.data_dir, &compose::schemas()).await?;
    let levels = levels(&mut transfer).await?;
    if levels.is_empty() {
        return refused(format!("there are no databases in {}", source.server.data_dir.display()));
    }
    if !running {
        refuse_running(&mut transfer, &levels).await?;
    }
    let to = Target {
        config: target,
        data_dir: &source.server.data_dir,
    };
    let tables = load(&mut transfer, &levels, to, &[], progress).await?;
    let rows = tables.iter().flat_map(|(_, tables)| tables).map(|table| table.rows).sum();
    Ok(Exported { engine, tables, rows })
}

/// For file systems without locks. A server gives its relay's lease back when it stops; one that was killed leaves it behind
/// until it expires.
async fn refuse_running(source: &mut Transfer, levels: &[Level]) -> Result<()> {
    for (schema, _) in levels {
        let held = source.all(schema.service, find_lease(SystemClock.now())).await?;
        if let Some(until) = held.into_iter().next().map(kernel::Timestamp::from_micros) {
            return refused(format!(
                "a server works on this data folder, or was killed moments ago (its lease runs until {until}). Stop it first: what it writes \
                 from now on would be missing in the target. --while-running copies all the same"
            ));
        }
    }
    Ok(())
}

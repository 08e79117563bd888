//! From SQLite files into the empty schemas of a server, all or nothing.

use std::path::Path;

use futures_util::StreamExt as _;
use platform::db::transfer::{Digest, Table, Transfer, drop_database, migrate_to};
use platform::db::{DbConfig, DbError, Schema};

use super::levels::{Level, holds_rows};
use super::manifest::{ServiceCopy, TableCopy};
use super::{Progress, Result, refused};
use crate::compose;

/// What arrived, service by service.
pub type Loaded = Vec<(&'static str, Vec<TableCopy>)>;

/// The installation to fill.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub config: &'a DbConfig,
    /// Where the files of a SQLite installation would lie.
    pub data_dir: &'a Path,
}

/// Makes the schemas at the level of the source, fills them in one transaction, reads everything back within it, commits, and
/// then runs the migrations that the source had not. `expected`: what the tables have to be, if that is known. After a failure the target is as empty as before.
pub async fn load(
    source: &mut Transfer,
    levels: &[Level],
    target: Target<'_>,
    expected: &[ServiceCopy],
    progress: &Progress,
) -> Result<Loaded> {
    let Target { config, data_dir } = target;
    let fresh = check_empty(config, data_dir).await?;
    let loaded = fill(source, levels, target, expected, progress).await;
    if loaded.is_err() {
        for schema in fresh {
            if let Err(error) = take_back(config, data_dir, schema).await {
                tracing::warn!(service = schema.service, %error, "an empty schema stays behind");
            }
        }
    }
    let loaded = loaded?;
    for schema in compose::schemas() {
        migrate_to(config, data_dir, schema, None).await?;
    }
    Ok(loaded)
}

/// Refuses a target that holds a row; gives the services whose schema does not exist yet.
async fn check_empty(config: &DbConfig, data_dir: &Path) -> Result<Vec<Schema>> {
    let schemas = compose::schemas();
    let mut target = Transfer::read(config, data_dir, &schemas).await?;
    let mut fresh = Vec::new();
    for schema in schemas {
        let migrated = !target.migrations(schema.service).await?.is_empty();
        let tables = target.tables(schema.service).await?;
        if tables.is_empty() && !migrated {
            fresh.push(schema);
        }
        for table in tables {
            if !target.is_empty(schema.service, &table).await? {
                return refused(format!(
                    "the target is not empty: {}.{} holds rows. Nothing was changed; name an empty database, or drop what is there",
                    schema.service, table.name
                ));
            }
        }
    }
    Ok(fresh)
}

/// Removes the schema that was made for this. Not when rows are in it, for ours never were committed: somebody has started a
/// server there meanwhile.
async fn take_back(config: &DbConfig, data_dir: &Path, schema: Schema) -> std::result::Result<(), DbError> {
    let mut made = Transfer::read(config, data_dir, &[schema]).await?;
    let used = holds_rows(&mut made, schema.service).await?;
    // Its transaction would keep the schema from being dropped.
    made.commit().await?;
    if used {
        tracing::warn!(service = schema.service, "a server works on the target: what it wrote stays");
        return Ok(());
    }
    drop_database(config, data_dir, schema).await
}

async fn fill(
    source: &mut Transfer,
    levels: &[Level],
    Target { config, data_dir }: Target<'_>,
    expected: &[ServiceCopy],
    progress: &Progress,
) -> Result<Loaded> {
    let mut plan = Vec::new();
    for (schema, migrations) in levels {
        progress.phase(format!("preparing {}", schema.service), 1);
        migrate_to(config, data_dir, *schema, Some(migrations)).await?;
        plan.push((*schema, source.tables(schema.service).await?));
    }
    let schemas: Vec<Schema> = levels.iter().map(|(schema, _)| *schema).collect();
    let mut target = Transfer::write(config, data_dir, &schemas).await?;
    for (schema, tables) in &plan {
        same_tables(schema.service, tables, &target.tables(schema.service).await?)?;
        for table in tables.iter().filter(|table| table.numbered.is_some()) {
            let last = source.last_number(schema.service, table).await?;
            target.number_after(schema.service, table, last).await?;
        }
    }
    let mut loaded = Loaded::new();
    for (schema, tables) in &plan {
        let mut copies = Vec::new();
        for table in tables {
            let digest = copy_table(source, &mut target, schema.service, table, progress).await?;
            let copy = TableCopy {
                table: table.name.clone(),
                rows: digest.rows,
                digest: digest.hex(),
            };
            let known = expected.iter().find(|copy| copy.service == schema.service);
            if known.is_some_and(|known| !known.tables.contains(&copy)) {
                return refused(format!(
                    "{}.{} of the archive is not what its manifest says",
                    schema.service, table.name
                ));
            }
            copies.push(copy);
        }
        loaded.push((schema.service, copies));
    }
    for (schema, tables) in &plan {
        progress.phase(format!("checking {}", schema.service), tables.len() as u64);
        let copies = loaded
            .iter()
            .find(|(service, _)| *service == schema.service)
            .map(|(_, copies)| copies);
        for (table, copy) in tables.iter().zip(copies.into_iter().flatten()) {
            let arrived = target.digest(schema.service, table).await?;
            if arrived.rows != copy.rows || arrived.hex() != copy.digest {
                return refused(format!(
                    "{}.{}: {} rows were read and {} arrived, or their content differs. Nothing was kept",
                    schema.service, table.name, copy.rows, arrived.rows
                ));
            }
            progress.add(1);
        }
    }
    target.commit().await?;
    Ok(loaded)
}

async fn copy_table(source: &mut Transfer, target: &mut Transfer, service: &str, table: &Table, progress: &Progress) -> Result<Digest> {
    progress.phase(format!("writing {service}.{}", table.name), 0);
    let mut digest = Digest::default();
    let mut records = source.records(service, table).await?;
    while let Some(chunk) = records.next().await {
        let chunk = chunk?;
        for record in &chunk {
            digest.add(record);
        }
        progress.add(chunk.len() as u64);
        target.insert(service, table, chunk).await?;
    }
    Ok(digest)
}

/// The same tables with the same columns: nothing is left out in silence.
pub fn same_tables(service: &str, from: &[Table], to: &[Table]) -> Result<()> {
    let shape = |tables: &[Table]| {
        let mut shape: Vec<_> = tables.iter().map(|table| (table.name.clone(), table.columns.clone())).collect();
        shape.sort_by(|a, b| a.0.cmp(&b.0));
        shape
    };
    let (from, to) = (shape(from), shape(to));
    match from
        .iter()
        .find(|table| !to.contains(table))
        .or_else(|| to.iter().find(|table| !from.contains(table)))
    {
        Some((table, _)) => refused(format!("{service}.{table} is not made of the same columns on both sides")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use platform::Caller;
    use platform::db::{Engine, Unit};
    use sea_query::Query;
    use testkit::TestServer;

    use super::*;

    #[tokio::test]
    async fn what_was_made_is_taken_back_unless_somebody_wrote_to_it() {
        if testkit::engine() == Engine::Sqlite {
            // Never a target: its files are removed as files.
            return;
        }
        let server = TestServer::new(&[notifications::SCHEMA]).await;
        let db = server.db(notifications::SCHEMA).await;
        let caller = Caller::system(&kernel::SystemClock, "test");
        let mut unit = Unit::new(&caller);
        let id = kernel::ids::Uuid::from_u128(7);
        let counter = Query::insert()
            .into_table("event_counters")
            .columns(["workspace_id", "last_seq"])
            .values_panic([id.into(), 1_i64.into()])
            .take();
        unit.insert(counter);
        db.apply(unit).await.expect("written");
        let left = async || {
            let mut databases = Transfer::read(server.config(), server.folder(), &[notifications::SCHEMA])
                .await
                .expect("a database");
            databases.migrations("notifications").await.expect("migrations").len()
        };
        take_back(server.config(), server.folder(), notifications::SCHEMA)
            .await
            .expect("seen");
        assert_ne!(left().await, 0, "what somebody wrote stays");
        let mut unit = Unit::new(&caller);
        unit.delete(Query::delete().from_table("event_counters").take());
        db.apply(unit).await.expect("deleted");
        take_back(server.config(), server.folder(), notifications::SCHEMA)
            .await
            .expect("dropped");
        assert_eq!(left().await, 0);
    }
}

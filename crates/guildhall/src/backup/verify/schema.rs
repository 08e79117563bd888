//! Whether a service's database is made of what its migrations make.

use std::collections::BTreeSet;

use platform::check::Severity;
use platform::db::transfer::{Kind, Table};
use platform::db::{Engine, Migration, PLATFORM_MIGRATIONS, Schema};
use sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};

use super::{Result, Run};

/// Tables and indexes, by name.
#[derive(Debug, Default)]
struct Made {
    tables: BTreeSet<String>,
    indexes: BTreeSet<String>,
}

/// What the migrations make and do not drop again, read from their text: each statement begins a line.
fn made(engine: Engine, migrations: impl Iterator<Item = &'static Migration>) -> Made {
    let mut made = Made::default();
    for migration in migrations {
        let text = match engine {
            Engine::Sqlite => migration.sqlite,
            Engine::Postgres => migration.postgres,
            Engine::Mysql => migration.mysql,
        };
        for line in text.lines() {
            let words: Vec<&str> = line
                .split(|c: char| c.is_whitespace() || "(),;".contains(c))
                .filter(|word| !word.is_empty())
                .collect();
            match words[..] {
                ["CREATE", "TABLE", name, ..] => made.tables.insert(name.to_owned()),
                ["DROP", "TABLE", name, ..] => made.tables.remove(name),
                // MySQL may name an index within its table.
                ["INDEX", name, ..] | ["CREATE" | "UNIQUE", "INDEX", name, ..] | ["CREATE", "UNIQUE", "INDEX", name, ..] => {
                    made.indexes.insert(name.to_owned())
                }
                // An index of that name on servers; on SQLite one without a name, which cannot be dropped.
                ["CONSTRAINT", name, "UNIQUE", ..] if engine != Engine::Sqlite => made.indexes.insert(name.to_owned()),
                ["DROP", "INDEX", name, ..] => made.indexes.remove(name),
                _ => false,
            };
        }
    }
    made
}

/// The names of the indexes in a service's database.
fn indexes(engine: Engine) -> SelectStatement {
    let mut select = Query::select();
    match engine {
        Engine::Sqlite => select.column("name").from("sqlite_schema").and_where(Expr::col("type").eq("index")),
        Engine::Postgres => select
            .expr(Expr::cust("indexname::text"))
            .from("pg_indexes")
            .and_where(Expr::cust("schemaname = current_schema()")),
        Engine::Mysql => select
            .distinct()
            .column("index_name")
            .from(("information_schema", "statistics"))
            .and_where(Expr::cust("table_schema = database()")),
    };
    select
}

impl Run<'_> {
    /// Tables and indexes. Rows are not verified where a table is missing: many checks would fail for that reason alone.
    pub(super) async fn structure(&mut self, schema: &Schema) -> Result<()> {
        let (service, engine) = (schema.service, self.transfer.engine());
        let made = made(engine, PLATFORM_MIGRATIONS.iter().chain(schema.migrations));
        let tables = self.transfer.tables(service).await?;
        let present: Vec<String> = self.transfer.all(service, indexes(engine)).await?;
        let mut missing = made.tables;
        missing.retain(|name| !tables.iter().any(|table| table.name == *name));
        if !missing.is_empty() {
            self.current.remove(service);
        }
        self.note(
            service,
            "schema.tables",
            Severity::Broken,
            "Every table that the migrations make is there (without one, the service's rows are not verified).",
            missing.into_iter().collect(),
        );
        let mut missing = made.indexes;
        missing.retain(|name| !present.contains(name));
        self.note(
            service,
            "schema.indexes",
            Severity::Broken,
            "Every index that the migrations make is there.",
            missing.into_iter().collect(),
        );
        if engine == Engine::Sqlite {
            self.ids(service, &tables).await?;
        }
        Ok(())
    }

    /// A column of SQLite takes whatever it is given; servers see to their types themselves.
    async fn ids(&mut self, service: &'static str, tables: &[Table]) -> Result<()> {
        let mut wrong = Vec::new();
        for table in tables {
            let is_id = |name: &str| name == "id" || name.ends_with("_id");
            let ids = table.columns.iter().filter(|column| column.kind == Kind::Bytes);
            let ids: Vec<&str> = ids.map(|column| column.name.as_str()).filter(|name| is_id(name)).collect();
            let faults: Vec<String> = ids
                .iter()
                .map(|name| format!("typeof(\"{name}\") NOT IN ('blob', 'null') OR length(\"{name}\") <> 16"))
                .collect();
            if faults.is_empty() {
                continue;
            }
            let select = Query::select()
                .columns(ids.iter().copied().map(Alias::new))
                .from(Alias::new(table.name.as_str()))
                .and_where(Expr::cust(faults.join(" OR ")))
                .take();
            let rows = self.show(service, select, &ids).await?;
            wrong.extend(rows.into_iter().map(|row| format!("{}: {row}", table.name)));
        }
        self.note(service, "database.ids", Severity::Broken, "Every id has 16 bytes.", wrong);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use platform::db::transfer::Transfer;
    use testkit::TestServer;

    use super::*;
    use crate::compose;

    #[tokio::test]
    async fn the_text_of_the_migrations_tells_what_they_make() {
        let schemas = compose::schemas();
        let server = TestServer::new(&schemas).await;
        let mut databases = Transfer::read(server.config(), server.folder(), &schemas).await.expect("databases");
        let engine = databases.engine();
        for schema in schemas {
            let made = made(engine, PLATFORM_MIGRATIONS.iter().chain(schema.migrations));
            let tables = databases.tables(schema.service).await.expect("tables").into_iter();
            let tables: BTreeSet<String> = tables.map(|table| table.name).collect();
            assert_eq!(made.tables, tables, "{}", schema.service);
            let mut present: Vec<String> = databases.all(schema.service, indexes(engine)).await.expect("indexes");
            // Those that keys and, on SQLite, constraints bring along.
            present.retain(|name| !name.starts_with("sqlite_autoindex_"));
            let present: BTreeSet<String> = present.into_iter().collect();
            assert!(
                made.indexes.is_subset(&present),
                "{}: {:?} and {present:?}",
                schema.service,
                made.indexes
            );
            assert!(
                engine != Engine::Sqlite || made.indexes == present,
                "{}: {present:?}",
                schema.service
            );
        }
    }
}

//! Forward-only migrations, per service and engine, under a lock.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{DbError, Engine, UniqueRule};

/// One numbered step; the same number and name on each engine.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// `0001_init`.
    pub name: &'static str,
    pub sqlite: &'static str,
    pub postgres: &'static str,
    pub mysql: &'static str,
}

/// What a service's database is made of.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Name of the service: SQLite file, PostgreSQL schema, part of the MySQL database name.
    pub service: &'static str,
    pub migrations: &'static [Migration],
    pub unique_rules: &'static [UniqueRule],
}

/// Embeds `migrations/{sqlite,postgres,mysql}/<name>.sql`, relative to the calling file (put it in `lib.rs`).
#[macro_export]
macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        &[$($crate::db::Migration {
            name: $name,
            sqlite: include_str!(concat!("migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("migrations/postgres/", $name, ".sql")),
            mysql: include_str!(concat!("migrations/mysql/", $name, ".sql")),
        }),*]
    };
}

/// What [`super::Db::migrate`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// `component/name`, in order.
    pub applied: Vec<String>,
}

/// A row of `schema_migrations`.
#[derive(Debug)]
pub(super) struct Recorded {
    pub component: String,
    pub name: String,
    pub checksum: String,
    /// Statements that ran; below the full number only after a crash on MySQL, whose DDL commits by itself.
    pub statements: i64,
    pub finished: bool,
}

/// A migration still to run.
#[derive(Debug)]
pub(super) struct Pending {
    pub component: &'static str,
    pub name: &'static str,
    pub sql: &'static str,
    pub checksum: String,
    /// Statements to skip: they ran before a crash.
    pub done: usize,
    /// A row in `schema_migrations` exists.
    pub recorded: bool,
}

impl Pending {
    pub fn label(&self) -> String {
        format!("{}/{}", self.component, self.name)
    }
}

pub(super) const RECORDED: &str = "SELECT component, name, checksum, statements, finished_at FROM schema_migrations";

impl Migration {
    fn sql(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
            Engine::Mysql => self.mysql,
        }
    }
}

impl Recorded {
    /// `component/name`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.component, self.name)
    }
}

/// What is left to do, in order; of `only` (`component/name`) when given. Refuses a history that differs from the code.
pub(super) fn plan(schema: &Schema, engine: Engine, recorded: &[Recorded], only: Option<&[String]>) -> Result<Vec<Pending>, DbError> {
    let components: [(&'static str, &'static [Migration]); 2] = [("platform", crate::MIGRATIONS), (schema.service, schema.migrations)];
    let mut pending = Vec::new();
    for (component, migrations) in components {
        for migration in migrations {
            let sql = migration.sql(engine);
            let checksum = checksum(sql);
            let row = recorded.iter().find(|row| row.component == component && row.name == migration.name);
            if let Some(row) = row
                && row.checksum != checksum
            {
                return Err(DbError::Other(format!(
                    "migration {component}/{} was changed after it was applied: the database has checksum {}, this program {checksum}",
                    migration.name, row.checksum
                )));
            }
            match row {
                Some(row) if row.finished => {}
                None if only.is_some_and(|only| !only.contains(&format!("{component}/{}", migration.name))) => {}
                row => pending.push(Pending {
                    component,
                    name: migration.name,
                    sql,
                    checksum,
                    done: row.map_or(0, |row| usize::try_from(row.statements).unwrap_or(0)),
                    recorded: row.is_some(),
                }),
            }
        }
    }
    Ok(pending)
}

fn find(schema: &Schema, row: &Recorded) -> Option<&'static Migration> {
    let known = match row.component.as_str() {
        "platform" => crate::MIGRATIONS,
        component if component == schema.service => schema.migrations,
        _ => &[],
    };
    known.iter().find(|migration| migration.name == row.name)
}

/// Whether the program has this migration, with the text that ran.
pub(super) fn is_known(schema: &Schema, engine: Engine, row: &Recorded) -> bool {
    find(schema, row).is_some_and(|migration| checksum(migration.sql(engine)) == row.checksum)
}

/// Migrations in the database that this program does not know: it is older than the database.
pub(super) fn unknown(schema: &Schema, recorded: &[Recorded]) -> Option<String> {
    recorded.iter().find(|row| find(schema, row).is_none()).map(Recorded::label)
}

pub(super) fn refuse_unknown(schema: &Schema, recorded: &[Recorded]) -> Result<(), DbError> {
    match unknown(schema, recorded) {
        Some(name) => Err(DbError::Other(format!(
            "the database has migration {name}, which this program does not know: it is older than the database"
        ))),
        None => Ok(()),
    }
}

/// Hex SHA-256 of the text without carriage returns, so that a checkout with other line ends is the same.
fn checksum(sql: &str) -> String {
    Sha256::digest(sql.replace('\r', ""))
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Statements of a MySQL file: they end with `;` at the end of a line.
pub(super) fn split(sql: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    for line in sql.lines() {
        let line = line.trim_end();
        if current.is_empty() && (line.is_empty() || line.trim_start().starts_with("--")) {
            continue;
        }
        current.push_str(line);
        current.push('\n');
        if line.ends_with(';') {
            statements.push(current.trim_end().trim_end_matches(';').to_owned());
            current.clear();
        }
    }
    if !current.trim().is_empty() {
        statements.push(current.trim_end().to_owned());
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn splits_at_semicolons_that_end_a_line() {
        let sql = "-- a table;\nCREATE TABLE t (\n  a INT -- why; not\n);\n\nINSERT INTO t VALUES (';');\nDROP TABLE x";
        assert_eq!(
            split(sql),
            [
                "CREATE TABLE t (\n  a INT -- why; not\n)",
                "INSERT INTO t VALUES (';')",
                "DROP TABLE x"
            ]
        );
    }
}

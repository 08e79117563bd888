//! Forward-only migrations, per service and engine, under a lock.

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

use super::UniqueRule;

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

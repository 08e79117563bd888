//! All schemas of an installation in one transaction on one connection.

use std::collections::HashMap;
use std::pin::Pin;

use futures_util::stream::Fuse;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, RowStream};
use url::Url;

use super::{Chunk, Column, Mode, Record, Records, Table, column_list, kind, quoted, record};
use crate::db::config::DbConfig;
use crate::db::migrate::Recorded;
use crate::db::postgres::value::{Bound, bind};
use crate::db::postgres::{Postgres, Session, references};
use crate::db::row::{Collect, Row};
use crate::db::statement::Sql;
use crate::db::{DbError, Schema};

pub(super) struct Transaction {
    /// Closed, and so rolled back, when dropped before its end.
    session: Session,
    /// Of the first service; knows how errors are classified.
    database: Postgres,
    /// The schema that unqualified names mean now.
    entered: Option<&'static str>,
    prefix: String,
}

impl Transaction {
    pub async fn begin(url: &Url, config: &DbConfig, schemas: &[Schema], mode: Mode) -> Result<Self, DbError> {
        let first = schemas.first().ok_or_else(|| DbError::Other("no service at all".to_owned()))?;
        let database = Postgres::new(url.clone(), config, *first)?;
        let mut session = database.session().await?;
        session.clean = false;
        let kind = match mode {
            // The first statement takes the snapshot that all others of the transaction see.
            Mode::Read => "ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Mode::Write => "ISOLATION LEVEL READ COMMITTED",
        };
        let begin = format!("BEGIN {kind}; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT 1");
        session
            .client()?
            .batch_execute(&begin)
            .await
            .map_err(|error| database.classify(&error))?;
        Ok(Self {
            session,
            database,
            entered: None,
            prefix: config.schema_prefix.clone(),
        })
    }

    fn name(&self, schema: Schema) -> String {
        format!("{}{}", self.prefix, schema.service)
    }

    fn full_name(&self, schema: Schema, table: &str) -> String {
        format!("{}.{}", quoted(&self.name(schema), '"'), quoted(table, '"'))
    }

    fn client(&self) -> Result<&Client, DbError> {
        Ok(self.session.client()?)
    }

    async fn rows(&self, text: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<tokio_postgres::Row>, DbError> {
        let rows = self.client()?.query(text, values).await;
        rows.map_err(|error| self.database.classify(&error))
    }

    async fn enter(&mut self, schema: Schema) -> Result<(), DbError> {
        if self.entered != Some(schema.service) {
            let enter = format!("SET LOCAL search_path = {}", quoted(&self.name(schema), '"'));
            let entered = self.client()?.batch_execute(&enter).await;
            entered.map_err(|error| self.database.classify(&error))?;
            self.entered = Some(schema.service);
        }
        Ok(())
    }

    async fn has_table(&self, schema: Schema, table: &str) -> Result<bool, DbError> {
        let rows = self
            .rows("SELECT to_regclass($1) IS NOT NULL", &[&self.full_name(schema, table)])
            .await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    pub async fn recorded(&mut self, schema: Schema) -> Result<Vec<Recorded>, DbError> {
        if !self.has_table(schema, "schema_migrations").await? {
            return Ok(Vec::new());
        }
        self.enter(schema).await?;
        self.database.recorded(&self.session).await
    }

    pub async fn tables(&self, schema: Schema) -> Result<Vec<Table>, DbError> {
        const COLUMNS: &str = "SELECT t.table_name::text, c.column_name::text, c.data_type::text, c.is_identity::text = 'YES'
            FROM information_schema.tables t
            JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
            WHERE t.table_schema = $1 AND t.table_type = 'BASE TABLE'
            ORDER BY t.table_name, c.ordinal_position";
        const PARENTS: &str = "SELECT DISTINCT child.relname::text, parent.relname::text
            FROM pg_constraint k
            JOIN pg_class child ON child.oid = k.conrelid
            JOIN pg_class parent ON parent.oid = k.confrelid
            JOIN pg_namespace n ON n.oid = child.relnamespace
            WHERE k.contype = 'f' AND n.nspname = $1";
        let name = self.name(schema);
        let mut tables: Vec<Table> = Vec::new();
        for row in self.rows(COLUMNS, &[&name]).await? {
            let (table, column, type_name): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            if tables.last().is_none_or(|last| last.name != table) {
                tables.push(Table {
                    name: table,
                    columns: Vec::new(),
                    parents: Vec::new(),
                    numbered: None,
                });
            }
            let Some(table) = tables.last_mut() else { continue };
            if row.get(3) {
                table.numbered = Some(column.clone());
            }
            table.columns.push(Column {
                name: column,
                kind: kind(&type_name)?,
            });
        }
        let mut parents: HashMap<String, Vec<String>> = HashMap::new();
        for row in self.rows(PARENTS, &[&name]).await? {
            parents.entry(row.get(0)).or_default().push(row.get(1));
        }
        for table in &mut tables {
            table.parents = parents.remove(&table.name).unwrap_or_default();
        }
        Ok(tables)
    }

    pub async fn records<'a>(&'a mut self, schema: Schema, table: &'a Table) -> Result<Records<'a>, DbError> {
        let text = format!("SELECT {} FROM {}", column_list(table, '"'), self.full_name(schema, &table.name));
        let none: [&(dyn ToSql + Sync); 0] = [];
        let rows = self.client()?.query_raw(text.as_str(), none).await;
        // The driver takes a question after the last row for one on a closed connection.
        let rows = Box::pin(rows.map_err(|error| self.database.classify(&error))?.fuse());
        let database = &self.database;
        Ok(stream::try_unfold(rows, move |mut rows| async move {
            let chunk = next_chunk(&mut rows, table, database).await?;
            Ok((!chunk.is_empty()).then_some((chunk, rows)))
        })
        .boxed())
    }

    async fn sequence(&self, schema: Schema, table: &str, column: &str) -> Result<String, DbError> {
        let find = "SELECT pg_get_serial_sequence($1, $2)";
        let rows = self.rows(find, &[&self.full_name(schema, table), &column]).await?;
        let name: Option<String> = rows.first().and_then(|row| row.get(0));
        name.ok_or_else(|| DbError::Other(format!("{table}.{column} has no sequence")))
    }

    pub async fn last_number(&self, schema: Schema, table: &str, column: &str) -> Result<i64, DbError> {
        let sequence = self.sequence(schema, table, column).await?;
        let find = format!("SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}");
        Ok(self.rows(&find, &[]).await?.first().map_or(0, |row| row.get(0)))
    }

    pub async fn number_after(&self, schema: Schema, table: &str, column: &str, last: i64) -> Result<(), DbError> {
        let sequence = self.sequence(schema, table, column).await?;
        // A sequence starts at 1.
        let set = "SELECT setval($1::text::regclass, greatest($2::bigint, 1), $2::bigint > 0)";
        self.rows(set, &[&sequence, &last]).await.map(drop)
    }

    pub async fn insert(&mut self, schema: Schema, table: &Table, records: &[Record]) -> Result<(), DbError> {
        let name = self.full_name(schema, &table.name);
        let columns = column_list(table, '"');
        let client = self.client()?;
        let classify = |error| self.database.classify(&error);
        let shape = client
            .prepare(&format!("SELECT {columns} FROM {name} LIMIT 0"))
            .await
            .map_err(classify)?;
        let types: Vec<Type> = shape.columns().iter().map(|column| column.type_().clone()).collect();
        let copy = format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary)");
        let sink = client.copy_in(copy.as_str()).await.map_err(classify)?;
        let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
        for record in records {
            let values: Vec<_> = record.iter().map(|field| Bound(field.plain())).collect();
            writer.as_mut().write(&references(&values)).await.map_err(classify)?;
        }
        writer.finish().await.map(drop).map_err(classify)
    }

    pub async fn query(&mut self, schema: Schema, sql: &Sql, mut rows: Box<dyn Collect>) -> Result<Box<dyn Collect>, DbError> {
        self.enter(schema).await?;
        let values = bind(&sql.values)?;
        for row in self.rows(&sql.text, &references(&values)).await? {
            rows.push(&Row::Postgres(&row))?;
        }
        Ok(rows)
    }

    pub async fn commit(mut self) -> Result<(), DbError> {
        let committed = self.client()?.batch_execute("COMMIT").await;
        committed.map_err(|error| self.database.classify(&error))?;
        self.session.clean = true;
        Ok(())
    }
}

async fn next_chunk(rows: &mut Pin<Box<Fuse<RowStream>>>, table: &Table, database: &Postgres) -> Result<Vec<Record>, DbError> {
    let mut chunk = Chunk::default();
    while !chunk.is_full()
        && let Some(row) = rows.try_next().await.map_err(|error| database.classify(&error))?
    {
        chunk.push(record(&Row::Postgres(&row), table)?);
    }
    Ok(chunk.take())
}

pub(super) async fn drop_schema(url: Url, config: &DbConfig, schema: Schema) -> Result<(), DbError> {
    let name = format!("{}{}", config.schema_prefix, schema.service);
    let database = Postgres::new(url, config, schema)?;
    let session = database.session().await?;
    let drop = format!(
        "SET client_min_messages = warning; DROP SCHEMA IF EXISTS {} CASCADE",
        quoted(&name, '"')
    );
    let dropped = session.client()?.batch_execute(&drop).await;
    dropped.map_err(|error| database.classify(&error))
}

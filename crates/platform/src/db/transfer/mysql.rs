//! All databases of an installation in one transaction on one connection.

use futures_util::{StreamExt as _, stream};
use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, Conn, Params, ResultSetStream};
use url::Url;

use super::{Chunk, Column, Mode, Record, Records, Table, column_list, kind, quoted, record};
use crate::db::config::DbConfig;
use crate::db::migrate::Recorded;
use crate::db::mysql::{Mysql, value};
use crate::db::row::{Collect, Row};
use crate::db::statement::Sql;
use crate::db::{DbError, Schema};

/// Parameters of one INSERT; the protocol allows 65535.
const MAX_PARAMETERS: usize = 30_000;

pub(super) struct Transaction {
    connection: Conn,
    /// Of the first service; knows how errors are classified.
    server: Mysql,
    /// Name of the installation: services' databases begin with it.
    prefix: String,
    /// The service whose database unqualified names mean now.
    entered: Option<&'static str>,
    mode: Mode,
    begun: bool,
}

impl Transaction {
    pub async fn begin(url: &Url, config: &DbConfig, schemas: &[Schema], mode: Mode) -> Result<Self, DbError> {
        let first = schemas.first().ok_or_else(|| DbError::Other("no service at all".to_owned()))?;
        let server = Mysql::new(url.clone(), config, *first)?;
        let prefix = server.database.trim_end_matches(first.service).to_owned();
        let mut connection = server.bare_connection().await?;
        // No limit of time for a statement, and patience with a reader that has to write what it reads.
        let settings = "SET SESSION net_write_timeout = 3600, net_read_timeout = 3600 /*M!100101 , max_statement_time = 0 */
            /*!80000 , max_execution_time = 0, information_schema_stats_expiry = 0 */";
        connection.query_drop(settings).await.map_err(|error| server.classify(error))?;
        let mut transaction = Self {
            connection,
            server,
            prefix,
            entered: None,
            mode,
            begun: false,
        };
        if mode == Mode::Read {
            transaction.begin_now().await?;
        }
        Ok(transaction)
    }

    async fn begin_now(&mut self) -> Result<(), DbError> {
        if self.begun {
            return Ok(());
        }
        if self.mode == Mode::Read {
            // One snapshot of all InnoDB tables of the server, taken now.
            self.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
            self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        } else {
            self.run("START TRANSACTION").await?;
        }
        self.begun = true;
        Ok(())
    }

    async fn run(&mut self, text: &str) -> Result<(), DbError> {
        let done = self.connection.query_drop(text).await;
        done.map_err(|error| self.server.classify(error))
    }

    fn name(&self, schema: Schema) -> String {
        format!("{}{}", self.prefix, schema.service)
    }

    fn full_name(&self, schema: Schema, table: &str) -> String {
        format!("{}.{}", quoted(&self.name(schema), '`'), quoted(table, '`'))
    }

    async fn rows<T: mysql_async::prelude::FromRow + Send + 'static>(&mut self, text: &str, values: Params) -> Result<Vec<T>, DbError> {
        let rows = self.connection.exec(text, values).await;
        rows.map_err(|error| self.server.classify(error))
    }

    async fn enter(&mut self, schema: Schema) -> Result<(), DbError> {
        if self.entered != Some(schema.service) {
            let enter = format!("USE {}", quoted(&self.name(schema), '`'));
            self.run(&enter).await?;
            self.entered = Some(schema.service);
        }
        Ok(())
    }

    pub async fn recorded(&mut self, schema: Schema) -> Result<Vec<Recorded>, DbError> {
        let find = "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = 'schema_migrations'";
        let name = self.name(schema);
        if self.rows::<i64>(find, (name,).into()).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.enter(schema).await?;
        self.server.recorded(&mut self.connection).await
    }

    pub async fn tables(&mut self, schema: Schema) -> Result<Vec<Table>, DbError> {
        const COLUMNS: &str = "SELECT t.table_name, c.column_name, c.data_type, c.extra LIKE '%auto_increment%'
            FROM information_schema.tables t
            JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
            WHERE t.table_schema = ? AND t.table_type = 'BASE TABLE'
            ORDER BY t.table_name, c.ordinal_position";
        const PARENTS: &str = "SELECT DISTINCT table_name, referenced_table_name FROM information_schema.key_column_usage
            WHERE table_schema = ? AND referenced_table_name IS NOT NULL";
        let name = self.name(schema);
        let mut tables: Vec<Table> = Vec::new();
        for (table, column, type_name, numbered) in self.rows::<(String, String, String, bool)>(COLUMNS, (&name,).into()).await? {
            if tables.last().is_none_or(|last| last.name != table) {
                tables.push(Table {
                    name: table,
                    columns: Vec::new(),
                    parents: Vec::new(),
                    numbered: None,
                });
            }
            let Some(table) = tables.last_mut() else { continue };
            if numbered {
                table.numbered = Some(column.clone());
            }
            table.columns.push(Column {
                name: column,
                kind: kind(&type_name)?,
            });
        }
        let parents = self.rows::<(String, String)>(PARENTS, (&name,).into()).await?;
        for (child, parent) in parents {
            if let Some(table) = tables.iter_mut().find(|table| table.name == child) {
                table.parents.push(parent);
            }
        }
        Ok(tables)
    }

    pub async fn records<'a>(&'a mut self, schema: Schema, table: &'a Table) -> Result<Records<'a>, DbError> {
        let text = format!("SELECT {} FROM {}", column_list(table, '`'), self.full_name(schema, &table.name));
        let Self { connection, server, .. } = self;
        let server = &*server;
        let rows = connection.exec_stream::<mysql_async::Row, _, _>(text, ()).await;
        let rows = rows.map_err(|error| server.classify(error))?;
        Ok(stream::try_unfold(rows, move |mut rows| async move {
            let chunk = next_chunk(&mut rows, table, server).await?;
            Ok((!chunk.is_empty()).then_some((chunk, rows)))
        })
        .boxed())
    }

    pub async fn last_number(&mut self, schema: Schema, table: &str) -> Result<i64, DbError> {
        let find = "SELECT CAST(auto_increment AS SIGNED) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?";
        let name = self.name(schema);
        let next: Vec<Option<i64>> = self.rows(find, (name, table).into()).await?;
        Ok(next.first().copied().flatten().map_or(0, |next| next - 1))
    }

    pub async fn number_after(&mut self, schema: Schema, table: &str, last: i64) -> Result<(), DbError> {
        if self.begun {
            return Err(DbError::Other("ALTER TABLE would end the transaction".to_owned()));
        }
        let alter = format!("ALTER TABLE {} AUTO_INCREMENT = {}", self.full_name(schema, table), last + 1);
        self.run(&alter).await
    }

    pub async fn insert(&mut self, schema: Schema, table: &Table, records: &[Record]) -> Result<(), DbError> {
        self.begin_now().await?;
        let holders = format!("({})", vec!["?"; table.columns.len()].join(", "));
        let into = format!("INSERT INTO {} ({})", self.full_name(schema, &table.name), column_list(table, '`'));
        for some in records.chunks(MAX_PARAMETERS / table.columns.len().max(1)) {
            let text = format!("{into} VALUES {}", vec![holders.as_str(); some.len()].join(", "));
            let values = some.iter().flatten().map(|field| value(field.plain())).collect();
            let inserted = self.connection.exec_drop(text, Params::Positional(values)).await;
            inserted.map_err(|error| self.server.classify(error))?;
        }
        Ok(())
    }

    pub async fn query(&mut self, schema: Schema, sql: &Sql, mut rows: Box<dyn Collect>) -> Result<Box<dyn Collect>, DbError> {
        self.enter(schema).await?;
        // The driver keeps prepared statements by their text, and the server keeps the tables they meant when they were prepared:
        // the same question to another service has to be another text.
        let sql = Sql {
            text: format!("/* {} */ {}", schema.service, sql.text),
            values: sql.values.clone(),
        };
        self.server.select(&mut self.connection, &sql, rows.as_mut()).await?;
        Ok(rows)
    }

    pub async fn commit(mut self) -> Result<(), DbError> {
        self.run("COMMIT").await?;
        self.server.leave(self.connection).await;
        Ok(())
    }
}

async fn next_chunk(
    rows: &mut ResultSetStream<'_, '_, 'static, mysql_async::Row, BinaryProtocol>,
    table: &Table,
    server: &Mysql,
) -> Result<Vec<Record>, DbError> {
    let mut chunk = Chunk::default();
    while !chunk.is_full()
        && let Some(row) = rows.next().await
    {
        let row = row.map_err(|error| server.classify(error))?;
        chunk.push(record(&Row::Mysql(&row), table)?);
    }
    Ok(chunk.take())
}

pub(super) async fn drop_database(url: Url, config: &DbConfig, schema: Schema) -> Result<(), DbError> {
    let server = Mysql::new(url, config, schema)?;
    let mut connection = server.bare_connection().await?;
    let drop = format!("DROP DATABASE IF EXISTS {}", quoted(&server.database, '`'));
    connection.query_drop(drop).await.map_err(|error| server.classify(error))?;
    server.leave(connection).await;
    Ok(())
}

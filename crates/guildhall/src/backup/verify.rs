//! `guildhall verify`: every invariant of every service, at one instant, with the rows that break it.

mod schema;
mod seals;

use std::collections::BTreeSet;
use std::path::Path;

use audit::AuditKey;
use contracts::Envelope;
use kernel::Timestamp;
use kernel::ids::Uuid;
use platform::check::{Check, Link, PLATFORM, Rule, Severity, Texts};
use platform::db::transfer::{Transfer, known_migrations};
use platform::db::{DbError, Engine, FromRow, Row, Schema};
use sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};
use serde::Serialize;

use super::levels::{LOST_OR_NEW, holds_rows};
use super::manifest::Manifest;
use super::{Problem, Progress, Result, files_in, refused, restore};
use crate::compose;
use crate::config::Config;

/// Offenders a check counts before it stops looking.
const COUNTED: usize = 1_000;
/// Offenders it names.
const NAMED: usize = 20;
/// Ids looked up at once in another service.
const PAGE: u64 = 500;
/// Due work that is later than this waits for somebody.
const LATE_SECONDS: i64 = 300;

#[derive(Debug, Serialize)]
pub struct Report {
    pub engine: &'static str,
    /// The instant that was looked at.
    pub as_of: Timestamp,
    /// How many checks were made.
    pub checks: usize,
    pub findings: Vec<Finding>,
    pub services: Vec<ServiceReport>,
}

/// A check that does not hold.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub service: &'static str,
    pub check: String,
    pub severity: Severity,
    /// What should hold.
    pub about: String,
    pub count: usize,
    /// There are more than were counted.
    pub more: bool,
    /// The first offenders.
    pub rows: Vec<String>,
}

/// How much there is, and what waits.
#[derive(Debug, Serialize)]
pub struct ServiceReport {
    pub service: &'static str,
    pub tables: usize,
    pub outbox_waiting: i64,
    pub outbox_parked: i64,
    /// Age of the oldest event that still waits, seconds.
    pub outbox_oldest_seconds: Option<i64>,
    pub inbox: i64,
    pub due_waiting: i64,
    pub due_given_up: i64,
    /// How late the most overdue work is, seconds.
    pub due_overdue_seconds: Option<i64>,
}

impl Report {
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// A row as text.
struct Shown(Vec<String>);

impl FromRow for Shown {
    fn from_row(row: &Row<'_>) -> std::result::Result<Self, DbError> {
        row.texts().map(Self)
    }
}

/// Verifies the installation of the configuration, while it runs or not.
pub async fn verify(config: &Config, progress: &Progress) -> Result<Report> {
    let schemas = compose::schemas();
    let transfer = Transfer::read(&config.database, &config.server.data_dir, &schemas).await?;
    let as_of = transfer.taken_at;
    Run::new(config, transfer, as_of, true, progress)?.all().await
}

/// Verifies what an archive holds: its checksums, and then the same as in an installation.
pub async fn verify_archive(config: &Config, from: &Path, progress: &Progress) -> Result<(Manifest, Report)> {
    let unpacked = restore::unpack(from, std::env::temp_dir(), progress).await?;
    let folder = unpacked.folder.path();
    let schemas = compose::schemas();
    let transfer = Transfer::read(&files_in(folder), folder, &schemas).await?;
    let manifest = unpacked.manifest;
    // An older program may have had fewer services.
    let whole = manifest.guildhall == env!("CARGO_PKG_VERSION");
    let mut run = Run::new(config, transfer, manifest.taken_at, whole, progress)?;
    run.compare(&manifest).await?;
    Ok((manifest, run.all().await?))
}

struct Run<'a> {
    transfer: Transfer,
    report: Report,
    max_lag: i64,
    /// Of the seals of audit logs; `None` where the installation's secret is not at hand.
    audit_key: Option<AuditKey>,
    progress: &'a Progress,
    /// Services whose tables are those of this program.
    current: BTreeSet<&'static str>,
    /// Services without a database.
    absent: Vec<&'static str>,
    /// Every service has to have one.
    whole: bool,
}

impl<'a> Run<'a> {
    fn new(config: &Config, transfer: Transfer, as_of: Timestamp, whole: bool, progress: &'a Progress) -> Result<Self> {
        let max_lag = config.events.max_lag.get().as_secs();
        Ok(Self {
            report: Report {
                engine: transfer.engine().as_str(),
                as_of,
                checks: 0,
                findings: Vec::new(),
                services: Vec::new(),
            },
            transfer,
            max_lag: i64::try_from(max_lag).unwrap_or(i64::MAX),
            audit_key: config.server.existing_secret()?.as_ref().map(compose::audit_key),
            progress,
            current: BTreeSet::new(),
            absent: Vec::new(),
            whole,
        })
    }

    async fn all(mut self) -> Result<Report> {
        self.progress.phase("verifying", compose::KEPT.len() as u64 * 2);
        for (schema, _) in compose::KEPT {
            let outcome = self.database(schema).await;
            self.unless_damaged(schema.service, outcome)?;
            self.progress.add(1);
        }
        if self.absent.len() == compose::KEPT.len() {
            return refused("there is no installation here: none of the databases exists");
        }
        self.absent().await?;
        for (schema, checks) in compose::KEPT {
            if self.current.contains(schema.service) {
                let outcome = self.rows(schema.service, checks).await;
                self.unless_damaged(schema.service, outcome)?;
            }
            self.progress.add(1);
        }
        let outcome = self.seals().await;
        self.unless_damaged(audit::SCHEMA.service, outcome)?;
        Ok(self.report)
    }

    async fn rows(&mut self, service: &'static str, checks: &[Check]) -> Result<()> {
        for check in PLATFORM.iter().chain(checks) {
            self.check(service, check).await?;
        }
        self.inbox(service).await?;
        self.envelopes(service).await?;
        self.waiting(service).await
    }

    /// A file of SQLite that cannot be read is a finding like others, and the other files are still verified.
    fn unless_damaged(&mut self, service: &'static str, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(Problem::Database(error)) if self.transfer.engine() == Engine::Sqlite => {
                self.current.remove(service);
                let about = "The file can be read from end to end.";
                let rows = vec![format!("{service}.sqlite3: {error}")];
                self.note(service, "database.readable", Severity::Broken, about, rows);
                Ok(())
            }
            other => other,
        }
    }

    fn note(&mut self, service: &'static str, check: &str, severity: Severity, about: &str, mut rows: Vec<String>) {
        self.report.checks += 1;
        if rows.is_empty() {
            return;
        }
        let more = rows.len() > COUNTED;
        let count = rows.len().min(COUNTED);
        rows.truncate(NAMED);
        self.report.findings.push(Finding {
            service,
            check: check.to_owned(),
            severity,
            about: about.to_owned(),
            count,
            more,
            rows,
        });
    }

    /// Whether every table of an archive is the one that was put in.
    async fn compare(&mut self, manifest: &Manifest) -> Result<()> {
        for schema in compose::schemas() {
            let Some(copy) = manifest.services.iter().find(|copy| copy.service == schema.service) else {
                continue;
            };
            let mut wrong = Vec::new();
            let tables = self.transfer.tables(schema.service).await?;
            self.progress.phase(format!("reading {}", schema.service), tables.len() as u64);
            for table in &copy.tables {
                let Some(found) = tables.iter().find(|found| found.name == table.table) else {
                    wrong.push(format!("{} is missing", table.table));
                    continue;
                };
                let digest = self.transfer.digest(schema.service, found).await?;
                if digest.rows != table.rows || digest.hex() != table.digest {
                    wrong.push(format!(
                        "{}: {} rows, {} in the manifest, or other content",
                        table.table, digest.rows, table.rows
                    ));
                }
                self.progress.add(1);
            }
            self.note(
                schema.service,
                "archive.content",
                Severity::Broken,
                "The tables are those of the manifest.",
                wrong,
            );
        }
        Ok(())
    }

    /// Migrations, pages and foreign keys.
    async fn database(&mut self, schema: &Schema) -> Result<()> {
        let service = schema.service;
        let ran = self.transfer.migrations(service).await?;
        if ran.is_empty() {
            self.absent.push(service);
            return Ok(());
        }
        let odd = ran.iter().filter(|ran| !ran.known).map(|ran| ran.label.clone()).collect::<Vec<_>>();
        let open = ran
            .iter()
            .filter(|ran| !ran.finished)
            .map(|ran| ran.label.clone())
            .collect::<Vec<_>>();
        let pending: Vec<String> = known_migrations(schema)
            .into_iter()
            .filter(|label| !ran.iter().any(|ran| ran.label == *label))
            .collect();
        if odd.is_empty() && open.is_empty() && pending.is_empty() {
            self.current.insert(service);
        }
        self.note(
            service,
            "migrations.known",
            Severity::Broken,
            "Every migration that ran is this program's.",
            odd,
        );
        self.note(
            service,
            "migrations.finished",
            Severity::Broken,
            "Every migration that began has ended.",
            open,
        );
        self.note(
            service,
            "migrations.pending",
            Severity::Attention,
            "No migration is pending; what the service keeps is verified after `guildhall migrate`.",
            pending,
        );
        let damage = self.transfer.damage(service, COUNTED + 1).await?;
        self.note(
            service,
            "database.sound",
            Severity::Broken,
            "The file is undamaged, and its foreign keys hold.",
            damage,
        );
        if self.current.contains(service) {
            self.structure(schema).await?;
        }
        Ok(())
    }

    /// Where others have rows, a service without a database is taken for lost.
    async fn absent(&mut self) -> Result<()> {
        if self.absent.is_empty() {
            return Ok(());
        }
        let lost = self.whole && self.is_used().await?;
        let severity = if lost { Severity::Broken } else { Severity::Attention };
        let about = format!("Every service has a database. {LOST_OR_NEW}.");
        for service in std::mem::take(&mut self.absent) {
            self.note(service, "database.present", severity, &about, vec![format!("{service} has none")]);
        }
        Ok(())
    }

    /// Whether somebody has worked here. A file that cannot be read is not new either.
    async fn is_used(&mut self) -> Result<bool> {
        for schema in compose::schemas() {
            match holds_rows(&mut self.transfer, schema.service).await {
                Ok(false) => {}
                Err(error) if self.transfer.engine() != Engine::Sqlite => return Err(error.into()),
                Ok(true) | Err(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn check(&mut self, service: &'static str, check: &Check) -> Result<()> {
        let (rows, under_way) = match check.rule {
            Rule::Finds(query) => (self.show(service, query(), &[]).await?, Vec::new()),
            Rule::Names(link) => match link.service {
                None => (self.show(service, link.dangling(), &columns(&link)).await?, Vec::new()),
                Some(other) if self.current.contains(other) => self.dangling_across(service, &link, other).await?,
                Some(_) => return Ok(()),
            },
            Rule::Reads(texts) => (self.unreadable(service, &texts).await?, Vec::new()),
            Rule::Handled(handled) => {
                let forgotten = handled.forgotten(self.report.as_of);
                (self.show(service, forgotten, &[handled.event, handled.at]).await?, Vec::new())
            }
        };
        self.note(service, check.name, check.severity, check.about, rows);
        if !under_way.is_empty() {
            // An event that will mend it is still on its way: not wrong, only not settled.
            let about = format!("{} (events or work that speak of these are still under way)", check.about);
            self.note(service, check.name, Severity::Attention, &about, under_way);
        }
        Ok(())
    }

    async fn show(&mut self, service: &str, mut query: SelectStatement, names: &[&str]) -> Result<Vec<String>> {
        let rows: Vec<Shown> = self.transfer.all(service, query.limit(COUNTED as u64 + 1).take()).await?;
        Ok(rows.into_iter().map(|row| line(&row.0, names)).collect())
    }

    async fn unreadable(&mut self, service: &str, texts: &Texts) -> Result<Vec<String>> {
        let (mut wrong, mut seen) = (Vec::new(), 0);
        loop {
            let rows: Vec<(String, String)> = self.transfer.all(service, texts.page(seen, PAGE)).await?;
            let faults = rows.iter().filter_map(|(id, text)| Some((id, (texts.fault)(text)?)));
            wrong.extend(faults.map(|(id, fault)| format!("{}={id}: {fault}", texts.id)));
            let read = rows.len() as u64;
            seen += read;
            if read < PAGE || wrong.len() > COUNTED {
                return Ok(wrong);
            }
        }
    }

    /// Rows that name something another service does not have; apart from them those that something under way speaks of.
    async fn dangling_across(&mut self, service: &'static str, link: &Link, other: &'static str) -> Result<(Vec<String>, Vec<String>)> {
        let (mut broken, mut under_way) = (Vec::new(), Vec::new());
        let mut after = None;
        loop {
            let names: Vec<Uuid> = self.transfer.all(service, link.named(after, PAGE)).await?;
            let Some(last) = names.last() else { break };
            after = Some(*last);
            let existing: BTreeSet<Uuid> = self.transfer.all(other, link.existing(&names)).await?.into_iter().collect();
            for missing in names.into_iter().filter(|name| !existing.contains(name)) {
                let rows = self.show_naming(service, link, missing).await?;
                if self.is_under_way(service, other, missing).await? {
                    under_way.extend(rows);
                } else {
                    broken.extend(rows);
                }
            }
            if broken.len() > COUNTED || under_way.len() > COUNTED {
                break;
            }
        }
        Ok((broken, under_way))
    }

    async fn show_naming(&mut self, service: &str, link: &Link, missing: Uuid) -> Result<Vec<String>> {
        let rows: Vec<Shown> = self.transfer.all(service, link.naming(missing, NAMED as u64)).await?;
        Ok(rows.into_iter().map(|row| line(&row.0, &columns(link))).collect())
    }

    async fn is_under_way(&mut self, service: &str, other: &str, id: Uuid) -> Result<bool> {
        let mentions = |table: &'static str, column: &'static str| {
            Query::select()
                .expr(Expr::cust("1"))
                .from(table)
                .and_where(Expr::col(column).like(format!("%{id}%")))
                .limit(1)
                .take()
        };
        let news: Vec<i64> = self.transfer.all(other, mentions("outbox", "envelope")).await?;
        let own: Vec<i64> = self.transfer.all(service, mentions("outbox", "envelope")).await?;
        let work: Vec<i64> = self.transfer.all(service, mentions("due_work", "payload")).await?;
        Ok(!news.is_empty() || !own.is_empty() || !work.is_empty())
    }

    /// Whether the inbox is that of this service's consumers: their names begin with its own.
    async fn inbox(&mut self, service: &'static str) -> Result<()> {
        let foreign = Query::select()
            .column("consumer")
            .expr(Expr::col("event_id").count())
            .from("inbox")
            .and_where(Expr::col("consumer").not_like(format!("{service}.%")))
            .group_by_col("consumer")
            .take();
        let rows = self.show(service, foreign, &["consumer", "events"]).await?;
        self.note(
            service,
            "inbox.consumer",
            Severity::Attention,
            "What the inbox remembers was handled by a consumer of this service.",
            rows,
        );
        Ok(())
    }

    /// Whether every event in the outbox can be read.
    async fn envelopes(&mut self, service: &'static str) -> Result<()> {
        let (mut after, mut wrong) = (0_i64, Vec::new());
        loop {
            let select = Query::select()
                .columns(["seq", "envelope"])
                .from("outbox")
                .and_where(Expr::col("seq").gt(after))
                .order_by("seq", sea_query::Order::Asc)
                .limit(PAGE)
                .take();
            let rows: Vec<(i64, String)> = self.transfer.all(service, select).await?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (seq, text) in &rows {
                if let Err(error) = serde_json::from_str::<Envelope>(text) {
                    wrong.push(format!("seq={seq}: {error}"));
                }
            }
            if wrong.len() > COUNTED {
                break;
            }
        }
        self.note(
            service,
            "outbox.readable",
            Severity::Broken,
            "Every event in the outbox is an envelope.",
            wrong,
        );
        Ok(())
    }

    /// What waits, and whether it waits too long.
    async fn waiting(&mut self, service: &'static str) -> Result<()> {
        let now = self.report.as_of;
        let tables = self.transfer.tables(service).await?.len();
        let counted = ServiceReport {
            service,
            tables,
            outbox_waiting: self.number(service, count("outbox", "parked_at", false)).await?.unwrap_or(0),
            outbox_parked: self.number(service, count("outbox", "parked_at", true)).await?.unwrap_or(0),
            outbox_oldest_seconds: self
                .number(service, oldest("outbox", "created_at", "parked_at"))
                .await?
                .map(|at| seconds_between(at, now)),
            inbox: self.number(service, count("inbox", "handled_at", true)).await?.unwrap_or(0),
            due_waiting: self.number(service, count("due_work", "dead_at", false)).await?.unwrap_or(0),
            due_given_up: self.number(service, count("due_work", "dead_at", true)).await?.unwrap_or(0),
            due_overdue_seconds: self
                .number(service, oldest("due_work", "run_at", "dead_at"))
                .await?
                .map(|at| seconds_between(at, now))
                .filter(|late| *late > 0),
        };
        let old = counted.outbox_oldest_seconds.filter(|age| *age > self.max_lag);
        let rows = old.map(|age| format!("{} events wait, the oldest for {age} s", counted.outbox_waiting));
        self.note(
            service,
            "outbox.age",
            Severity::Attention,
            "Events wait no longer than events.max_lag (while the server is stopped they do).",
            rows.into_iter().collect(),
        );
        let late = counted.due_overdue_seconds.filter(|late| *late > LATE_SECONDS);
        let rows = late.map(|late| format!("due work is {late} s late"));
        self.note(
            service,
            "due_work.age",
            Severity::Attention,
            "Due work runs when it is due (while the server is stopped it does not).",
            rows.into_iter().collect(),
        );
        self.report.services.push(counted);
        Ok(())
    }

    async fn number(&mut self, service: &str, select: SelectStatement) -> Result<Option<i64>> {
        let found: Vec<Option<i64>> = self.transfer.all(service, select).await?;
        Ok(found.into_iter().next().flatten())
    }
}

fn columns(link: &Link) -> Vec<&'static str> {
    let id = link.id.iter().copied().filter(|column| *column != link.column);
    id.chain([link.column]).collect()
}

fn line(values: &[String], names: &[&str]) -> String {
    let named = values.iter().enumerate().map(|(index, value)| match names.get(index) {
        Some(name) => format!("{name}={value}"),
        None => value.clone(),
    });
    named.collect::<Vec<_>>().join(" ")
}

fn count(table: &'static str, column: &'static str, filled: bool) -> SelectStatement {
    let column = Expr::col(Alias::new(column));
    Query::select()
        .expr(Expr::col(sea_query::Asterisk).count())
        .from(table)
        .and_where(if filled { column.is_not_null() } else { column.is_null() })
        .take()
}

fn oldest(table: &'static str, moment: &'static str, ended: &'static str) -> SelectStatement {
    Query::select()
        .expr(Expr::col(Alias::new(moment)).min())
        .from(table)
        .and_where(Expr::col(Alias::new(ended)).is_null())
        .take()
}

fn seconds_between(micros: i64, now: Timestamp) -> i64 {
    (now.as_micros() - micros) / 1_000_000
}

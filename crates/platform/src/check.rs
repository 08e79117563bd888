//! Invariants of what a service keeps, as data: each service lists its own, `guildhall verify` evaluates them on every engine.

use std::time::Duration;

use kernel::Timestamp;
use sea_query::{Alias, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

/// How bad it is when a check finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Cannot come about without a bug, damage or a hand in the database.
    Broken,
    /// Can come about; somebody should look.
    Attention,
}

/// Something that must hold.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// `tasks.comment_count`: stable, for scripts.
    pub name: &'static str,
    /// What must hold, as a sentence.
    pub about: &'static str,
    pub severity: Severity,
    pub rule: Rule,
}

#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// The query finds nothing; each row it finds names an offender.
    Finds(fn() -> SelectStatement),
    /// A column, unless NULL, names a row of another table.
    Names(Link),
    /// Every text of a column can be read.
    Reads(Texts),
    /// The inbox knows every event that a consumer wrote rows for.
    Handled(Handled),
}

/// `table.column` names a row of `of` by its `key`.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    pub table: &'static str,
    /// Columns that name a row of `table`.
    pub id: &'static [&'static str],
    pub column: &'static str,
    /// The service that owns `of`; `None`: the same one.
    pub service: Option<&'static str>,
    pub of: &'static str,
    pub key: &'static str,
}

impl Check {
    pub const fn finds(name: &'static str, about: &'static str, query: fn() -> SelectStatement) -> Self {
        Self::new(name, about, Rule::Finds(query))
    }

    pub const fn names(name: &'static str, about: &'static str, link: Link) -> Self {
        Self::new(name, about, Rule::Names(link))
    }

    pub const fn reads(name: &'static str, about: &'static str, texts: Texts) -> Self {
        Self::new(name, about, Rule::Reads(texts))
    }

    pub const fn handled(name: &'static str, about: &'static str, handled: Handled) -> Self {
        Self::new(name, about, Rule::Handled(handled))
    }

    const fn new(name: &'static str, about: &'static str, rule: Rule) -> Self {
        Self {
            name,
            about,
            severity: Severity::Broken,
            rule,
        }
    }

    #[must_use]
    pub const fn attention(mut self) -> Self {
        self.severity = Severity::Attention;
        self
    }
}

impl Link {
    /// Within one service.
    pub const fn new(table: &'static str, id: &'static [&'static str], column: &'static str, of: &'static str, key: &'static str) -> Self {
        Self {
            table,
            id,
            column,
            service: None,
            of,
            key,
        }
    }

    /// To another service's table.
    #[must_use]
    pub const fn in_service(mut self, service: &'static str) -> Self {
        self.service = Some(service);
        self
    }

    /// Rows that name nothing, for a link within one service: their id, then the name.
    pub fn dangling(&self) -> SelectStatement {
        let mut select = Query::select();
        for column in self.id.iter().copied().filter(|column| *column != self.column) {
            select.column((Alias::new("child"), Alias::new(column)));
        }
        let found = Expr::col((Alias::new("parent"), Alias::new(self.key)));
        select
            .column((Alias::new("child"), Alias::new(self.column)))
            .from_as(Alias::new(self.table), Alias::new("child"))
            .join_as(
                JoinType::LeftJoin,
                Alias::new(self.of),
                Alias::new("parent"),
                found.clone().eq(child(self.column)),
            )
            .and_where(found.is_null())
            .and_where(child(self.column).is_not_null())
            .take()
    }

    /// The names in use after `after`, in order, each once.
    pub fn named(&self, after: Option<uuid::Uuid>, limit: u64) -> SelectStatement {
        let column = || Expr::col(Alias::new(self.column));
        Query::select()
            .distinct()
            .column(Alias::new(self.column))
            .from(Alias::new(self.table))
            .and_where(column().is_not_null())
            .and_where_option(after.map(|after| column().gt(after)))
            .order_by(Alias::new(self.column), Order::Asc)
            .limit(limit)
            .take()
    }

    /// Which of `ids` exist where the link points to.
    pub fn existing(&self, ids: &[uuid::Uuid]) -> SelectStatement {
        Query::select()
            .column(Alias::new(self.key))
            .from(Alias::new(self.of))
            .and_where(Expr::col(Alias::new(self.key)).is_in(ids.iter().copied()))
            .take()
    }

    /// The ids of a few rows that name `id`.
    pub fn naming(&self, id: uuid::Uuid, limit: u64) -> SelectStatement {
        let mut select = Query::select();
        for column in self.id.iter().copied().filter(|column| *column != self.column) {
            select.column(Alias::new(column));
        }
        select
            .column(Alias::new(self.column))
            .from(Alias::new(self.table))
            .and_where(Expr::col(Alias::new(self.column)).eq(id))
            .limit(limit)
            .take()
    }
}

/// Texts that the program wrote and has to be able to read again, in a table of moderate size.
#[derive(Debug, Clone, Copy)]
pub struct Texts {
    pub table: &'static str,
    /// A text that names a row of `table`.
    pub id: &'static str,
    pub column: &'static str,
    /// Why it cannot be read.
    pub fault: fn(&str) -> Option<String>,
}

impl Texts {
    /// Rows after the first `skip`: their id, then the text.
    pub fn page(&self, skip: u64, limit: u64) -> SelectStatement {
        Query::select()
            .columns([self.id, self.column])
            .from(self.table)
            .order_by(self.id, Order::Asc)
            .offset(skip)
            .limit(limit)
            .take()
    }
}

/// `table.event` is the id of an event; `consumer` wrote the row at the moment `table.at`, in one unit with the inbox row.
#[derive(Debug, Clone, Copy)]
pub struct Handled {
    pub table: &'static str,
    pub event: &'static str,
    pub at: &'static str,
    pub consumer: &'static str,
}

/// Inboxes forget nothing that is younger than a week (`events.inbox_retention`); a day less, because clocks differ.
const REMEMBERED: Duration = Duration::from_secs(6 * 24 * 3_600);

impl Handled {
    /// Events of young rows that the inbox does not know, with the moment of the row.
    pub fn forgotten(&self, as_of: Timestamp) -> SelectStatement {
        let column = |name: &'static str| Expr::col((self.table, name));
        let known = Query::select()
            .expr(Expr::cust("1"))
            .from("inbox")
            .and_where(Expr::col(("inbox", "consumer")).eq(self.consumer))
            .and_where(Expr::col(("inbox", "event_id")).eq(column(self.event)))
            .take();
        Query::select()
            .columns([self.event, self.at])
            .from(self.table)
            .and_where(column(self.at).gte(as_of.minus(REMEMBERED).as_micros()))
            .and_where(Expr::exists(known).not())
            .take()
    }
}

fn child(column: &'static str) -> Expr {
    Expr::col((Alias::new("child"), Alias::new(column)))
}

/// What must hold of the tables that the platform keeps in every service's database.
pub const PLATFORM: &[Check] = &[
    Check::finds("outbox.parked", "No event was given up.", || {
        Query::select()
            .columns(["id", "event_type", "subject"])
            .from("outbox")
            .and_where(Expr::col("parked_at").is_not_null())
            .order_by("seq", Order::Asc)
            .take()
    }),
    Check::finds("outbox.repeated", "An event is in the outbox once.", || {
        Query::select()
            .column("id")
            .from("outbox")
            .group_by_col("id")
            .and_having(Expr::col("id").count().gt(1))
            .take()
    }),
    Check::names(
        "outbox.failures",
        "A noted failure belongs to an event that still waits.",
        Link::new("outbox_failures", &["event_id", "consumer"], "event_id", "outbox", "id"),
    )
    .attention(),
    Check::finds("due_work.given_up", "No due work was given up.", || {
        Query::select()
            .columns(["id", "kind", "last_error"])
            .from("due_work")
            .and_where(Expr::col("dead_at").is_not_null())
            .order_by("dead_at", Order::Asc)
            .take()
    })
    .attention(),
];

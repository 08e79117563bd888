//! Invariants of what a service keeps, as data: each service lists its own, `guildhall verify` evaluates them on every engine.

use sea_query::{Alias, Expr, ExprTrait, JoinType, Query, SelectStatement};

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
        Self {
            name,
            about,
            severity: Severity::Broken,
            rule: Rule::Finds(query),
        }
    }

    pub const fn names(name: &'static str, about: &'static str, link: Link) -> Self {
        Self {
            name,
            about,
            severity: Severity::Broken,
            rule: Rule::Names(link),
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
            .order_by(Alias::new(self.column), sea_query::Order::Asc)
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
            .order_by("seq", sea_query::Order::Asc)
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
    Check::finds("inbox.undated", "A handled event was handled at some time.", || {
        Query::select()
            .columns(["consumer", "event_id"])
            .from("inbox")
            .and_where(Expr::col("handled_at").lte(0))
            .take()
    }),
    Check::finds("due_work.given_up", "No due work was given up.", || {
        Query::select()
            .columns(["id", "kind", "last_error"])
            .from("due_work")
            .and_where(Expr::col("dead_at").is_not_null())
            .order_by("dead_at", sea_query::Order::Asc)
            .take()
    })
    .attention(),
];

//! Storage errors, classified once.

use kernel::{Error, ErrorKind, FieldError};

use super::Schema;

/// What a failed guard means to the caller. Static, so services declare them as constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    pub kind: ErrorKind,
    pub code: &'static str,
    pub detail: &'static str,
}

impl Guard {
    /// The row has another version than the caller read: 412.
    pub const VERSION: Self = Self {
        kind: ErrorKind::Precondition,
        code: "request.version_mismatch",
        detail: "The resource has changed since you read it; read it again and repeat your change.",
    };

    pub const fn conflict(code: &'static str, detail: &'static str) -> Self {
        Self {
            kind: ErrorKind::Conflict,
            code,
            detail,
        }
    }
    pub const fn not_found(code: &'static str, detail: &'static str) -> Self {
        Self {
            kind: ErrorKind::NotFound,
            code,
            detail,
        }
    }
}

/// One row of a service's table from unique constraint to field error.
#[derive(Debug, Clone, Copy)]
pub struct UniqueRule {
    /// Name on PostgreSQL and MySQL.
    pub constraint: &'static str,
    /// How SQLite reports it: `table.column, table.column`.
    pub columns: &'static str,
    /// JSON Pointer of the field to blame.
    pub pointer: &'static str,
    pub code: &'static str,
    pub detail: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A guarded statement did not touch exactly the rows it had to; nothing was written.
    #[error("guard {0:?} failed")]
    Guard(Guard),
    /// Constraint name (PostgreSQL, MySQL) or `table.column, …` (SQLite).
    #[error("unique constraint {constraint} violated")]
    Unique {
        constraint: String,
        rule: Option<&'static UniqueRule>,
    },
    #[error("foreign key violated")]
    ForeignKey,
    #[error("no row")]
    NoRow,
    /// Deadlock, serialisation failure, busy: retried already, still failing.
    #[error("contention: {0}")]
    Contention(String),
    #[error("timed out")]
    Timeout,
    /// The server cannot be reached; heals by itself.
    #[error("database is down: {0}")]
    Down(String),
    /// There is no room to store anything: nothing was written, and reading goes on. Heals when room is made.
    #[error("no room left: {0}")]
    Full(String),
    /// The engine refuses a value: a NUL character in text, text too long for its column, a number out of range.
    /// Input is checked long before; this is the last line, and no fault of the server.
    #[error("value cannot be stored: {0}")]
    Unstorable(String),
    #[error("decoding column {column}: {reason}")]
    Decode { column: usize, reason: String },
    /// The same `Idempotency-Key` was committed by another request meanwhile.
    #[error("idempotency key is in flight elsewhere")]
    IdempotencyRace,
    #[error("{0}")]
    Other(String),
}

impl DbError {
    /// The constraint a unique violation names, for callers that treat it as an answer.
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }

    /// `reported` is a constraint's name, or the columns as SQLite reports them.
    pub(super) fn unique(reported: &str, schema: &Schema) -> Self {
        Self::Unique {
            constraint: reported.to_owned(),
            rule: schema
                .unique_rules
                .iter()
                .find(|rule| rule.constraint == reported || rule.columns == reported),
        }
    }

    /// Marks a span as failed; not for what a guard or a constraint refuses, which is an answer.
    pub(super) fn note(&self, span: &tracing::Span) {
        let reason = match self {
            Self::Guard(_) | Self::Unique { .. } | Self::NoRow | Self::IdempotencyRace => return,
            Self::ForeignKey => "foreign_key",
            Self::Contention(_) => "contention",
            Self::Timeout => "timeout",
            Self::Down(_) => "down",
            Self::Full(_) => "full",
            Self::Unstorable(_) => "unstorable",
            Self::Decode { .. } => "decode",
            Self::Other(_) => "other",
        };
        crate::trace::fail(span, &reason);
    }

    /// The same error for another unit that shared the fate of the transaction.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Contention(text) => Self::Contention(text.clone()),
            Self::Down(text) => Self::Down(text.clone()),
            Self::Full(text) => Self::Full(text.clone()),
            Self::Timeout => Self::Timeout,
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<Guard> for Error {
    fn from(guard: Guard) -> Self {
        Self::new(guard.kind, guard.code, guard.detail)
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match &error {
            // The cause tells a race that was lost from a version that the caller named.
            DbError::Guard(guard) => Self::from(*guard).with_cause(error),
            DbError::Unique { rule: Some(rule), .. } => Self::conflict_field(rule).with_cause(error),
            DbError::Unique { rule: None, .. } => Self::conflict("request.duplicate", "Such an entry exists already.").with_cause(error),
            DbError::IdempotencyRace => Self::conflict(
                "request.idempotency_in_flight",
                "A request with this Idempotency-Key is still being processed.",
            ),
            DbError::Contention(_) | DbError::Down(_) => Self::unavailable(std::time::Duration::from_secs(2)).with_cause(error),
            DbError::Full(_) => Self::storage_full().with_cause(error),
            DbError::Timeout => Self::unavailable(std::time::Duration::from_secs(5)).with_cause(error),
            DbError::Unstorable(_) => Self::invalid_field("", "not_storable", "holds a value that cannot be stored").with_cause(error),
            DbError::ForeignKey => Self::conflict(
                "request.reference_gone",
                "Something that this names, or that names this, came or went at the same time; read it again.",
            )
            .with_cause(error),
            DbError::NoRow | DbError::Decode { .. } | DbError::Other(_) => Self::internal(error),
        }
    }
}

trait ConflictField {
    fn conflict_field(rule: &UniqueRule) -> Error;
}

impl ConflictField for Error {
    /// 409 with the field to blame.
    fn conflict_field(rule: &UniqueRule) -> Error {
        Error {
            fields: vec![FieldError::new(rule.pointer, rule.code, rule.detail)],
            ..Error::conflict(rule.code, rule.detail)
        }
    }
}

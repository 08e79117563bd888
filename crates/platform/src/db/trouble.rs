//! Says that background work cannot reach its database, without filling the log while it is away.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{Db, DbError};

/// Loops ask several times a second; an outage is worth a line this often.
const EVERY: Duration = Duration::from_secs(30);

/// When the log last heard of a lost database.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Instant>>);

impl Trouble {
    /// Whether a line is due, and if so, that it is written now.
    fn due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= EVERY);
        if due {
            *last = Some(now);
        }
        due
    }
}

impl Db {
    /// Logs what background work could not do and will try again. While the database is away or full this is one warning in half a
    /// minute for each service, and the rest at debug level; any other error is always a warning.
    pub fn trouble(&self, what: &'static str, error: &DbError) {
        let service = self.service();
        if !matches!(error, DbError::Down(_) | DbError::Full(_)) || self.inner.trouble.due(Instant::now()) {
            tracing::warn!(service, %error, "{what}; trying again");
        } else {
            tracing::debug!(service, %error, "{what}; trying again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_at_once_and_then_every_half_minute() {
        let trouble = Trouble::default();
        let start = Instant::now();
        let told = (0..600)
            .filter(|tenth| trouble.due(start + Duration::from_millis(100 * tenth)))
            .count();
        assert_eq!(told, 2, "at 0 s and at 30 s of 60 s");
        assert!(trouble.due(start + Duration::from_secs(60)));
    }
}

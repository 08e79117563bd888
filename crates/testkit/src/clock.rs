//! A clock under the test's control.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kernel::{Clock, Timestamp};

/// Stands still until it is told otherwise. Clones share the time.
#[derive(Debug, Clone)]
pub struct FixedClock {
    micros: Arc<AtomicI64>,
}

impl FixedClock {
    /// 2026-03-02T09:00:00Z, a Monday.
    pub const START: Timestamp = Timestamp::from_seconds(1_772_442_000);

    pub fn at(now: Timestamp) -> Self {
        Self {
            micros: Arc::new(AtomicI64::new(now.as_micros())),
        }
    }
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.as_micros(), Ordering::SeqCst);
    }
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::at(Self::START)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_still_and_moves_when_told() {
        let clock = FixedClock::default();
        let twin = clock.clone();
        assert_eq!(clock.now().to_string(), "2026-03-02T09:00:00Z");
        twin.advance(Duration::from_secs(90));
        assert_eq!(clock.now().to_string(), "2026-03-02T09:01:30Z");
    }
}

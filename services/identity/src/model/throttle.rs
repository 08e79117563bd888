//! How long a further sign-in must wait after failures.

use std::net::IpAddr;
use std::time::Duration;

use kernel::Timestamp;

use crate::config::ThrottleConfig;

/// NIST SP 800-63B allows at most 100 consecutive failures; from there on one try a day is left, which
/// slows an attacker to nothing without ever shutting the owner out for good.
const NIST_LIMIT: i64 = 100;
const DAY: Duration = Duration::from_secs(86_400);

/// What is remembered of failures under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failures {
    pub(crate) count: i64,
    pub(crate) last_failed_at: Timestamp,
}

/// How one kind of key is slowed down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    free: i64,
    cap: Duration,
    /// A quiet time after which failures are forgotten; `None`: only success forgets.
    forget_after: Option<Duration>,
    /// Drop to one try a day at [`NIST_LIMIT`].
    daily_after_limit: bool,
}

impl Policy {
    pub(crate) fn account(config: &ThrottleConfig) -> Self {
        Self {
            free: i64::from(config.account_free_failures),
            cap: Duration::from_secs(config.account_max_delay_seconds),
            forget_after: None,
            daily_after_limit: true,
        }
    }

    pub(crate) fn address(config: &ThrottleConfig) -> Self {
        Self {
            free: i64::from(config.ip_free_failures),
            cap: Duration::from_secs(config.ip_max_delay_seconds),
            forget_after: Some(Duration::from_secs(900)),
            daily_after_limit: false,
        }
    }

    pub(crate) const fn forget_after(&self) -> Option<Duration> {
        self.forget_after
    }

    /// The pause after the `count`-th failure: none while tries are free, then 1 s, 2 s, 4 s … up to the cap.
    pub(crate) fn delay(&self, count: i64) -> Duration {
        if count < self.free {
            return Duration::ZERO;
        }
        if self.daily_after_limit && count >= NIST_LIMIT {
            return DAY;
        }
        let doublings = u32::try_from(count - self.free).unwrap_or(u32::MAX).min(30);
        Duration::from_secs(1 << doublings).min(self.cap)
    }

    /// How long from `now` the next try must still wait.
    pub(crate) fn wait(&self, failures: Option<Failures>, now: Timestamp) -> Duration {
        let Some(failures) = failures else { return Duration::ZERO };
        let quiet = now.since(failures.last_failed_at);
        if self.forget_after.is_some_and(|after| quiet > after) {
            return Duration::ZERO;
        }
        self.delay(failures.count).saturating_sub(quiet)
    }
}

/// One household or server rack commands a whole IPv6 /64, so that is what counts as one address.
pub(crate) fn address_key(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(count: i64) -> Failures {
        Failures {
            count,
            last_failed_at: Timestamp::from_seconds(1_000),
        }
    }

    #[test]
    fn sec_07_delays_double_up_to_a_cap_and_never_lock_for_ever() {
        let policy = Policy::account(&ThrottleConfig::default());
        let seconds: Vec<u64> = (0..20).map(|n| policy.delay(n).as_secs()).collect();
        assert_eq!(
            seconds,
            [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]
        );
        assert_eq!(policy.delay(99).as_secs(), 900);
        assert_eq!(policy.delay(100), DAY);
        assert_eq!(policy.delay(i64::MAX), DAY, "even then one try a day is left");
    }

    #[test]
    fn sec_07_waiting_ends_and_quiet_addresses_are_forgotten() {
        let config = ThrottleConfig::default();
        let now = Timestamp::from_seconds(1_003);
        assert_eq!(Policy::account(&config).wait(Some(at(8)), now), Duration::from_secs(5));
        assert_eq!(Policy::account(&config).wait(Some(at(6)), now), Duration::ZERO);
        assert_eq!(Policy::address(&config).wait(Some(at(1_000)), now), Duration::from_secs(57));
        assert_eq!(
            Policy::address(&config).wait(Some(at(1_000)), Timestamp::from_seconds(1_901)),
            Duration::ZERO
        );
        assert_eq!(Policy::account(&config).wait(None, now), Duration::ZERO);
    }

    #[test]
    fn addresses_are_grouped_as_their_owners_are() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }

    proptest! {
        #[test]
        fn more_failures_never_wait_less(a in 0i64..300, b in 0i64..300) {
            let policy = Policy::account(&ThrottleConfig::default());
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(policy.delay(low) <= policy.delay(high));
        }
    }
}

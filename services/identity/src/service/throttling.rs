//! Slows down guessing: by account, by account and address, by address, and for the process as a whole.
//!
//! The failure is counted before the password is checked, in a unit of its own: fifty parallel guesses are fifty
//! counted ones, and no later roll-back can undo the count. A right password takes the count back.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use kernel::{Result, Timestamp};
use platform::Caller;
use platform::db::Unit;

use super::{IdentityService, audit, without_idempotency};
use crate::config::ThrottleConfig;
use crate::error::IdentityError;
use crate::model::email::EmailAddress;
use crate::model::throttle::{Failures, Policy, address_key};
use crate::model::token::{Hash, hmac_sha256};
use crate::store;
use crate::store::throttles::ThrottleRow;

/// A session used from an address so recently makes the address known.
const KNOWN_ADDRESS: Duration = Duration::from_secs(30 * 86_400);

pub(crate) struct Throttle {
    account: Policy,
    address: Policy,
    global: DefaultDirectRateLimiter,
}

/// A try that was let through and counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    account: Hash,
    pair: Hash,
    address: Hash,
}

impl Throttle {
    pub(crate) fn new(config: &ThrottleConfig) -> Self {
        let per_minute = NonZeroU32::new(config.global_per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            account: Policy::account(config),
            address: Policy::address(config),
            global: RateLimiter::direct(Quota::per_minute(per_minute)),
        }
    }
}

impl Attempt {
    /// The password was right: forget the account's failures, and take back what was counted for the address.
    pub(crate) fn succeed(self, unit: &mut Unit) {
        store::throttles::reset(unit, &[self.account, self.pair]);
        store::throttles::take_back(unit, &self.address);
    }
}

impl IdentityService {
    /// Lets a try for `email` through and counts it as failed, or says how long to wait. Knows nothing of accounts
    /// except to spare people at a known address the wait that strangers have brought upon their account.
    pub(crate) async fn admit(&self, caller: &Caller, email: &str) -> Result<Attempt> {
        if let Err(not_until) = self.throttle.global.check() {
            let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
            return Err(Self::refuse(caller, "global", wait));
        }
        let attempt = self.attempt(caller, email);
        let keys = [attempt.account, attempt.pair, attempt.address];
        let before = store::throttles::list(&self.db, &keys).await?;
        let known_here = self.check_waits(caller, email, &attempt, &before).await?;

        let mut unit = Unit::new(&without_idempotency(caller));
        let now = caller.now;
        let forgotten = self.throttle.address.forget_after().map(|after| now.minus(after));
        store::throttles::count(&mut unit, &attempt.account, now, None);
        store::throttles::count(&mut unit, &attempt.pair, now, None);
        store::throttles::count(&mut unit, &attempt.address, now, forgotten);
        let slot = store::throttles::read(&mut unit, &keys);
        let after = self.db.apply(unit).await?.take(&slot);

        // Tries that were counted between our look and our own count ran at the same time: they count as if they had failed first.
        for (key, policy, applies) in [
            (&attempt.account, &self.throttle.account, !known_here),
            (&attempt.pair, &self.throttle.account, true),
            (&attempt.address, &self.throttle.address, true),
        ] {
            let (was, is) = (count_of(&before, key), count_of(&after, key));
            if applies && is > was + 1 && !policy.delay(is - 1).is_zero() {
                return Err(Self::refuse(caller, "parallel", policy.delay(is - 1)));
            }
        }
        Ok(attempt)
    }

    /// Whether the account-wide wait was waived.
    async fn check_waits(&self, caller: &Caller, email: &str, attempt: &Attempt, rows: &[ThrottleRow]) -> Result<bool> {
        let now = caller.now;
        let pair = self.throttle.account.wait(failures_of(rows, &attempt.pair), now);
        let address = self.throttle.address.wait(failures_of(rows, &attempt.address), now);
        if !pair.max(address).is_zero() {
            return Err(Self::refuse(caller, "address", pair.max(address)));
        }
        let account = self.throttle.account.wait(failures_of(rows, &attempt.account), now);
        if account.is_zero() {
            return Ok(false);
        }
        if self.is_known_address(caller, email, now).await? {
            return Ok(true);
        }
        Err(Self::refuse(caller, "account", account))
    }

    async fn is_known_address(&self, caller: &Caller, email: &str, now: Timestamp) -> Result<bool> {
        let Some(email) = EmailAddress::parse(email) else {
            return Ok(false);
        };
        let Some(user) = store::users::find_by_email(&self.db, email.as_str()).await? else {
            return Ok(false);
        };
        let ip = caller.client_ip.to_canonical().to_string();
        Ok(store::sessions::knows_address(&self.db, user.id, &ip, now.minus(KNOWN_ADDRESS)).await?)
    }

    fn attempt(&self, caller: &Caller, email: &str) -> Attempt {
        let address = address_key(caller.client_ip);
        let account = self.account_key(email);
        let key = |parts: &[&[u8]]| hmac_sha256(&self.keyring.throttle, parts);
        Attempt {
            account,
            pair: key(&[b"pair", &account, address.as_bytes()]),
            address: key(&[b"address", address.as_bytes()]),
        }
    }

    fn account_key(&self, email: &str) -> Hash {
        hmac_sha256(&self.keyring.throttle, &[b"account", email.trim().to_lowercase().as_bytes()])
    }

    /// After a reset by mail the rightful owner starts afresh.
    pub(crate) fn forget_failures(&self, unit: &mut Unit, caller: &Caller, email: &str) {
        let attempt = self.attempt(caller, email);
        store::throttles::reset(unit, &[attempt.account, attempt.pair]);
    }

    fn refuse(caller: &Caller, scope: &str, wait: Duration) -> kernel::Error {
        audit(caller, "sign_in", None, &format!("throttled by {scope}"));
        IdentityError::Throttled(wait.max(Duration::from_secs(1))).into()
    }
}

fn failures_of(rows: &[ThrottleRow], key: &Hash) -> Option<Failures> {
    rows.iter().find(|row| row.key == key).map(|row| row.failures)
}

fn count_of(rows: &[ThrottleRow], key: &Hash) -> i64 {
    failures_of(rows, key).map_or(0, |failures| failures.count)
}

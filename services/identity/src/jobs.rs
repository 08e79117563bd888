//! Due work and sweeps.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::Result;
use platform::db::Unit;
use platform::due::{DueHandler, DueItem, Sweep};

use crate::service::{IdentityService, MailJob};
use crate::store;

/// Ended sessions are kept so long, so that a replayed token is still recognised as one.
const KEEP_ENDED: Duration = Duration::from_secs(7 * 86_400);
const KEEP_FAILURES: Duration = Duration::from_secs(90 * 86_400);
/// Expired keys stay in sight so long, so that their owner sees why a program stopped.
const KEEP_KEYS: Duration = Duration::from_secs(30 * 86_400);
const BATCH: u64 = 500;

pub(crate) struct SendMail(pub(crate) Arc<IdentityService>);

#[async_trait]
impl DueHandler for SendMail {
    fn kind(&self) -> &'static str {
        MailJob::KIND
    }
    async fn run(&self, item: &DueItem) -> Result<()> {
        self.0.run_mail_job(item).await
    }
}

pub(crate) struct RotateKeys(pub(crate) Arc<IdentityService>);

#[async_trait]
impl Sweep for RotateKeys {
    fn name(&self) -> &'static str {
        "identity.rotate_keys"
    }
    fn every(&self) -> Duration {
        Duration::from_secs(600)
    }
    async fn run(&self) -> Result<()> {
        self.0.rotate_keys().await
    }
}

pub(crate) struct CleanUp(pub(crate) Arc<IdentityService>);

#[async_trait]
impl Sweep for CleanUp {
    fn name(&self) -> &'static str {
        "identity.clean_up"
    }
    fn every(&self) -> Duration {
        Duration::from_secs(3_600)
    }
    async fn run(&self) -> Result<()> {
        self.0.clean_up().await
    }
}

impl IdentityService {
    /// Forgets what nobody can use any more.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        let now = self.now();
        let mut unit = Unit::new(&self.system("identity.clean_up"));
        store::mail_tokens::delete_expired(&mut unit, now);
        store::second_factors::delete_expired_challenges(&mut unit, now);
        store::external_identities::delete_expired_flows(&mut unit, now);
        store::api_keys::delete_expired(&mut unit, now.minus(KEEP_KEYS));
        store::throttles::delete_old(&mut unit, now.minus(KEEP_FAILURES));
        self.db.apply(unit).await?;
        loop {
            let over = store::sessions::list_over(&self.db, now.minus(KEEP_ENDED), BATCH).await?;
            if over.is_empty() {
                return Ok(());
            }
            let ids: Vec<_> = over.iter().map(|session| session.id).collect();
            let mut unit = Unit::new(&self.system("identity.clean_up"));
            store::sessions::delete(&mut unit, &ids);
            self.db.apply(unit).await?;
        }
    }
}

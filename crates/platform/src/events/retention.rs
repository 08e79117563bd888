//! Forgets what has served its time.

use std::time::Duration;

use async_trait::async_trait;
use kernel::Result;
use kernel::time::SharedClock;
use sea_query::{Alias, Expr, ExprTrait, Query};

use super::{EventsConfig, store};
use crate::context::Caller;
use crate::db::{Db, Unit};
use crate::due::Sweep;

/// How long a reply is kept for its `Idempotency-Key`; part of the API's contract.
const IDEMPOTENCY_RETENTION: Duration = Duration::from_secs(24 * 3_600);

/// Removes old inbox rows, given-up due work and idempotency keys of one database.
pub struct RetentionSweep {
    db: Db,
    clock: SharedClock,
    config: EventsConfig,
    name: &'static str,
}

impl RetentionSweep {
    pub fn new(db: Db, clock: SharedClock, config: EventsConfig) -> Self {
        Self {
            name: db.service(),
            db,
            clock,
            config,
        }
    }
}

#[async_trait]
impl Sweep for RetentionSweep {
    fn name(&self) -> &'static str {
        self.name
    }
    fn every(&self) -> Duration {
        Duration::from_secs(3_600)
    }
    async fn run(&self) -> Result<()> {
        let caller = Caller::system(&*self.clock, format!("retention-{}", self.name));
        let mut unit = Unit::new(&caller);
        unit.delete(store::delete_inbox(caller.now.minus(self.config.inbox_retention.get())));
        unit.delete(crate::due::store::delete_dead(caller.now.minus(self.config.dead_retention.get())));
        let keys = Query::delete()
            .from_table(Alias::new("idempotency_keys"))
            .and_where(Expr::col(Alias::new("created_at")).lt(caller.now.minus(IDEMPOTENCY_RETENTION).as_micros()))
            .to_owned();
        unit.delete(keys);
        self.db.apply(unit).await?;
        Ok(())
    }
}

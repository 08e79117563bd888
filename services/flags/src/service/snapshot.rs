//! All flags in memory. A change made by this process counts at the next look; one made by another replica within the time to live.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kernel::time::SharedClock;
use kernel::{Result, Timestamp};
use platform::db::Db;

use super::MAX_FLAGS;
use crate::model::Flag;
use crate::store;

/// So long another replica may answer by the flags of before.
const TIME_TO_LIVE: Duration = Duration::from_secs(5);

pub(crate) type Snapshot = Arc<BTreeMap<String, Flag>>;

struct Loaded {
    flags: Snapshot,
    at: Timestamp,
    generation: u64,
}

pub(crate) struct Snapshots {
    db: Db,
    clock: SharedClock,
    loaded: RwLock<Option<Loaded>>,
    /// Grows with every change of this process: what was read before a change is not used after it.
    generation: AtomicU64,
    /// One reads, the others wait for what it finds.
    reading: tokio::sync::Mutex<()>,
}

impl Snapshots {
    pub fn new(db: Db, clock: SharedClock) -> Self {
        Self {
            db,
            clock,
            loaded: RwLock::default(),
            generation: AtomicU64::new(0),
            reading: tokio::sync::Mutex::default(),
        }
    }

    fn fresh(&self) -> Option<Snapshot> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        loaded
            .as_ref()
            .filter(|loaded| loaded.generation == self.generation.load(Ordering::Acquire))
            .filter(|loaded| now >= loaded.at && now.since(loaded.at) < TIME_TO_LIVE)
            .map(|loaded| Arc::clone(&loaded.flags))
    }

    pub async fn get(&self) -> Result<Snapshot> {
        if let Some(flags) = self.fresh() {
            return Ok(flags);
        }
        let _reading = self.reading.lock().await;
        if let Some(flags) = self.fresh() {
            return Ok(flags);
        }
        let (generation, at) = (self.generation.load(Ordering::Acquire), self.clock.now());
        let rows = store::flags::list(&self.db, store::flags::page(None, MAX_FLAGS.into())).await?;
        let flags: Snapshot = Arc::new(rows.into_iter().map(|flag| (flag.key.clone(), flag)).collect());
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(Loaded {
            flags: Arc::clone(&flags),
            at,
            generation,
        });
        Ok(flags)
    }

    /// After a change was committed, before it is answered.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

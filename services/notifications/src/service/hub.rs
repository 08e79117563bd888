//! The live side of the event log: which workspaces somebody watches here, how far their logs reach, and the newest
//! entries, so that many readers of a workspace cost one query.
//!
//! The log in the database is the truth and the only channel between replicas. A feed learns of new entries by looking
//! at the workspace's counter: every `poll_milliseconds` for all watched workspaces in one statement, and much faster
//! for a moment after this process saw an event of the workspace on its way into the log ([`Hub::expect`]).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kernel::ids::{UserId, WorkspaceId};
use platform::db::{Db, DbError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::NotificationsError;
use crate::store::event_log::{self, Entry};

/// Newest entries kept per watched workspace.
const RECENT: usize = 256;

/// The watched part of one workspace's log.
pub(crate) struct Feed {
    workspace_id: WorkspaceId,
    /// Last known number of the log.
    head: watch::Sender<i64>,
    /// Counts hints that an entry is on its way.
    hint: watch::Sender<u64>,
    recent: tokio::sync::Mutex<VecDeque<Arc<Entry>>>,
    polling: tokio::sync::Mutex<()>,
}

impl Feed {
    pub(crate) fn head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }
    pub(crate) fn hint(&self) -> watch::Receiver<u64> {
        self.hint.subscribe()
    }
    pub(crate) fn nudge(&self) {
        self.hint.send_modify(|count| *count = count.wrapping_add(1));
    }
    pub(crate) fn advance(&self, to: i64) {
        self.head.send_if_modified(|head| {
            let moved = to > *head;
            *head = to.max(*head);
            moved
        });
    }

    /// Looks at this workspace's counter, unless another reader is doing so.
    pub(crate) async fn look(&self, db: &Db) -> Result<(), DbError> {
        if let Ok(_looking) = self.polling.try_lock()
            && let Some(head) = event_log::heads(db, &[self.workspace_id]).await?.get(&self.workspace_id)
        {
            self.advance(*head);
        }
        Ok(())
    }

    /// At most `limit` entries after `position`, in order; from memory when they are recent.
    pub(crate) async fn after(&self, db: &Db, position: i64, limit: usize) -> Result<Vec<Arc<Entry>>, DbError> {
        let mut recent = self.recent.lock().await;
        let covered = recent.front().is_some_and(|oldest| oldest.seq <= position + 1);
        let newest = recent.back().map_or(0, |entry| entry.seq);
        if !covered && newest > position {
            // A reader far behind: it reads for itself, and the newest stay for the others.
            drop(recent);
            let entries = event_log::after(db, self.workspace_id, position, limit as u64).await?;
            return Ok(entries.into_iter().map(Arc::new).collect());
        }
        // Only a reader at the end extends the memory: what it reads then all fits, and nobody's next entry is pushed out
        // between the look at `covered` and the answer.
        if newest <= position {
            for entry in event_log::after(db, self.workspace_id, position, RECENT as u64).await? {
                // A gap in the numbers (retention) would make `covered` lie.
                if recent.back().is_some_and(|last| last.seq + 1 != entry.seq) {
                    recent.clear();
                }
                recent.push_back(Arc::new(entry));
                if recent.len() > RECENT {
                    recent.pop_front();
                }
            }
            if let Some(last) = recent.back() {
                self.advance(last.seq);
            }
        }
        Ok(recent.iter().filter(|entry| entry.seq > position).take(limit).cloned().collect())
    }
}

/// All feeds and the limits on streams of this process.
pub(crate) struct Hub {
    feeds: Mutex<HashMap<WorkspaceId, Weak<Feed>>>,
    slots: Arc<Mutex<Slots>>,
    /// When all heads were read last.
    polled: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Slots {
    total: u32,
    per_user: HashMap<UserId, u32>,
}

/// One open stream of a person; counts until dropped.
pub(crate) struct StreamSlot {
    slots: Arc<Mutex<Slots>>,
    user_id: UserId,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut slots = locked(&self.slots);
        slots.total = slots.total.saturating_sub(1);
        let left = slots.per_user.get_mut(&self.user_id).map_or(0, |count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == 0 {
            slots.per_user.remove(&self.user_id);
        }
    }
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            feeds: Mutex::default(),
            slots: Arc::default(),
            polled: tokio::sync::Mutex::new(None),
        }
    }

    /// 429 beyond `per_user`, 503 beyond `total`.
    pub(crate) fn take_slot(&self, user_id: UserId, per_user: u32, total: u32) -> Result<StreamSlot, NotificationsError> {
        let mut slots = locked(&self.slots);
        if slots.per_user.get(&user_id).copied().unwrap_or(0) >= per_user {
            return Err(NotificationsError::TooManyStreams);
        }
        if slots.total >= total {
            return Err(NotificationsError::NoStreamLeft);
        }
        slots.total += 1;
        *slots.per_user.entry(user_id).or_default() += 1;
        Ok(StreamSlot {
            slots: Arc::clone(&self.slots),
            user_id,
        })
    }

    pub(crate) fn feed(&self, workspace_id: WorkspaceId) -> Arc<Feed> {
        let mut feeds = locked(&self.feeds);
        if let Some(feed) = feeds.get(&workspace_id).and_then(Weak::upgrade) {
            return feed;
        }
        let feed = Arc::new(Feed {
            workspace_id,
            head: watch::Sender::new(0),
            hint: watch::Sender::new(0),
            recent: tokio::sync::Mutex::default(),
            polling: tokio::sync::Mutex::default(),
        });
        feeds.insert(workspace_id, Arc::downgrade(&feed));
        feed
    }

    /// An event of the workspace is about to be committed to the log.
    pub(crate) fn expect(&self, workspace_id: WorkspaceId) {
        let feed = locked(&self.feeds).get(&workspace_id).and_then(Weak::upgrade);
        if let Some(feed) = feed {
            feed.nudge();
        }
    }

    /// Reads the heads of all watched workspaces, unless that was done within `interval` or is being done.
    /// Every stream calls it; whoever comes first does the work for all, so no task of its own is needed.
    pub(crate) async fn poll(&self, db: &Db, interval: Duration) -> Result<(), DbError> {
        let Ok(mut polled) = self.polled.try_lock() else {
            return Ok(());
        };
        if polled.is_some_and(|at| at.elapsed() < interval) {
            return Ok(());
        }
        let feeds: Vec<Arc<Feed>> = {
            let mut feeds = locked(&self.feeds);
            feeds.retain(|_, feed| feed.strong_count() > 0);
            feeds.values().filter_map(Weak::upgrade).collect()
        };
        let ids: Vec<WorkspaceId> = feeds.iter().map(|feed| feed.workspace_id).collect();
        let heads = event_log::heads(db, &ids).await?;
        for feed in feeds {
            if let Some(head) = heads.get(&feed.workspace_id) {
                feed.advance(*head);
            }
        }
        *polled = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ids::Uuid;

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    #[test]
    fn slots_are_bounded_per_person_and_in_all_and_come_back() {
        let hub = Hub::new();
        let first = hub.take_slot(user(1), 2, 3).expect("first");
        let _second = hub.take_slot(user(1), 2, 3).expect("second");
        assert!(matches!(hub.take_slot(user(1), 2, 3), Err(NotificationsError::TooManyStreams)));
        let _third = hub.take_slot(user(2), 2, 3).expect("third");
        assert!(matches!(hub.take_slot(user(3), 2, 3), Err(NotificationsError::NoStreamLeft)));
        drop(first);
        hub.take_slot(user(1), 2, 3).expect("free again");
        assert_eq!(locked(&hub.slots).per_user.len(), 2);
    }

    #[test]
    fn feeds_live_as_long_as_somebody_watches() {
        let hub = Hub::new();
        let workspace = WorkspaceId(Uuid::from_u128(7));
        let feed = hub.feed(workspace);
        assert!(Arc::ptr_eq(&feed, &hub.feed(workspace)));
        let mut hint = feed.hint();
        hub.expect(workspace);
        assert!(hint.has_changed().expect("open"));
        hint.mark_unchanged();
        drop((feed, hint));
        hub.expect(workspace);
        assert_eq!(*hub.feed(workspace).head().borrow(), 0);
    }
}

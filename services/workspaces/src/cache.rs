//! A brief memory of memberships for other services.
//!
//! Every lookup first drains the signals, and a change publishes its signal after its commit and before it answers;
//! so in one process a removed member is refused by the next lookup. An answer that was read before a signal is
//! never used after it: the generation tells. Other replicas, and a lost signal, are bounded by the time to live.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::workspaces::{GetMembership, GetProjectAccess, ListProjectAccess, Membership, ProjectAccess};
use kernel::Result;
use moka::sync::Cache;
use platform::signals::{Signal, Signals};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

const MAX_ENTRIES: u64 = 100_000;
/// Projects over all cached lists.
const MAX_LISTED: u64 = 200_000;

/// Each answer is kept with the generation it was asked in, and counts only in that generation.
type Answers<K, V> = Cache<K, (u64, V)>;

pub(crate) struct MembershipCache {
    pub memberships: Answers<GetMembership, Option<Membership>>,
    pub projects: Answers<GetProjectAccess, Option<ProjectAccess>>,
    pub lists: Answers<ListProjectAccess, Arc<Vec<ProjectAccess>>>,
    watch: Mutex<Watch>,
}

struct Watch {
    signals: Receiver<Signal>,
    /// Grows with every signal that concerns us.
    generation: u64,
}

impl MembershipCache {
    pub fn new(signals: &Signals, time_to_live: Duration) -> Self {
        Self {
            memberships: Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(time_to_live).build(),
            projects: Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(time_to_live).build(),
            lists: Cache::builder()
                .weigher(|_, (_, list): &(u64, Arc<Vec<ProjectAccess>>)| u32::try_from(list.len() + 1).unwrap_or(u32::MAX))
                .max_capacity(MAX_LISTED)
                .time_to_live(time_to_live)
                .build(),
            watch: Mutex::new(Watch {
                signals: signals.subscribe(),
                generation: 0,
            }),
        }
    }

    /// The remembered answer of this generation, or `load`ed and remembered.
    pub async fn get<K, V, F>(&self, cache: &Answers<K, V>, key: K, load: F) -> Result<V>
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        F: Future<Output = Result<V>>,
    {
        let generation = self.generation();
        match cache.get(&key) {
            Some((asked_in, value)) if asked_in == generation => Ok(value),
            _ => {
                let value = load.await?;
                cache.insert(key, (generation, value.clone()));
                Ok(value)
            }
        }
    }

    /// Drains the signals. Changes are rare and entries live for seconds: forgetting all is cheaper than an index by
    /// workspace.
    fn generation(&self) -> u64 {
        // A poisoned lock only means that a thread died here; the state is sound at every step.
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match watch.signals.try_recv() {
                Ok(Signal::MembershipChanged { .. }) | Err(TryRecvError::Lagged(_)) => watch.generation += 1,
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break watch.generation,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use kernel::ids::{EntityId, UserId, Uuid, WorkspaceId};

    use super::*;

    fn key() -> GetMembership {
        GetMembership {
            user_id: UserId::from_uuid(Uuid::nil()),
            workspace_id: WorkspaceId::from_uuid(Uuid::nil()),
        }
    }
    fn changed() -> Signal {
        Signal::MembershipChanged {
            workspace_id: key().workspace_id,
            user_id: None,
        }
    }
    fn member() -> Membership {
        Membership {
            workspace_id: key().workspace_id,
            user_id: key().user_id,
            role: kernel::roles::Role::Viewer,
            sales_role: None,
            strict_concurrency: false,
            time_zone: "UTC".into(),
        }
    }

    #[tokio::test]
    async fn a_signal_forgets_and_a_stale_answer_is_not_kept() {
        let signals = Signals::default();
        let cache = MembershipCache::new(&signals, Duration::from_secs(60));
        assert!(
            cache
                .get(&cache.memberships, key(), ready(Ok(Some(member()))))
                .await
                .expect("loaded")
                .is_some()
        );
        assert!(
            cache
                .get(&cache.memberships, key(), ready(Ok(None)))
                .await
                .expect("remembered")
                .is_some()
        );
        signals.publish(changed());
        assert!(
            cache
                .get(&cache.memberships, key(), ready(Ok(None)))
                .await
                .expect("forgotten")
                .is_none()
        );

        // Read before the change, answered after it: must not be stored.
        signals.publish(changed());
        let late = async {
            signals.publish(changed());
            Ok(Some(member()))
        };
        assert!(cache.get(&cache.memberships, key(), late).await.expect("loaded").is_some());
        assert!(
            cache
                .get(&cache.memberships, key(), ready(Ok(None)))
                .await
                .expect("loaded again")
                .is_none()
        );
    }
}

//! A bounded number of places and a bounded, impatient queue in front of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Cheap to clone; clones share the places and the queue.
#[derive(Debug, Clone)]
pub struct Admission {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    max_waiting: usize,
    patience: Duration,
}

/// Leaves the queue when dropped, also when whoever waited has gone.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// `places` at once, `max_waiting` more may wait, each at most `patience`.
    pub fn new(places: usize, max_waiting: usize, patience: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: Arc::default(),
            max_waiting,
            patience,
        }
    }

    /// A place, kept until it is dropped; `None` when the queue is full or the wait too long.
    pub async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Some(place);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.max_waiting {
            return None;
        }
        tokio::time::timeout(self.patience, self.places.clone().acquire_owned())
            .await
            .ok()?
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_then_the_queue_then_no() {
        let admission = Admission::new(1, 1, Duration::from_millis(20));
        let _place = admission.enter().await.expect("the only place");
        let (queued, refused) = tokio::join!(admission.enter(), admission.enter());
        assert!(queued.is_none(), "nobody left within the patience");
        assert!(refused.is_none(), "the queue has one seat");
    }

    #[tokio::test]
    async fn who_leaves_makes_room_and_who_gives_up_leaves_the_queue() {
        let admission = Admission::new(1, 1, Duration::from_secs(60));
        let place = admission.enter().await.expect("the only place");
        for _ in 0..3 {
            let waiting = tokio::time::timeout(Duration::from_millis(1), admission.enter());
            assert!(waiting.await.is_err(), "it waits");
        }
        let (queued, ()) = tokio::join!(admission.enter(), async { drop(place) });
        assert!(queued.is_some());
    }
}

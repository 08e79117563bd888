//! A bulkhead for work that burns processor and memory, such as password hashing: bounded places on blocking
//! threads, a bounded queue, and a wait that ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kernel::{Error, Result};
use tokio::sync::Semaphore;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bulkhead {
    name: &'static str,
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    max_waiting: usize,
    patience: Duration,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bulkhead {
    /// `places` run at once, `max_waiting` more may wait, each at most `patience`.
    pub fn new(name: &'static str, places: usize, max_waiting: usize, patience: Duration) -> Self {
        Self {
            name,
            places: Arc::new(Semaphore::new(places.max(1))),
            waiting: Arc::default(),
            max_waiting,
            patience,
        }
    }

    /// As many places as processors.
    pub fn per_core(name: &'static str) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(name, cores, cores * 64, Duration::from_secs(10))
    }

    /// Runs `work` on a blocking thread. `Unavailable` when the queue is full or the wait too long; work that has
    /// started is never abandoned, so its place is not given away twice.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let started = Instant::now();
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        let busy = || {
            metrics::counter!("bulkhead_rejected_total", "name" => self.name).increment(1);
            Error::unavailable(Duration::from_secs(2))
        };
        if before >= self.max_waiting + self.places.available_permits() {
            return Err(busy());
        }
        let place = tokio::time::timeout(self.patience, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(busy()) };
        drop(waiting);
        metrics::histogram!("bulkhead_wait_seconds", "name" => self.name).record(started.elapsed().as_secs_f64());
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            let _place = place;
            span.in_scope(work)
        })
        .await
        .map_err(Error::internal)
    }
}

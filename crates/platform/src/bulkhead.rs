//! A bulkhead for work that burns processor and memory, such as password hashing: bounded places on blocking
//! threads, a bounded queue, and a wait that ends.

use std::time::{Duration, Instant};

use kernel::{Error, Result};

use crate::admission::Admission;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bulkhead {
    name: &'static str,
    admission: Admission,
}

impl Bulkhead {
    /// `places` run at once, `max_waiting` more may wait, each at most `patience`.
    pub fn new(name: &'static str, places: usize, max_waiting: usize, patience: Duration) -> Self {
        Self {
            name,
            admission: Admission::new(places, max_waiting, patience),
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
        let Some(place) = self.admission.enter().await else {
            metrics::counter!("bulkhead_rejected_total", "name" => self.name).increment(1);
            return Err(Error::unavailable(Duration::from_secs(2)));
        };
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

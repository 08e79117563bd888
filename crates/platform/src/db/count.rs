//! Counts statements, so that a test can hold a use case to a fixed number.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static COUNT: Arc<AtomicU64>;
}

/// Runs `future` and tells how many statements it asked of any database, on this task.
pub async fn count_statements<F: Future>(future: F) -> (F::Output, u64) {
    let count = Arc::new(AtomicU64::new(0));
    let output = COUNT.scope(Arc::clone(&count), future).await;
    (output, count.load(Ordering::Relaxed))
}

pub(super) fn add(statements: usize) {
    // Outside of `count_statements` nobody counts.
    let _ = COUNT.try_with(|count| count.fetch_add(statements as u64, Ordering::Relaxed));
}

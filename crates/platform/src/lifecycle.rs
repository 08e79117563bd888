//! Start and stop of a process.
//!
//! Every task belongs to a [`Lifecycle`]. A task that fails or panics stops the whole process: half a process that
//! looks alive is worse than none. Stopping is soft first ([`Lifecycle::stopping`]: take no new work, finish what was
//! begun), and hard once the drain time is over: what still runs is dropped at its next await.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long dropped tasks may take to let go of what they hold.
const HARD_STOP_GRACE: Duration = Duration::from_secs(2);

/// Why the process stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// SIGINT, SIGTERM or [`Lifecycle::stop`].
    Requested(Cow<'static, str>),
    /// A task failed or panicked; the process must exit with an error.
    TaskFailed { task: Cow<'static, str>, error: String },
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested(by) => write!(f, "stopped by {by}"),
            Self::TaskFailed { task, error } => write!(f, "task {task} failed: {error}"),
        }
    }
}

/// How the process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    pub reason: StopReason,
    /// Every task ended by itself within the drain time.
    pub drained: bool,
}

impl Stopped {
    /// Whether the exit code should be zero.
    pub fn is_success(&self) -> bool {
        matches!(self.reason, StopReason::Requested(_))
    }
}

/// What a task gives back: nothing, or a result whose error stops the process.
pub trait TaskOutcome {
    fn into_failure(self) -> Option<String>;
}

impl TaskOutcome for () {
    fn into_failure(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> TaskOutcome for Result<(), E> {
    fn into_failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// Tracks the tasks of a process and stops them in order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    tasks: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    reason: Mutex<Option<StopReason>>,
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("tasks", &self.inner.tasks.len())
            .field("stopping", &self.inner.soft.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Lifecycle {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` as a tracked task. An error or a panic stops the process. Long-running tasks watch
    /// [`Lifecycle::stopping`] and return soon after it.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F)
    where
        F: Future + Send + 'static,
        F::Output: TaskOutcome + Send,
    {
        let name = name.into();
        let lifecycle = self.clone();
        self.inner.tasks.spawn(async move {
            let guarded = AssertUnwindSafe(future).catch_unwind();
            let failure = match lifecycle.inner.hard.run_until_cancelled(guarded).await {
                // Dropped by the hard stop: the process ends anyway.
                None => None,
                Some(Ok(outcome)) => outcome.into_failure(),
                Some(Err(panic)) => Some(format!("panicked: {}", panic_text(panic.as_ref()))),
            };
            if let Some(error) = failure {
                tracing::error!(task = %name, %error, "a task failed; the process stops");
                lifecycle.stop_because(StopReason::TaskFailed { task: name, error });
            }
        });
    }

    /// Fires when the process is asked to stop: take no new work.
    pub fn stopping(&self) -> CancellationToken {
        self.inner.soft.clone()
    }

    /// Fires when the drain time is over: give up what is not finished.
    pub fn aborting(&self) -> CancellationToken {
        self.inner.hard.clone()
    }

    pub fn is_stopping(&self) -> bool {
        self.inner.soft.is_cancelled()
    }

    /// Asks the process to stop, softly. The first reason is kept.
    pub fn stop(&self, by: impl Into<Cow<'static, str>>) {
        self.stop_because(StopReason::Requested(by.into()));
    }

    /// Sleeps; `false` when the process began to stop meanwhile.
    pub async fn sleep(&self, duration: Duration) -> bool {
        self.inner.soft.run_until_cancelled(tokio::time::sleep(duration)).await.is_some()
    }

    /// Waits until the process is asked to stop, then up to `drain` for its tasks, then drops the rest.
    pub async fn wait(&self, drain: Duration) -> Stopped {
        self.inner.soft.cancelled().await;
        self.inner.tasks.close();
        let drained = tokio::select! {
            () = self.inner.tasks.wait() => true,
            () = tokio::time::sleep(drain) => false,
            // A second signal.
            () = self.inner.hard.cancelled() => false,
        };
        self.inner.hard.cancel();
        if !drained {
            tracing::warn!(left = self.inner.tasks.len(), "drain time is over; dropping what still runs");
            let _ = tokio::time::timeout(HARD_STOP_GRACE, self.inner.tasks.wait()).await;
        }
        let reason = self.reason().clone();
        Stopped {
            reason: reason.unwrap_or(StopReason::Requested(Cow::Borrowed("nobody"))),
            drained,
        }
    }

    /// [`Lifecycle::wait`] with SIGTERM and SIGINT connected: the first stops softly, the second hard.
    pub async fn run(&self, mut signals: StopSignals, drain: Duration) -> Stopped {
        let lifecycle = self.clone();
        let watch = async move {
            let name = signals.next().await;
            tracing::info!(signal = name, "stopping; send it again to stop at once");
            lifecycle.stop(name);
            let name = signals.next().await;
            tracing::warn!(signal = name, "stopping at once");
            lifecycle.inner.hard.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            stopped = self.wait(drain) => stopped,
            () = watch => unreachable!("the watch never ends"),
        }
    }

    fn stop_because(&self, reason: StopReason) {
        self.reason().get_or_insert(reason);
        self.inner.soft.cancel();
    }

    fn reason(&self) -> std::sync::MutexGuard<'_, Option<StopReason>> {
        self.inner.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SIGTERM and SIGINT, or Ctrl-C. From [`StopSignals::new`] on they end the process no longer by themselves, so it stands before
/// the first work that a stop must not cut off.
#[cfg(unix)]
#[derive(Debug)]
pub struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

/// Ends with the first SIGTERM or SIGINT, whose name it gives: for commands that take back what they began.
pub async fn stop_signal() -> std::io::Result<&'static str> {
    Ok(StopSignals::new()?.next().await)
}

#[cfg(unix)]
impl StopSignals {
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
pub struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    #[expect(clippy::unnecessary_wraps, reason = "same face as on Unix")]
    pub fn new() -> std::io::Result<Self> {
        Ok(Self)
    }
    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const DRAIN: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_panicking_task_stops_the_process_and_names_itself() {
        let lifecycle = Lifecycle::new();
        let stopping = lifecycle.stopping();
        lifecycle.spawn("server", async move { stopping.cancelled().await });
        lifecycle.spawn("relay", async {
            assert!(std::hint::black_box(false), "disk on fire");
        });
        let stopped = lifecycle.wait(DRAIN).await;
        assert_eq!(
            stopped.reason,
            StopReason::TaskFailed {
                task: "relay".into(),
                error: "panicked: disk on fire".into()
            }
        );
        assert!(stopped.drained, "the server had time to end by itself");
        assert!(!stopped.is_success());
    }

    #[tokio::test]
    async fn a_failing_task_stops_the_process_but_an_ending_one_does_not() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("one-shot", async {});
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!lifecycle.is_stopping());
        lifecycle.spawn("listener", async { Err::<(), _>(std::io::Error::other("port taken")) });
        let stopped = lifecycle.wait(DRAIN).await;
        assert_eq!(stopped.reason.to_string(), "task listener failed: port taken");
    }

    #[tokio::test]
    async fn what_outlives_the_drain_is_dropped() {
        struct Dropped(Arc<AtomicBool>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let lifecycle = Lifecycle::new();
        let dropped = Arc::new(AtomicBool::new(false));
        let guard = Dropped(Arc::clone(&dropped));
        lifecycle.spawn("stuck", async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        lifecycle.stop("test");
        let stopped = lifecycle.wait(Duration::from_millis(50)).await;
        assert!(!stopped.drained);
        assert!(stopped.is_success(), "an overlong drain is no failure of a task");
        assert!(dropped.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn the_first_reason_is_kept() {
        let lifecycle = Lifecycle::new();
        lifecycle.stop("SIGTERM");
        lifecycle.spawn("late", async { Err::<(), _>("closed") });
        let stopped = lifecycle.wait(DRAIN).await;
        assert_eq!(stopped.reason, StopReason::Requested("SIGTERM".into()));
        assert!(!lifecycle.sleep(Duration::from_secs(60)).await, "sleeping ends with the process");
    }
}

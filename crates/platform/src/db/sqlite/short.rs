//! Reads on the task that asks.
//!
//! Handing a read to a thread and its rows back wakes two threads, which costs ten times what a read by id does. So a read is first
//! tried where it is asked for, on a reader's connection that is free, with a bound on the work: what goes beyond it is broken
//! off, goes to a reader thread, and is remembered, so that it goes there at once the next time. A disk that keeps one read after
//! the other waiting sends the next ones to the threads as well, because what blocks here blocks other requests.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{Collect, DbError, Schema, collect};
use crate::db::unit::Ask;

/// Instructions of SQLite's virtual machine between two looks at the bound. A read by id is about a hundred.
const LOOK_EVERY: i32 = 1_000;
/// Looks that a short read may last: at most some 50 microseconds.
const LOOKS: u32 = 3;
/// Statements remembered as long; then all are forgotten and learnt anew.
const MAX_LONG: usize = 1_000;
/// A short read that took longer has waited for a disk, or for the processor.
const SLOW: Duration = Duration::from_millis(2);
/// What a slow read adds to the suspicion against the disk; each other one takes one off. On a busy machine one read in a hundred is
/// interrupted by the scheduler, and that alone must not send the others to the threads.
const SUSPICION: u32 = 16;
/// How much suspicion is too much: three slow reads in a row, or one in sixteen for long.
const TOO_SUSPICIOUS: u32 = 40;
/// Reads that go to the threads then.
const PENALTY: u32 = 64;
const NO_BOUND: u32 = u32::MAX;

struct Reader {
    connection: Connection,
    /// Looks left; the connection's progress handler counts them down.
    looks: Arc<AtomicU32>,
}

/// The connections of the reader threads.
pub(super) struct ShortReads {
    readers: Vec<Mutex<Reader>>,
    /// Hashes of the texts of statements that went beyond the bound.
    long: Mutex<HashSet<u64>>,
    hasher: RandomState,
    suspicion: AtomicU32,
    penalty: AtomicU32,
}

impl ShortReads {
    pub fn new(connections: Vec<Connection>) -> rusqlite::Result<Self> {
        let reader = |mut connection: Connection| {
            let looks = Arc::new(AtomicU32::new(NO_BOUND));
            let left = Arc::clone(&looks);
            let over = move || match left.load(Ordering::Relaxed) {
                NO_BOUND => false,
                0 => true,
                some => {
                    left.store(some - 1, Ordering::Relaxed);
                    some == 1
                }
            };
            connection.progress_handler(LOOK_EVERY, Some(over))?;
            Ok(Mutex::new(Reader { connection, looks }))
        };
        Ok(Self {
            readers: connections.into_iter().map(reader).collect::<rusqlite::Result<_>>()?,
            long: Mutex::default(),
            hasher: RandomState::new(),
            suspicion: AtomicU32::new(0),
            penalty: AtomicU32::new(0),
        })
    }

    /// For reader thread `index`, without a bound.
    pub fn patiently(&self, index: usize, task: impl FnOnce(&Connection)) {
        let reader = self.readers[index].lock().unwrap_or_else(PoisonError::into_inner);
        reader.looks.store(NO_BOUND, Ordering::Relaxed);
        task(&reader.connection);
    }

    /// `None` when it must go to a thread.
    pub fn run(&self, asks: &[Ask], schema: &Schema) -> Option<Result<Vec<Box<dyn Collect>>, DbError>> {
        let penalty = self.penalty.load(Ordering::Relaxed);
        if penalty > 0 {
            self.penalty.store(penalty - 1, Ordering::Relaxed);
            return None;
        }
        if asks.iter().any(|ask| self.is_long(ask)) {
            return None;
        }
        let reader = self.free()?;
        let begun = Instant::now();
        reader.looks.store(LOOKS, Ordering::Relaxed);
        let result = collect(&reader.connection, asks, schema);
        let over = reader.looks.load(Ordering::Relaxed) == 0;
        drop(reader);
        self.weigh(begun.elapsed() > SLOW);
        if over && result.is_err() {
            self.remember(asks);
            return None;
        }
        Some(result)
    }

    /// Counts that two threads change at once may be off by one; it is a guess anyway.
    fn weigh(&self, slow: bool) {
        let suspicion = self.suspicion.load(Ordering::Relaxed);
        match (slow, suspicion) {
            (false, 0) => {}
            (false, some) => self.suspicion.store(some - 1, Ordering::Relaxed),
            (true, some) if some + SUSPICION > TOO_SUSPICIOUS => {
                self.suspicion.store(0, Ordering::Relaxed);
                self.penalty.store(PENALTY, Ordering::Relaxed);
            }
            (true, some) => self.suspicion.store(some + SUSPICION, Ordering::Relaxed),
        }
    }

    fn free(&self) -> Option<MutexGuard<'_, Reader>> {
        self.readers.iter().find_map(|reader| match reader.try_lock() {
            Ok(reader) => Some(reader),
            // A decoder panicked; the connection is sound.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    fn is_long(&self, ask: &Ask) -> bool {
        let hash = self.hasher.hash_one(&ask.sql.text);
        self.long.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash)
    }

    /// Which of several was too much is not known; asked for together they are one read.
    fn remember(&self, asks: &[Ask]) {
        let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        if long.len() >= MAX_LONG {
            long.clear();
        }
        long.extend(asks.iter().map(|ask| self.hasher.hash_one(&ask.sql.text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disk_that_stays_slow_sends_reads_to_the_threads() {
        let reads = ShortReads::new(Vec::new()).expect("no reader");
        let penalty = || reads.penalty.load(Ordering::Relaxed);
        for read in 0..10_000 {
            reads.weigh(read % 100 == 0);
        }
        assert_eq!(penalty(), 0, "now and then the scheduler interrupts one");
        (0..2).for_each(|_| reads.weigh(true));
        assert_eq!(penalty(), 0);
        reads.weigh(true);
        assert_eq!(penalty(), PENALTY, "three in a row");
        reads.penalty.store(0, Ordering::Relaxed);
        for read in 0..100 {
            reads.weigh(read % 10 == 0);
        }
        assert_eq!(penalty(), PENALTY, "one in ten for long");
    }
}

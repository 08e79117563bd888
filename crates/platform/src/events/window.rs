//! What the relay holds in memory: undelivered events, and a lane per consumer and aggregate.
//!
//! A lane delivers one event at a time, in the order of `seq`; a failing one waits alone. Pure: no I/O, no clock of
//! its own, so the order rules are tested without a database.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use contracts::Envelope;
use kernel::Timestamp;
use kernel::ids::EventId;
use tokio::time::Instant;

/// Consumer (its place in the relay's list) and aggregate.
pub(super) type LaneKey = (usize, Arc<str>);

/// One event on its way to one consumer.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub lane: LaneKey,
    pub seq: i64,
    pub envelope: Arc<Envelope>,
    /// Failed attempts so far.
    pub failures: u32,
}

#[derive(Debug)]
struct Entry {
    envelope: Arc<Envelope>,
    created_at: Timestamp,
    /// Consumers that have not settled it yet.
    waiting: BTreeSet<usize>,
    /// Failed attempts per consumer.
    failures: HashMap<usize, u32>,
    given_up: bool,
}

#[derive(Debug, Default)]
struct Lane {
    queue: BTreeSet<i64>,
    state: LaneState,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum LaneState {
    #[default]
    Idle,
    Ready,
    Running,
    Resting,
}

/// An event that every consumer has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    pub seq: i64,
    pub id: EventId,
    /// A consumer gave it up: it is kept, not removed.
    pub parked: bool,
    /// Failures are noted in the database and go with it.
    pub had_failures: bool,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    entries: BTreeMap<i64, Entry>,
    lanes: HashMap<LaneKey, Lane>,
    ready: VecDeque<LaneKey>,
    resting: BinaryHeap<Reverse<(Instant, LaneKey)>>,
    settled: Vec<Settled>,
    /// Settled, but not yet removed from the database: a scan may still find them.
    leaving: BTreeSet<i64>,
}

impl Window {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn knows(&self, seq: i64) -> bool {
        self.entries.contains_key(&seq) || self.leaving.contains(&seq)
    }

    /// Takes an event in. `consumers` are those who still want it, with their failed attempts.
    pub fn add(&mut self, seq: i64, envelope: Envelope, created_at: Timestamp, consumers: &[(usize, u32)], given_up: bool) {
        if self.knows(seq) {
            return;
        }
        let subject: Arc<str> = Arc::from(envelope.subject.as_str());
        let entry = Entry {
            envelope: Arc::new(envelope),
            created_at,
            waiting: consumers.iter().map(|(consumer, _)| *consumer).collect(),
            failures: consumers.iter().copied().filter(|(_, failures)| *failures > 0).collect(),
            given_up,
        };
        self.entries.insert(seq, entry);
        for (consumer, _) in consumers {
            let key = (*consumer, Arc::clone(&subject));
            self.lanes.entry(key.clone()).or_default().queue.insert(seq);
            self.make_ready(&key);
        }
        self.settle_if_done(seq);
    }

    fn make_ready(&mut self, key: &LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key)
            && lane.state == LaneState::Idle
            && !lane.queue.is_empty()
        {
            lane.state = LaneState::Ready;
            self.ready.push_back(key.clone());
        }
    }

    /// The next delivery; its lane waits for [`Window::delivered`] or [`Window::failed`].
    pub fn next(&mut self, now: Instant) -> Option<Delivery> {
        while let Some(Reverse((at, _))) = self.resting.peek() {
            if *at > now {
                break;
            }
            if let Some(Reverse((_, key))) = self.resting.pop() {
                if let Some(lane) = self.lanes.get_mut(&key) {
                    lane.state = LaneState::Idle;
                }
                self.make_ready(&key);
            }
        }
        let key = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&key)?;
        let seq = *lane.queue.first()?;
        lane.state = LaneState::Running;
        let entry = self.entries.get(&seq)?;
        Some(Delivery {
            seq,
            envelope: Arc::clone(&entry.envelope),
            failures: entry.failures.get(&key.0).copied().unwrap_or(0),
            lane: key,
        })
    }

    /// When the next resting lane may go on.
    pub fn next_wake(&self) -> Option<Instant> {
        self.resting.peek().map(|Reverse((at, _))| *at)
    }

    /// The consumer has it, or (`given_up`) will never have it; the lane goes on.
    pub fn delivered(&mut self, delivery: &Delivery, given_up: bool) {
        if let Some(entry) = self.entries.get_mut(&delivery.seq) {
            entry.waiting.remove(&delivery.lane.0);
            entry.given_up |= given_up;
        }
        if let Some(lane) = self.lanes.get_mut(&delivery.lane) {
            lane.queue.remove(&delivery.seq);
            lane.state = LaneState::Idle;
            if lane.queue.is_empty() {
                self.lanes.remove(&delivery.lane);
            }
        }
        self.make_ready(&delivery.lane);
        self.settle_if_done(delivery.seq);
    }

    /// The delivery failed; its lane rests until `again`. `counts`: towards giving up.
    pub fn failed(&mut self, delivery: &Delivery, again: Instant, counts: bool) {
        if let Some(entry) = self.entries.get_mut(&delivery.seq) {
            *entry.failures.entry(delivery.lane.0).or_default() += u32::from(counts);
        }
        if let Some(lane) = self.lanes.get_mut(&delivery.lane) {
            lane.state = LaneState::Resting;
            self.resting.push(Reverse((again, delivery.lane.clone())));
        }
    }

    fn settle_if_done(&mut self, seq: i64) {
        if let Some(entry) = self.entries.get(&seq)
            && entry.waiting.is_empty()
        {
            self.settled.push(Settled {
                seq,
                id: entry.envelope.id,
                parked: entry.given_up,
                had_failures: !entry.failures.is_empty(),
            });
            self.entries.remove(&seq);
            self.leaving.insert(seq);
        }
    }

    pub fn has_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    pub fn take_settled(&mut self, limit: usize) -> Vec<Settled> {
        let count = self.settled.len().min(limit);
        self.settled.drain(..count).collect()
    }

    /// They are gone from the database.
    pub fn removed(&mut self, settled: &[Settled]) {
        for one in settled {
            self.leaving.remove(&one.seq);
        }
    }

    /// They could not be removed; later again.
    pub fn not_removed(&mut self, settled: Vec<Settled>) {
        self.settled.extend(settled);
    }

    /// Creation of the oldest undelivered event.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.entries.values().next().map(|entry| entry.created_at)
    }

    /// Creation of the oldest event that waits although nothing is wrong with it or one before it.
    pub fn oldest_untried(&self) -> Option<Timestamp> {
        let behind_failure = |subject: &str, consumer: usize| {
            let lane = self.lanes.get(&(consumer, Arc::from(subject)));
            lane.is_some_and(|lane| {
                lane.state == LaneState::Resting || lane.queue.first().is_some_and(|seq| self.has_failed(*seq, consumer))
            })
        };
        let untried = |entry: &&Entry| {
            entry
                .waiting
                .iter()
                .any(|consumer| !behind_failure(&entry.envelope.subject, *consumer))
        };
        self.entries.values().find(untried).map(|entry| entry.created_at)
    }

    fn has_failed(&self, seq: i64, consumer: usize) -> bool {
        self.entries.get(&seq).is_some_and(|entry| entry.failures.contains_key(&consumer))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kernel::Actor;
    use kernel::ids::{EntityId, Uuid};

    use super::*;

    fn event(seq: i64, subject: &str) -> Envelope {
        Envelope {
            specversion: "1.0".into(),
            id: EventId::from_uuid(Uuid::from_u128(u128::from(seq.unsigned_abs()))),
            source: "/services/test".into(),
            event_type: "test.happened.v1".into(),
            subject: subject.into(),
            time: Timestamp::default(),
            datacontenttype: "application/json".into(),
            workspaceid: None,
            actor: Actor::System,
            traceparent: None,
            requestid: None,
            data: serde_json::Value::Null,
        }
    }

    fn window(events: &[(i64, &str)], consumers: &[(usize, u32)]) -> Window {
        let mut window = Window::default();
        for (seq, subject) in events {
            window.add(*seq, event(*seq, subject), Timestamp::from_micros(*seq), consumers, false);
        }
        window
    }

    #[test]
    fn one_at_a_time_per_lane_in_order_and_lanes_beside_each_other() {
        let mut window = window(&[(2, "a"), (1, "a"), (3, "b")], &[(0, 0)]);
        let now = Instant::now();
        let first = window.next(now).expect("a lane is ready");
        let second = window.next(now).expect("the other lane is ready");
        assert_eq!((first.seq, second.seq), (1, 3), "late 1 comes before 2");
        assert!(window.next(now).is_none(), "2 waits for 1");
        window.delivered(&first, false);
        assert_eq!(window.next(now).map(|delivery| delivery.seq), Some(2));
    }

    #[test]
    fn a_failure_holds_back_only_its_aggregate_for_its_consumer() {
        let mut window = window(&[(1, "a"), (2, "a"), (3, "b")], &[(0, 0), (1, 0)]);
        let now = Instant::now();
        let mut delivered = Vec::new();
        while let Some(delivery) = window.next(now) {
            if delivery.seq == 1 && delivery.lane.0 == 0 {
                window.failed(&delivery, now + Duration::from_secs(9), true);
            } else {
                delivered.push((delivery.lane.0, delivery.seq));
                window.delivered(&delivery, false);
            }
        }
        delivered.sort_unstable();
        assert_eq!(delivered, [(0, 3), (1, 1), (1, 2), (1, 3)]);
        assert_eq!(window.take_settled(9).iter().map(|settled| settled.seq).collect::<Vec<_>>(), [3]);
        assert_eq!(window.oldest(), Some(Timestamp::from_micros(1)));
        assert_eq!(
            window.oldest_untried(),
            None,
            "what waits behind a failure does not make the relay late"
        );
        assert_eq!(window.next_wake(), Some(now + Duration::from_secs(9)));

        let again = window.next(now + Duration::from_secs(10)).expect("rested");
        assert_eq!((again.seq, again.failures), (1, 1));
        window.delivered(&again, true);
        let settled = window.take_settled(9);
        assert!(settled[0].parked && settled[0].had_failures, "given up, so kept");
        assert_eq!(
            window.next(now + Duration::from_secs(10)).map(|delivery| delivery.seq),
            Some(2),
            "and the lane goes on"
        );
    }

    #[test]
    fn what_nobody_wants_is_settled_and_what_leaves_is_not_taken_in_again() {
        let mut window = window(&[(1, "a")], &[]);
        let settled = window.take_settled(9);
        assert_eq!(settled.len(), 1);
        assert!(window.knows(1), "the row may still be there");
        window.not_removed(settled);
        let settled = window.take_settled(9);
        window.removed(&settled);
        assert!(!window.knows(1) && window.len() == 0);
    }
}

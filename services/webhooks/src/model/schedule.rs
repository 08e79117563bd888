//! What follows from an answer, and when a message is sent again.

use std::time::Duration;

use kernel::Timestamp;

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}
const fn hours(n: u64) -> Duration {
    minutes(60 * n)
}

/// Pauses after the first, second, … failure: the schedule that Standard Webhooks recommends, about three days in all.
pub(crate) const RETRY_AFTER: [Duration; 9] = [
    Duration::from_secs(5),
    minutes(5),
    minutes(30),
    hours(2),
    hours(5),
    hours(10),
    hours(14),
    hours(20),
    hours(24),
];
/// The first one and a retry after each pause.
pub(crate) const MAX_TRIES: i32 = 10;
/// Those who failed together do not come back together: up to so much of the pause is added.
const JITTER: f64 = 0.1;
/// No receiver can ask for more, or a message would never be given up.
const LONGEST_RETRY_AFTER: Duration = hours(24);

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// No answer at all.
    None,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Delivered,
    /// Sent again at `at`; with `pause` nothing is sent to this webhook before, for the receiver asked for quiet.
    Retry {
        at: Timestamp,
        pause: bool,
    },
    /// All tries are used up.
    Exhausted,
    /// The receiver wants no more messages at all (410).
    Gone,
}

/// `tries` counts this one; `luck` from 0 to 1 spreads the retries. Redirects are failures like any other.
pub(crate) fn judge(answer: Answer, tries: i32, now: Timestamp, luck: f64) -> Verdict {
    let (status, asked) = match answer {
        Answer::Status { status: 200..=299, .. } => return Verdict::Delivered,
        Answer::Status { status: 410, .. } => return Verdict::Gone,
        Answer::Status { status, retry_after } => (status, retry_after.map(|after| after.min(LONGEST_RETRY_AFTER))),
        Answer::None => (0, None),
    };
    let pause = usize::try_from(tries - 1).ok().and_then(|index| RETRY_AFTER.get(index));
    let Some(pause) = pause.filter(|_| tries < MAX_TRIES) else {
        return Verdict::Exhausted;
    };
    let planned = pause.mul_f64(1.0 + JITTER * luck.clamp(0.0, 1.0));
    Verdict::Retry {
        at: now.plus(asked.map_or(planned, |asked| planned.max(asked))),
        pause: asked.is_some() && matches!(status, 429 | 503),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_772_442_000);

    fn status(status: u16) -> Answer {
        Answer::Status { status, retry_after: None }
    }
    fn asking(status: u16, seconds: u64) -> Answer {
        Answer::Status {
            status,
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn ten_tries_over_three_days() {
        let total: Duration = RETRY_AFTER.iter().sum();
        assert!(total > hours(72) && total < hours(80), "{total:?}");
        for tries in 1..MAX_TRIES {
            let pause = RETRY_AFTER[usize::try_from(tries - 1).unwrap()];
            assert_eq!(
                judge(status(500), tries, NOW, 0.0),
                Verdict::Retry {
                    at: NOW.plus(pause),
                    pause: false
                }
            );
        }
        assert_eq!(judge(status(500), MAX_TRIES, NOW, 0.5), Verdict::Exhausted);
        assert_eq!(judge(Answer::None, MAX_TRIES, NOW, 0.5), Verdict::Exhausted);
    }

    #[test]
    fn only_2xx_is_success_and_410_is_the_end() {
        for code in [200, 201, 202, 204, 299] {
            assert_eq!(judge(status(code), 1, NOW, 0.0), Verdict::Delivered);
        }
        assert_eq!(judge(status(410), 1, NOW, 0.0), Verdict::Gone);
        for code in [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503] {
            assert!(matches!(judge(status(code), 1, NOW, 0.0), Verdict::Retry { .. }), "{code}");
        }
    }

    #[test]
    fn retry_after_is_obeyed_within_a_day() {
        let at = |seconds: u64| NOW.plus(Duration::from_secs(seconds));
        assert_eq!(judge(asking(429, 60), 1, NOW, 0.0), Verdict::Retry { at: at(60), pause: true });
        assert_eq!(judge(asking(503, 60), 1, NOW, 0.0), Verdict::Retry { at: at(60), pause: true });
        assert_eq!(judge(asking(500, 60), 1, NOW, 0.0), Verdict::Retry { at: at(60), pause: false });
        // Never sooner than planned, never later than a day.
        assert_eq!(judge(asking(429, 1), 2, NOW, 0.0), Verdict::Retry { at: at(300), pause: true });
        assert_eq!(
            judge(asking(429, 10_000_000), 1, NOW, 0.0),
            Verdict::Retry {
                at: at(86_400),
                pause: true
            }
        );
    }

    proptest! {
        #[test]
        fn jitter_only_adds_and_at_most_a_tenth(tries in 1..MAX_TRIES, luck in 0.0..=1.0) {
            let pause = RETRY_AFTER[usize::try_from(tries - 1).unwrap()];
            let Verdict::Retry { at, .. } = judge(Answer::None, tries, NOW, luck) else { panic!("a retry") };
            prop_assert!(at.since(NOW) >= pause && at.since(NOW) <= pause.mul_f64(1.1));
        }
    }
}

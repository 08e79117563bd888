//! Where a live event stream starts.

/// What is left of a workspace's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogBounds {
    /// Smallest number still kept; `head + 1` when nothing is kept.
    pub oldest: i64,
    /// Last number given out; 0 when there never was an event.
    pub head: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Send what comes after this number.
    After(i64),
    /// The gap cannot be filled: the client has to load everything again, then goes on after this number.
    Reset(i64),
}

/// `last_event_id` is what the client saw last. Without one it starts at the head; with one that was never given
/// out (another installation, a restored backup) or whose successors are gone, it must reload.
pub(crate) fn resume(bounds: LogBounds, last_event_id: Option<&str>) -> Resume {
    let Some(text) = last_event_id else {
        return Resume::After(bounds.head);
    };
    match text.trim().parse::<i64>() {
        Ok(seen) if seen <= bounds.head && seen >= bounds.oldest - 1 && seen >= 0 => Resume::After(seen),
        _ => Resume::Reset(bounds.head),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Either the client continues without a gap, or it is told to reload.
        #[test]
        fn no_event_is_skipped_in_silence(oldest in 1_i64..50, length in 0_i64..50, seen in -5_i64..120) {
            let bounds = LogBounds { oldest, head: oldest + length - 1 };
            match resume(bounds, Some(&seen.to_string())) {
                Resume::After(position) => {
                    prop_assert_eq!(position, seen);
                    prop_assert!(position + 1 >= bounds.oldest && position <= bounds.head);
                }
                Resume::Reset(position) => {
                    prop_assert_eq!(position, bounds.head);
                    prop_assert!(seen + 1 < bounds.oldest || seen > bounds.head || seen < 0);
                }
            }
        }

        #[test]
        fn text_that_is_no_number_resets(text in "[a-z:/ -]{1,20}") {
            prop_assert_eq!(resume(LogBounds { oldest: 1, head: 9 }, Some(&text)), Resume::Reset(9));
        }
    }

    #[test]
    fn a_new_client_starts_at_the_head() {
        assert_eq!(resume(LogBounds { oldest: 1, head: 0 }, None), Resume::After(0));
        assert_eq!(resume(LogBounds { oldest: 4, head: 7 }, None), Resume::After(7));
        assert_eq!(resume(LogBounds { oldest: 8, head: 7 }, Some("7")), Resume::After(7));
    }
}

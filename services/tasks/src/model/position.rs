//! The order of tasks on a board: fractional indexes (crate `fractional_index`), stored as hexadecimal text whose
//! byte order is the order of the tasks. Moving a task writes one row.
//!
//! A new task's index is the time of its creation, so appending never makes indexes longer (a chain of "after the
//! last one" would grow by a byte every 127 tasks). Equal indexes fall back to the task id.

use fractional_index::FractionalIndex;
use kernel::Timestamp;

/// Longest stored index, in hexadecimal characters. Some 2,000 moves into the very same gap.
pub(crate) const MAX_POSITION: usize = 512;

const TERMINATOR: u8 = 0x80;

/// An index after everything placed at the end before `now`. `salt` tells apart what happens in one microsecond.
pub(crate) fn at_end(now: Timestamp, salt: u16) -> String {
    let micros = now.as_micros().max(0).to_be_bytes();
    let mut bytes = micros[1..].to_vec();
    bytes.extend_from_slice(&salt.to_be_bytes());
    bytes.push(TERMINATOR);
    // The bytes end with the terminator, so this cannot fail; the default is a valid index all the same.
    FractionalIndex::from_bytes(bytes).unwrap_or_default().to_string()
}

/// An index between two neighbours; `None` on a side means the end of the list. `None` when there is no room:
/// the neighbours are equal or in the wrong order, or the index would become too long.
pub(crate) fn between(lower: Option<&str>, upper: Option<&str>, now: Timestamp) -> Option<String> {
    let parse = |text: &str| FractionalIndex::from_string(text).ok();
    let index = match (lower, upper) {
        (None, None) => return Some(at_end(now, 0)),
        (Some(lower), None) => {
            // The end: as if created now, unless the last one lies even further out.
            let end = at_end(now, 0);
            if lower < end.as_str() {
                return Some(end);
            }
            FractionalIndex::new_after(&parse(lower)?)
        }
        (None, Some(upper)) => FractionalIndex::new_before(&parse(upper)?),
        (Some(lower), Some(upper)) if lower < upper => FractionalIndex::new_between(&parse(lower)?, &parse(upper)?)?,
        (Some(_), Some(_)) => return None,
    };
    Some(index.to_string()).filter(|text| text.len() <= MAX_POSITION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    #[test]
    fn appending_keeps_order_and_length() {
        let mut last = at_end(NOW, 0);
        for i in 1..5_000_u64 {
            let next = at_end(NOW.plus(std::time::Duration::from_micros(i)), 0);
            assert!(last < next && next.len() == 20);
            last = next;
        }
    }

    #[test]
    fn equal_or_swapped_neighbours_leave_no_room() {
        let (a, b) = (at_end(NOW, 1), at_end(NOW, 2));
        assert!(between(Some(&a), Some(&b), NOW).is_some());
        assert_eq!(between(Some(&a), Some(&a), NOW), None);
        assert_eq!(between(Some(&b), Some(&a), NOW), None);
    }

    #[test]
    fn bisecting_one_gap_works_a_thousand_times_before_it_is_full() {
        let (lower, mut upper) = (at_end(NOW, 1), at_end(NOW, 2));
        for _ in 0..1_000 {
            let middle = between(Some(&lower), Some(&upper), NOW).expect("room");
            assert!(lower < middle && middle < upper);
            upper = middle;
        }
    }

    proptest! {
        /// Any sequence of moves leaves a list whose index order is the order the moves asked for.
        #[test]
        fn moves_put_the_task_where_it_was_dropped(moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..200)) {
            let mut list: Vec<(usize, String)> = (0..8).map(|i| (i, at_end(NOW, u16::try_from(i).unwrap()))).collect();
            for (from, to) in moves {
                let (id, _) = list.remove(from.index(list.len()));
                let target = to.index(list.len() + 1);
                let lower = target.checked_sub(1).map(|i| list[i].1.clone());
                let upper = list.get(target).map(|(_, p)| p.clone());
                let position = between(lower.as_deref(), upper.as_deref(), NOW).expect("room");
                list.insert(target, (id, position));
                prop_assert!(list.windows(2).all(|pair| pair[0].1 < pair[1].1), "{:?}", list);
            }
        }
    }
}

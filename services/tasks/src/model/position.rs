//! The order of tasks on a board: fractional indexes. Moving a task writes one row, because between any two indexes
//! there is a third.
//!
//! An index is a fraction between 0 and 1 in base 256: its digits as bytes, without zeros at the end, stored as
//! hexadecimal text, so that the byte order of the text is the order of the tasks. (The idea is known from Figma's
//! "Realtime editing of ordered sequences"; the crate `fractional_index` 2.0 goes wrong on zero digits.)
//!
//! A new task's index is the time of its creation, so appending never makes indexes longer. A computed index ends in
//! random digits, so that moves into the same gap at the same moment do not meet. Indexes that are equal all the same
//! fall back to the task id, and a move that needs the room between two equals first makes it.

use data_encoding::HEXLOWER;
use kernel::Timestamp;
use kernel::ids::TaskId;

/// Longest stored index, in hexadecimal characters. Some 2,000 moves into the very same gap.
pub(crate) const MAX_POSITION: usize = 512;

/// One more than the greatest digit: the digit of "no upper neighbour".
const BASE: u16 = 256;

/// Where a task lies on the board: its index, and among equal ones its id. Ordered as the lists are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    position: String,
    id: TaskId,
}

impl Place {
    pub fn new(position: String, id: TaskId) -> Self {
        Self { position, id }
    }
    pub fn position(&self) -> &str {
        &self.position
    }
    pub fn id(&self) -> TaskId {
        self.id
    }
}

/// An index after everything placed at the end before `now`. `salt` tells apart what happens in one microsecond.
pub(crate) fn at_end(now: Timestamp, salt: u16) -> String {
    let micros = now.as_micros().max(0).to_be_bytes();
    let mut digits = micros[1..].to_vec();
    digits.extend_from_slice(&salt.to_be_bytes());
    // No zero at the end, whatever the salt.
    digits.push(0x80);
    HEXLOWER.encode(&digits)
}

/// An index between two neighbours; `None` on a side means the end of the list. `None` when there is no room:
/// the neighbours are equal or in the wrong order, or the index would become too long.
///
/// `salt` is random: it becomes the last digits. They never accumulate, for every step leaves its digits behind as soon
/// as there is room before them.
pub(crate) fn between(lower: Option<&str>, upper: Option<&str>, now: Timestamp, salt: u32) -> Option<String> {
    let parse = |text: &str| HEXLOWER.decode(text.as_bytes()).ok();
    // The end of the list: as if created now.
    let end = at_end(now, 0);
    let mut digits = match (lower, upper) {
        (None, None) => parse(&end)?,
        // Unless the last one lies even further out.
        (Some(lower), None) if lower < end.as_str() => parse(&end)?,
        (Some(lower), None) => after(&parse(lower)?),
        (None, Some(upper)) => before(&parse(upper)?),
        (Some(lower), Some(upper)) if lower < upper => middle(&parse(lower)?, &parse(upper)?),
        (Some(_), Some(_)) => return None,
    };
    // A zero first leaves the next digit whole for later steps; none at the end, whatever the salt.
    digits.push(0);
    digits.extend_from_slice(&(salt | 1).to_be_bytes());
    Some(HEXLOWER.encode(&digits)).filter(|text| text.len() <= MAX_POSITION)
}

/// Takes small steps, so that 254 moves to the end cost one digit.
fn after(lower: &[u8]) -> Vec<u8> {
    let mut digits = Vec::new();
    for digit in lower {
        if let Some(next) = digit.checked_add(1) {
            digits.push(next);
            return digits;
        }
        digits.push(*digit);
    }
    digits.push(1);
    digits
}

/// Takes small steps, so that 254 moves to the top cost one digit.
fn before(upper: &[u8]) -> Vec<u8> {
    let mut digits = Vec::new();
    for digit in upper {
        match digit {
            0 => digits.push(0),
            1 => break,
            more => {
                digits.push(more - 1);
                return digits;
            }
        }
    }
    digits.extend([0, u8::MAX]);
    digits
}

/// The middle of the first digit that leaves room. Needs `lower < upper`.
fn middle(lower: &[u8], upper: &[u8]) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut bounded = true;
    for i in 0.. {
        let low = lower.get(i).copied().unwrap_or(0);
        let high = if bounded {
            upper.get(i).copied().map_or(BASE, u16::from)
        } else {
            BASE
        };
        let middle = u16::midpoint(u16::from(low), high);
        if let Ok(digit) = u8::try_from(middle)
            && digit > low
        {
            digits.push(digit);
            break;
        }
        // No room at this digit: follow the lower neighbour, and once below the upper one, nothing bounds the rest.
        digits.push(low);
        bounded = bounded && u16::from(low) == high;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
    const SALT: u32 = 0xdead_beef;

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
        assert!(between(Some(&a), Some(&b), NOW, SALT).is_some());
        assert_eq!(between(Some(&a), Some(&a), NOW, SALT), None);
        assert_eq!(between(Some(&b), Some(&a), NOW, SALT), None);
    }

    #[test]
    fn the_same_gap_at_the_same_moment_gives_different_indexes() {
        let (a, b) = (at_end(NOW, 1), at_end(NOW, 2));
        for (lower, upper) in [
            (None, None),
            (Some(a.as_str()), None),
            (None, Some(b.as_str())),
            (Some(a.as_str()), Some(b.as_str())),
        ] {
            let [x, y] = [0x1234_5678, 0x1234_5700].map(|salt| between(lower, upper, NOW, salt).expect("room"));
            assert_ne!(x, y);
            assert!(
                [x, y]
                    .iter()
                    .all(|found| lower.is_none_or(|low| low < found.as_str()) && upper.is_none_or(|high| found.as_str() < high))
            );
        }
    }

    #[test]
    fn bisecting_one_gap_works_a_thousand_times_before_it_is_full() {
        let (lower, mut upper) = (at_end(NOW, 1), at_end(NOW, 2));
        for _ in 0..1_000 {
            let middle = between(Some(&lower), Some(&upper), NOW, SALT).expect("room");
            assert!(lower < middle && middle < upper);
            upper = middle;
        }
    }

    #[test]
    fn moving_to_the_top_or_the_end_again_and_again_stays_short() {
        let (mut top, mut end) = (at_end(NOW, 1), at_end(NOW, 2));
        for _ in 0..10_000 {
            let higher = between(None, Some(&top), NOW, SALT).expect("room");
            // The clock stands still, so the end cannot be told by time.
            let further = between(Some(&end), None, Timestamp::from_micros(0), SALT).expect("room");
            assert!(higher < top && end < further);
            (top, end) = (higher, further);
        }
        assert!(top.len() < 120 && end.len() < 120, "{} {}", top.len(), end.len());
    }

    proptest! {
        #[test]
        fn there_is_always_an_index_between_two(a in prop::collection::vec(any::<u8>(), 0..6), b in prop::collection::vec(any::<u8>(), 0..6), salt: u32) {
            let index = |mut digits: Vec<u8>| { digits.push(7); HEXLOWER.encode(&digits) };
            let (a, b) = (index(a), index(b));
            prop_assume!(a != b);
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let found = between(Some(&low), Some(&high), NOW, salt).expect("room");
            prop_assert!(low < found && found < high && !found.ends_with("00"), "{} {} {}", low, found, high);
        }

        /// Any sequence of moves leaves a list whose index order is the order the moves asked for.
        #[test]
        fn moves_put_the_task_where_it_was_dropped(moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u32>()), 1..200)) {
            let mut list: Vec<(usize, String)> = (0..8).map(|i| (i, at_end(NOW, u16::try_from(i).unwrap()))).collect();
            for (from, to, salt) in moves {
                let (id, _) = list.remove(from.index(list.len()));
                let target = to.index(list.len() + 1);
                let lower = target.checked_sub(1).map(|i| list[i].1.clone());
                let upper = list.get(target).map(|(_, p)| p.clone());
                let position = between(lower.as_deref(), upper.as_deref(), NOW, salt).expect("room");
                list.insert(target, (id, position));
                prop_assert!(list.windows(2).all(|pair| pair[0].1 < pair[1].1), "{:?}", list);
            }
        }
    }
}

//! Deadlines of many connections. A connection whose deadline moves later keeps its earlier entry: it is looked at
//! once too often instead of being moved at every packet.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

#[derive(Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Timers {
    /// Makes sure that `key` comes out of `pop` at `deadline` or before. `scheduled` belongs to the key and
    /// remembers its earliest entry.
    pub fn schedule(&mut self, key: usize, scheduled: &mut Option<Instant>, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if scheduled.is_none_or(|earlier| deadline < earlier) {
            *scheduled = Some(deadline);
            self.heap.push(Reverse((deadline, key)));
        }
    }

    /// When to call `pop` next.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// An entry that is due. It is stale when it is not what the key's `scheduled` says.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, usize)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_earlier_deadline_is_added_and_a_later_one_is_not() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (mut timers, mut scheduled) = (Timers::default(), None);
        timers.schedule(7, &mut scheduled, Some(at(20)));
        timers.schedule(7, &mut scheduled, Some(at(30)));
        timers.schedule(7, &mut scheduled, None);
        assert_eq!(timers.next(), Some(at(20)));
        timers.schedule(7, &mut scheduled, Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(10)), Some((at(10), 7)));
        assert_eq!(scheduled, Some(at(10)));
        assert_eq!(timers.pop(at(25)), Some((at(20), 7)));
        assert_eq!(timers.pop(at(60)), None);
    }
}

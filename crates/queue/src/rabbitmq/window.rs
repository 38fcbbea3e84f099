//! Which deliveries of one AMQP channel are acknowledged: as many as possible with one acknowledgement.

use std::collections::VecDeque;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Open,
    /// Done and not yet told.
    Done,
    Told,
}

/// The deliveries from the oldest open one on. The broker numbers them one by one, from one.
pub(super) struct Window {
    marks: VecDeque<Mark>,
    /// The number of the first.
    first: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { marks: VecDeque::new(), first: 1 }
    }
}

/// An acknowledgement: of this delivery, or of all open ones up to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub tag: u64,
    pub multiple: bool,
}

impl Window {
    /// This was delivered.
    pub fn open(&mut self, tag: u64) {
        while self.first + self.marks.len() as u64 <= tag {
            self.marks.push_back(Mark::Open);
        }
    }

    /// The last that was delivered.
    pub fn last(&self) -> u64 {
        self.first + self.marks.len() as u64 - 1
    }

    /// Those open, up to this one.
    pub fn open_up_to(&self, last: u64) -> Vec<u64> {
        let numbered = (self.first..=last).zip(&self.marks);
        numbered.filter(|(_, mark)| **mark == Mark::Open).map(|(tag, _)| tag).collect()
    }

    /// What to tell the broker, in this order. The last of several must not have been told before: the broker closes the
    /// channel over a number that it does not know any more.
    pub fn done(&mut self, tags: &[u64]) -> Vec<Ack> {
        for tag in tags {
            if let Some(mark @ Mark::Open) = self.mark(*tag) {
                *mark = Mark::Done;
            }
        }
        let (mut acks, mut up_to, mut count) = (Vec::new(), None, 0);
        while let Some(mark) = self.marks.front().copied().filter(|mark| *mark != Mark::Open) {
            if mark == Mark::Done {
                up_to = Some(self.first);
                count += 1;
            }
            self.marks.pop_front();
            self.first += 1;
        }
        acks.extend(up_to.map(|tag| Ack { tag, multiple: count > 1 }));
        for tag in tags {
            if let Some(mark @ Mark::Done) = self.mark(*tag) {
                *mark = Mark::Told;
                acks.push(Ack { tag: *tag, multiple: false });
            }
        }
        acks
    }

    fn mark(&mut self, tag: u64) -> Option<&mut Mark> {
        let at = usize::try_from(tag.checked_sub(self.first)?).ok()?;
        self.marks.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks(window: &mut Window, tags: &[u64]) -> Vec<(u64, bool)> {
        window.done(tags).into_iter().map(|ack| (ack.tag, ack.multiple)).collect()
    }

    #[test]
    fn what_lies_together_is_told_at_once_and_nothing_is_told_twice() {
        let mut window = Window::default();
        (1..=9).for_each(|tag| window.open(tag));
        assert_eq!(acks(&mut window, &[2, 1, 3]), [(3, true)]);
        assert_eq!(acks(&mut window, &[4]), [(4, false)]);
        assert_eq!(acks(&mut window, &[6, 8]), [(6, false), (8, false)], "5 is open");
        assert_eq!(acks(&mut window, &[5, 6]), [(5, false)], "6 was told");
        assert_eq!(acks(&mut window, &[7, 7, 1]), [(7, false)], "8 was told, so it cannot be the last");
        assert_eq!(acks(&mut window, &[9, 12]), [(9, false)]);
        window.open(10);
        window.open(11);
        assert_eq!(acks(&mut window, &[11]), [(11, false)]);
        assert_eq!(acks(&mut window, &[10]), [(10, false)]);
    }

    #[test]
    fn what_is_open_is_known_by_its_number() {
        let mut window = Window::default();
        assert_eq!((window.last(), window.open_up_to(0)), (0, vec![]));
        (1..=5).for_each(|tag| window.open(tag));
        window.done(&[1, 3]);
        assert_eq!((window.last(), window.open_up_to(4), window.open_up_to(1)), (5, vec![2, 4], vec![]));
        assert_eq!(acks(&mut window, &[2, 4, 5]), [(5, true)]);
        assert_eq!((window.last(), window.open_up_to(9)), (5, vec![]));
    }
}

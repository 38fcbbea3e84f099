//! Two lines of one channel, fresh work and what comes again, taken from in turn so that neither starves the other.

use std::collections::VecDeque;

pub(crate) struct Lines<T> {
    fresh: VecDeque<T>,
    again: VecDeque<T>,
    /// Whose turn it is when both lines have something.
    again_is_next: bool,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self { fresh: VecDeque::new(), again: VecDeque::new(), again_is_next: false }
    }
}

impl<T> Lines<T> {
    pub fn line(&mut self, fresh: bool) -> &mut VecDeque<T> {
        if fresh { &mut self.fresh } else { &mut self.again }
    }

    /// At most `max`, no more than `again` of those from the line of what comes again; each with whether it is fresh.
    pub fn take(&mut self, max: usize, again: usize) -> Vec<(T, bool)> {
        let mut taken = Vec::new();
        let mut again_left = again;
        while taken.len() < max {
            let again_may = again_left > 0 && !self.again.is_empty();
            let fresh = match (self.fresh.is_empty(), again_may) {
                (true, false) => break,
                (true, true) => false,
                (false, false) => true,
                (false, true) => !self.again_is_next,
            };
            let Some(one) = self.line(fresh).pop_front() else { break };
            if !fresh {
                again_left -= 1;
            }
            self.again_is_next = fresh;
            taken.push((one, fresh));
        }
        taken
    }
}

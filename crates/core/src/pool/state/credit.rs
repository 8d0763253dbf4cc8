//! How far the worker of a stream may be ahead of its reader.
//!
//! The rule, as `worker.proto` tells it to workers: an item may be sent when nothing of the stream
//! is under way, whatever its size; else when it stays within both limits of the window. Under way
//! is what was sent and not granted back yet.
//!
//! A worker learns of a grant later than it is noted here, and is never ahead of it. So whatever it
//! may send by what it knows, it may send by what is known here: a race can only ever make the host
//! more generous.

/// What may be under way of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) items: u32,
    pub(crate) bytes: u64,
}

/// Items of a stream, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) items: u64,
    pub(super) bytes: u64,
}

/// The account of one stream, both sides counted from the start of the call.
#[derive(Clone, Debug)]
pub(super) struct Credit {
    pub(super) window: Window,
    sent: Amount,
    granted: Amount,
}

impl Credit {
    pub(super) fn new(window: Window) -> Self {
        Self { window, sent: Amount::default(), granted: Amount::default() }
    }

    /// Items of these lengths came together.
    ///
    /// # Errors
    /// What is under way with the first one that was too much.
    pub(super) fn send(
        &mut self,
        lengths: impl ExactSizeIterator<Item = usize> + Clone,
    ) -> Result<(), Amount> {
        let before = self.under_way();
        let all = Amount {
            items: lengths.len() as u64,
            bytes: lengths.clone().map(|length| length as u64).sum(),
        };
        // What fits as a whole fits item by item.
        if !self.fits(Amount {
            items: before.items + all.items,
            bytes: before.bytes.saturating_add(all.bytes),
        }) {
            self.check_each(before, lengths)?;
        }
        self.sent.items += all.items;
        self.sent.bytes = self.sent.bytes.saturating_add(all.bytes);
        Ok(())
    }

    #[cold]
    fn check_each(
        &self,
        mut under_way: Amount,
        lengths: impl Iterator<Item = usize>,
    ) -> Result<(), Amount> {
        for length in lengths {
            let alone = under_way.items == 0;
            under_way.items += 1;
            under_way.bytes = under_way.bytes.saturating_add(length as u64);
            if !alone && !self.fits(under_way) {
                return Err(under_way);
            }
        }
        Ok(())
    }

    fn fits(&self, under_way: Amount) -> bool {
        under_way.items <= u64::from(self.window.items) && under_way.bytes <= self.window.bytes
    }

    fn under_way(&self) -> Amount {
        Amount {
            items: self.sent.items.saturating_sub(self.granted.items),
            bytes: self.sent.bytes.saturating_sub(self.granted.bytes),
        }
    }

    /// The reader has taken so much in all.
    pub(super) fn grant(&mut self, items: u64, bytes: u64) {
        self.granted.items = self.granted.items.max(items);
        self.granted.bytes = self.granted.bytes.max(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const WINDOW: Window = Window { items: 4, bytes: 100 };

    fn credit() -> Credit {
        Credit::new(WINDOW)
    }

    fn send(credit: &mut Credit, lengths: &[usize]) -> Result<(), (u64, u64)> {
        let told = credit.send(lengths.iter().copied());
        told.map_err(|Amount { items, bytes }| (items, bytes))
    }

    #[test]
    fn as_many_items_as_the_window_has_and_no_more() {
        let mut credit = credit();
        assert_eq!(send(&mut credit, &[1, 1, 1]), Ok(()));
        assert_eq!(send(&mut credit, &[1]), Ok(()));
        assert_eq!(send(&mut credit, &[1]), Err((5, 5)));
        credit.grant(1, 1);
        assert_eq!(send(&mut credit, &[1]), Ok(()));
        assert_eq!(send(&mut credit, &[0]), Err((5, 4)), "an empty item is an item");
    }

    #[test]
    fn as_many_bytes_as_the_window_has_and_no_more() {
        let mut credit = credit();
        assert_eq!(send(&mut credit, &[60, 40]), Ok(()));
        assert_eq!(send(&mut credit, &[1]), Err((3, 101)));
        credit.grant(1, 60);
        assert_eq!(send(&mut credit, &[60]), Ok(()));
    }

    #[test]
    fn an_item_larger_than_the_window_goes_when_it_is_alone() {
        let mut credit = credit();
        assert_eq!(send(&mut credit, &[1000]), Ok(()));
        assert_eq!(send(&mut credit, &[0]), Err((2, 1000)));
        credit.grant(1, 1000);
        assert_eq!(send(&mut credit, &[1]), Ok(()));
        assert_eq!(send(&mut credit, &[1000]), Err((2, 1001)), "it is not alone");
    }

    #[test]
    fn an_older_grant_takes_nothing_back() {
        let mut credit = credit();
        assert_eq!(send(&mut credit, &[10, 10, 10, 10]), Ok(()));
        credit.grant(4, 40);
        credit.grant(2, 20);
        assert_eq!(send(&mut credit, &[10, 10, 10, 10]), Ok(()));
    }

    /// What the worker does next, and how many grants have reached it by then.
    #[derive(Clone, Debug)]
    enum Step {
        Send(usize),
        Flush,
        Take(usize),
        Hear,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop_oneof![0..40usize, 90..110usize, Just(5000)].prop_map(Step::Send),
            2 => Just(Step::Flush),
            2 => (1..5usize).prop_map(Step::Take),
            2 => Just(Step::Hear),
        ]
    }

    proptest! {
        /// However grants and chunks cross, a worker that keeps to the rule is never accused, and
        /// what waits for the reader is bounded.
        #[test]
        fn an_honest_worker_is_never_accused(steps in prop::collection::vec(any_step(), 0..300)) {
            let mut credit = credit();
            // The worker's books, frames that are not sent, items at the reader, grants on their way.
            let (mut sent, mut heard) = ((0, 0), (0, 0));
            let (mut open, mut there) = (Vec::new(), VecDeque::new());
            let (mut taken, mut grants) = ((0, 0), VecDeque::new());
            for step in steps {
                match step {
                    Step::Send(length) => {
                        let (items, bytes) = (sent.0 - heard.0, sent.1 - heard.1 + length as u64);
                        let within = items < u64::from(WINDOW.items) && bytes <= WINDOW.bytes;
                        if items == 0 || within {
                            sent = (sent.0 + 1, sent.1 + length as u64);
                            open.push(length);
                        }
                    }
                    Step::Flush => {
                        prop_assert_eq!(send(&mut credit, &open), Ok(()));
                        there.extend(open.drain(..));
                        let bytes: usize = there.iter().sum();
                        let bounded = there.len() <= 1 || bytes <= WINDOW.bytes as usize;
                        prop_assert!(bounded && there.len() <= WINDOW.items as usize);
                    }
                    Step::Take(most) => {
                        for length in there.drain(..most.min(there.len())) {
                            taken = (taken.0 + 1, taken.1 + length as u64);
                        }
                        credit.grant(taken.0, taken.1);
                        grants.push_back(taken);
                    }
                    Step::Hear => heard = grants.pop_front().unwrap_or(heard),
                }
            }
        }
    }
}

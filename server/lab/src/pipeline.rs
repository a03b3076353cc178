//! Preparing the next batches while one is worked on.

use crate::Result;
use std::sync::mpsc::sync_channel;

/// Batches that are prepared ahead of the one that is worked on, at most: a bound on memory.
const AHEAD: usize = 2;

/// Hands each item through `prepare`, on a thread of its own, and then `work`, on this one, in
/// order. Ends with the first error of either.
pub fn ahead<I: Send, T: Send>(
    items: impl Iterator<Item = I> + Send,
    prepare: impl Fn(I) -> Result<T> + Send,
    mut work: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel(AHEAD);
        scope.spawn(move || {
            for item in items {
                let prepared = prepare(item);
                let failed = prepared.is_err();
                // Nobody listens any more after an error of the work.
                if send.send(prepared).is_err() || failed {
                    break;
                }
            }
        });
        for prepared in receive {
            work(prepared?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn order_is_kept_and_no_more_than_a_few_are_prepared_ahead() {
        let (prepared, mut done) = (AtomicUsize::new(0), Vec::new());
        ahead(
            0..20usize,
            |i| {
                prepared.fetch_add(1, Ordering::SeqCst);
                Ok(i * i)
            },
            |square| {
                std::thread::sleep(std::time::Duration::from_millis(2));
                // In the queue, being worked on, and one whose preparer waits for room.
                assert!(prepared.load(Ordering::SeqCst) <= done.len() + 1 + AHEAD + 1);
                done.push(square);
                Ok(())
            },
        )
        .expect("no errors");
        assert_eq!(done, (0..20).map(|i| i * i).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_of_either_side_ends_it() {
        let mut done = 0;
        let result = ahead(
            0..,
            |i| if i < 5 { Ok(i) } else { Err(Error::Cancelled) },
            |_| {
                done += 1;
                Ok(())
            },
        );
        assert!(matches!(result, Err(Error::Cancelled)) && done == 5);
        let result = ahead(0.., Ok, |i| if i < 3 { Ok(()) } else { Err(Error::Unsupported("enough".to_owned())) });
        assert!(matches!(result, Err(Error::Unsupported(_))));
    }
}

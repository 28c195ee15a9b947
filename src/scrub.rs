//! Runs work that handles keys and overwrites the stack it used, also after errors and panics.
//! Never sees the keys itself, and never lets a panic pass.
//!
//! Ciphers and key parsers leave copies on the stack that no `Drop` reaches. The work runs in a frame below this one;
//! then a frame of [`DEPTH`] bytes at the same place is overwritten. What the work returns must own its secrets on the
//! heap, since the returned value itself lies above.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// How deep the stack is overwritten: several times of what the deepest parser used when it was measured.
pub const DEPTH: usize = 256 * 1024;
/// The stack of a thread that handles keys.
pub const STACK: usize = 2 * 1024 * 1024;

/// The work panicked. What it said is dropped: it could quote what it worked on.
#[derive(Debug)]
pub struct Panicked;

/// Does `work`, then overwrites the stack below.
#[inline(never)]
pub fn wiped<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outcome = contained(work);
    scrub();
    outcome
}

#[inline(never)]
fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

#[inline(never)]
fn scrub() {
    let mut below = [0u8; DEPTH];
    // The compiler must assume that somebody reads the zeros, so it has to write them.
    black_box(&mut below);
}

/// The same for work that waits: after each of its turns the stack that the turn used is overwritten, so that nothing stays
/// either where the work is dropped in between. Its own state lies on the heap.
pub fn wiped_turns<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    Turns(Box::pin(work))
}

struct Turns<F>(Pin<Box<F>>);

impl<F: Future> Future for Turns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Whatever a panic leaves goes with the thread's next turn; it is not held up here.
        let done = turn(self.0.as_mut(), cx);
        scrub();
        done
    }
}

/// A frame of its own: what the compiler puts into the frame of a caller is not overwritten.
#[inline(never)]
fn turn<F: Future>(work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    work.poll(cx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn spill(secret: u64, depth: usize) -> u64 {
        let copies = black_box([secret; 64]);
        if depth == 0 { copies[0] } else { black_box(spill(secret, depth - 1)) ^ copies[1] }
    }

    /// How many copies of `wanted` lie below this frame, as an outsider sees them. It is on the heap, so that none is made to ask.
    #[inline(never)]
    fn left(wanted: &[u8]) -> usize {
        use std::os::unix::fs::FileExt;
        let here = 0u8;
        let top = std::ptr::from_ref(&here).addr() as u64;
        let mut seen = vec![0u8; DEPTH / 4];
        let from = top - seen.len() as u64;
        std::fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut seen, from).unwrap();
        seen.windows(8).filter(|w| *w == wanted).count()
    }

    async fn work(secret: u64) {
        spill(secret, 20);
        std::future::pending::<()>().await;
    }

    #[test]
    fn a_turn_leaves_nothing_on_the_stack_also_where_the_work_has_not_ended() {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(|| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let secret = black_box(0x5ec2_e7f0_0d5e_c2e7_u64);
            let wanted = secret.to_ne_bytes().to_vec();
            let mut plain = Box::pin(work(secret));
            assert!(plain.as_mut().poll(&mut cx).is_pending());
            assert!(left(&wanted) > 100, "what is not wiped is found");
            let mut wiped = Box::pin(wiped_turns(work(secret)));
            assert!(wiped.as_mut().poll(&mut cx).is_pending());
            assert_eq!(left(&wanted), 0);
        });
        thread.unwrap().join().unwrap();
    }
}

//! [`CircuitBreaker`]: the state machine of `policy::breaker`, for threads and tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::time::Instant;

use crate::config::BreakerConfig;
use crate::error::Error;
use crate::executor;
use crate::policy::breaker::{self, Breaker, BreakerState, BreakerStats, CircuitOpen};

/// Refuses calls for a while after calls have failed, then lets a few try. Cheap to clone; clones
/// are the same breaker.
///
/// ```
/// # use snakepit::{BreakerConfig, BreakerState, CircuitBreaker};
/// # async fn ask() -> Result<u32, std::io::Error> { Ok(42) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let breaker = CircuitBreaker::new(BreakerConfig::default()).expect("defaults are valid");
/// let answer = breaker.call(async || ask().await).await;
/// assert_eq!(answer.unwrap(), 42);
/// assert_eq!(breaker.state(), BreakerState::Closed);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    machine: Arc<Mutex<Breaker>>,
}

impl CircuitBreaker {
    /// A closed one.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first limit that makes no sense.
    pub fn new(config: BreakerConfig) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { machine: Arc::new(Mutex::new(Breaker::new(config))) })
    }

    /// Makes one call, if it is admitted. `Err` and a panic are failures; a call whose future is
    /// dropped is none.
    ///
    /// # Errors
    /// [`executor::Error::CircuitOpen`]: refused, nothing ran. [`executor::Error::Failed`]: what
    /// `call` failed with.
    pub async fn call<T, E>(
        &self,
        call: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, executor::Error<E>> {
        self.call_counting(|_| true, call).await
    }

    /// As [`call`](Self::call), where only errors that `counts` are failures. The others are no
    /// successes either.
    ///
    /// # Errors
    /// As there.
    pub async fn call_counting<T, E>(
        &self,
        counts: impl FnOnce(&E) -> bool,
        call: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, executor::Error<E>> {
        let permit = self.acquire()?;
        let outcome = call().await;
        match &outcome {
            Ok(_) => permit.success(),
            Err(error) if counts(error) => permit.failure(),
            Err(_) => drop(permit),
        }
        outcome.map_err(executor::Error::Failed)
    }

    /// Asks for the right to make one call, for calls that [`call`](Self::call) does not fit.
    ///
    /// # Errors
    /// [`CircuitOpen`] with the time after which asking again can help.
    pub fn acquire(&self) -> Result<Permit, CircuitOpen> {
        self.ask().map(|(permit, _)| permit)
    }

    /// The same; whether it became half open with that.
    pub(crate) fn ask(&self) -> Result<(Permit, bool), CircuitOpen> {
        let (admitted, change) = watch(&self.machine, Breaker::admit);
        let permit = Permit { machine: self.machine.clone(), permit: Some(admitted?) };
        Ok((permit, change.is_some()))
    }

    /// Whether a call would be admitted now; takes no place.
    pub fn allows(&self) -> bool {
        self.lock().allows(Instant::now())
    }

    /// What it does with calls now. An open one turns half open by itself.
    pub fn state(&self) -> BreakerState {
        self.lock().state(Instant::now())
    }

    /// Closes it and forgets the failures that counted. Calls under way do not count afterwards.
    pub fn reset(&self) {
        self.lock().reset();
    }

    /// Its counts.
    pub fn stats(&self) -> BreakerStats {
        self.lock().stats(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        lock(&self.machine)
    }
}

/// Has the machine do something. With it, what it does from now on, where that is something else.
fn watch<R>(
    machine: &Mutex<Breaker>,
    what: impl FnOnce(&mut Breaker, Instant) -> R,
) -> (R, Option<BreakerState>) {
    let (mut machine, now) = (lock(machine), Instant::now());
    let before = machine.generation();
    let result = what(&mut machine, now);
    let changed = machine.generation() != before;
    (result, changed.then(|| machine.state(now)))
}

fn lock(machine: &Mutex<Breaker>) -> MutexGuard<'_, Breaker> {
    // The machine runs no code of others and does not panic.
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to make one call. Dropped without a verdict, it gives its place back and says nothing
/// about the call; dropped by a panic, it says that the call failed.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once admits nothing"]
pub struct Permit {
    machine: Arc<Mutex<Breaker>>,
    /// Taken by the verdict.
    permit: Option<breaker::Permit>,
}

impl Permit {
    /// The call succeeded.
    pub fn success(self) {
        self.verdict(true);
    }

    /// The call failed.
    pub fn failure(self) {
        self.verdict(false);
    }

    /// One of these. Some: that made the breaker do something else.
    pub(crate) fn verdict(mut self, well: bool) -> Option<BreakerState> {
        self.end(if well { Breaker::success } else { Breaker::failure })
    }

    fn end(&mut self, verdict: fn(&mut Breaker, breaker::Permit, Instant)) -> Option<BreakerState> {
        let permit = self.permit.take()?;
        watch(&self.machine, |machine, now| verdict(machine, permit, now)).1
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(if thread::panicking() { Breaker::failure } else { Breaker::release });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn breaker() -> CircuitBreaker {
        let trip = crate::config::Trip::Consecutive(1);
        CircuitBreaker::new(BreakerConfig { trip, ..BreakerConfig::default() }).unwrap()
    }

    async fn open(breaker: &CircuitBreaker) {
        let failed = breaker.call(async || Err::<(), _>("boom")).await;
        assert!(matches!(failed, Err(executor::Error::Failed("boom"))));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_runs_nothing_and_a_probe_that_succeeds_closes_it() {
        let breaker = breaker();
        open(&breaker).await;
        let refused = breaker.call(async || -> Result<(), &str> { panic!("must not run") }).await;
        let Err(executor::Error::CircuitOpen(refusal)) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.retry_after, Duration::from_secs(30));

        tokio::time::advance(refusal.retry_after).await;
        assert_eq!(breaker.call(async || Ok::<_, &str>(1)).await.unwrap(), 1);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_probe_frees_its_place() {
        let breaker = breaker();
        open(&breaker).await;
        tokio::time::advance(Duration::from_secs(30)).await;
        let probe = breaker.call(std::future::pending::<Result<(), ()>>);
        let given_up = tokio::time::timeout(Duration::from_secs(1), probe).await;
        assert!(given_up.is_err());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.call(async || Ok::<_, ()>(())).await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_and_an_error_that_does_not_count_is_none() {
        let breaker = breaker();
        let ignored = breaker.call_counting(|_| false, async || Err::<(), _>("mine")).await;
        assert!(ignored.is_err());
        assert_eq!(breaker.state(), BreakerState::Closed);

        let panics = breaker.clone();
        let task = tokio::spawn(async move {
            panics.call(async || -> Result<(), ()> { panic!("on purpose") }).await
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn threads_at_a_half_open_breaker_get_no_more_than_its_probes() {
        let trip = crate::config::Trip::Consecutive(1);
        let config = BreakerConfig { trip, reset_timeout: Duration::ZERO, half_open_max_calls: 3 };
        let breaker = CircuitBreaker::new(config).unwrap();
        breaker.acquire().unwrap().failure();
        let all_asked = std::sync::Barrier::new(16);
        let admitted: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        let permits: Vec<_> =
                            (0..50).filter_map(|_| breaker.acquire().ok()).collect();
                        all_asked.wait();
                        permits.len()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 3);
        assert_eq!(breaker.stats().probes, 0, "all places are free again");
    }
}

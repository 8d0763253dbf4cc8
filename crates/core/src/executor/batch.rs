//! Many functions at once, each a task of its own, so that none harms another.

use std::any::Any;
use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::Error;

/// Limits of a batch. Default: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// So many run at once; at least one does.
    pub max_concurrency: usize,
    /// For each function, from its own start.
    pub timeout_each: Option<Duration>,
    /// For the whole batch.
    pub timeout: Option<Duration>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { max_concurrency: usize::MAX, timeout_each: None, timeout: None }
    }
}

/// Runs all `calls` and returns their outcomes in the same order. A call that fails, panics or is
/// too slow changes nothing for the others; dropping the future of the batch drops them all.
///
/// Runs in the tokio runtime that it is called in.
pub async fn execute_batch<T, E, F, R>(
    calls: impl IntoIterator<Item = F>,
    options: BatchOptions,
) -> Vec<Result<T, Error<E>>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let limit = options.timeout.unwrap_or(Duration::MAX);
    let deadline = Instant::now().checked_add(limit);
    let mut waiting: Vec<F> = calls.into_iter().collect();
    waiting.reverse();
    // What is still `None` at the end did not end.
    let mut outcomes: Vec<Option<Result<T, Error<E>>>> = Vec::new();
    outcomes.resize_with(waiting.len(), || None);
    let mut tasks = JoinSet::new();
    let mut places: HashMap<task::Id, usize> = HashMap::new();
    loop {
        while tasks.len() < options.max_concurrency.max(1)
            && let Some(call) = waiting.pop()
        {
            let handle = tasks.spawn(run(call, options.timeout_each));
            places.insert(handle.id(), outcomes.len() - waiting.len() - 1);
        }
        let next = tasks.join_next_with_id();
        let ended = match deadline {
            Some(deadline) => timeout_at(deadline, next).await.unwrap_or(None),
            None => next.await,
        };
        let Some(ended) = ended else { break };
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(panicked(error))),
        };
        let place = places.remove(&id).expect("every task was given a place when it was spawned");
        outcomes[place] = Some(outcome);
    }
    let begun = outcomes.len() - waiting.len();
    let late = |place| Err(Error::Timeout { limit, started: place < begun });
    let with_late = outcomes.into_iter().enumerate();
    with_late.map(|(place, outcome)| outcome.unwrap_or_else(|| late(place))).collect()
}

async fn run<T, E, F, R>(call: F, limit: Option<Duration>) -> Result<T, Error<E>>
where
    F: FnOnce() -> R,
    R: Future<Output = Result<T, E>>,
{
    let outcome = match limit {
        None => call().await,
        Some(limit) => match timeout(limit, call()).await {
            Ok(outcome) => outcome,
            Err(_) => return Err(Error::Timeout { limit, started: true }),
        },
    };
    outcome.map_err(Error::Failed)
}

fn panicked<E>(error: JoinError) -> Error<E> {
    let message = match error.try_into_panic() {
        Ok(payload) => text(&*payload),
        Err(_) => "its runtime was shut down".into(),
    };
    Error::Panicked { message }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("with a value that is no text").into()
}

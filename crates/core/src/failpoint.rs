//! Places where a test lets something go wrong: `SNAKEPIT_FAIL=spawn:5%,handshake:delay=2s`.
//!
//! ```text
//! host     spawn  page  ledger  handshake  send  recv  reply
//! worker   exec  dial  warmup  take  decode  run  encode  answer  item  ack  shutdown
//! ```
//!
//! Only builds with the feature `failpoints` have any of this, and wheels never do. A host reads the
//! variable when a pool starts and hands on to workers what is theirs: to the scripted ones of the
//! testkit, and to programs that link this crate and arm themselves. Python workers pass no point,
//! so a pool of theirs refuses a plan that names one. [`Plan`] says what may be written. Not a way
//! to test decisions: those are pure, and their tests need no failures.
//!
//! Delays in async code leave the runtime to others; those in code that blocks anyway block.

mod plan;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plan::{Fault, Rule};
pub use plan::{Plan, Point};

/// Names the variable.
pub const VARIABLE: &str = "SNAKEPIT_FAIL";

/// What is armed in this process.
static ARMED: Mutex<Option<Arc<Armed>>> = Mutex::new(None);

struct Armed {
    /// As it was written, where it was written in the environment.
    text: Option<String>,
    state: Mutex<State>,
}

struct State {
    rules: Vec<Counted>,
    dice: u64,
}

struct Counted {
    rule: Rule,
    seen: u64,
    fired: u64,
    /// Workers that were given it.
    given: u64,
}

/// Arms what the environment says, unless that is armed already or a test has armed something.
///
/// # Errors
/// What is wrong with the text, and what would be right.
pub fn arm_from_environment() -> Result<(), String> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
    let mut armed = lock(&ARMED);
    if armed.as_ref().is_some_and(|armed| armed.text.as_ref().is_none_or(|old| *old == text)) {
        return Ok(());
    }
    let plan = text.parse::<Plan>()?;
    tracing::warn!(%plan, "failpoints are armed");
    *armed = Some(Arc::new(Armed::new(plan, Some(text))));
    Ok(())
}

/// Whether the workers of a pool keep to what is armed. `python`: it is the SDK that runs in them.
///
/// # Errors
/// The points that none of them passes, and those that the host does.
pub(crate) fn check_workers(python: bool) -> Result<(), String> {
    let Some(armed) = lock(&ARMED).clone().filter(|_| python) else { return Ok(()) };
    let points: Vec<Point> = lock(&armed.state).rules.iter().map(|rule| rule.rule.point).collect();
    let unread = names(points.into_iter().filter(|point| point.is_in_worker()));
    if unread.is_empty() {
        return Ok(());
    }
    let read = names(Point::ALL.iter().copied().filter(|point| !point.is_in_worker()));
    Err(format!(
        "no Python worker passes {unread}, only scripted ones do; name points of the host: {read}"
    ))
}

fn names(points: impl Iterator<Item = Point>) -> String {
    points.map(Point::name).collect::<Vec<_>>().join(", ")
}

/// Arms a plan until what this returns is dropped; in place of what was armed.
#[must_use]
pub fn arm(plan: Plan) -> Guard {
    *lock(&ARMED) = Some(Arc::new(Armed::new(plan, None)));
    Guard(())
}

/// Disarms everything when it is dropped.
pub struct Guard(());

impl Guard {
    /// How often something went wrong at a point of this process.
    pub fn fired(&self, point: Point) -> u64 {
        let Some(armed) = lock(&ARMED).clone() else { return 0 };
        let state = lock(&armed.state);
        state.rules.iter().filter(|rule| rule.rule.point == point).map(|rule| rule.fired).sum()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        *lock(&ARMED) = None;
    }
}

/// What the next worker is to be given as its [`VARIABLE`]; None: nothing. What may fire so many
/// times only is given to so many workers: each of them counts for itself.
pub(crate) fn for_next_worker() -> Option<String> {
    let armed = lock(&ARMED).clone()?;
    let mut state = lock(&armed.state);
    let seed = roll(&mut state.dice);
    let due = |rule: &&mut Counted| {
        rule.rule.point.is_in_worker() && rule.rule.times.is_none_or(|times| rule.given < times)
    };
    let given = state.rules.iter_mut().filter(due).map(|rule| {
        rule.given += 1;
        let times = rule.rule.times.map(|_| 1);
        Rule { times, ..rule.rule.clone() }
    });
    let rules: Vec<Rule> = given.collect();
    (!rules.is_empty()).then(|| Plan { seed, rules }.to_string())
}

/// Passes a point in code that may block.
///
/// # Errors
/// What the plan says.
pub fn check(point: Point) -> io::Result<()> {
    let Some(fault) = fault(point) else { return Ok(()) };
    if let Some(delay) = fault.delay {
        std::thread::sleep(delay);
    }
    fault.outcome(point)
}

/// Passes a point in async code.
///
/// # Errors
/// As [`check`].
pub async fn pass(point: Point) -> io::Result<()> {
    let Some(fault) = fault(point) else { return Ok(()) };
    if let Some(delay) = fault.delay {
        tokio::time::sleep(delay).await;
    }
    fault.outcome(point)
}

fn fault(point: Point) -> Option<Fault> {
    let armed = lock(&ARMED).clone()?;
    let mut state = lock(&armed.state);
    let State { rules, dice } = &mut *state;
    let rule = rules.iter_mut().find(|rule| rule.rule.point == point)?;
    rule.seen += 1;
    let due = rule.rule.nth.is_none_or(|nth| rule.seen == nth)
        && rule.rule.times.is_none_or(|times| rule.fired < times)
        && rule.rule.chance.is_none_or(|chance| unit(roll(dice)) < chance);
    due.then(|| {
        rule.fired += 1;
        rule.rule.fault.clone()
    })
}

impl Fault {
    fn outcome(&self, point: Point) -> io::Result<()> {
        if self.crash {
            std::process::abort();
        }
        match &self.error {
            Some(error) => Err(error.at(point)),
            None => Ok(()),
        }
    }
}

impl Armed {
    fn new(plan: Plan, text: Option<String>) -> Self {
        let counted = |rule| Counted { rule, seen: 0, fired: 0, given: 0 };
        let rules = plan.rules.into_iter().map(counted).collect();
        Self { text, state: Mutex::new(State { rules, dice: plan.seed }) }
    }
}

/// The next number of a sequence that its seed decides: splitmix64.
fn roll(dice: &mut u64) -> u64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *dice;
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// From 0 to below 1.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each is whole between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A duration as it is written.
fn written(duration: Duration) -> String {
    format!("{}us", duration.as_micros())
}

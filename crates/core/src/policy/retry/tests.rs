//! What is tried again and when, with time moved by hand.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::BudgetConfig;

const NEVER_RAN: Fault =
    Fault { retriable: true, may_have_run: false, counts: true, retry_after: None };
const MAY_HAVE_RUN: Fault = Fault { may_have_run: true, ..NEVER_RAN };

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn policy(max_attempts: u32) -> RetryPolicy {
    RetryPolicy { max_attempts, jitter: Jitter::None, ..RetryPolicy::default() }
}

fn all(policy: &RetryPolicy, fault: Fault) -> Vec<NextAttempt> {
    let now = Instant::now();
    let mut attempts = Attempts::new(None, 1);
    let mut answers = Vec::new();
    loop {
        answers.push(attempts.failed(policy, fault, None, now));
        if let Some(NextAttempt::Stop(_)) = answers.last() {
            return answers;
        }
    }
}

#[test]
fn pauses_double_up_to_the_cap_and_attempts_are_counted() {
    let mut policy = policy(6);
    policy.backoff = Backoff::Exponential { base: ms(100), max: ms(500), multiplier: 2.0 };
    let mut expected: Vec<_> = [100, 200, 400, 500, 500].map(|n| NextAttempt::After(ms(n))).into();
    expected.push(NextAttempt::Stop(GiveUp::Attempts));
    assert_eq!(all(&policy, NEVER_RAN), expected);
}

#[test]
fn a_list_of_pauses_repeats_its_last() {
    let mut policy = policy(5);
    policy.backoff = Backoff::List(vec![ms(10), ms(70)]);
    let pauses: Vec<_> = [10, 70, 70, 70].map(|n| NextAttempt::After(ms(n))).into();
    assert_eq!(all(&policy, NEVER_RAN)[..4], pauses);
}

#[test]
fn what_may_have_run_is_repeated_only_when_idempotent() {
    let mut policy = policy(3);
    assert_eq!(all(&policy, MAY_HAVE_RUN), [NextAttempt::Stop(GiveUp::MayHaveRun)]);
    policy.idempotent = true;
    assert_eq!(all(&policy, MAY_HAVE_RUN).len(), 3);
}

#[test]
fn what_cannot_be_helped_is_not_repeated_even_when_idempotent() {
    let policy = RetryPolicy { idempotent: true, ..policy(3) };
    let fault = Fault { retriable: false, ..NEVER_RAN };
    assert_eq!(all(&policy, fault), [NextAttempt::Stop(GiveUp::NotRetriable)]);
}

#[test]
fn a_pause_that_would_reach_the_deadline_is_not_begun() {
    let now = Instant::now();
    let policy = policy(9);
    let mut attempts = Attempts::new(Some(now + ms(300)), 1);
    assert_eq!(attempts.failed(&policy, NEVER_RAN, None, now), NextAttempt::After(ms(100)));
    let late = now + ms(100);
    assert_eq!(
        attempts.failed(&policy, NEVER_RAN, None, late),
        NextAttempt::Stop(GiveUp::Deadline)
    );
}

#[test]
fn who_refuses_may_say_when_to_come_back() {
    let now = Instant::now();
    let fault = Fault { retry_after: Some(ms(2500)), ..NEVER_RAN };
    let mut attempts = Attempts::new(None, 1);
    assert_eq!(attempts.failed(&policy(3), fault, None, now), NextAttempt::After(ms(2500)));
    let mut attempts = Attempts::new(Some(now + ms(2000)), 1);
    assert_eq!(attempts.failed(&policy(3), fault, None, now), NextAttempt::Stop(GiveUp::Deadline));
}

#[test]
fn an_empty_budget_stops_retries_and_is_not_drawn_on_by_what_stops_anyway() {
    let now = Instant::now();
    let mut budget = Budget::new(BudgetConfig { capacity: 20, retry_cost: 10, deposit: 1 });
    let stops = Fault { retriable: false, ..NEVER_RAN };
    Attempts::new(None, 1).failed(&policy(3), stops, Some(&mut budget), now);
    Attempts::new(None, 1).failed(&policy(1), NEVER_RAN, Some(&mut budget), now);
    Attempts::new(Some(now), 1).failed(&policy(3), NEVER_RAN, Some(&mut budget), now);
    assert_eq!(budget.tokens(), 20);

    let mut attempts = Attempts::new(None, 1);
    let policy = policy(9);
    let mut next = || attempts.failed(&policy, NEVER_RAN, Some(&mut budget), now);
    assert!(matches!(next(), NextAttempt::After(_)));
    assert!(matches!(next(), NextAttempt::After(_)));
    assert_eq!(next(), NextAttempt::Stop(GiveUp::Budget));
}

fn full_queue() -> Error {
    Error::QueueFull {
        pool: "p".into(),
        capacity: 1,
        waiting: 1,
        bytes: 0,
        retry_after: Duration::from_secs(3),
    }
}

#[test]
fn errors_of_calls_are_judged_by_whether_another_worker_could_do_better() {
    let tool: Arc<str> = "tool".into();
    let full = full_queue();
    let fault = Fault::from(&full);
    assert!(fault.retriable && !fault.may_have_run && fault.counts);
    assert_eq!(fault.retry_after, Some(Duration::from_secs(3)));
    let cancelled = Fault::from(&Error::Cancelled { tool: tool.clone(), may_have_run: true });
    assert!(!cancelled.retriable && !cancelled.counts);
    let unknown = Error::ToolNotFound { tool, suggestions: Vec::new() };
    assert!(!Fault::from(&unknown).retriable);
}

#[test]
fn figures_that_make_no_sense_are_named() {
    let exponential = |base, max, multiplier| RetryPolicy {
        backoff: Backoff::Exponential { base, max, multiplier },
        ..RetryPolicy::default()
    };
    let wrong = [
        (policy(0), "max_attempts"),
        (RetryPolicy { backoff: Backoff::List(Vec::new()), ..policy(1) }, "backoff"),
        (exponential(ms(1), ms(2), 0.5), "multiplier"),
        (exponential(ms(1), ms(2), f64::NAN), "multiplier"),
        (exponential(ms(3), ms(2), 2.0), "base"),
    ];
    for (policy, expected) in wrong {
        let Err(Error::Config { field, .. }) = policy.validate() else {
            panic!("{policy:?} passed")
        };
        assert_eq!(field, expected);
    }
    assert!(RetryPolicy::default().validate().is_ok());
}

#[test]
fn a_seed_decides_the_jitter() {
    let policy = RetryPolicy { jitter: Jitter::Full, ..policy(3) };
    let now = Instant::now();
    let pause = |seed| Attempts::new(None, seed).failed(&policy, NEVER_RAN, None, now);
    assert_eq!(pause(7), pause(7));
    assert_ne!(pause(7), pause(8));
}

fn any_backoff() -> impl Strategy<Value = Backoff> {
    let list = prop::collection::vec((0u64..u64::MAX).prop_map(Duration::from_millis), 1..5);
    let exponential =
        (0u64..10_000, 0u64..u64::MAX / 2, 1.0..1e9f64).prop_map(|(base, more, by)| {
            Backoff::Exponential { base: ms(base), max: ms(base + more), multiplier: by }
        });
    prop_oneof![list.prop_map(Backoff::List), exponential]
}

proptest! {
    /// Whatever the figures: never more attempts than allowed, no pause outside its bounds, none
    /// that reaches the deadline, no panic.
    #[test]
    fn pauses_stay_in_bounds(
        max_attempts in 1u32..50,
        backoff in any_backoff(),
        jitter in prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Equal)],
        limit in prop::option::of(0u64..100_000),
        seed in any::<u64>(),
        slow in 0u64..500,
    ) {
        let policy = RetryPolicy { max_attempts, backoff, jitter, idempotent: false };
        prop_assert!(policy.validate().is_ok());
        let mut now = Instant::now();
        let deadline = limit.map(|limit| now + ms(limit));
        let mut attempts = Attempts::new(deadline, seed);
        let mut begun = 1;
        loop {
            now += ms(slow);
            let plain = super::pause(&policy, begun);
            match attempts.failed(&policy, NEVER_RAN, None, now) {
                NextAttempt::After(pause) => {
                    prop_assert!(pause <= plain);
                    match jitter {
                        Jitter::None => prop_assert_eq!(pause, plain),
                        Jitter::Equal => prop_assert!(pause >= plain / 2),
                        Jitter::Full => {}
                    }
                    now += pause;
                    prop_assert!(deadline.is_none_or(|deadline| now < deadline));
                    begun += 1;
                    prop_assert!(begun <= max_attempts);
                }
                NextAttempt::Stop(GiveUp::Attempts) => {
                    prop_assert_eq!(begun, max_attempts);
                    break;
                }
                NextAttempt::Stop(why) => {
                    prop_assert_eq!(why, GiveUp::Deadline);
                    prop_assert!(deadline.is_some());
                    break;
                }
            }
        }
    }
}

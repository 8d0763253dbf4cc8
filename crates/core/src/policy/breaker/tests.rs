//! The rules of a breaker, with time moved by hand, and what no order of events may break.

use proptest::prelude::*;

use super::*;
use crate::error::Error;

const RESET: Duration = Duration::from_secs(30);

fn breaker(trip: Trip, half_open_max_calls: u32) -> Breaker {
    let config = BreakerConfig { trip, reset_timeout: RESET, half_open_max_calls };
    config.validate().unwrap();
    Breaker::new(config)
}

fn fail(breaker: &mut Breaker, times: u32, now: Instant) {
    for _ in 0..times {
        let permit = breaker.admit(now).unwrap();
        breaker.failure(permit, now);
    }
}

fn succeed(breaker: &mut Breaker, now: Instant) {
    let permit = breaker.admit(now).unwrap();
    breaker.success(permit, now);
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_starts_the_count_anew() {
    let now = Instant::now();
    let mut breaker = breaker(Trip::Consecutive(3), 1);
    fail(&mut breaker, 2, now);
    succeed(&mut breaker, now);
    fail(&mut breaker, 2, now);
    assert_eq!(breaker.state(now), BreakerState::Closed);
    fail(&mut breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::Open);
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, RESET);
    assert_eq!(breaker.stats(now).total_refused, 1);
}

#[test]
fn one_probe_is_admitted_after_the_reset_timeout_and_its_success_closes() {
    let opened = Instant::now();
    let mut breaker = breaker(Trip::Consecutive(1), 1);
    fail(&mut breaker, 1, opened);
    let just_before = opened + RESET - Duration::from_nanos(1);
    assert_eq!(breaker.admit(just_before).unwrap_err().retry_after, Duration::from_nanos(1));

    let later = opened + RESET;
    assert!(breaker.allows(later));
    let probe = breaker.admit(later).unwrap();
    assert!(!breaker.allows(later));
    assert_eq!(breaker.admit(later).unwrap_err().retry_after, Duration::ZERO);
    breaker.success(probe, later);
    assert_eq!(breaker.state(later), BreakerState::Closed);
}

#[test]
fn a_failed_probe_opens_it_for_another_whole_timeout() {
    let opened = Instant::now();
    let mut breaker = breaker(Trip::Consecutive(1), 2);
    fail(&mut breaker, 1, opened);
    let later = opened + RESET + Duration::from_secs(5);
    let (first, second) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
    breaker.failure(first, later);
    assert_eq!(breaker.admit(later).unwrap_err().retry_after, RESET);
    breaker.success(second, later);
    assert_eq!(breaker.state(later), BreakerState::Open, "the first verdict has decided");
}

#[test]
fn a_probe_without_a_verdict_frees_its_place() {
    let opened = Instant::now();
    let mut breaker = breaker(Trip::Consecutive(1), 1);
    fail(&mut breaker, 1, opened);
    let later = opened + RESET;
    for _ in 0..10 {
        let probe = breaker.admit(later).expect("the one before gave its place back");
        breaker.release(probe, later);
    }
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
}

#[test]
fn late_verdicts_about_an_earlier_state_change_nothing() {
    let opened = Instant::now();
    let mut breaker = breaker(Trip::Consecutive(1), 1);
    let slow: Vec<_> = (0..4).map(|_| breaker.admit(opened).unwrap()).collect();
    let mut slow = slow.into_iter();
    fail(&mut breaker, 1, opened);

    breaker.failure(slow.next().unwrap(), opened + RESET / 2);
    assert!(breaker.allows(opened + RESET), "a late failure must not keep it open");
    breaker.success(slow.next().unwrap(), opened + RESET / 2);
    assert_eq!(breaker.state(opened), BreakerState::Open, "a late success must not close it");

    let probe = breaker.admit(opened + RESET).unwrap();
    breaker.release(slow.next().unwrap(), opened + RESET);
    assert!(!breaker.allows(opened + RESET), "a late release is not the probe's");
    breaker.success(probe, opened + RESET);
    breaker.failure(slow.next().unwrap(), opened + RESET);
    assert_eq!(breaker.state(opened + RESET), BreakerState::Closed);
}

#[test]
fn a_reset_closes_it_and_outdates_its_probes() {
    let opened = Instant::now();
    let mut breaker = breaker(Trip::Consecutive(1), 1);
    fail(&mut breaker, 1, opened);
    let probe = breaker.admit(opened + RESET).unwrap();
    breaker.reset();
    breaker.failure(probe, opened + RESET);
    assert_eq!(breaker.state(opened + RESET), BreakerState::Closed);
}

#[test]
fn the_rate_counts_once_enough_calls_are_remembered() {
    let now = Instant::now();
    let mut breaker = breaker(Trip::Rate { window: 10, minimum_calls: 4, failure_rate: 0.5 }, 1);
    fail(&mut breaker, 1, now);
    succeed(&mut breaker, now);
    fail(&mut breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::Closed, "two of three, but four are needed");
    succeed(&mut breaker, now);
    assert_eq!(breaker.state(now), BreakerState::Open, "two of four is the rate itself");
}

#[test]
fn the_window_forgets_what_is_older() {
    let now = Instant::now();
    let mut breaker = breaker(Trip::Rate { window: 4, minimum_calls: 4, failure_rate: 0.75 }, 1);
    fail(&mut breaker, 2, now);
    for _ in 0..4 {
        succeed(&mut breaker, now);
    }
    fail(&mut breaker, 2, now);
    assert_eq!(breaker.stats(now).failures, 2, "the first two are out of the window");
    assert_eq!(breaker.state(now), BreakerState::Closed);
    fail(&mut breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::Open);
}

#[test]
fn limits_that_make_no_sense_are_named() {
    let rate = |window, minimum_calls, failure_rate| BreakerConfig {
        trip: Trip::Rate { window, minimum_calls, failure_rate },
        ..BreakerConfig::default()
    };
    let wrong = [
        (BreakerConfig { trip: Trip::Consecutive(0), ..Default::default() }, "failure_threshold"),
        (BreakerConfig { half_open_max_calls: 0, ..Default::default() }, "half_open_max_calls"),
        (rate(0, 1, 0.5), "window"),
        (rate(10, 11, 0.5), "minimum_calls"),
        (rate(10, 5, 0.0), "failure_rate"),
        (rate(10, 5, f64::NAN), "failure_rate"),
    ];
    for (config, expected) in wrong {
        let Err(Error::Config { field, .. }) = config.validate() else {
            panic!("{config:?} passed")
        };
        assert_eq!(field, expected);
    }
    assert!(BreakerConfig::default().validate().is_ok());
}

#[test]
fn an_endless_reset_timeout_does_not_overflow() {
    let now = Instant::now();
    let mut breaker =
        Breaker::new(BreakerConfig { reset_timeout: Duration::MAX, ..Default::default() });
    fail(&mut breaker, 5, now);
    assert!(!breaker.allows(now + RESET));
}

fn any_trip() -> impl Strategy<Value = Trip> {
    let row = (1u32..4).prop_map(Trip::Consecutive);
    let rate = (1u32..8).prop_flat_map(|window| {
        (1..=window, 0.1..1.0f64).prop_map(move |(minimum_calls, failure_rate)| Trip::Rate {
            window,
            minimum_calls,
            failure_rate,
        })
    });
    prop_oneof![row, rate]
}

proptest! {
    /// Whatever is admitted and however it ends: open admits nothing before its time, half open
    /// never has more probes than it may, and with no probe under way it always admits one.
    #[test]
    fn the_promises_hold(
        trip in any_trip(),
        max in 1u32..4,
        events in prop::collection::vec((0u8..6, 0usize..8, 0u64..20_000), 0..150),
    ) {
        let mut now = Instant::now();
        let mut breaker = breaker(trip, max);
        let mut permits = Vec::new();
        let mut open_until: Option<Instant> = None;
        for (event, which, passed) in events {
            now += Duration::from_millis(passed);
            let opened = breaker.stats(now).total_opened;
            if event < 2 {
                let (before, allowed) = (breaker.state(now), breaker.allows(now));
                let admitted = breaker.admit(now);
                prop_assert_eq!(allowed, admitted.is_ok());
                match (before, admitted) {
                    (BreakerState::Open, Err(refusal)) => {
                        let left = open_until.expect("it opened once") - now;
                        prop_assert_eq!(refusal.retry_after, left);
                    }
                    (BreakerState::Open, Ok(_)) => prop_assert!(false, "open admitted a call"),
                    (_, Ok(permit)) => {
                        prop_assert!(open_until.is_none_or(|until| now >= until));
                        permits.push((permit, before == BreakerState::HalfOpen));
                    }
                    (_, Err(_)) => prop_assert_eq!(breaker.stats(now).probes, max),
                }
            } else if !permits.is_empty() {
                let (permit, _) = permits.swap_remove(which % permits.len());
                match event {
                    2 => breaker.success(permit, now),
                    3 | 4 => breaker.failure(permit, now),
                    _ => breaker.release(permit, now),
                }
            }
            if event == 5 && which == 0 && passed % 7 == 0 {
                breaker.reset();
            }
            let stats = breaker.stats(now);
            prop_assert!(stats.probes <= max);
            prop_assert!(stats.probes as usize <= permits.iter().filter(|(_, probe)| *probe).count());
            if stats.total_opened > opened {
                open_until = Some(now + RESET);
            } else if stats.state == BreakerState::Closed {
                open_until = None;
            }
        }
        // However it went: once all permits are back, a call is admitted after the timeout.
        for (permit, _) in permits {
            breaker.release(permit, now);
        }
        prop_assert!(breaker.admit(now + RESET).is_ok());
    }
}

//! What a plan may say, and that it is kept to.

use std::sync::Mutex;

use super::*;

/// One plan is armed at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn plan(text: &str) -> Plan {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn failures(point: Point, passes: u32) -> Vec<u32> {
    (1..=passes).filter(|_| check(point).is_err()).collect()
}

#[test]
fn what_is_written_is_what_is_read() {
    for text in [
        "seed=7",
        "seed=7,spawn:error:5%,handshake:delay=2000000us",
        "seed=0,run:delay=50us:crash:nth=3:times=1,spawn:error=EMFILE:12.5%",
    ] {
        assert_eq!(plan(text).to_string(), text);
    }
    assert_eq!(plan(" seed=1, spawn:5% ,"), plan("seed=1,spawn:error:5%"));
    assert_eq!(plan("seed=1,ack:once:delay=2s"), plan("seed=1,ack:delay=2000ms:times=1"));
    assert_ne!(plan("spawn").seed, plan("spawn").seed, "dice fall otherwise each time");
}

#[test]
fn what_cannot_be_meant_is_refused_and_says_what_can() {
    for (text, told) in [
        ("spwan:5%", "there is no point \"spwan\"; there are spawn, page"),
        ("spawn:5", "\"5\" is none of error, error=KIND, delay=DURATION"),
        ("spawn:101%", "no chance from 0% to 100%"),
        ("spawn:NaN%", "no chance from 0% to 100%"),
        ("run:delay=2", "needs a unit: us, ms or s"),
        ("run:delay=-2s", "needs a unit"),
        ("run:delay=99999999999999999999s", "is no duration"),
        ("run:nth=x", "\"x\" is no number"),
        ("spawn:error=EPERM", "one of EAGAIN, EMFILE, ENOMEM"),
        ("spawn:crash", "only workers crash"),
        ("reply", "can only be late"),
        ("run:once,run:5%", "there is an entry of this point before it"),
    ] {
        let error = text.parse::<Plan>().expect_err(text);
        assert!(error.contains(told), "{error:?} does not say {told:?}");
    }
}

#[test]
fn points_fire_as_often_as_the_plan_says_and_only_while_it_is_armed() {
    let _alone = lock(&ALONE);
    for (text, expected) in [
        ("page", vec![1, 2, 3, 4]),
        ("page:once", vec![1]),
        ("page:times=2", vec![1, 2]),
        ("page:nth=3", vec![3]),
        ("page:0%", vec![]),
        ("spawn", vec![]),
    ] {
        let guard = arm(plan(text));
        assert_eq!(failures(Point::Page, 4), expected, "{text}");
        assert_eq!(guard.fired(Point::Page), expected.len() as u64);
    }
    assert!(check(Point::Page).is_ok(), "nothing is armed");
}

#[test]
fn dice_fall_as_their_seed_says_and_as_often_as_they_should() {
    let _alone = lock(&ALONE);
    let thrown = |text: &str| {
        let _guard = arm(plan(text));
        failures(Point::Page, 10_000)
    };
    let some = thrown("seed=1,page:5%");
    assert_eq!(some, thrown("seed=1,page:5%"));
    assert_ne!(some, thrown("seed=2,page:5%"));
    assert!((400..600).contains(&some.len()), "{} of 10,000", some.len());
}

#[test]
fn an_error_is_of_the_kind_that_the_plan_names() {
    let _alone = lock(&ALONE);
    let _guard = arm(plan("spawn:error=EMFILE,page:error"));
    assert_eq!(check(Point::Spawn).unwrap_err().raw_os_error(), Some(24));
    assert_eq!(check(Point::Page).unwrap_err().to_string(), "failpoint page");
}

#[test]
fn a_plan_for_python_workers_names_points_of_the_host_only() {
    let _alone = lock(&ALONE);
    let guard = arm(plan("spawn:5%,run:once,ack"));
    let told = check_workers(true).expect_err("they pass no point");
    assert!(told.starts_with("no Python worker passes run, ack, only"), "{told}");
    assert!(
        told.ends_with("of the host: spawn, page, ledger, handshake, send, recv, reply"),
        "{told}"
    );
    assert_eq!(check_workers(false), Ok(()), "scripted ones do");
    drop(guard);
    assert_eq!(check_workers(true), Ok(()), "nothing is armed");
    let _guard = arm(plan("spawn:5%"));
    assert_eq!(check_workers(true), Ok(()));
}

#[test]
fn workers_are_given_what_is_theirs_and_a_few_what_is_to_happen_a_few_times() {
    let _alone = lock(&ALONE);
    let _guard = arm(plan("seed=1,spawn:5%,run:crash:nth=2:times=2,warmup:delay=1s"));
    let given = || for_next_worker().expect("something");
    let first = given();
    assert!(first.ends_with(",run:crash:nth=2:times=1,warmup:delay=1000000us"), "{first}");
    assert_ne!(first, given(), "each has dice of its own");
    let third = given();
    assert!(third.ends_with(",warmup:delay=1000000us") && !third.contains("run"), "{third}");

    let _guard = arm(plan("run:once"));
    assert!(for_next_worker().is_some() && for_next_worker().is_none());
}

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// The calls that each tally has.
fn told(meter: &Meter) -> Vec<(String, u64)> {
    let tallies = meter.tallies();
    let calls = |tally: &Tally| tally.fates.iter().sum();
    tallies.iter().map(|tally| (tally.tool.to_string(), calls(tally))).collect()
}

fn one(meter: &mut Meter, tool: &str) {
    let place = meter.place(tool);
    meter.ended(place, Fate::Ok, Duration::from_millis(3), Some(Duration::from_millis(2)));
}

#[test]
fn the_words_are_all_different() {
    let words: HashSet<_> = Fate::ALL.iter().map(|fate| fate.as_str()).collect();
    assert_eq!(words.len(), Fate::ALL.len());
    for (place, fate) in Fate::ALL.into_iter().enumerate() {
        assert_eq!(fate as usize, place);
    }
    let words: HashSet<_> = Rejection::ALL.iter().map(|why| why.as_str()).collect();
    assert_eq!(words.len(), Rejection::ALL.len());
    for (place, why) in Rejection::ALL.into_iter().enumerate() {
        assert_eq!(why as usize, place);
    }
}

#[test]
fn a_call_before_the_first_worker_counts_for_its_tool_once_that_is_declared() {
    let mut meter = Meter::default();
    one(&mut meter, "echo");
    one(&mut meter, "nonsense");
    assert_eq!(told(&meter), [("(other)".into(), 2)]);
    meter.declare(["echo", "sleep"].into_iter());
    one(&mut meter, "echo");
    one(&mut meter, "more nonsense");
    assert_eq!(told(&meter), [("(other)".into(), 2), ("echo".into(), 2)]);
}

#[test]
fn made_up_names_cost_a_bounded_amount() {
    let mut meter = Meter::default();
    (0..10_000).for_each(|number| one(&mut meter, &format!("made up {number}")));
    let tools: Vec<_> = (0..10_000).map(|number| format!("tool_{number}")).collect();
    meter.declare(tools.iter().map(String::as_str));
    (0..10_000).for_each(|number| one(&mut meter, &format!("tool_{number}")));
    assert!(meter.tallies.len() <= MAX_TOOLS + 1);
    assert_eq!(told(&meter).iter().map(|(_, calls)| calls).sum::<u64>(), 20_000);
}

#[test]
fn what_never_began_only_waited() {
    let mut meter = Meter::default();
    meter.ended(Place(0), Fate::Timeout, Duration::from_secs(1), None);
    let tally = &meter.tallies()[0];
    assert_eq!((tally.waited.count(), tally.ran.count(), tally.took.count()), (1, 0, 1));
}

proptest! {
    #[test]
    fn every_duration_is_in_one_bucket_and_in_the_sum(times in proptest::collection::vec(0..u64::MAX / 1000, 1..50)) {
        let mut histogram = Histogram::default();
        times.iter().for_each(|&time| histogram.record(Duration::from_nanos(time)));
        for (bound, count) in histogram.cumulative() {
            let bound = bound.map_or(u64::MAX, |bound| (bound * 1e9).round() as u64);
            prop_assert_eq!(count, times.iter().filter(|&&time| time <= bound).count() as u64);
        }
        prop_assert_eq!(histogram.count(), times.len() as u64);
        prop_assert_eq!(histogram.sum(), Duration::from_nanos(times.iter().sum()));
    }

    #[test]
    fn waiting_and_running_are_all_the_time(took in 0..u64::MAX / 2, part in 0.0..=1.0) {
        let (took, mut meter) = (Duration::from_nanos(took), Meter::default());
        let ran = took.mul_f64(part).min(took);
        meter.ended(Place(0), Fate::Ok, took, Some(ran));
        let tally = &meter.tallies()[0];
        prop_assert_eq!(tally.waited.sum() + tally.ran.sum(), tally.took.sum());
    }
}

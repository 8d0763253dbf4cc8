//! The rules of sessions, with time moved by hand, and what no order of events may break.

use proptest::prelude::*;

use super::*;

const TTL: Duration = Duration::from_secs(60);

fn sessions(max: usize) -> Sessions {
    Sessions::new(3, Limits { ttl: Some(TTL), max })
}

fn id(name: &str) -> Arc<str> {
    name.into()
}

fn with_ttl(ttl: impl Into<Option<Duration>>) -> Binding {
    Binding::opening(Opening { ttl: Some(ttl.into()), ..Opening::default() })
}

#[test]
fn each_use_makes_it_last_longer_and_a_call_inside_keeps_it() {
    let (mut sessions, start) = (sessions(10), Instant::now());
    let place = sessions.open(&id("s"), start);
    let just_before = start + TTL - Duration::from_nanos(1);
    assert_eq!(sessions.find("s", None, just_before), Ok(Found::Open(place)));
    assert_eq!(sessions.find("s", None, start + TTL), Ok(Found::Stale(place)));
    sessions.enter(place, just_before);
    let late = start + 10 * TTL;
    assert_eq!(sessions.find("s", None, late), Ok(Found::Open(place)), "a call is inside");
    assert_eq!(sessions.get(place).left(late), Some(TTL));
    sessions.touch(place, late);
    assert_eq!(sessions.leave(place), None);
    assert_eq!(sessions.find("s", None, late + TTL / 2), Ok(Found::Open(place)));
    assert_eq!(sessions.get(place).left(late + TTL / 4), Some(TTL * 3 / 4));
    assert_eq!(sessions.find("s", None, late + TTL), Ok(Found::Stale(place)));
}

#[test]
fn it_has_expired_whether_somebody_swept_or_not() {
    let (mut sessions, start) = (sessions(10), Instant::now());
    let object = Binding::default();
    let place = sessions.open(&id("s"), start);
    sessions.join(place, &object);
    let (home, _) = sessions.arrive(place, 1);
    let late = start + TTL;
    assert_eq!(sessions.find("s", Some(&object), late), Err(Ended::Expired));
    assert_eq!((sessions.iter(late).count(), sessions.iter(start).count()), (0, 1));
    let unused = Binding::default();
    let found = sessions.find("s", Some(&unused), late);
    assert_eq!(found, Ok(Found::Stale(place)), "that object relies on nothing");
    assert_eq!(sessions.sweep(late), [Gone { id: id("s"), homes: vec![home] }]);
    assert_eq!(sessions.find("s", Some(&object), late), Err(Ended::Expired));
    assert_eq!((sessions.len(), sessions.count(1)), (0, 0));
}

#[test]
fn one_that_is_closed_is_over_when_its_last_call_has_left() {
    let (mut sessions, now) = (sessions(10), Instant::now());
    let old = sessions.open(&id("s"), now);
    let object = Binding::default();
    sessions.join(old, &object);
    sessions.enter(old, now);
    sessions.enter(old, now);
    let (home, _) = sessions.arrive(old, 0);
    assert_eq!(sessions.end(old, Ended::Closed), None, "calls are inside");
    assert_eq!(sessions.find("s", Some(&object), now), Err(Ended::Closed));
    assert_eq!(sessions.find("s", None, now), Ok(Found::Nothing));
    let new = sessions.open(&id("s"), now);
    assert_ne!(old, new);
    sessions.enter(new, now);
    let (other, is_new) = sessions.arrive(new, 0);
    assert!(is_new && other.binding > home.binding, "the same worker tells them apart");
    assert_eq!(sessions.leave(old), None);
    assert_eq!(sessions.leave(old), Some(Gone { id: id("s"), homes: vec![home] }));
    assert_eq!((sessions.leave(new), sessions.count(0)), (None, 1));
}

#[test]
fn the_first_use_of_an_object_says_what_it_is_like() {
    let (mut sessions, start) = (sessions(10), Instant::now());
    let place = sessions.open(&id("s"), start);
    let object = with_ttl(None);
    sessions.join(place, &object);
    assert_eq!(sessions.get(place).ttl, None);
    assert_eq!(sessions.find("s", None, start + 1000 * TTL), Ok(Found::Open(place)));
    sessions.join(place, &with_ttl(TTL / 2));
    assert_eq!(sessions.get(place).ttl, Some(TTL / 2), "whoever spoke last");
    sessions.join(place, &object);
    assert_eq!(sessions.get(place).ttl, Some(TTL / 2), "it has spoken");
    assert_eq!(sessions.note_expiry(place), Some(start + TTL / 2));
    assert_eq!(sessions.note_expiry(place), None, "known already");
}

#[test]
fn sweeps_keep_their_distance() {
    let (mut sessions, start) = (sessions(100), Instant::now());
    for n in 0..100 {
        let place = sessions.open(&id(&n.to_string()), start + n * Duration::from_millis(1));
        sessions.note_expiry(place);
    }
    let (mut swept, mut sweeps) = (0, 0);
    while let Some(at) = sessions.sweep_at() {
        swept += sessions.sweep(at).len();
        sweeps += 1;
    }
    assert_eq!((swept, sweeps), (100, 2), "not one for each");
}

#[test]
fn a_worker_that_ends_takes_homes_along_but_not_the_session() {
    let (mut sessions, now) = (sessions(10), Instant::now());
    let place = sessions.open(&id("s"), now);
    sessions.enter(place, now);
    let (first, _) = sessions.arrive(place, 0);
    sessions.evict(0);
    assert_eq!((sessions.len(), sessions.count(0)), (1, 0));
    assert!(sessions.get(place).homes.is_lost(first.binding));
    let (second, is_new) = sessions.arrive(place, 0);
    assert!(is_new && second.binding > first.binding);
    assert_eq!(sessions.arrive(place, 0), (Home { sent: 2, ..second }, false));
}

#[derive(Clone, Debug)]
enum Op {
    Call { name: usize, slot: usize, object: bool },
    Leave { nth: usize, answered: bool },
    Close(usize),
    Evict(usize),
    Sweep,
    Pass(u64),
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..4usize, 0..3usize, any::<bool>())
            .prop_map(|(name, slot, object)| Op::Call { name, slot, object }),
        6 => (any::<usize>(), any::<bool>())
            .prop_map(|(nth, answered)| Op::Leave { nth, answered }),
        2 => (0..4usize).prop_map(Op::Close),
        1 => (0..3usize).prop_map(Op::Evict),
        2 => Just(Op::Sweep),
        4 => prop_oneof![Just(1), Just(30), Just(59), Just(60), Just(500)].prop_map(Op::Pass),
    ]
}

proptest! {
    /// What is open, inside, and at home where is what a list of all that happened says.
    #[test]
    fn it_is_as_told(ops in prop::collection::vec(any_op(), 0..200)) {
        let (mut sessions, start) = (sessions(3), Instant::now());
        let mut now = start;
        let mut inside: Vec<Place> = Vec::new();
        let mut used: HashMap<Arc<str>, Instant> = HashMap::new();
        let mut objects: Vec<Binding> = (0..4).map(|_| Binding::default()).collect();
        let mut bindings = std::collections::HashSet::new();
        for op in ops {
            match op {
                Op::Call { name, slot, object } => {
                    let id = id(&name.to_string());
                    let object = object.then(|| &objects[name]);
                    let alive = used.get(&id).is_some_and(|used| {
                        let calls = inside.iter().any(|&at| {
                            sessions.by_id.get(&id) == Some(&at)
                        });
                        calls || now < *used + TTL
                    });
                    let place = match sessions.find(&id, object, now) {
                        Err(_) => {
                            // An object relies on one session only.
                            objects[name] = Binding::default();
                            continue;
                        }
                        Ok(Found::Open(place)) => {
                            prop_assert!(alive);
                            place
                        }
                        Ok(found) => {
                            prop_assert!(!alive);
                            if let Found::Stale(place) = found {
                                prop_assert!(sessions.end(place, Ended::Expired).is_some());
                            }
                            if sessions.is_full() {
                                sessions.sweep(now);
                            }
                            if sessions.is_full() {
                                continue;
                            }
                            sessions.open(&id, now)
                        }
                    };
                    if let Some(object) = object {
                        sessions.join(place, object);
                    }
                    sessions.note_expiry(place);
                    sessions.enter(place, now);
                    let (home, is_new) = sessions.arrive(place, slot);
                    prop_assert_eq!(bindings.insert(home.binding), is_new);
                    used.insert(id, now);
                    inside.push(place);
                }
                Op::Leave { nth, answered } => {
                    if inside.is_empty() {
                        continue;
                    }
                    let place = inside.swap_remove(nth % inside.len());
                    let id = sessions.get(place).id.clone();
                    let open = sessions.by_id.get(&id) == Some(&place);
                    if answered {
                        sessions.touch(place, now);
                        if open {
                            used.insert(id, now);
                        }
                    }
                    let last = !inside.contains(&place);
                    prop_assert_eq!(sessions.leave(place).is_some(), last && !open);
                    if open {
                        sessions.note_expiry(place);
                    }
                }
                Op::Close(name) => {
                    let name = id(&name.to_string());
                    if let Ok(Found::Open(place)) = sessions.find(&name, None, now) {
                        let gone = sessions.end(place, Ended::Closed);
                        prop_assert_eq!(gone.is_some(), !inside.contains(&place));
                        used.remove(&name);
                    }
                }
                Op::Evict(slot) => drop(sessions.evict(slot)),
                Op::Sweep => {
                    sessions.sweep(now);
                    prop_assert_eq!(sessions.iter(now).count(), sessions.len());
                }
                Op::Pass(seconds) => now += Duration::from_secs(seconds),
            }
            prop_assert!(sessions.len() <= 3);
            for slot in 0..3 {
                let entries = sessions.entries.iter().flatten();
                let homes = entries.filter_map(|entry| entry.homes.home());
                let real = homes.filter(|home| home.slot == slot).count();
                prop_assert_eq!(sessions.count(slot) as usize, real);
            }
            let waits = sessions.iter(now).filter_map(Entry::expires).min();
            if let Some(due) = waits {
                let swept = sessions.sweep_at().is_some_and(|at| at <= due.max(now) + SWEEP_PAUSE);
                prop_assert!(swept, "nobody will look");
            }
        }
    }
}

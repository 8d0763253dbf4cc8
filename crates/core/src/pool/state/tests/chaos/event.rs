//! What may happen to a pool, and how often.

use proptest::prelude::*;

use crate::call::Affinity;
use crate::pool::state::tests::Spec;
use crate::pool::state::tests::violations::{Lie, any_lie};

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// `inside`: a host tool of the call that this slot runs makes it.
    Submit {
        session: Option<Who>,
        timeout: Option<u64>,
        spec: Spec,
        inside: Option<usize>,
    },
    Start(usize),
    Ready {
        slot: usize,
        revocable: bool,
    },
    Begin(usize),
    Finish {
        slot: usize,
        nth: usize,
    },
    Part(usize),
    Take(usize),
    Say {
        slot: usize,
        call: usize,
        lie: Lie,
    },
    Flush {
        slot: usize,
        fill: bool,
    },
    Work {
        slot: usize,
        calls: usize,
    },
    Die {
        slot: usize,
        read: bool,
        permanent: bool,
    },
    Cancel(usize),
    Advance(u64),
    Tick,
    Recycle {
        slot: usize,
        this: bool,
    },
    Weigh {
        slot: usize,
        bytes: u64,
    },
    AnswerProbes(usize),
    WaitForTimer,
    OpenSession(Who),
    CloseSession(Who),
    Drain,
    Close,
}

#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) name: usize,
    pub(super) affinity: Affinity,
    /// Whether the caller holds a session object, and makes a new one for this call.
    pub(super) object: Option<bool>,
}

/// The last ones come seldom, and make more than may be.
pub(super) const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn any_who() -> impl Strategy<Value = Who> {
    let affinity = prop_oneof![
        3 => Just(Affinity::StrictQueue),
        1 => Just(Affinity::StrictFailFast),
        2 => Just(Affinity::Hint),
    ];
    let name = prop_oneof![8 => 0..3usize, 1 => 3..NAMES.len()];
    (name, affinity, prop::option::of(prop::bool::weighted(0.2)))
        .prop_map(|(name, affinity, object)| Who { name, affinity, object })
}

/// Microseconds, from less than a call to more than a start timeout.
fn any_span() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => Just(10),
        3 => Just(500),
        3 => Just(3_000),
        1 => Just(60_000),
        1 => Just(2_500_000),
        1 => Just(31_000_000),
        1 => Just(61_000_000),
    ]
}

/// What a call is, whoever makes it.
fn any_spec() -> impl Strategy<Value = Spec> {
    let bytes = prop_oneof![4 => 0..20u32, 1 => 0..2000u32];
    (any::<bool>(), prop::bool::weighted(0.3), prop::bool::weighted(0.2), bytes).prop_map(
        |(idempotent, streaming, raises, bytes)| Spec {
            idempotent,
            streaming,
            raises,
            bytes,
            ..Spec::default()
        },
    )
}

pub(super) fn any_event() -> impl Strategy<Value = Event> {
    let slot = || 0..5usize;
    let timeout = prop::option::of(prop_oneof![Just(0), any_span()]);
    let session = prop::option::of(any_who());
    let inside = prop::option::weighted(0.2, slot());
    prop_oneof![
        40 => (session, timeout, any_spec(), inside).prop_map(|(session, timeout, spec, inside)| {
            Event::Submit { session, timeout, spec, inside }
        }),
        8 => slot().prop_map(Event::Start),
        8 => (slot(), prop::bool::weighted(0.8))
            .prop_map(|(slot, revocable)| Event::Ready { slot, revocable }),
        10 => slot().prop_map(Event::Begin),
        8 => (slot(), 0..4usize).prop_map(|(slot, nth)| Event::Finish { slot, nth }),
        4 => slot().prop_map(Event::Part),
        2 => any::<usize>().prop_map(Event::Take),
        2 => (slot(), any::<usize>(), any_lie())
            .prop_map(|(slot, call, lie)| Event::Say { slot, call, lie }),
        8 => (slot(), prop::bool::weighted(0.8)).prop_map(|(slot, fill)| Event::Flush { slot, fill }),
        15 => (slot(), 1..20usize).prop_map(|(slot, calls)| Event::Work { slot, calls }),
        6 => (slot(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(slot, read, permanent)| Event::Die { slot, read, permanent }),
        6 => any::<usize>().prop_map(Event::Cancel),
        15 => any_span().prop_map(Event::Advance),
        1 => Just(Event::Tick),
        2 => (slot(), any::<bool>()).prop_map(|(slot, this)| Event::Recycle { slot, this }),
        2 => (slot(), 1..4u64).prop_map(|(slot, bytes)| Event::Weigh { slot, bytes }),
        4 => slot().prop_map(Event::AnswerProbes),
        6 => Just(Event::WaitForTimer),
        2 => any_who().prop_map(Event::OpenSession),
        3 => any_who().prop_map(Event::CloseSession),
        1 => prop_oneof![4 => Just(Event::Tick), 1 => Just(Event::Drain), 1 => Just(Event::Close)],
    ]
}

//! The rules of the state, tried on simulated workers: one file a subject, and `chaos`, which
//! throws random events at all of it at once.

mod chaos;
mod concurrency;
mod deadlines;
mod deaths;
mod effects;
mod guards;
mod invariants;
mod life;
mod nesting;
mod prefetching;
mod recycling;
mod retries;
mod routing;
mod sessions;
mod spec;
mod streaming;
mod tending;
mod upkeep;
mod violations;
mod worker;
mod world;

use spec::Spec;
use world::{Outcome, World};

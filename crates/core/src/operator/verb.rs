//! From a request to its answer: which pool is meant, and whether that may be done to it.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Host, Said};
use super::request::{Request, Target};
use super::subject::{Refused, Subject};
use crate::config::Access;

/// A worker has so long to tell where it is.
const STACK_LIMIT: Duration = Duration::from_secs(3);

/// The pools of the process, by number.
pub(super) type Subjects = Vec<(u64, Arc<dyn Subject>)>;

/// Does what is asked for.
pub(super) fn carry_out(
    request: Request,
    subjects: &Subjects,
    host: impl FnOnce() -> Host,
) -> Said {
    match request {
        Request::Hello => Said::Hello(host()),
        Request::Status => {
            let seen = subjects.iter().filter(|(_, pool)| pool.access() >= Access::Read);
            Said::Status { host: host(), pools: seen.map(|(id, pool)| pool.report(*id)).collect() }
        }
        Request::Worker(target) => told(
            find(&target, Access::Read, subjects)
                .and_then(|pool| pool.worker(target.slot, target.generation).map(Said::Worker)),
        ),
        Request::Stack(target) => told(find(&target, Access::Admin, subjects).and_then(|pool| {
            pool.stack(target.slot, target.generation, STACK_LIMIT).map(Said::Stack)
        })),
        Request::Recycle(target) => told(
            find(&target, Access::Admin, subjects)
                .and_then(|pool| pool.recycle(target.slot, target.generation).map(Said::Recycled)),
        ),
    }
}

fn told(outcome: Result<Said, Refused>) -> Said {
    outcome.unwrap_or_else(|Refused { kind, message }| Said::Error { kind, message })
}

/// The pool of a worker that is meant, where it lets so much be done.
fn find<'a>(
    target: &Target,
    needed: Access,
    subjects: &'a Subjects,
) -> Result<&'a dyn Subject, Refused> {
    let refused = |kind, message| Err(Refused { kind, message });
    let visible = || subjects.iter().filter(|(_, pool)| pool.access() > Access::Off);
    let name = &*target.pool;
    let fits = |(id, pool): &&(u64, Arc<dyn Subject>)| {
        pool.name() == name && target.id.is_none_or(|wanted| wanted == *id)
    };
    let found: Vec<_> = visible().filter(fits).collect();
    let pool = match &found[..] {
        [(_, pool)] => pool,
        [] => {
            let names: Vec<_> = visible().map(|(_, pool)| pool.name()).collect();
            let names = if names.is_empty() { "none".into() } else { names.join(", ") };
            return refused("pool", format!("no pool {name:.64?} here; there is: {names}"));
        }
        several => {
            let ids: Vec<_> = several.iter().map(|(id, _)| id.to_string()).collect();
            let message = format!(
                "{} pools are called {name:?}; say which by its id: {}",
                several.len(),
                ids.join(", ")
            );
            return refused("ambiguous", message);
        }
    };
    if pool.access() < needed {
        let message = format!("pool {name:?} may only be looked at: it has control=\"read\"");
        return refused("read_only", message);
    }
    if target.slot >= pool.size() {
        let last = pool.size().saturating_sub(1);
        let message =
            format!("pool {name:?} has no slot {}; they go from 0 to {last}", target.slot);
        return refused("slot", message);
    }
    Ok(&**pool)
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::*;

    struct Dummy(&'static str, Access);

    impl Subject for Dummy {
        fn name(&self) -> &str {
            self.0
        }

        fn size(&self) -> usize {
            2
        }

        fn access(&self) -> Access {
            self.1
        }

        fn report(&self, _: u64) -> answer::Pool {
            unreachable!("nobody asks")
        }

        fn worker(&self, _: usize, _: Option<u64>) -> Result<answer::WorkerRow, Refused> {
            Err(Refused { kind: "seen", message: String::new() })
        }

        fn stack(&self, _: usize, _: Option<u64>, _: Duration) -> Result<answer::Stack, Refused> {
            Err(Refused { kind: "no_answer", message: String::new() })
        }

        fn recycle(&self, slot: usize, _: Option<u64>) -> Result<answer::Worker, Refused> {
            Ok(answer::Worker { pool: self.0.into(), slot, generation: 1 })
        }
    }

    fn recycle(pool: &str, id: Option<u64>, slot: usize) -> Result<usize, &'static str> {
        carried_out(Request::Recycle(Target { pool: pool.into(), id, slot, generation: None }))
    }

    fn carried_out(request: Request) -> Result<usize, &'static str> {
        let subjects: Subjects = vec![
            (0, Arc::new(Dummy("a", Access::Admin))),
            (1, Arc::new(Dummy("twin", Access::Admin))),
            (2, Arc::new(Dummy("twin", Access::Read))),
            (3, Arc::new(Dummy("hidden", Access::Off))),
        ];
        match carry_out(request, &subjects, || unreachable!("not of the host")) {
            Said::Recycled(worker) => Ok(worker.slot),
            Said::Error { kind, .. } => Err(kind),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_one_pool_that_allows_it_is_meant() {
        assert_eq!(recycle("a", None, 1), Ok(1));
        assert_eq!(recycle("a", Some(0), 0), Ok(0));
        assert_eq!(recycle("a", Some(1), 0), Err("pool"));
        assert_eq!(recycle("a", None, 2), Err("slot"));
        assert_eq!(recycle("twin", None, 0), Err("ambiguous"));
        assert_eq!(recycle("twin", Some(1), 0), Ok(0));
        assert_eq!(recycle("twin", Some(2), 0), Err("read_only"));
        assert_eq!(recycle("hidden", None, 0), Err("pool"), "as if there were none");
        assert_eq!(recycle("b", None, 0), Err("pool"));
    }
    #[test]
    fn a_pool_that_may_only_be_looked_at_shows_a_worker() {
        let look = |pool: &str, id| {
            let target = Target { pool: pool.into(), id, slot: 0, generation: None };
            carried_out(Request::Worker(target))
        };
        assert_eq!(look("a", None), Err("seen"));
        assert_eq!(look("twin", Some(2)), Err("seen"));
        assert_eq!(look("hidden", None), Err("pool"));
    }
}

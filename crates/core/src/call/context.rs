//! From inside which calls does this code run?

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::TraceContext;
use crate::id::CallId;

/// What an embedder gives a call to find it again in the host tools that are called for it.
pub type Origin = Arc<dyn Any + Send + Sync>;

type Hook = Box<dyn FnOnce() + Send>;

/// From inside which calls a host tool runs. Calls that are made with it are theirs: they end by the
/// same deadline, are given up with them, and are refused where they would wait for them.
///
/// A host tool in Rust has it around it, on its thread or task, and the calls that it makes there
/// find it. Code that it starts elsewhere takes it along: [`HostContext::current`], then
/// [`HostContext::enter`].
#[derive(Clone)]
pub struct HostContext(Arc<Within>);

struct Within {
    /// Which pool the call belongs to: a number of its own in this process.
    pool: u64,
    call: CallId,
    outer: Option<HostContext>,
    depth: u32,
    deadline: Option<Instant>,
    session: Option<Arc<str>>,
    caller: Arc<str>,
    trace: Option<TraceContext>,
    cancelled: AtomicBool,
    hooks: Mutex<Hooks>,
}

#[derive(Default)]
struct Hooks {
    last: u64,
    hooks: Vec<(u64, Hook)>,
}

thread_local! {
    static CURRENT: RefCell<Option<HostContext>> = const { RefCell::new(None) };
}

/// The call that asks for a host tool.
pub(crate) struct Caller {
    pub(crate) pool: u64,
    pub(crate) call: CallId,
    pub(crate) tool: Arc<str>,
    pub(crate) session: Option<Arc<str>>,
    /// Its own, or the host tool's where that is earlier.
    pub(crate) deadline: Option<Instant>,
    /// From inside which it was made.
    pub(crate) outer: Option<HostContext>,
    /// The span inside of which it asks.
    pub(crate) trace: Option<TraceContext>,
}

impl HostContext {
    pub(crate) fn new(caller: Caller) -> Self {
        let Caller { pool, call, tool, session, deadline, outer, trace } = caller;
        let depth = outer.as_ref().map_or(0, Self::depth) + 1;
        let inherited = outer.as_ref().and_then(|outer| outer.0.deadline);
        let deadline = [deadline, inherited].into_iter().flatten().min();
        Self(Arc::new(Within {
            pool,
            call,
            outer,
            depth,
            deadline,
            session,
            caller: tool,
            trace,
            cancelled: AtomicBool::new(false),
            hooks: Mutex::default(),
        }))
    }

    /// That of the host tool that runs here, if one does.
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Runs `inside` in this context.
    pub fn enter<R>(&self, inside: impl FnOnce() -> R) -> R {
        struct Leave(Option<HostContext>);
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _leave = Leave(CURRENT.replace(Some(self.clone())));
        inside()
    }

    /// How many host tools are around this code: 1 in one that a plain call asked for.
    pub fn depth(&self) -> u32 {
        self.0.depth
    }

    /// When the call that asked, or the host tool itself, runs out of time.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// The session of the call that asked.
    pub fn session(&self) -> Option<&str> {
        self.0.session.as_deref()
    }

    /// The span inside of which the worker asked, where the call is traced.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.0.trace.as_ref()
    }

    /// The tool of the worker that asked.
    pub fn caller(&self) -> &str {
        &self.0.caller
    }

    /// Whether nobody waits for this any more.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(SeqCst)
    }

    /// Has `hook` run once when nobody waits for this any more; at once if that is so. It runs on
    /// whichever thread finds that out, with no lock held, and must not block. The number takes it
    /// back; see [`HostContext::forget`].
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) -> u64 {
        let mut hooks = self.hooks();
        // Under the lock: who cancels flags first, then takes the hooks.
        if self.is_cancelled() {
            drop(hooks);
            hook();
            return 0;
        }
        hooks.last += 1;
        let token = hooks.last;
        hooks.hooks.push((token, Box::new(hook)));
        token
    }

    /// Takes a hook back.
    pub fn forget(&self, token: u64) {
        let mut hooks = self.hooks();
        let at = hooks.hooks.iter().position(|(known, _)| *known == token);
        let hook = at.map(|at| hooks.hooks.swap_remove(at));
        drop(hooks);
        drop(hook); // outside: what it owns may have hooks of its own
    }

    /// Nobody waits for this any more.
    pub(crate) fn cancel(&self) {
        self.0.cancelled.store(true, SeqCst);
        let hooks = std::mem::take(&mut self.hooks().hooks);
        hooks.into_iter().for_each(|(_, hook)| hook());
    }

    /// The calls of a pool that wait for this, innermost first.
    pub(crate) fn ancestors_in(&self, pool: u64) -> Vec<CallId> {
        let mut within = Some(self);
        let mut found = Vec::new();
        while let Some(HostContext(it)) = within {
            if it.pool == pool {
                found.push(it.call);
            }
            within = it.outer.as_ref();
        }
        found
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        // Every field is whole between statements.
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for HostContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("HostContext");
        shown.field("caller", &self.0.caller).field("call", &self.0.call);
        shown.field("depth", &self.0.depth).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use super::*;

    fn context(pool: u64, call: u64, outer: Option<HostContext>) -> HostContext {
        let call = CallId::new(call, 0);
        let (tool, session, deadline, trace) = ("t".into(), None, None, None);
        HostContext::new(Caller { pool, call, tool, session, deadline, outer, trace })
    }

    #[test]
    fn ancestors_are_of_one_pool() {
        let first = context(1, 1, None);
        let third = context(1, 3, Some(context(2, 2, Some(first))));
        assert_eq!(third.ancestors_in(1), [CallId::new(3, 0), CallId::new(1, 0)]);
        assert_eq!(third.ancestors_in(2), [CallId::new(2, 0)]);
        assert_eq!(third.depth(), 3);
    }

    #[test]
    fn the_earliest_deadline_around_it_counts() {
        let now = Instant::now();
        let of = |seconds: u64, outer| {
            let deadline = Some(now + Duration::from_secs(seconds));
            let (tool, session) = ("t".into(), None);
            let (pool, call, trace) = (1, CallId::NONE, None);
            HostContext::new(Caller { pool, call, tool, session, deadline, outer, trace })
        };
        let inner = of(9, Some(of(5, None)));
        assert_eq!(inner.deadline(), Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn a_hook_runs_once_or_is_taken_back() {
        let (context, ran) = (context(1, 1, None), Arc::new(AtomicU32::new(0)));
        let count = || {
            let ran = ran.clone();
            move || {
                ran.fetch_add(1, SeqCst);
            }
        };
        context.on_cancel(count());
        let back = context.on_cancel(count());
        context.forget(back);
        context.cancel();
        context.cancel();
        assert_eq!(ran.load(SeqCst), 1);
        context.on_cancel(count());
        assert_eq!(ran.load(SeqCst), 2, "late, it runs at once");
    }

    #[test]
    fn a_context_is_around_what_runs_in_it() {
        assert!(HostContext::current().is_none());
        context(1, 1, None).enter(|| {
            let inner = context(1, 2, HostContext::current());
            inner.enter(|| assert_eq!(HostContext::current().map(|it| it.depth()), Some(2)));
            assert_eq!(HostContext::current().map(|it| it.depth()), Some(1));
        });
        assert!(HostContext::current().is_none());
    }
}

//! Host tools of one pool: registered here, asked for by its workers, answered from anywhere.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Pool;
use super::answers::{Answer, Answers};
use super::job::Job;
use super::ports::Ports;
use super::shared::Shared;
use super::state::State;
use super::telling::ToldAsk;
use crate::call::{Caller, HostContext, TOOL_NAME_RULE, check_id};
use crate::error::{Error, Failure, Violation};
use crate::id::CallId;
use crate::policy::hostcalls::{Excess, HostCalls, LIMIT};
use crate::policy::toolbox::{Toolbox, Unfit};
use crate::tool::{Desk, HostCall, HostTool, HostToolInfo, Registered, Task};
use crate::transport::{HostAsk, WorkerFailure};
use crate::value;

/// Tells pools of this process apart.
static POOLS: AtomicU64 = AtomicU64::new(1);

/// What a pool keeps of its host tools. Leaf locks: taken under the pool's, never the other way.
pub(super) struct Hosting {
    /// This pool among all of this process.
    pub(super) pool: u64,
    tools: Mutex<Toolbox<Registered>>,
    calls: Mutex<HostCalls<Arc<Task>>>,
    /// How many are under way: looked at for every answer of a worker, without a lock.
    under_way: AtomicUsize,
}

/// A host tool that is ready to be asked.
pub(super) struct Asked {
    tool: Arc<dyn HostTool>,
    call: HostCall,
    limit: Option<Duration>,
    told: Option<ToldAsk>,
}

/// How a host tool is registered.
#[derive(Clone, Debug, Default)]
pub struct HostToolOptions {
    /// The only session whose calls may use it, until it is closed or has expired. Default: every
    /// call may.
    pub session: Option<String>,
    /// For people and for agents. Default: empty.
    pub description: String,
    /// Longest time that one call of it may take. Default: as long as the call that makes it.
    pub timeout: Option<Duration>,
    /// Whether it answers by items. Default: by one value.
    pub streaming: bool,
}

impl Hosting {
    pub(super) fn new(slots: usize, max_message: usize) -> Self {
        let calls = Mutex::new(HostCalls::new(slots, max_message as u64));
        let pool = POOLS.fetch_add(1, Ordering::Relaxed);
        Self { pool, tools: Mutex::default(), calls, under_way: AtomicUsize::new(0) }
    }

    fn tools(&self) -> MutexGuard<'_, Toolbox<Registered>> {
        // A map is whole between statements.
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_calls<R>(&self, change: impl FnOnce(&mut HostCalls<Arc<Task>>) -> R) -> R {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut calls);
        self.under_way.store(calls.len(), Ordering::Relaxed);
        result
    }

    /// A call has ended, or nobody waits for it: so nobody waits for its host tools.
    pub(super) fn end_of(&self, slot: usize, call: CallId, answers: &mut Answers) {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            let tasks = self.with_calls(|calls| calls.end_of(slot, call));
            answers.extend(tasks.into_iter().map(Answer::CalledOff));
        }
    }

    /// A worker is gone.
    pub(super) fn clear(&self, slot: usize) {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            let tasks = self.with_calls(|calls| calls.clear(slot));
            tasks.into_iter().for_each(|task| task.call_off(WorkerFailure::Cancelled));
        }
    }

    /// Lets go of all tools: what they captured may hold the pool itself.
    pub(super) fn let_go(&self) {
        let tools = std::mem::take(&mut *self.tools());
        drop(tools); // outside of the lock: that runs code of theirs
    }

    /// A session was closed or has expired: its tools go, and those of their calls that run go on.
    pub(super) fn end_session(&self, session: &str, answers: &mut Answers) {
        let tools = self.tools().end_session(session);
        if !tools.is_empty() {
            answers.push(Answer::LetGo(tools));
        }
    }

    pub(super) fn cancel(&self, slot: usize, id: u64, answers: &mut Answers) {
        let task = self.with_calls(|calls| calls.cancel(slot, id));
        answers.extend(task.map(Answer::CalledOff));
    }

    pub(super) fn grant(&self, slot: usize, id: u64, items: u64, bytes: u64) {
        let task = self.with_calls(|calls| calls.get(slot, id).cloned());
        if let Some(task) = task {
            task.grant(items, bytes);
        }
    }
}

impl Desk for Hosting {
    fn strike(&self, task: &Task) -> bool {
        let Task { slot, id, serial, .. } = *task;
        self.with_calls(|calls| calls.answered(slot, id, serial)).is_some()
    }
}

impl Asked {
    pub(super) fn give(self) {
        let Self { tool, call, limit, told } = self;
        if let Some(told) = told {
            told.begun();
        }
        if let Some(limit) = limit {
            let (task, desk) = (call.task.clone(), call.desk.clone());
            let name = call.name.clone();
            let timer = tokio::spawn(async move {
                tokio::time::sleep(limit).await;
                if desk.strike(&task) {
                    task.call_off(timed_out(&name, limit));
                }
            });
            call.task.limit_by(timer.abort_handle());
        }
        tool.call(call);
    }
}

fn timed_out(name: &str, limit: Duration) -> WorkerFailure {
    let message = format!("host tool {name}: no answer within {limit:?}");
    exception("TimeoutError", message)
}

fn exception(type_name: &str, message: String) -> WorkerFailure {
    let type_name = type_name.to_owned();
    WorkerFailure::Exception(Failure { type_name, message, ..Failure::default() }.into())
}

impl Shared {
    /// A worker asks for a host tool.
    ///
    /// # Errors
    /// No honest worker asks for that.
    pub(super) fn asked(
        &self,
        slot: usize,
        ask: HostAsk,
        (state, ports): (&mut State<Box<Job>>, &Ports),
        answers: &mut Answers,
    ) -> Result<(), Violation> {
        let HostAsk { id, call, name, arguments, in_frame, streaming, window, span } = ask;
        let asking = state.asks(slot, call)?;
        let Some(port) = &ports.0[slot] else { return Ok(()) };
        let deadline = asking.deadline;
        let job = asking.job.map(|job| {
            let (outer, origin) = job
                .lineage
                .as_ref()
                .map_or((None, None), |lineage| (lineage.within.clone(), lineage.origin.clone()));
            let trace = job.traced().map(|traced| traced.inside(span));
            (job.tool.clone(), job.session.clone(), outer, origin, trace)
        });
        let Some((tool, session, outer, origin, trace)) = job else {
            port.host_tool_failed(id, WorkerFailure::Cancelled);
            return Ok(());
        };
        let found = match &*name {
            "" => Err(None),
            _ => self.look_up(&name, session.as_deref(), streaming, outer.as_ref()).map_err(Some),
        };
        let (registered, limit) = match found {
            Ok(registered) => {
                let limit = registered.timeout;
                (Some(registered), limit)
            }
            Err(None) => (None, None),
            Err(Some(refusal)) => {
                port.host_tool_failed(id, refusal);
                return Ok(());
            }
        };
        let Some(registered) = registered else {
            port.host_tool_value(id, self.listing(session.as_deref()), Vec::new());
            return Ok(());
        };
        let own = limit.and_then(|limit| Instant::now().checked_add(limit));
        let deadline = [deadline, own].into_iter().flatten().min();
        let pool = self.hosting.pool;
        let told = self.events.ask(state.number(slot), &name, &tool, session.as_ref());
        let ended = told.clone().map(ToldAsk::ended);
        let caller = Caller { pool, call, tool, session, deadline, outer, trace };
        let make = |serial| {
            let context = HostContext::new(caller);
            Arc::new(Task::new((slot, id, serial), context, port.clone(), window, ended))
        };
        let begun = self
            .hosting
            .with_calls(|calls| calls.begin(slot, id, call, in_frame, make).map(Arc::clone));
        let task = begun.map_err(|excess| match excess {
            Excess::Twice => Violation::HostToolTwice { id },
            Excess::Number | Excess::Bytes => Violation::HostToolFlood { limit: LIMIT },
        })?;
        let (desk, arena) = (self.hosting.clone(), self.arena.clone());
        let call = HostCall { name, arguments, origin, arena, task, desk };
        answers.push(Answer::Ask(Box::new(Asked { tool: registered.tool, call, limit, told })));
        Ok(())
    }

    fn look_up(
        &self,
        name: &str,
        session: Option<&str>,
        streaming: bool,
        outer: Option<&HostContext>,
    ) -> Result<Registered, WorkerFailure> {
        let tools = self.hosting.tools();
        let Some(tool) = tools.find(name, session) else {
            return Err(WorkerFailure::ToolNotFound(tools.closest(name, session)));
        };
        if tool.streaming != streaming {
            let message = if tool.streaming {
                format!("host tool {name} streams: iterate over stream_host_tool")
            } else {
                format!("host tool {name} does not stream: use call_host_tool")
            };
            return Err(exception("TypeError", message));
        }
        let (depth, limit) = (outer.map_or(0, HostContext::depth) + 1, self.config.host_tool_depth);
        if depth > limit {
            let message = format!(
                "host tool {name}: {depth} host tools inside each other; \
                 host_tool_depth allows {limit}"
            );
            return Err(exception("snakepit.errors.ReentrantCall", message));
        }
        Ok(tool.clone())
    }

    /// What a call of that session may use, as `docs/protocol.md` has it.
    fn listing(&self, session: Option<&str>) -> bytes::Bytes {
        let tools = self.hosting.tools();
        let row = |(name, tool): (&str, &Registered)| {
            let row: BTreeMap<&str, value::Value> = BTreeMap::from([
                ("name", value::Value::Str(name.to_owned())),
                ("description", value::Value::Str(tool.description.to_string())),
                ("streaming", value::Value::Bool(tool.streaming)),
            ]);
            row
        };
        let rows: Vec<_> = tools.visible(session).map(row).collect();
        value::encode(&rows).unwrap_or_else(|_| bytes::Bytes::from_static(&[0x90]))
    }
}

impl Pool {
    /// Registers what runs a host tool. [`Pool::host_tool`] does it for closures.
    ///
    /// # Errors
    /// [`Error::Config`]: the name does not match `[A-Za-z0-9][A-Za-z0-9_.-]{0,63}` or is taken in
    /// that scope, or the session's id cannot be one.
    pub fn register_host_tool(
        &self,
        name: &str,
        options: HostToolOptions,
        tool: Arc<dyn HostTool>,
    ) -> Result<(), Error> {
        let HostToolOptions { session, description, timeout, streaming } = options;
        let wrong = |message: String| Error::Config { field: "name", message };
        if self.is_forked() {
            return Err(Error::ForkedPool { pool: self.config().name.clone() });
        }
        if let Some(session) = &session {
            check_id(session)?;
            // Else its tools would go when that is noticed, and this one with them.
            let now = Instant::now();
            self.shared.event(|state, _, effects, _| state.end_stale(session, now, effects));
        }
        let description = description.into();
        let registered = Registered { tool, description, timeout, streaming };
        let added = self.shared.hosting.tools().add(name, session.as_deref(), registered);
        added.map_err(|unfit| match unfit {
            Unfit::Name => {
                wrong(format!("{name:?} cannot be the name of a tool, which is {TOOL_NAME_RULE}"))
            }
            Unfit::Duplicate => wrong(format!(
                "a tool {name:?} is registered {}; unregister it first, or take another name",
                match &session {
                    Some(session) => format!("for session {session:?}"),
                    None => "for all calls".into(),
                }
            )),
        })
    }

    /// Takes a host tool away; calls of it that are under way go on. False: there is none of that
    /// name in that scope.
    pub fn unregister_tool(&self, name: &str, session: Option<&str>) -> bool {
        !self.is_forked() && {
            let taken = self.shared.hosting.tools().remove(name, session);
            taken.is_some()
        }
    }

    /// The host tools, by name; none in a fork.
    pub fn host_tools(&self) -> Vec<HostToolInfo> {
        if self.is_forked() {
            return Vec::new();
        }
        let tools = self.shared.hosting.tools();
        let told = tools.all().map(|(name, session, tool)| HostToolInfo {
            name: name.to_owned(),
            session: session.map(str::to_owned),
            description: tool.description.to_string(),
            timeout: tool.timeout,
            streaming: tool.streaming,
        });
        told.collect()
    }
}

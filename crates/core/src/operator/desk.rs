//! Where the pools of a process meet who asks about them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::answer::{Host, Said};
use super::client::{self, PATIENCE};
use super::request::Request;
use super::subject::Subject;
use super::verb::{self, Subjects};
use crate::process::{Caller, Door, Doorway, Owner, PerProcess, owner, process_age, program};

/// Clients at once; one more is told so.
const MAX_CLIENTS: usize = 8;

/// Out of descriptors, say: nobody can be let in for so long.
const PAUSE: Duration = Duration::from_millis(200);

static DESK: PerProcess<Arc<Desk>> = PerProcess::new();

/// The pools, and the way in as long as there are some.
#[derive(Default)]
struct Desk {
    open: Mutex<Open>,
    clients: AtomicUsize,
    /// Held by who looks at pools: what that costs is not multiplied by how many ask.
    looking: Mutex<()>,
}

#[derive(Default)]
struct Open {
    subjects: Vec<(u64, Weak<dyn Subject>)>,
    next: u64,
    way_in: Option<Doorway>,
}

/// A pool is known to the operator socket as long as this lives.
pub(crate) struct Registration {
    id: u64,
    owner: Owner,
}

/// Makes a pool known. The socket is opened for the first one; where that fails the pool does
/// without, and the log says why.
pub(crate) fn register(subject: Weak<dyn Subject>) -> Registration {
    let desk = DESK.get(Arc::default);
    let mut open = desk.lock();
    let id = open.next;
    open.next += 1;
    open.subjects.push((id, subject));
    if open.way_in.is_none() {
        match Doorway::bind().and_then(|doorway| desk.attend(&doorway).map(|()| doorway)) {
            Ok(doorway) => open.way_in = Some(doorway),
            Err(error) => tracing::warn!(%error, "no operator socket: `snakepit status` is blind"),
        }
    }
    Registration { id, owner: owner() }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // In a fork the desk is another one.
        if !self.owner.is_here() {
            return;
        }
        let mut open = DESK.get(Arc::default).lock();
        open.subjects.retain(|(id, _)| *id != self.id);
        if open.subjects.is_empty() {
            // Under the lock: the next pool's has the same path.
            open.way_in = None;
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to let people in.
    fn attend(self: &Arc<Self>, doorway: &Doorway) -> std::io::Result<()> {
        let (desk, door) = (self.clone(), doorway.door());
        let folder: Arc<str> = doorway.folder().to_string_lossy().into();
        let body = move || desk.let_in(&door, &folder);
        thread::Builder::new().name("snakepit-operator".into()).spawn(body).map(drop)
    }

    fn let_in(self: &Arc<Self>, door: &Door, folder: &Arc<str>) {
        loop {
            match door.accept() {
                Ok(Some(caller)) => self.receive(caller, folder),
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%error, "operator socket");
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    fn receive(self: &Arc<Self>, caller: Caller, folder: &Arc<str>) {
        if !caller.is_ours() {
            let uid = caller.uid;
            tracing::warn!(uid, "refused: another user at the operator socket");
            let remedy = "this host serves its own user alone; ask as that user";
            return client::refuse(&caller.stream, "user", remedy);
        }
        let Some(place) = Place::take(self) else {
            let message = format!("{MAX_CLIENTS} clients are being served; try again");
            return client::refuse(&caller.stream, "busy", &message);
        };
        let folder = folder.clone();
        let body = move || {
            let desk = &place.0;
            client::serve(&caller.stream, PATIENCE, |request| desk.answer(request, &folder));
        };
        // Without a thread to spare the connection ends: `body` is dropped with it.
        if let Err(error) = thread::Builder::new().name("snakepit-client".into()).spawn(body) {
            tracing::debug!(%error, "operator socket");
        }
    }

    fn answer(&self, request: Request, folder: &str) -> Said {
        let subjects: Subjects = {
            let open = self.lock();
            let alive = |(id, pool): &(u64, Weak<dyn Subject>)| Some((*id, pool.upgrade()?));
            open.subjects.iter().filter_map(alive).collect()
        };
        let _looking = match request {
            Request::Status => Some(self.looking.lock().unwrap_or_else(PoisonError::into_inner)),
            _ => None,
        };
        verb::carry_out(request, &subjects, || Host {
            pid: std::process::id(),
            program: program(),
            snakepit: env!("CARGO_PKG_VERSION"),
            uptime: process_age().map(|age| age.as_secs_f64()),
            folder: folder.into(),
        })
    }
}

/// One of the clients that are served.
struct Place(Arc<Desk>);

impl Place {
    fn take(desk: &Arc<Desk>) -> Option<Self> {
        let more = |taken| (taken < MAX_CLIENTS).then_some(taken + 1);
        let taken = desk.clients.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok().then(|| Self(desk.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::AcqRel);
    }
}

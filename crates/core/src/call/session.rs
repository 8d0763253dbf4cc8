//! What a caller says about a session, and what its session object remembers.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Affinity;
use crate::error::Error;

/// Longest session id in bytes.
pub const MAX_SESSION_ID: usize = 256;

/// Largest metadata of a session in bytes: it travels with each call, in what a frame may have beside
/// the arguments.
pub const MAX_METADATA: usize = 16 * 1024;

/// # Errors
/// [`Error::Config`] for what is no id: empty, too long, or with control characters.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let wrong = |message: String| Err(Error::Config { field: "session", message });
    if id.is_empty() {
        // The wire writes "no session" as an empty id.
        return wrong("an id has at least one character".into());
    }
    if id.len() > MAX_SESSION_ID {
        let length = id.len();
        return wrong(format!("{length} bytes are too long for an id; {MAX_SESSION_ID} fit"));
    }
    match id.chars().find(|c| c.is_control()) {
        Some(control) => wrong(format!("an id has no control characters, like {control:?}")),
        None => Ok(()),
    }
}

/// The session that a call belongs to.
#[derive(Clone, Debug)]
pub struct SessionKey {
    /// The caller's id.
    pub id: Arc<str>,
    /// How strictly it binds.
    pub affinity: Affinity,
    /// The caller's session object, where it has one.
    pub object: Option<Arc<Binding>>,
}

impl SessionKey {
    /// # Errors
    /// [`Error::Config`] for what is no id, and for an object that cannot open a session.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_id(&self.id)?;
        match &self.object {
            Some(object) if object.life().is_none() => object.opening.check(),
            _ => Ok(()),
        }
    }
}

/// How a session ends, other than with its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// It was closed.
    Closed,
    /// It was not used for its `ttl`.
    Expired,
}

/// One life of a session, from the opening to its end; an id may have many.
#[derive(Debug, Default)]
pub(crate) struct Life(AtomicU8);

impl Life {
    pub(crate) fn ended(&self) -> Option<Ended> {
        match self.0.load(Ordering::Acquire) {
            1 => Some(Ended::Closed),
            2 => Some(Ended::Expired),
            _ => None,
        }
    }

    pub(crate) fn end(&self, how: Ended) {
        let code = match how {
            Ended::Closed => 1,
            Ended::Expired => 2,
        };
        self.0.store(code, Ordering::Release);
    }
}

/// What a session has beside its id; it counts from the object's first use on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// How long it may be unused; `Some(None)`: for ever. None: as the pool says, or as it was
    /// opened.
    pub ttl: Option<Option<Duration>>,
    /// Encoded map, which the adapter sees as `session_context.metadata`. None: empty, or as it was
    /// opened.
    pub metadata: Option<Bytes>,
}

impl Opening {
    fn check(&self) -> Result<(), Error> {
        if self.ttl.flatten().is_some_and(|ttl| ttl.is_zero()) {
            return Err(Error::Config { field: "ttl", message: "must be above zero".into() });
        }
        match self.metadata.as_ref().map_or(0, Bytes::len) {
            length if length > MAX_METADATA => {
                let message = format!("{length} bytes are too many; {MAX_METADATA} fit");
                Err(Error::Config { field: "metadata", message })
            }
            _ => Ok(()),
        }
    }
}

/// What a session object remembers: the life of the session that it belongs to, and its first binding
/// to a worker. Another one means that the state it relies on is gone.
#[derive(Debug, Default)]
pub struct Binding {
    first: Mutex<Option<Bound>>,
    life: OnceLock<Arc<Life>>,
    pub(crate) opening: Opening,
}

/// A binding of a session to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Its number, unique in the pool, from 1.
    pub(crate) binding: u64,
    pub(crate) home: Resident,
}

/// A worker as a pool's state knows it. When one is told of that is gone, its slot may have another
/// one, and another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resident {
    pub(crate) slot: usize,
    /// What users know its place by.
    pub(crate) number: usize,
    pub(crate) generation: u64,
}

impl Binding {
    /// Of an object that opens its session like this.
    pub fn opening(opening: Opening) -> Self {
        Self { opening, ..Self::default() }
    }

    /// The binding's number, None before the first call was sent.
    pub fn get(&self) -> Option<u64> {
        self.bound().map(|bound| bound.binding)
    }

    pub(crate) fn bound(&self) -> Option<Bound> {
        *self.first()
    }

    /// How its session ended, where it did.
    pub fn ended(&self) -> Option<Ended> {
        self.life.get()?.ended()
    }

    /// Remembers the first binding; later ones are ignored.
    pub(crate) fn set_first(&self, bound: Bound) {
        self.first().get_or_insert(bound);
    }

    /// Nothing of the session ever began under that binding: the next one will be the first.
    pub(crate) fn forget(&self, binding: u64) {
        self.first().take_if(|first| first.binding == binding);
    }

    fn first(&self) -> MutexGuard<'_, Option<Bound>> {
        // One value is whole after any panic.
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session's life, once the object has been used.
    pub(crate) fn life(&self) -> Option<&Arc<Life>> {
        self.life.get()
    }

    /// The object was never used and never will be.
    pub(crate) fn close_unused(&self) {
        self.life.get_or_init(Arc::default).end(Ended::Closed);
    }

    /// Belongs to that life from now on. False: to another one already.
    pub(crate) fn join(&self, life: &Arc<Life>) -> bool {
        Arc::ptr_eq(self.life.get_or_init(|| life.clone()), life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(id: &str) -> String {
        match check_id(id) {
            Err(Error::Config { field: "session", message }) => message,
            other => panic!("{id:?}: {other:?}"),
        }
    }

    #[test]
    fn what_is_no_id_is_told_with_the_limit() {
        assert_eq!(refused(""), "an id has at least one character");
        assert_eq!(refused(&"x".repeat(257)), "257 bytes are too long for an id; 256 fit");
        assert_eq!(refused(&"é".repeat(129)), "258 bytes are too long for an id; 256 fit");
        for control in ["a\0", "\n", "\u{7f}", "x\u{85}y"] {
            assert!(refused(control).starts_with("an id has no control characters"));
        }
        for fine in ["u", &"x".repeat(256), "user 42/ü-日本"] {
            assert!(check_id(fine).is_ok(), "{fine}");
        }
    }
}

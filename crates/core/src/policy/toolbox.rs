//! Which functions of the host may a call use? Names, scopes, and what was most likely meant.
//!
//! A tool is registered under a name, for all calls or for those of one session; the session's own
//! counts more, and is gone when the session has ended. Nothing else can be called: an adapter that
//! names anything not registered for it is told the closest names of what is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::call::is_tool_name;
use crate::config::suggest;

/// So many of the closest names are told.
const MAX_SUGGESTIONS: usize = 3;

/// Why a tool is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// No tool may have it: see [`is_tool_name`].
    Name,
    /// The name is taken in that scope.
    Duplicate,
}

/// The tools of one pool. `T`: what is known of one.
#[derive(Debug)]
pub(crate) struct Toolbox<T> {
    tools: BTreeMap<Arc<str>, Shelf<T>>,
    /// The names that each session has tools of its own for.
    of_sessions: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// The tools of one name.
#[derive(Debug)]
struct Shelf<T> {
    everywhere: Option<T>,
    by_session: BTreeMap<Arc<str>, T>,
}

impl<T> Default for Toolbox<T> {
    fn default() -> Self {
        Self { tools: BTreeMap::new(), of_sessions: BTreeMap::new() }
    }
}

impl<T> Toolbox<T> {
    /// Registers a tool. `session`: only its calls may use it; None: all.
    ///
    /// # Errors
    /// See [`Unfit`]; nothing has changed then.
    pub(crate) fn add(&mut self, name: &str, session: Option<&str>, tool: T) -> Result<(), Unfit> {
        if !is_tool_name(name) {
            return Err(Unfit::Name);
        }
        if let Some(shelf) = self.tools.get(name)
            && shelf.exact(session).is_some()
        {
            return Err(Unfit::Duplicate);
        }
        let name: Arc<str> = name.into();
        let shelf = self.tools.entry(name.clone()).or_default();
        match session {
            None => shelf.everywhere = Some(tool),
            Some(session) => {
                let session: Arc<str> = session.into();
                self.of_sessions.entry(session.clone()).or_default().insert(name);
                shelf.by_session.insert(session, tool);
            }
        }
        Ok(())
    }

    /// Takes a tool away. None: there is none of that name in that scope.
    pub(crate) fn remove(&mut self, name: &str, session: Option<&str>) -> Option<T> {
        let tool = self.take(name, session)?;
        if let Some(session) = session
            && let Some(names) = self.of_sessions.get_mut(session)
        {
            names.remove(name);
            if names.is_empty() {
                self.of_sessions.remove(session);
            }
        }
        Some(tool)
    }

    /// Takes away what is for the calls of that session alone.
    pub(crate) fn end_session(&mut self, session: &str) -> Vec<T> {
        let names = self.of_sessions.remove(session).unwrap_or_default();
        names.iter().filter_map(|name| self.take(name, Some(session))).collect()
    }

    fn take(&mut self, name: &str, session: Option<&str>) -> Option<T> {
        let shelf = self.tools.get_mut(name)?;
        let tool = match session {
            None => shelf.everywhere.take(),
            Some(session) => shelf.by_session.remove(session),
        };
        if shelf.everywhere.is_none() && shelf.by_session.is_empty() {
            self.tools.remove(name);
        }
        tool
    }

    /// The tool that a call of that session gets by that name.
    pub(crate) fn find(&self, name: &str, session: Option<&str>) -> Option<&T> {
        self.tools.get(name)?.visible(session)
    }

    /// What a call of that session may use, by name.
    pub(crate) fn visible(&self, session: Option<&str>) -> impl Iterator<Item = (&str, &T)> {
        self.tools.iter().filter_map(move |(name, shelf)| Some((&**name, shelf.visible(session)?)))
    }

    /// All tools: name, session, tool.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Option<&str>, &T)> {
        self.tools.iter().flat_map(|(name, shelf)| {
            let everywhere = shelf.everywhere.iter().map(|tool| (&**name, None, tool));
            let by_session = shelf.by_session.iter();
            everywhere.chain(by_session.map(|(session, tool)| (&**name, Some(&**session), tool)))
        })
    }

    /// The names that a call of that session may use and that are closest to `name`.
    pub(crate) fn closest(&self, name: &str, session: Option<&str>) -> Vec<String> {
        let mut near: Vec<(usize, &str)> = self
            .visible(session)
            .map(|(known, _)| (suggest::changes(name, known), known))
            .filter(|(changes, known)| *changes <= known.len().max(3) / 3)
            .collect();
        near.sort_unstable();
        near.into_iter().take(MAX_SUGGESTIONS).map(|(_, known)| known.to_owned()).collect()
    }
}

impl<T> Shelf<T> {
    fn exact(&self, session: Option<&str>) -> Option<&T> {
        match session {
            None => self.everywhere.as_ref(),
            Some(session) => self.by_session.get(session),
        }
    }

    fn visible(&self, session: Option<&str>) -> Option<&T> {
        session.and_then(|session| self.by_session.get(session)).or(self.everywhere.as_ref())
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { everywhere: None, by_session: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tool_of_a_session_is_for_its_calls_only_and_goes_before_that_of_all() {
        let mut tools = Toolbox::default();
        tools.add("hash", Some("s1"), 1).expect("new");
        assert_eq!((tools.find("hash", Some("s1")), tools.find("hash", None)), (Some(&1), None));
        assert_eq!(tools.find("hash", Some("s2")), None);
        tools.add("hash", None, 2).expect("another scope");
        assert_eq!(tools.find("hash", Some("s1")), Some(&1));
        assert_eq!(
            (tools.find("hash", Some("s2")), tools.find("hash", None)),
            (Some(&2), Some(&2))
        );
        assert_eq!(tools.remove("hash", Some("s1")), Some(1));
        assert_eq!(tools.find("hash", Some("s1")), Some(&2));
    }

    #[test]
    fn what_is_taken_stays_whose_it_is() {
        let mut tools = Toolbox::default();
        tools.add("a", None, 1).expect("new");
        assert_eq!(tools.add("a", None, 2), Err(Unfit::Duplicate));
        assert_eq!(tools.add("a b", None, 2), Err(Unfit::Name));
        assert_eq!(tools.find("a", None), Some(&1));
        assert_eq!(tools.remove("a", Some("s")), None);
    }

    #[test]
    fn only_what_may_be_used_is_suggested() {
        let mut tools = Toolbox::default();
        tools.add("validate", None, ()).expect("new");
        tools.add("validated", Some("s"), ()).expect("new");
        assert_eq!(tools.closest("validat", None), ["validate"]);
        assert_eq!(tools.closest("validat", Some("s")), ["validate", "validated"]);
        assert!(tools.closest("something", None).is_empty());
    }

    proptest! {
        /// Whatever is added and removed: a call sees its session's tool, else that of all calls.
        #[test]
        fn scopes_are_kept(ops in prop::collection::vec(
            (0u8..5, 0u8..3, prop::option::of(0u8..3)), 0..60,
        )) {
            let mut tools = Toolbox::default();
            let mut model = std::collections::BTreeMap::new();
            for (at, (op, name, session)) in ops.into_iter().enumerate() {
                let (text, scope) = (format!("t{name}"), session.map(|s| format!("s{s}")));
                if op == 0 && session.is_some() {
                    let ended = tools.end_session(scope.as_deref().unwrap_or_default());
                    let before = model.len();
                    model.retain(|(_, of), _| *of != session);
                    prop_assert_eq!(ended.len(), before - model.len());
                } else if op <= 2 {
                    let added = tools.add(&text, scope.as_deref(), at);
                    prop_assert_eq!(added.is_ok(), !model.contains_key(&(name, session)));
                    model.entry((name, session)).or_insert(at);
                } else {
                    let removed = tools.remove(&text, scope.as_deref());
                    prop_assert_eq!(removed, model.remove(&(name, session)));
                }
                prop_assert_eq!(tools.all().count(), model.len());
                let scoped = tools.of_sessions.values().map(BTreeSet::len).sum::<usize>();
                prop_assert_eq!(scoped, model.keys().filter(|(_, of)| of.is_some()).count());
                for name in 0..3u8 {
                    for session in [None, Some(0u8), Some(1), Some(2)] {
                        let scope = session.map(|s| format!("s{s}"));
                        let seen = tools.find(&format!("t{name}"), scope.as_deref());
                        let own = session.and_then(|_| model.get(&(name, session)));
                        prop_assert_eq!(seen, own.or(model.get(&(name, None))));
                    }
                }
            }
        }
    }
}

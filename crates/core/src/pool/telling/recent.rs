//! What was said of calls lately, so that the next call of the same tool says it with what is there:
//! two events a call are told, and mostly of few tools.

use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::Metadata;

/// Tools and sessions that are remembered at one place.
const KEPT: usize = 8;

/// What calls of one worker say, or those that have none yet.
#[derive(Default)]
pub(super) struct Recent(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    all: Vec<Row>,
    /// Which one makes room for another, once there are enough.
    oldest: usize,
}

struct Row {
    tool: Arc<str>,
    session: Option<Arc<str>>,
    metadata: Metadata,
}

impl Row {
    #[inline]
    fn is_of(&self, tool: &Arc<str>, session: Option<&Arc<str>>) -> bool {
        self.session.as_ref() == session && self.tool == *tool
    }
}

impl Recent {
    /// What calls of this tool in this session say; `make` says it where it is not known.
    #[inline]
    pub(super) fn of(
        &self,
        tool: &Arc<str>,
        session: Option<&Arc<str>>,
        make: impl FnOnce(&mut Metadata),
    ) -> Metadata {
        // Rows are whole after any panic.
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match rows.all.iter().find(|row| row.is_of(tool, session)) {
            Some(row) => row.metadata.clone(),
            None => rows.add(tool, session, make),
        }
    }
}

impl Rows {
    #[cold]
    fn add(
        &mut self,
        tool: &Arc<str>,
        session: Option<&Arc<str>>,
        make: impl FnOnce(&mut Metadata),
    ) -> Metadata {
        let mut metadata = Metadata::default();
        make(&mut metadata);
        let row = Row { tool: tool.clone(), session: session.cloned(), metadata: metadata.clone() };
        if self.all.len() < KEPT {
            self.all.push(row);
        } else {
            self.all[self.oldest] = row;
            self.oldest = (self.oldest + 1) % KEPT;
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::telemetry::Value;

    fn said(recent: &Recent, tool: &str, session: Option<&str>) -> Metadata {
        let (tool, session) = (Arc::from(tool), session.map(Arc::from));
        recent.of(&tool, session.as_ref(), |metadata| {
            metadata.push((Cow::Borrowed("command"), Value::Text(tool.clone())));
            if let Some(session) = &session {
                metadata.push((Cow::Borrowed("session_id"), Value::Text(session.clone())));
            }
        })
    }

    #[test]
    fn the_same_is_said_with_the_same() {
        let recent = Recent::default();
        let first = said(&recent, "ping", None);
        assert!(said(&recent, "ping", None).is_shared_with(&first));
        let of_session = said(&recent, "ping", Some("s"));
        assert!(!of_session.is_shared_with(&first));
        assert_eq!(of_session.len(), 2);
        assert!(said(&recent, "ping", Some("s")).is_shared_with(&of_session));
        assert_eq!(said(&recent, "ping", Some("t"))[1].1, Value::from("t"));
    }

    #[test]
    fn the_oldest_makes_room() {
        let recent = Recent::default();
        let all: Vec<_> = (0..=KEPT)
            .map(|number| format!("tool {number}"))
            .map(|name| (said(&recent, &name, None), name))
            .collect();
        for (metadata, name) in all.iter().rev() {
            let again = said(&recent, name, None);
            assert_eq!(again, *metadata);
            assert_eq!(again.is_shared_with(metadata), name != "tool 0", "{name}");
        }
    }

    #[test]
    fn what_is_added_to_one_event_is_not_said_of_another() {
        let recent = Recent::default();
        let mut failed = said(&recent, "ping", None);
        failed.push((Cow::Borrowed("error"), Value::from("timeout")));
        assert_eq!(failed.len(), 2);
        assert_eq!(said(&recent, "ping", None).len(), 1);
    }
}

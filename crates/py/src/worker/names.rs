//! Which tool answers a call: the one of its name, else what an adapter that dispatches by itself has
//! for any name. That has one for each verb, since whether such a call streams is the caller's to say.

use std::collections::HashMap;

use snakepit_proto::v1::StartCall;

/// As in `snakepit_bridge/_dispatch.py`; no tool can have such a name.
const ANY: &str = "*";
const ANY_STREAM: &str = "*stream";

pub(super) struct Names<T> {
    named: HashMap<String, T>,
    any: Option<T>,
    any_stream: Option<T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { named: HashMap::new(), any: None, any_stream: None }
    }
}

impl<T> Names<T> {
    pub(super) fn add(&mut self, name: String, tool: T) {
        match name.as_str() {
            ANY => self.any = Some(tool),
            ANY_STREAM => self.any_stream = Some(tool),
            _ => drop(self.named.insert(name, tool)),
        }
    }

    pub(super) fn find(&self, start: &StartCall) -> Option<&T> {
        self.find_named(&start.tool, start.streaming)
    }

    pub(super) fn find_named(&self, tool: &str, streaming: bool) -> Option<&T> {
        let any = if streaming { &self.any_stream } else { &self.any };
        self.named.get(tool).or(any.as_ref())
    }
}

//! What no honest worker says. `proto/snakepit/v1/worker.proto` tells what each may say, and when.

use std::time::Duration;

use crate::id::CallId;

/// How a worker broke the protocol. The host believes nothing that such a worker says afterwards,
/// ends its process and fills its slot again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The worker's end is older than this host's. Trying again cannot help.
    #[error(
        "protocol {spoken}, older than this host's protocol {ours}; update the worker's side: \
         pip install --upgrade snakepit-bridge"
    )]
    OldProtocol {
        /// The protocol in its Hello.
        spoken: u32,
        /// The protocol of this host.
        ours: u32,
    },

    /// The worker's end is newer than this host's. Trying again cannot help.
    #[error(
        "protocol {spoken}, newer than this host's protocol {ours}; update the host's side: \
         pip install --upgrade snakepit-pool (in a Rust host, the crate snakepit)"
    )]
    NewProtocol {
        /// The protocol in its Hello.
        spoken: u32,
        /// The protocol of this host.
        ours: u32,
    },

    /// It connected and did not say who it is.
    #[error("no Hello within {waited:?} of its connection")]
    NoHello {
        /// How long it was waited.
        waited: Duration,
    },

    /// It opened its line with something else.
    #[error("a first frame that is not Hello")]
    NotHello,

    /// It said Hello again on its line.
    #[error("a second Hello")]
    SecondHello,

    /// It said Hello with a token that nobody was given.
    #[error("a token that is not its own")]
    WrongToken,

    /// Its token, which is good for one line, was used for another.
    #[error("a second Attach with its token")]
    SecondAttach,

    /// Another process said Hello with its token.
    #[error(
        "process {pid} used the token of the worker, which is process {worker}; the program that is \
         started must dial in itself, so a shell script has to end in `exec PROGRAM`"
    )]
    ForeignProcess {
        /// The process that dialled in.
        pid: u32,
        /// The process that was given the token.
        worker: u32,
    },

    /// It answered before it was ready, or started again afterwards.
    #[error("{frame} {} Ready", if *ready { "after" } else { "before" })]
    OutOfTurn {
        /// The frame's name.
        frame: &'static str,
        /// Whether the worker had said Ready.
        ready: bool,
    },

    /// Its Ready has a tool that cannot be one. Trying again cannot help.
    #[error("tool {tool:?}: {detail}")]
    BadTool {
        /// The tool's name, cut where it is too long for one.
        tool: String,
        /// What is wrong with it.
        detail: String,
    },

    /// A frame without content, or with content that this protocol does not have.
    #[error("a frame of an unknown kind")]
    UnknownFrame,

    /// Bytes that are no frame: neither gRPC nor protobuf, or not even HTTP/2.
    #[error("bytes that are no frame: {detail}")]
    MalformedFrame {
        /// What is wrong with them.
        detail: String,
    },

    /// A frame that is larger than `max_message` allows.
    #[error("a frame of more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes: `max_message` and what a frame may have beside a value; before Hello
        /// the latter alone.
        limit: usize,
    },

    /// A frame names a buffer that is not there.
    #[error("call {call} has a buffer that cannot be: {detail}")]
    BadBuffer {
        /// The call's name.
        call: CallId,
        /// What is wrong with it.
        detail: String,
    },

    /// It spoke of a call that nobody made.
    #[error("word of call {call}, which nobody made")]
    UnknownCall {
        /// The call's name.
        call: CallId,
    },

    /// It spoke of a call that is not in it: another worker's, one that was taken back before it
    /// began, or one that ended long ago.
    #[error("word of call {call}, which it does not have")]
    NotItsCall {
        /// The call's name.
        call: CallId,
    },

    /// It spoke of a call that it had answered before.
    #[error("more about call {call} after its answer")]
    AnsweredTwice {
        /// The call's name.
        call: CallId,
    },

    /// It streamed the answer of a plain call, or answered a stream with a value.
    #[error("{} for call {call}, which is {}",
            if *streaming { "a value" } else { "Chunks or StreamEnd" },
            if *streaming { "a stream" } else { "none that streams" })]
    WrongKind {
        /// The call's name.
        call: CallId,
        /// Whether the call is a stream.
        streaming: bool,
    },

    /// It was further ahead of a stream's reader than the window allows.
    #[error(
        "more of stream {call} than was granted: {items} items and {bytes} bytes under way; \
         the window has {window_items} items and {window_bytes} bytes"
    )]
    CreditExceeded {
        /// The call's name.
        call: CallId,
        /// Items sent that the reader has not taken, the first that was too much included.
        items: u64,
        /// Their bytes.
        bytes: u64,
        /// Items that may be under way.
        window_items: u32,
        /// Bytes that may be under way.
        window_bytes: u64,
    },

    /// A result that says neither what came of the call nor why nothing did.
    #[error("a Result of call {call} without an outcome")]
    EmptyOutcome {
        /// The call's name.
        call: CallId,
    },

    /// It asked for a host tool under a number that is taken.
    #[error("host tool {id} while another one of that number is under way")]
    HostToolTwice {
        /// The worker's number for it.
        id: u64,
    },

    /// It asked for more of its host at once than it may.
    #[error(
        "more host tools at once than it may ask for: {limit}, or as many as have max_message \
         bytes of arguments together"
    )]
    HostToolFlood {
        /// How many may be under way.
        limit: usize,
    },

    /// It told of events or spans what cannot be, or too much at once.
    #[error("telemetry that cannot be: {detail}")]
    BadTelemetry {
        /// What is wrong with it.
        detail: String,
    },

    /// Chunks without an item: no window would bound them.
    #[error("Chunks of call {call} without an item")]
    EmptyChunks {
        /// The call's name.
        call: CallId,
    },
}

impl Violation {
    /// The variant's name in snake case, `answered_twice`: for logs, and for the face in Python.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OldProtocol { .. } => "old_protocol",
            Self::NewProtocol { .. } => "new_protocol",
            Self::NoHello { .. } => "no_hello",
            Self::NotHello => "not_hello",
            Self::SecondHello => "second_hello",
            Self::WrongToken => "wrong_token",
            Self::SecondAttach => "second_attach",
            Self::ForeignProcess { .. } => "foreign_process",
            Self::OutOfTurn { .. } => "out_of_turn",
            Self::BadTool { .. } => "bad_tool",
            Self::UnknownFrame => "unknown_frame",
            Self::MalformedFrame { .. } => "malformed_frame",
            Self::TooLarge { .. } => "too_large",
            Self::UnknownCall { .. } => "unknown_call",
            Self::NotItsCall { .. } => "not_its_call",
            Self::AnsweredTwice { .. } => "answered_twice",
            Self::WrongKind { .. } => "wrong_kind",
            Self::CreditExceeded { .. } => "credit_exceeded",
            Self::BadBuffer { .. } => "bad_buffer",
            Self::EmptyOutcome { .. } => "empty_outcome",
            Self::EmptyChunks { .. } => "empty_chunks",
            Self::BadTelemetry { .. } => "bad_telemetry",
            Self::HostToolTwice { .. } => "host_tool_twice",
            Self::HostToolFlood { .. } => "host_tool_flood",
        }
    }

    /// Whether trying again cannot help: the two ends are of different versions, or the worker has
    /// a tool that cannot be one.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::OldProtocol { .. } | Self::NewProtocol { .. } | Self::BadTool { .. })
    }

    /// How two protocols differ, where they do.
    pub(crate) fn of_protocols(spoken: u32, ours: u32) -> Option<Self> {
        match spoken.cmp(&ours) {
            std::cmp::Ordering::Less => Some(Self::OldProtocol { spoken, ours }),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Self::NewProtocol { spoken, ours }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_told_what_to_update() {
        let old = Violation::of_protocols(0, 1).expect("older");
        assert!(old.to_string().contains("upgrade snakepit-bridge"), "{old}");
        let new = Violation::of_protocols(2, 1).expect("newer");
        assert!(new.to_string().contains("upgrade snakepit-pool"), "{new}");
        assert!(old.is_permanent() && new.is_permanent());
        assert_eq!(Violation::of_protocols(1, 1), None);
    }

    #[test]
    fn the_text_says_what_was_broken_and_by_how_much() {
        let call = CallId::new(5, 0);
        let told = |violation: Violation| violation.to_string();
        let credit = Violation::CreditExceeded {
            call,
            items: 5,
            bytes: 9,
            window_items: 4,
            window_bytes: 8,
        };
        assert_eq!(
            told(credit),
            "more of stream #5 than was granted: 5 items and 9 bytes under way; \
             the window has 4 items and 8 bytes"
        );
        assert_eq!(told(Violation::OutOfTurn { frame: "Ready", ready: true }), "Ready after Ready");
        let (plain, stream) = (false, true);
        assert_eq!(
            [plain, stream].map(|streaming| told(Violation::WrongKind { call, streaming })),
            [
                "Chunks or StreamEnd for call #5, which is none that streams",
                "a value for call #5, which is a stream",
            ]
        );
    }
}

//! The operator socket of a host: how its pools fare, told to people and their tools from outside.
//!
//! ```text
//!  snakepit status ──▶ operator.sock ──▶ Desk ──▶ request: one line of JSON, read and judged
//!  (same user)          (run folder)      │          │
//!                                         │          ▼
//!                                         │        verb ──▶ Subject (a pool): report, worker, stack, recycle
//!                                         ▼                    │
//!                                        client ◀── answer ◀───┘   one line of JSON, and the end
//! ```
//!
//! It has a thread of its own, and one for each client while that is there: whoever asks does so
//! most likely because something is stuck, and must get an answer while the interpreter, the runtime
//! or every caller is. Nothing here attaches to Python. What clients can cost is bounded: so many at
//! once, so many bytes, so much time; looks at pools are one at a time.
//!
//! The socket is there while the process has a pool that is not off. Who may connect: processes of
//! the same user. They could trace and kill this one anyway.

pub(crate) mod answer;
mod client;
mod desk;
mod request;
mod subject;
mod verb;

pub(crate) use desk::{Registration, register};
pub(crate) use subject::{Refused, Subject};

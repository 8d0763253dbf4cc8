//! Messages of the control socket: one kind byte, then little-endian fields. Encoding only.
//!
//! | byte | from → to | fields | descriptors |
//! |---|---|---|---|
//! | `S` | host → worker | protobuf bytes of `snakepit.v1.Start` | the shared page |
//! | `C` | host → worker | call u64 | |
//! | `G` | host → worker | call u64, items u64, bytes u64 | |
//! | `P` | host → worker | nonce u64 | |
//! | `T` | host → worker | | |
//! | `L` | host → worker | nonce u64, way u8 | |
//! | `W` | shim → host | pid u32, start time u64 | pidfd of the worker |
//! | `X` | shim → host | si_code i32, si_status i32 | |
//! | `E` | worker → host | UTF-8 text | |
//! | `A` | worker → host | nonce u64 | |
//! | `T` | worker → host | UTF-8 text | |
//! | `L` | worker → host | nonce u64, UTF-8 text | |
//! | `b` | both ways | | the board of the sender's arena |
//! | `m` | both ways | segment u32, length u64 | the segment |
//! | `f` | both ways | segment u32 | |
//! | `k`, `n` | both ways | segment u32 | |
//!
//! Python's boot code writes `E` by hand, before any native code is loaded: keep that one trivial.

use std::io;

use bytes::Bytes;

/// Longest start message in bytes; more would not fit a socket buffer that nobody reads yet.
pub const MAX_START: usize = 128 * 1024;
/// Longest text of a boot error in bytes; longer ones are cut.
pub const MAX_BOOT_ERROR: usize = 32 * 1024;

/// Longest text of stacks in bytes; longer ones are cut.
pub const MAX_STACK: usize = 64 * 1024;

/// Bytes of a number that names a question.
const NONCE: usize = size_of::<u64>();

/// What either end tells the other of its arena, or of the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaMessage {
    /// Where to count back what is in segments of mine; once, before the first of them.
    Board,
    /// A segment of mine, in which frames will name buffers. Numbers are not used twice.
    Segment { segment: u32, length: u64 },
    /// It is gone: nothing will name it.
    Forget { segment: u32 },
    /// I have mapped that segment of yours.
    Taken { segment: u32 },
    /// I cannot map it, or will not: name nothing in it.
    Refused { segment: u32 },
}

/// How a worker finds out where its threads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its interpreter says so, between two instructions: whoever holds it has to let go of it.
    Interpreter,
    /// Its fault handler looks, and asks nobody. For an interpreter that is held: of one that runs on
    /// it might see what is gone.
    Signal,
}

/// What the host tells a worker beside its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// Encoded `snakepit.v1.Start`; carries the page's descriptor.
    Start(Bytes),
    Cancel {
        call: u64,
    },
    /// The stream's reader has taken so much since the call began (cumulative, so losing an older
    /// grant to a newer one costs nothing).
    Grant {
        call: u64,
        items: u64,
        bytes: u64,
    },
    /// Answer me when the interpreter next makes progress.
    Probe {
        nonce: u64,
    },
    /// Tell me where your threads are; SIGTERM is next.
    Trace,
    /// Tell me where your threads are, and go on.
    Locate {
        nonce: u64,
        way: Way,
    },
    Arena(ArenaMessage),
}

/// What the host hears. The sender's pid tells whether the shim or the worker says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// From the shim, once; carries the worker's pidfd. Only a boot error may come before it, as
    /// long as the host sends its start message afterwards.
    WorkerIs {
        pid: u32,
        start_time: u64,
    },
    /// From the shim: waitid's `si_code` and `si_status`, before the rest of the tree is ended.
    WorkerExited {
        code: i32,
        status: i32,
    },
    /// Why the interpreter cannot become a worker.
    BootError(String),
    ProbeAnswer {
        nonce: u64,
    },
    /// Where the threads of its interpreter are.
    Stack(String),
    /// The same, as an answer to the question of that number. Empty: it cannot tell that way.
    Located {
        nonce: u64,
        text: String,
    },
    Arena(ArenaMessage),
}

impl ArenaMessage {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Board => message(b'b', &[]),
            Self::Segment { segment, length } => {
                message(b'm', &[&segment.to_le_bytes(), &length.to_le_bytes()])
            }
            Self::Forget { segment } => message(b'f', &[&segment.to_le_bytes()]),
            Self::Taken { segment } => message(b'k', &[&segment.to_le_bytes()]),
            Self::Refused { segment } => message(b'n', &[&segment.to_le_bytes()]),
        }
    }

    fn decode(raw: &[u8], kind: u8, fields: &mut Fields<'_>) -> io::Result<Self> {
        Ok(match kind {
            b'b' => Self::Board,
            b'm' => Self::Segment { segment: fields.u32()?, length: fields.u64()? },
            b'f' => Self::Forget { segment: fields.u32()? },
            b'k' => Self::Taken { segment: fields.u32()? },
            b'n' => Self::Refused { segment: fields.u32()? },
            _ => return Err(malformed(raw)),
        })
    }
}

impl ToWorker {
    /// # Errors
    ///
    /// `InvalidInput` for a start message above [`MAX_START`].
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        Ok(match self {
            Self::Start(bytes) if bytes.len() > MAX_START => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "start message of {} bytes is longer than {MAX_START}: shorten sys_path",
                        bytes.len()
                    ),
                ));
            }
            Self::Start(bytes) => message(b'S', &[bytes]),
            Self::Cancel { call } => message(b'C', &[&call.to_le_bytes()]),
            Self::Grant { call, items, bytes } => {
                message(b'G', &[&call.to_le_bytes(), &items.to_le_bytes(), &bytes.to_le_bytes()])
            }
            Self::Probe { nonce } => message(b'P', &[&nonce.to_le_bytes()]),
            Self::Trace => message(b'T', &[]),
            Self::Locate { nonce, way } => {
                let way = match way {
                    Way::Interpreter => 0,
                    Way::Signal => 1,
                };
                message(b'L', &[&nonce.to_le_bytes(), &[way]])
            }
            Self::Arena(told) => told.encode(),
        })
    }

    /// # Errors
    ///
    /// `InvalidData` for an unknown kind or a wrong length.
    pub fn decode(raw: &[u8]) -> io::Result<Self> {
        let (kind, mut rest) = Fields::of(raw)?;
        let message = match kind {
            b'S' => Self::Start(Bytes::copy_from_slice(rest.take_all())),
            b'C' => Self::Cancel { call: rest.u64()? },
            b'G' => Self::Grant { call: rest.u64()?, items: rest.u64()?, bytes: rest.u64()? },
            b'P' => Self::Probe { nonce: rest.u64()? },
            b'T' => Self::Trace,
            b'L' => {
                let (nonce, [way]) = (rest.u64()?, rest.take()?);
                let way = match way {
                    0 => Way::Interpreter,
                    1 => Way::Signal,
                    _ => return Err(malformed(raw)),
                };
                Self::Locate { nonce, way }
            }
            _ => Self::Arena(ArenaMessage::decode(raw, kind, &mut rest)?),
        };
        rest.end().map(|()| message)
    }
}

impl FromWorker {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::WorkerIs { pid, start_time } => {
                message(b'W', &[&pid.to_le_bytes(), &start_time.to_le_bytes()])
            }
            Self::WorkerExited { code, status } => {
                message(b'X', &[&code.to_le_bytes(), &status.to_le_bytes()])
            }
            Self::BootError(text) => message(b'E', &[beginning(text, MAX_BOOT_ERROR)]),
            Self::ProbeAnswer { nonce } => message(b'A', &[&nonce.to_le_bytes()]),
            Self::Stack(text) => message(b'T', &[beginning(text, MAX_STACK)]),
            Self::Located { nonce, text } => {
                message(b'L', &[&nonce.to_le_bytes(), beginning(text, MAX_STACK - NONCE)])
            }
            Self::Arena(told) => told.encode(),
        }
    }

    /// # Errors
    ///
    /// `InvalidData` for an unknown kind or a wrong length. A text need not be UTF-8.
    pub fn decode(raw: &[u8]) -> io::Result<Self> {
        let (kind, mut rest) = Fields::of(raw)?;
        let message = match kind {
            b'W' => Self::WorkerIs { pid: rest.u32()?, start_time: rest.u64()? },
            b'X' => Self::WorkerExited { code: rest.u32()? as i32, status: rest.u32()? as i32 },
            b'E' => Self::BootError(String::from_utf8_lossy(rest.take_all()).into_owned()),
            b'A' => Self::ProbeAnswer { nonce: rest.u64()? },
            b'T' => Self::Stack(String::from_utf8_lossy(rest.take_all()).into_owned()),
            b'L' => {
                let nonce = rest.u64()?;
                let text = String::from_utf8_lossy(rest.take_all()).into_owned();
                Self::Located { nonce, text }
            }
            _ => Self::Arena(ArenaMessage::decode(raw, kind, &mut rest)?),
        };
        rest.end().map(|()| message)
    }
}

/// At most `longest` bytes of a text, whole characters.
fn beginning(text: &str, longest: usize) -> &[u8] {
    let cut = (0..=text.len().min(longest)).rev().find(|&end| text.is_char_boundary(end));
    &text.as_bytes()[..cut.unwrap_or(0)]
}

fn message(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(1 + fields.iter().map(|f| f.len()).sum::<usize>());
    raw.push(kind);
    for field in fields {
        raw.extend_from_slice(field);
    }
    raw
}

/// What is left to read of one message.
struct Fields<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(whole: &'a [u8]) -> io::Result<(u8, Self)> {
        let (&kind, rest) = whole.split_first().ok_or_else(|| malformed(whole))?;
        Ok((kind, Self { whole, rest }))
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk().ok_or_else(|| malformed(self.whole))?;
        self.rest = rest;
        Ok(*field)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn take_all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    fn end(self) -> io::Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(malformed(self.whole)) }
    }
}

fn malformed(raw: &[u8]) -> io::Error {
    let kind = raw.first().map_or("none".into(), |kind| format!("{:?}", char::from(*kind)));
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("malformed control message of {} bytes, kind {kind}", raw.len()),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_worker() -> impl Strategy<Value = ToWorker> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300).prop_map(|b| ToWorker::Start(b.into())),
            any::<u64>().prop_map(|call| ToWorker::Cancel { call }),
            any::<[u64; 3]>().prop_map(|[call, items, bytes]| ToWorker::Grant {
                call,
                items,
                bytes
            }),
            any::<u64>().prop_map(|nonce| ToWorker::Probe { nonce }),
            Just(ToWorker::Trace),
            any::<(u64, bool)>().prop_map(|(nonce, held)| ToWorker::Locate {
                nonce,
                way: if held { Way::Signal } else { Way::Interpreter },
            }),
            of_arenas().prop_map(ToWorker::Arena),
        ]
    }

    fn of_arenas() -> impl Strategy<Value = ArenaMessage> {
        prop_oneof![
            Just(ArenaMessage::Board),
            any::<(u32, u64)>()
                .prop_map(|(segment, length)| ArenaMessage::Segment { segment, length }),
            any::<u32>().prop_map(|segment| ArenaMessage::Forget { segment }),
            any::<u32>().prop_map(|segment| ArenaMessage::Taken { segment }),
            any::<u32>().prop_map(|segment| ArenaMessage::Refused { segment }),
        ]
    }

    fn from_worker() -> impl Strategy<Value = FromWorker> {
        prop_oneof![
            any::<(u32, u64)>()
                .prop_map(|(pid, start_time)| FromWorker::WorkerIs { pid, start_time }),
            any::<[i32; 2]>().prop_map(|[code, status]| FromWorker::WorkerExited { code, status }),
            any::<String>().prop_map(FromWorker::BootError),
            any::<u64>().prop_map(|nonce| FromWorker::ProbeAnswer { nonce }),
            any::<String>().prop_map(FromWorker::Stack),
            any::<(u64, String)>().prop_map(|(nonce, text)| FromWorker::Located { nonce, text }),
            of_arenas().prop_map(FromWorker::Arena),
        ]
    }

    proptest! {
        #[test]
        fn arrives_as_sent(there in to_worker(), back in from_worker()) {
            prop_assert_eq!(ToWorker::decode(&there.encode().unwrap()).unwrap(), there);
            prop_assert_eq!(FromWorker::decode(&back.encode()).unwrap(), back);
        }

        #[test]
        fn a_wrong_length_is_refused(there in to_worker(), extra in 1..9usize) {
            let mut raw = there.encode().unwrap();
            raw.resize(raw.len() + extra, 0);
            let is_start = matches!(there, ToWorker::Start(_));
            prop_assert_eq!(ToWorker::decode(&raw).is_ok(), is_start);
        }

        #[test]
        fn garbage_never_panics(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (ToWorker::decode(&raw), FromWorker::decode(&raw));
        }
    }

    #[test]
    fn a_long_boot_error_is_cut_at_a_character() {
        let text = "é".repeat(MAX_BOOT_ERROR);
        let raw = FromWorker::BootError(text).encode();
        assert_eq!(raw.len(), 1 + MAX_BOOT_ERROR);
        assert!(std::str::from_utf8(&raw[1..]).is_ok());
    }

    #[test]
    fn a_start_message_beyond_the_limit_is_refused() {
        assert!(ToWorker::Start(vec![0; MAX_START].into()).encode().is_ok());
        let error = ToWorker::Start(vec![0; MAX_START + 1].into()).encode().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

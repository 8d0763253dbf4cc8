//! What a connection says before Hello, followed byte by byte as it passes.
//!
//! Reads just so much of HTTP/2 and gRPC that nothing is passed on which would cost the host memory
//! or time: whatever else is wrong, the libraries behind it find.

use super::http2::frame_limit;
use crate::error::Violation;

/// Bytes that a peer may say before Hello has been read, and the largest first message that it may
/// announce; Hello and all that HTTP/2 puts around it take less than 4 KiB.
pub(super) const BEFORE_HELLO: usize = frame_limit(0);

/// Streams on one connection. A worker has one; a second is let in to be told that it may not.
pub(super) const MAX_STREAMS: u32 = 2;

/// How every HTTP/2 connection begins.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length, kind, flags and stream of a frame.
pub(super) const FRAME_HEAD: usize = 9;
pub(super) const LENGTH: usize = 3;
pub(super) const DATA: u8 = 0;
const PADDED: u8 = 8;

/// Whether it is compressed, and its length: what stands before a message of gRPC.
pub(super) const MESSAGE_HEAD: usize = 5;

/// Where in HTTP/2's preface and the frames behind it a connection is.
#[derive(Default)]
pub(super) struct Opening {
    /// Bytes of the preface that are here.
    preface: usize,
    /// Bytes behind the preface, those of frames that have only begun included.
    announced: usize,
    head: [u8; FRAME_HEAD],
    /// Bytes of `head` that are here.
    known: usize,
    /// Bytes to the next frame.
    rest: usize,
    /// The streams that have sent DATA.
    streams: Vec<First>,
    /// The one of them whose DATA is being read.
    reading: Option<usize>,
}

/// The first message of a stream.
#[derive(Default)]
struct First {
    stream: u32,
    head: [u8; MESSAGE_HEAD],
    known: usize,
}

fn malformed(detail: String) -> Violation {
    Violation::MalformedFrame { detail }
}

/// Fills `head` from `bytes`; how many of them it took.
pub(super) fn fill(head: &mut [u8], known: &mut usize, bytes: &[u8]) -> usize {
    let taken = bytes.len().min(head.len() - *known);
    head[*known..*known + taken].copy_from_slice(&bytes[..taken]);
    *known += taken;
    taken
}

impl Opening {
    /// More was said.
    ///
    /// # Errors
    /// What no honest worker says before Hello.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        let expected = &PREFACE[self.preface..];
        let both = expected.len().min(bytes.len());
        if bytes[..both] != expected[..both] {
            return Err(malformed("it does not begin as HTTP/2 does".into()));
        }
        self.preface += both;
        bytes = &bytes[both..];
        while !bytes.is_empty() {
            let passed = match self.rest {
                0 => self.frame_head(bytes)?,
                rest => {
                    let passed = rest.min(bytes.len());
                    self.content(&bytes[..passed])?;
                    self.rest -= passed;
                    passed
                }
            };
            bytes = &bytes[passed..];
        }
        Ok(())
    }

    fn frame_head(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let before = self.known;
        let passed = fill(&mut self.head, &mut self.known, bytes);
        let [high, middle, low, kind, flags, stream @ ..] = self.head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        // As soon as the length is here: who sends no more of it would keep what it is worth.
        if before < LENGTH && self.known >= LENGTH {
            self.announced += FRAME_HEAD + length;
            if self.announced > BEFORE_HELLO {
                return Err(malformed(format!(
                    "an HTTP/2 frame of {length} bytes before Hello, {BEFORE_HELLO} may be in all"
                )));
            }
        }
        if self.known == FRAME_HEAD {
            (self.known, self.rest) = (0, length);
            self.reading = match kind {
                // No gRPC pads, and a message's length must not hide behind padding.
                DATA if flags & PADDED != 0 => {
                    return Err(malformed("padding before Hello".into()));
                }
                DATA => Some(self.stream(u32::from_be_bytes(stream))?),
                _ => None,
            };
        }
        Ok(passed)
    }

    fn stream(&mut self, stream: u32) -> Result<usize, Violation> {
        if let Some(place) = self.streams.iter().position(|first| first.stream == stream) {
            return Ok(place);
        }
        if self.streams.len() == MAX_STREAMS as usize {
            return Err(malformed(format!("more than {MAX_STREAMS} streams before Hello")));
        }
        self.streams.push(First { stream, ..First::default() });
        Ok(self.streams.len() - 1)
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let Some(first) = self.reading.and_then(|place| self.streams.get_mut(place)) else {
            return Ok(());
        };
        fill(&mut first.head, &mut first.known, bytes);
        let [_, length @ ..] = first.head;
        // The library behind this makes room for a message as soon as it knows the length.
        if first.known == MESSAGE_HEAD && u32::from_be_bytes(length) as usize > BEFORE_HELLO {
            return Err(Violation::TooLarge { limit: BEFORE_HELLO });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(parts: &[&[u8]]) -> Result<(), String> {
        let mut opening = Opening::default();
        let read = parts.iter().try_for_each(|part| opening.read(part));
        read.map_err(|violation| violation.to_string())
    }

    fn data(flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
        let head = [0, 0, content.len() as u8, DATA, flags, 0, 0, 0, stream];
        [&head[..], content].concat()
    }

    #[test]
    fn what_begins_as_http2_is_passed_on_however_it_is_cut() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6];
        let ping = [0, 0, 0, 6, 0, 0, 0, 0, 0];
        let hello = data(0, 1, &[0, 0, 0, 0, 2, 8, 1]);
        let whole = [PREFACE, &settings, &ping, &hello, &settings].concat();
        for size in 1..=whole.len() {
            let parts: Vec<_> = whole.chunks(size).collect();
            assert_eq!(opening(&parts), Ok(()), "in parts of {size}");
        }
    }

    #[test]
    fn what_does_not_is_refused_at_its_first_wrong_byte() {
        for text in ["GET / HTTP/1.1", "PRI * HTTP/1", "\0"] {
            assert!(opening(&[text.as_bytes()]).is_err(), "{text}");
        }
        assert!(opening(&[b"PRI * ", b"HTTP/3"]).is_err());
        assert_eq!(opening(&[PREFACE, &[1, 0]]), Ok(()));
        let told = opening(&[PREFACE, &[1, 0, 0]]).unwrap_err();
        assert!(told.contains("65536 bytes before Hello"), "{told}");
    }

    #[test]
    fn a_message_that_announces_too_much_is_refused_however_it_is_cut() {
        let length = (BEFORE_HELLO as u32 + 1).to_be_bytes();
        let head = [&[0][..], &length].concat();
        for cut in 0..MESSAGE_HEAD {
            let frames = [data(0, 3, &head[..cut]), data(0, 1, b"\0"), data(0, 3, &head[cut..])];
            let whole = [PREFACE.to_vec(), frames.concat()].concat();
            for size in [1, 7, whole.len()] {
                let parts: Vec<_> = whole.chunks(size).collect();
                let told = opening(&parts).unwrap_err();
                assert_eq!(told, "a frame of more than 65536 bytes", "cut at {cut}");
            }
        }
        let length = (BEFORE_HELLO as u32).to_be_bytes();
        assert_eq!(opening(&[PREFACE, &data(0, 1, &[&[0][..], &length].concat())]), Ok(()));
    }

    #[test]
    fn nobody_says_much_nor_hides_a_length_before_hello() {
        let padded = opening(&[PREFACE, &data(PADDED, 1, &[1, 0, 0])]).unwrap_err();
        assert!(padded.contains("padding"), "{padded}");
        let streams: Vec<_> = (0..=MAX_STREAMS as u8).map(|n| data(0, 2 * n + 1, b"\0")).collect();
        let told = opening(&[PREFACE, &streams.concat()]).unwrap_err();
        assert!(told.contains("streams before Hello"), "{told}");
        let pings = [0, 0, 0, 6, 0, 0, 0, 0, 0].repeat(BEFORE_HELLO / FRAME_HEAD + 1);
        assert!(opening(&[PREFACE, &pings]).is_err(), "it would never have to wait");
    }
}

//! A worker's standard output and error: from a pipe to lines of text.
//!
//! What becomes of the lines is the caller's business; here they are only read, so that a worker
//! never waits for anyone's logging longer than it takes to copy them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::Interest;

use super::descriptor::HostFd;
use super::sys;

/// Longest line in bytes; a longer one arrives in pieces of this size.
pub const MAX_LINE: usize = 64 * 1024;
const BUFFER: usize = 16 * 1024;

/// Which pipe a line came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// `"stdout"` or `"stderr"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Reads a worker's pipe until every process that holds its other end is gone.
///
/// Each line goes to `sink` without its line break; what is not UTF-8 is replaced, and a last line
/// need not end. `sink` must not block. Runs within a tokio runtime, and lets other tasks run
/// between reads.
pub async fn pump(
    fd: OwnedFd,
    stream: Stream,
    mut sink: impl FnMut(Stream, &str),
) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let pipe = sys::readable(HostFd::new(fd))?;
    let mut buffer = vec![0; BUFFER];
    let mut lines = Lines::default();
    let mut emit = |line: &[u8]| sink(stream, &String::from_utf8_lossy(line));
    loop {
        let read =
            pipe.async_io(Interest::READABLE, |fd| Ok(nix::unistd::read(fd, &mut buffer)?)).await;
        match read {
            Ok(0) => break,
            Ok(len) => lines.feed(&buffer[..len], &mut emit),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        // A worker that prints without end must not keep this runtime from calls.
        tokio::task::yield_now().await;
    }
    lines.finish(&mut emit);
    Ok(())
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines {
    /// Beginning of a line whose end has not arrived; never longer than a line may be.
    pending: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            if self.pending.is_empty() {
                emit_whole(line, emit);
            } else {
                self.append(line, emit);
                emit_whole(&self.pending, emit);
                self.pending.clear();
            }
        }
        self.append(bytes, emit);
    }

    fn append(&mut self, bytes: &[u8], emit: &mut impl FnMut(&[u8])) {
        self.pending.extend_from_slice(bytes);
        while self.pending.len() > MAX_LINE {
            let cut = character_start(&self.pending, MAX_LINE);
            emit(&self.pending[..cut]);
            self.pending.drain(..cut);
        }
    }

    fn finish(self, emit: &mut impl FnMut(&[u8])) {
        if !self.pending.is_empty() {
            emit_whole(&self.pending, emit);
        }
    }
}

fn emit_whole(line: &[u8], emit: &mut impl FnMut(&[u8])) {
    emit(line.strip_suffix(b"\r").unwrap_or(line));
}

/// Last start of a UTF-8 character at or before `at`; `at` itself where the bytes are no UTF-8.
fn character_start(bytes: &[u8], at: usize) -> usize {
    let is_start = |&index: &usize| bytes[index] & 0b1100_0000 != 0b1000_0000;
    (at.saturating_sub(3)..=at).rev().find(is_start).unwrap_or(at)
}

/// The last 4 KiB of a worker's error output, for the report of its death.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    const LIMIT: usize = 4096;

    /// Appends a line; the oldest lines make room. Of a line that is longer than all, the end
    /// stays.
    pub fn push(&mut self, line: &str) {
        let surplus = (line.len() + 1).saturating_sub(Self::LIMIT);
        let start = (surplus..=line.len()).find(|&at| line.is_char_boundary(at));
        let line = &line[start.unwrap_or(line.len())..];
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        while self.bytes > Self::LIMIT {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len() + 1;
        }
    }

    /// The lines, joined by line breaks; empty when nothing was said.
    pub fn text(&self) -> String {
        self.lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// What Python's fault handler wrote when the interpreter crashed: all threads, however much came
/// after it.
#[derive(Clone, Debug, Default)]
pub struct CrashText(Option<String>);

impl CrashText {
    const FIRST_LINE: &str = "Fatal Python error: ";
    const LIMIT: usize = 64 * 1024;

    /// Looks at a line of standard error.
    pub fn push(&mut self, line: &str) {
        if line.starts_with(Self::FIRST_LINE) {
            self.0 = Some(String::new());
        }
        if let Some(text) = &mut self.0
            && text.len() + line.len() < Self::LIMIT
        {
            text.push_str(line);
            text.push('\n');
        }
    }

    /// The text; `None` where there was no crash.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut emit = |line: &[u8]| found.push(String::from_utf8_lossy(line).into_owned());
        let mut lines = Lines::default();
        chunks.iter().for_each(|chunk| lines.feed(chunk, &mut emit));
        lines.finish(&mut emit);
        found
    }

    #[test]
    fn lines_are_found_across_reads() {
        assert_eq!(
            cut(&[b"a\nb", b"c\r", b"\n\n", b"10%\r20%\nend"]),
            ["a", "bc", "", "10%\r20%", "end"]
        );
        assert_eq!(cut(&[b"\xff\n", "é\n".as_bytes()]), ["\u{fffd}", "é"]);
        assert!(cut(&[b""]).is_empty());
    }

    #[test]
    fn long_lines_come_in_pieces_and_nothing_is_lost() {
        let long = format!("x{}", "é".repeat(MAX_LINE));
        let chunks: Vec<&[u8]> = long.as_bytes().chunks(1000).chain([&b"\nnext\n"[..]]).collect();
        let found = cut(&chunks);
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|line| line.len() <= MAX_LINE && !line.contains('\u{fffd}')));
        assert_eq!(found[..3].concat(), long);
        assert_eq!(found[3], "next");
        assert_eq!(cut(&[&vec![0x80; MAX_LINE + 1]]).len(), 2, "no UTF-8 at all");
    }

    #[tokio::test]
    async fn a_pipe_is_read_to_its_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || {
            for index in 0..50_000 {
                writeln!(writer, "line {index}").unwrap();
            }
        });
        let mut found = Vec::new();
        pump(reader.into(), Stream::Stderr, |stream, line| found.push((stream, line.to_owned())))
            .await
            .unwrap();
        writing.join().unwrap();
        assert_eq!(found.len(), 50_000);
        assert_eq!(found[49_999], (Stream::Stderr, "line 49999".to_owned()));
    }

    #[test]
    fn a_crash_is_told_from_its_first_line_on() {
        let mut crash = CrashText::default();
        crash.push("all is well");
        assert_eq!(crash.text(), None);
        crash.push("Fatal Python error: Segmentation fault");
        crash.push("");
        crash.push("Current thread 0x0000 (most recent call first):");
        (0..10_000).for_each(|index| crash.push(&format!("Extension modules: {index}")));
        let text = crash.text().unwrap();
        assert!(text.starts_with("Fatal Python error: Segmentation fault\n\nCurrent thread"));
        assert!(text.len() <= CrashText::LIMIT);
    }

    #[test]
    fn a_tail_keeps_the_last_whole_lines() {
        let mut tail = Tail::default();
        assert_eq!(tail.text(), "");
        (0..1000).for_each(|index| tail.push(&format!("line {index}")));
        let text = tail.text();
        assert!(text.len() <= Tail::LIMIT && text.len() > Tail::LIMIT - 20);
        assert!(text.starts_with("line ") && text.ends_with("line 999"));

        tail.push(&"é".repeat(5000));
        assert_eq!(tail.text(), "é".repeat(2047));
    }
}

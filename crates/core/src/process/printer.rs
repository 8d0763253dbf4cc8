//! Shows workers' lines on this process's standard error, and never makes anyone wait for it.
//!
//! One thread a process, started by the first line. A terminal that stands still stops that thread
//! only; the queue fills, and what comes then is dropped and counted.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::fork::PerProcess;

const MAX_LINES: usize = 4096;
const MAX_BYTES: usize = 1 << 20;
/// Bytes put together for one write.
const BATCH: usize = 64 * 1024;

/// Queue of lines in front of standard error; get it by [`Printer::global`].
pub struct Printer {
    queue: Mutex<Queue>,
    filled: Condvar,
    written: Condvar,
    write: fn(&[u8]),
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
    /// The thread is busy with lines that are no longer in the queue.
    writing: bool,
    running: bool,
}

impl Printer {
    /// This process's printer.
    pub fn global() -> &'static Self {
        static PRINTER: PerProcess<Printer> = PerProcess::new();
        PRINTER.get(|| Self::new(write_to_stderr))
    }

    fn new(write: fn(&[u8])) -> Self {
        Self { queue: Mutex::default(), filled: Condvar::new(), written: Condvar::new(), write }
    }

    /// Has `[label] line` shown, or counts it as dropped: then it is false. Never waits.
    pub fn print(&'static self, label: &str, line: &str) -> bool {
        let text = format!("[{label}] {line}\n");
        let mut queue = self.lock();
        if queue.lines.len() >= MAX_LINES || queue.bytes + text.len() > MAX_BYTES {
            queue.dropped += 1;
            return false;
        }
        queue.bytes += text.len();
        queue.lines.push_back(text);
        if !queue.running {
            let thread = thread::Builder::new().name("snakepit-output".to_owned());
            // Out of threads: the lines stay, and the next one tries again.
            queue.running = thread.spawn(|| self.run()).is_ok();
        }
        drop(queue);
        self.filled.notify_one();
        true
    }

    /// Waits at most `limit` until all that was printed so far is shown; before an exit, for one.
    pub fn flush(&self, limit: Duration) {
        let waiting = |queue: &mut Queue| queue.running && (queue.writing || !queue.is_empty());
        let queue = self.written.wait_timeout_while(self.lock(), limit, waiting);
        drop(queue.unwrap_or_else(PoisonError::into_inner));
    }

    fn run(&self) -> ! {
        loop {
            let mut queue = self
                .filled
                .wait_while(self.lock(), |queue| queue.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            let batch = queue.take_batch();
            queue.writing = true;
            drop(queue);
            (self.write)(batch.as_bytes());
            self.lock().writing = false;
            self.written.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }

    fn take_batch(&mut self) -> String {
        let mut batch = String::new();
        while batch.len() < BATCH {
            let Some(line) = self.lines.pop_front() else {
                // Only here: what was dropped came after all that was queued.
                if self.dropped > 0 {
                    let _ = writeln!(batch, "… {} lines dropped", self.dropped);
                    self.dropped = 0;
                }
                break;
            };
            self.bytes -= line.len();
            batch.push_str(&line);
        }
        batch
    }
}

/// Not through `std::io::Stderr`: its lock, held by this thread while the terminal stands still,
/// would stop whoever else writes an error, and for ever in a forked child.
fn write_to_stderr(mut bytes: &[u8]) {
    let stderr = io::stderr();
    while !bytes.is_empty() {
        match nix::unistd::write(&stderr, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                // Somebody made it nonblocking; this thread may wait.
                let mut ready = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
                let _ = poll(&mut ready, PollTimeout::NONE);
            }
            // Closed or broken: there is nobody to show it to.
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENEROUS: Duration = Duration::from_secs(30);

    #[test]
    fn shows_lines_in_order_with_their_label() {
        static SHOWN: Mutex<String> = Mutex::new(String::new());
        let show = |bytes: &[u8]| SHOWN.lock().unwrap().push_str(str::from_utf8(bytes).unwrap());
        let printer: &'static Printer = Box::leak(Box::new(Printer::new(show)));
        printer.flush(GENEROUS); // nothing to wait for
        printer.print("pool/0", "one");
        printer.print("pool/1", "two");
        printer.flush(GENEROUS);
        assert_eq!(*SHOWN.lock().unwrap(), "[pool/0] one\n[pool/1] two\n");
    }

    #[test]
    fn a_terminal_that_stands_still_costs_lines_and_no_time() {
        static STUCK: Mutex<()> = Mutex::new(());
        static SHOWN: Mutex<String> = Mutex::new(String::new());
        let show = |bytes: &[u8]| {
            drop(STUCK.lock());
            SHOWN.lock().unwrap().push_str(str::from_utf8(bytes).unwrap());
        };
        let printer: &'static Printer = Box::leak(Box::new(Printer::new(show)));
        let stuck = STUCK.lock().unwrap();
        let total = 3 * MAX_LINES;
        let printed = (0..total).filter(|index| printer.print("p/0", &format!("{index}"))).count();
        printer.flush(Duration::ZERO); // does not wait beyond its limit
        drop(stuck);
        printer.flush(GENEROUS);

        let shown = SHOWN.lock().unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        let notices: Vec<usize> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("… ")?.split(' ').next()?.parse().ok())
            .collect();
        assert!(!notices.is_empty());
        assert_eq!(lines.len() - notices.len() + notices.iter().sum::<usize>(), total);
        assert_eq!(lines.len() - notices.len(), printed, "whoever printed was told");
        assert_eq!(lines[0], "[p/0] 0");
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut printer = Printer::new(|_| {});
        printer.queue.get_mut().unwrap().running = true; // no thread takes any
        let printer: &'static Printer = Box::leak(Box::new(printer));
        let long = "x".repeat(MAX_BYTES / 4);
        let printed = (0..8).filter(|_| printer.print("p/0", &long)).count();
        assert_eq!(printed, 3);
        let queue = printer.lock();
        assert_eq!((queue.lines.len(), queue.dropped), (3, 5));
    }
}

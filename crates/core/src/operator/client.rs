//! One client: a line in, a line out, in bounded time.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::Refused;
use super::answer::{Answer, Said, VERSION};
use super::request::{MAX_REQUEST, Malformed, Request};
use crate::process::send;

/// A client has so long to say what it wants, and as long again to take its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Serves it, with so much patience each way; `carry_out` does what it asks for.
pub(super) fn serve(
    stream: &UnixStream,
    patience: Duration,
    carry_out: impl FnOnce(Request) -> Said,
) {
    let said = match read_line(stream, patience) {
        Ok(line) => match Request::read(&line) {
            Ok(request) => carry_out(request),
            Err(Malformed { kind, message }) => Said::Error { kind, message },
        },
        Err(Some(Refused { kind, message })) => Said::Error { kind, message },
        Err(None) => return, // It has gone without a word.
    };
    let _gone_meanwhile = write_all(stream, &line_of(said), patience);
}

/// Tells a client in one breath that it is not served. It may not be there any more to hear it.
pub(super) fn refuse(stream: &UnixStream, kind: &'static str, message: &str) {
    // An answer of this length fits the empty buffer of a new connection: this waits for nobody.
    let said = Said::Error { kind, message: message.into() };
    let _ = stream.set_nonblocking(true).and_then(|()| send(stream, &line_of(said)));
}

fn line_of(said: Said) -> Vec<u8> {
    Answer { version: VERSION, said }.line()
}

/// The first line, or all there is when the client has shut its end.
fn read_line(mut stream: &UnixStream, patience: Duration) -> Result<Vec<u8>, Option<Refused>> {
    let until = Instant::now() + patience;
    let mut line = Vec::with_capacity(256);
    let mut part = [0; 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let read = match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut part)),
        };
        match read {
            Ok(0) if line.is_empty() => return Err(None),
            Ok(0) => return Ok(line),
            Ok(length) => line.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_late(&error) => {
                let message = format!("no line within {patience:?}");
                return Err(Some(Refused { kind: "timeout", message }));
            }
            Err(_) => return Err(None),
        }
        if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            line.truncate(end);
            return Ok(line);
        }
        if line.len() > MAX_REQUEST {
            let message = format!("a request has at most {MAX_REQUEST} bytes");
            return Err(Some(Refused { kind: "too_long", message }));
        }
    }
}

fn write_all(stream: &UnixStream, mut line: &[u8], patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    while !line.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match send(stream, line) {
            Ok(length) => line = &line[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::Shutdown;
    use std::thread;

    use super::*;

    /// What a client hears that says `bytes` and then nothing, or shuts its end.
    fn heard(bytes: &[u8], shuts: bool, patience: Duration) -> String {
        let (mut client, server) = UnixStream::pair().expect("two sockets");
        let served = thread::spawn(move || {
            serve(&server, patience, |request| Said::Error {
                kind: "carried_out",
                message: format!("{request:?}"),
            });
        });
        client.write_all(bytes).expect("room");
        if shuts {
            client.shutdown(Shutdown::Write).expect("open");
        }
        let mut said = String::new();
        client.read_to_string(&mut said).expect("an end");
        served.join().expect("no panic");
        said
    }

    #[test]
    fn a_client_hears_one_line_whatever_it_says() {
        let line = b"{\"version\":1,\"verb\":\"status\"}";
        for (bytes, kind, shuts) in [
            (&b"\n"[..], "malformed", false),
            (b"\xff\xfe\n", "malformed", false),
            (b"GET / HTTP/1.1\r\n\r\n", "malformed", false),
            (&[&line[..], b"\n", line].concat(), "carried_out", false),
            (line, "carried_out", true),
            (&[b'x'; MAX_REQUEST + 1], "too_long", false),
        ] {
            let said = heard(bytes, shuts, PATIENCE);
            assert!(said.contains(&format!("\"kind\":\"{kind}\"")), "{said}");
            assert!(said.starts_with("{\"version\":1,") && said.ends_with("}\n"), "{said}");
        }
        assert_eq!(heard(b"", true, PATIENCE), "");
    }

    #[test]
    fn who_says_half_of_it_or_drips_is_not_waited_for() {
        let patience = Duration::from_millis(50);
        let said = heard(b"{\"version\":1,", false, patience);
        assert!(said.contains("\"kind\":\"timeout\""), "{said}");

        let (mut client, server) = UnixStream::pair().expect("two sockets");
        let served = thread::spawn(move || {
            serve(&server, patience, |_| unreachable!("it is no request"));
        });
        // For as long as it is heard: each byte alone would be in time.
        while client.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
        served.join().expect("no panic");
    }

    #[test]
    fn who_takes_no_answer_is_not_waited_for() {
        let (mut client, server) = UnixStream::pair().expect("two sockets");
        client.write_all(b"{\"version\":1,\"verb\":\"status\"}\n").expect("room");
        let message = "x".repeat(16 << 20);
        let patience = Duration::from_millis(50);
        serve(&server, patience, |_| Said::Error { kind: "long", message });
    }
}

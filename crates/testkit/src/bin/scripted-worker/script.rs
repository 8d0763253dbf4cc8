//! How the worker starts, as its arguments say it.

/// What becomes of `initialize()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It succeeds, in workers of at least this generation; others fail, and trying again may help.
    Ready {
        from: u64,
    },
    Failed {
        permanent: bool,
    },
    /// The adapter cannot be found.
    Source,
    Exit(i32),
    Hang,
    /// It says something that it may not say; `lie.rs` lists what.
    Lie(String),
}

/// Until the worker has said hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    Attach,
    /// It never dials.
    Mute,
    /// It ends with this code before it dials.
    Exit(i32),
    /// It says over the control socket that it cannot be a worker.
    BootError,
    WrongToken,
    /// It speaks this protocol.
    Protocol(u32),
    /// It opens its line with another frame than Hello, and with bytes that are none.
    NoHello,
    BadHello,
    /// It connects and writes these bytes at most.
    Raw(&'static [u8]),
    /// Another process says Hello with its token.
    Lend,
}

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// That, and the beginning of a frame of 16 MiB.
const LONG_FRAME: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\0\0\0\0\0\x01";

/// See the module's head.
#[derive(Clone, Debug)]
pub struct Script {
    pub beginning: Beginning,
    pub ending: Ending,
    /// Takes cancels and grants from the control socket; else from its line.
    pub control: bool,
    /// Honours the shared page.
    pub words: bool,
    /// Maps segments.
    pub arenas: bool,
    /// Can be told which events are wanted.
    pub telemetry: bool,
    pub heeds_sigterm: bool,
    pub heeds_drain: bool,
    /// It is no worker but something that one left behind.
    pub lingers: bool,
    /// It is no worker but uses the token of one: that, in hexadecimal digits, and the socket's path.
    pub borrowed: Option<(String, String)>,
}

impl Script {
    /// Words, each changing one thing: `mute`, `exit N`, `boot-error`, `wrong-token`, `protocol N`,
    /// `no-hello`, `bad-hello`, `silent`, `no-http`, `half-http`, `long-frame`, `lend`; `ready-from
    /// GENERATION`, `fail`, `fail-for-good`, `no-source`, `exit-late N`, `hang`, `lie WHAT`; `plain`
    /// (no control socket, no shared page), `no-arenas` (buffers in frames), `no-telemetry`, `deaf` (to SIGTERM), `clingy` (does not leave when told
    /// to finish); `linger`, `borrow TOKEN PATH`. `once PATH` takes back what stands before it,
    /// unless this is the first worker that comes by that path.
    pub fn from_args() -> Self {
        let honest = Self {
            beginning: Beginning::Attach,
            ending: Ending::Ready { from: 1 },
            control: true,
            words: true,
            arenas: true,
            telemetry: true,
            heeds_sigterm: true,
            heeds_drain: true,
            lingers: false,
            borrowed: None,
        };
        let mut script = honest.clone();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut text = || words.next().unwrap_or_else(|| panic!("{word} takes a word"));
            let mut number = || text().parse().expect("a number");
            match word.as_str() {
                "mute" => script.beginning = Beginning::Mute,
                "exit" => script.beginning = Beginning::Exit(number() as i32),
                "boot-error" => script.beginning = Beginning::BootError,
                "wrong-token" => script.beginning = Beginning::WrongToken,
                "protocol" => script.beginning = Beginning::Protocol(number() as u32),
                "no-hello" => script.beginning = Beginning::NoHello,
                "bad-hello" => script.beginning = Beginning::BadHello,
                "silent" => script.beginning = Beginning::Raw(b""),
                "no-http" => script.beginning = Beginning::Raw(b"hello?"),
                "half-http" => script.beginning = Beginning::Raw(PREFACE),
                "long-frame" => script.beginning = Beginning::Raw(LONG_FRAME),
                "lend" => script.beginning = Beginning::Lend,
                "ready-from" => script.ending = Ending::Ready { from: number() },
                "fail" => script.ending = Ending::Failed { permanent: false },
                "fail-for-good" => script.ending = Ending::Failed { permanent: true },
                "no-source" => script.ending = Ending::Source,
                "exit-late" => script.ending = Ending::Exit(number() as i32),
                "hang" => script.ending = Ending::Hang,
                "lie" => script.ending = Ending::Lie(text()),
                "plain" => (script.control, script.words) = (false, false),
                "no-arenas" => script.arenas = false,
                "no-telemetry" => script.telemetry = false,
                "deaf" => script.heeds_sigterm = false,
                "clingy" => script.heeds_drain = false,
                "linger" => script.lingers = true,
                "borrow" => script.borrowed = Some((text(), text())),
                "once" if std::fs::File::create_new(text()).is_ok() => {}
                "once" => script = honest.clone(),
                _ => panic!("no such way to start: {word}"),
            }
        }
        script
    }
}

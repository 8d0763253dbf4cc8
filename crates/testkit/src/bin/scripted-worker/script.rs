//! How the worker starts, as its arguments say it.

/// What becomes of `initialize()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// It answers a call that nobody made.
    SpeakEarly,
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
    WrongProtocol,
}

/// See the module's head.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    pub beginning: Beginning,
    pub ending: Ending,
    /// Takes cancels and grants from the control socket; else from its line.
    pub control: bool,
    /// Honours the shared page.
    pub words: bool,
    pub heeds_sigterm: bool,
    pub heeds_drain: bool,
    /// It is no worker but something that one left behind.
    pub lingers: bool,
}

impl Script {
    /// Words, each changing one thing: `mute`, `exit N`, `boot-error`, `wrong-token`,
    /// `wrong-protocol`; `ready-from GENERATION`, `fail`, `fail-for-good`, `no-source`,
    /// `exit-late N`, `hang`, `speak-early`; `plain` (no control socket, no shared page), `deaf` (to
    /// SIGTERM), `clingy` (does not leave when told to finish); `linger`.
    pub fn from_args() -> Self {
        let mut script = Self {
            beginning: Beginning::Attach,
            ending: Ending::Ready { from: 1 },
            control: true,
            words: true,
            heeds_sigterm: true,
            heeds_drain: true,
            lingers: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut number = || {
                let number = words.next().and_then(|number| number.parse().ok());
                number.unwrap_or_else(|| panic!("{word} takes a number"))
            };
            match word.as_str() {
                "mute" => script.beginning = Beginning::Mute,
                "exit" => script.beginning = Beginning::Exit(number() as i32),
                "boot-error" => script.beginning = Beginning::BootError,
                "wrong-token" => script.beginning = Beginning::WrongToken,
                "wrong-protocol" => script.beginning = Beginning::WrongProtocol,
                "ready-from" => script.ending = Ending::Ready { from: number() },
                "fail" => script.ending = Ending::Failed { permanent: false },
                "fail-for-good" => script.ending = Ending::Failed { permanent: true },
                "no-source" => script.ending = Ending::Source,
                "exit-late" => script.ending = Ending::Exit(number() as i32),
                "hang" => script.ending = Ending::Hang,
                "speak-early" => script.ending = Ending::SpeakEarly,
                "plain" => (script.control, script.words) = (false, false),
                "deaf" => script.heeds_sigterm = false,
                "clingy" => script.heeds_drain = false,
                "linger" => script.lingers = true,
                _ => panic!("no such way to start: {word}"),
            }
        }
        script
    }
}

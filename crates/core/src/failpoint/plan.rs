//! What may be written in `SNAKEPIT_FAIL`.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use super::written;

/// Declares the points once: name in a plan, and whether it is passed in workers.
macro_rules! points {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal in $side:ident;)+) => {
        /// A place where something can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As a plan names it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Whether it is a worker that passes it.
            pub fn is_in_worker(self) -> bool {
                match self { $(Self::$variant => points!(@ $side),)+ }
            }
        }
    };
    (@ worker) => { true };
    (@ host) => { false };
}

points! {
    /// A worker's process is started.
    Spawn "spawn" in host;
    /// The page that host and worker share is made.
    Page "page" in host;
    /// A worker is noted in the ledger.
    Ledger "ledger" in host;
    /// A worker that said Hello is answered.
    Handshake "handshake" in host;
    /// A frame is sent to a worker.
    Send "send" in host;
    /// Frames of a worker were received; an error loses them and ends the line.
    Recv "recv" in host;
    /// What a worker said is about to count.
    Reply "reply" in host;
    /// The process runs and is no worker yet.
    Exec "exec" in worker;
    /// The host is dialled.
    Dial "dial" in worker;
    /// The adapter is initialized.
    Warmup "warmup" in worker;
    /// A call was taken off the line.
    Take "take" in worker;
    /// Its arguments are read.
    Decode "decode" in worker;
    /// The tool runs.
    Run "run" in worker;
    /// The result is written.
    Encode "encode" in worker;
    /// The answer is sent; an error loses it.
    Answer "answer" in worker;
    /// An item of a stream is sent.
    Item "item" in worker;
    /// The answer was sent, and the page does not say so yet.
    Ack "ack" in worker;
    /// The worker was told to finish.
    Shutdown "shutdown" in worker;
}

/// What goes wrong, where, and how often.
///
/// ```text
/// PLAN  = ENTRY, ENTRY, …
/// ENTRY = seed=N | POINT:WORD:WORD:…
/// WORD  = error | error=EAGAIN|EMFILE|ENOMEM | delay=2s|50ms|100us | crash    (none: error)
///       | 5%       with this chance; the same seed rolls the same dice
///       | nth=3    the third time only
///       | once, times=4    at most so often; at a worker's point once in each of so many workers
/// ```
///
/// `crash` aborts the process and is for workers' points only; `reply` can only be delayed.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) point: Point,
    pub(super) chance: Option<f64>,
    pub(super) nth: Option<u64>,
    pub(super) times: Option<u64>,
    pub(super) fault: Fault,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fault {
    pub(super) delay: Option<Duration>,
    pub(super) error: Option<Failure>,
    pub(super) crash: bool,
}

/// What an operation fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// As at no other place: `failpoint NAME`.
    Own,
    /// With a number of the system and its name.
    System(i32, &'static str),
}

/// What a system says that has too little of something. The numbers are Linux's.
const SYSTEM: [Failure; 3] =
    [Failure::System(11, "EAGAIN"), Failure::System(12, "ENOMEM"), Failure::System(24, "EMFILE")];

impl Failure {
    pub(super) fn at(self, point: Point) -> io::Error {
        match self {
            Self::Own => io::Error::other(format!("failpoint {}", point.name())),
            Self::System(number, _) => io::Error::from_raw_os_error(number),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut seed, mut rules) = (None, Vec::<Rule>::new());
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if let Some(number) = entry.strip_prefix("seed=") {
                seed = Some(count(entry, number)?);
                continue;
            }
            let rule = rule(entry)?;
            if rules.iter().any(|other| other.point == rule.point) {
                return Err(format!("{entry:?}: there is an entry of this point before it"));
            }
            rules.push(rule);
        }
        let random = || {
            let mut bytes = [0; 8];
            // Dice that always fall alike are dice still.
            let _ = getrandom::fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        Ok(Self { seed: seed.unwrap_or_else(random), rules })
    }
}

fn rule(entry: &str) -> Result<Rule, String> {
    let mut words = entry.split(':').map(str::trim);
    let name = words.next().unwrap_or_default();
    let point = *Point::ALL.iter().find(|point| point.name() == name).ok_or_else(|| {
        let names: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
        format!("{entry:?}: there is no point {name:?}; there are {}", names.join(", "))
    })?;
    let mut rule = Rule { point, chance: None, nth: None, times: None, fault: Fault::default() };
    for word in words {
        let fault = &mut rule.fault;
        match word.split_once('=').unwrap_or((word, "")) {
            ("error", "") => fault.error = Some(Failure::Own),
            ("error", kind) => fault.error = Some(failure(entry, kind)?),
            ("delay", text) => fault.delay = Some(duration(entry, text)?),
            ("crash", "") => fault.crash = true,
            ("once", "") => rule.times = Some(1),
            ("times", number) => rule.times = Some(count(entry, number)?),
            ("nth", number) => rule.nth = Some(count(entry, number)?),
            (chance, "") if chance.ends_with('%') => rule.chance = Some(percent(entry, chance)?),
            _ => {
                return Err(format!(
                    "{entry:?}: {word:?} is none of error, error=KIND, delay=DURATION, crash, N%, \
                     nth=N, once, times=N"
                ));
            }
        }
    }
    if rule.fault == Fault::default() {
        rule.fault.error = Some(Failure::Own);
    }
    check(entry, &rule).map(|()| rule)
}

/// Whether that can be done there.
fn check(entry: &str, rule: &Rule) -> Result<(), String> {
    if rule.fault.crash && !rule.point.is_in_worker() {
        return Err(format!("{entry:?}: only workers crash"));
    }
    if rule.point == Point::Reply && rule.fault.error.is_some() {
        return Err(format!("{entry:?}: a reply can only be late; say delay=DURATION"));
    }
    Ok(())
}

fn failure(entry: &str, kind: &str) -> Result<Failure, String> {
    let named = |failure: &Failure| matches!(failure, Failure::System(_, name) if *name == kind);
    let found = SYSTEM.into_iter().find(named);
    found.ok_or_else(|| format!("{entry:?}: error is one of EAGAIN, EMFILE, ENOMEM, or nothing"))
}

fn count(entry: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{entry:?}: {text:?} is no number"))
}

fn percent(entry: &str, text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim_end_matches('%').parse().ok();
    let chance = number.filter(|number| (0.0..=100.0).contains(number));
    chance
        .map(|number| number / 100.0)
        .ok_or_else(|| format!("{entry:?}: {text:?} is no chance from 0% to 100%"))
}

fn duration(entry: &str, text: &str) -> Result<Duration, String> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit {
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        _ => return Err(format!("{entry:?}: {text:?} needs a unit: us, ms or s")),
    };
    let number: Option<u32> = number.parse().ok();
    number
        .and_then(|number| unit.checked_mul(number))
        .ok_or_else(|| format!("{entry:?}: {text:?} is no duration"))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={}", self.seed)?;
        self.rules.iter().try_for_each(|rule| write!(f, ",{rule}"))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.point.name())?;
        if let Some(delay) = self.fault.delay {
            write!(f, ":delay={}", written(delay))?;
        }
        match self.fault.error {
            Some(Failure::Own) => f.write_str(":error")?,
            Some(Failure::System(_, name)) => write!(f, ":error={name}")?,
            None => {}
        }
        if self.fault.crash {
            f.write_str(":crash")?;
        }
        if let Some(chance) = self.chance {
            write!(f, ":{}%", chance * 100.0)?;
        }
        if let Some(nth) = self.nth {
            write!(f, ":nth={nth}")?;
        }
        self.times.map_or(Ok(()), |times| write!(f, ":times={times}"))
    }
}

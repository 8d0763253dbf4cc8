//! Which trace a call belongs to, as the W3C has it: <https://www.w3.org/TR/trace-context/>.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest `tracestate` that is carried on; the recommendation asks for 512 characters at least.
const MAX_STATE: usize = 512;

/// A span of somebody's trace, of which what a call does is a part.
///
/// Written and read as the header `traceparent`:
///
/// ```
/// use snakepit::telemetry::TraceContext;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context: TraceContext = header.parse().unwrap();
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), header);
/// assert!("00-0-0-01".parse::<TraceContext>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Not all zero.
    pub trace_id: [u8; 16],
    /// Not all zero.
    pub span_id: [u8; 8],
    /// Bit 0: the trace is recorded.
    pub flags: u8,
    /// What vendors add, as the header `tracestate`; empty: nothing.
    pub state: Arc<str>,
}

/// No `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no traceparent: VERSION-TRACE-SPAN-FLAGS in lower-case hexadecimal digits is needed")]
pub struct NoTraceContext;

impl TraceContext {
    /// With a `tracestate`; one that is too long to be carried is dropped, as the W3C allows.
    #[must_use]
    pub fn with_state(mut self, state: &str) -> Self {
        self.state = if state.len() <= MAX_STATE { state.into() } else { "".into() };
        self
    }

    /// A span of the same trace, to be made inside of this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: Self::new_span_id(), ..self.clone() }
    }

    /// An id that no other span has.
    pub(crate) fn new_span_id() -> [u8; 8] {
        // Where the system has no random numbers left to give, the clock's will do.
        let clock =
            || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64);
        getrandom::u64().unwrap_or_else(|_| clock()).max(1).to_be_bytes()
    }

    /// Whether whoever began the trace records it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 != 0
    }
}

impl FromStr for TraceContext {
    type Err = NoTraceContext;

    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NoTraceContext);
        let [version] = digits(part()?)?;
        let context = Self {
            trace_id: digits(part()?)?,
            span_id: digits(part()?)?,
            flags: digits::<1>(part()?)?[0],
            state: "".into(),
        };
        // A later version may have more parts; the first one must not.
        let fits = version != 0xff && (version != 0 || parts.next().is_none());
        let named = context.trace_id != [0; 16] && context.span_id != [0; 8];
        (fits && named).then_some(context).ok_or(NoTraceContext)
    }
}

fn digits<const N: usize>(text: &str) -> Result<[u8; N], NoTraceContext> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NoTraceContext),
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return Err(NoTraceContext);
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| {
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        };
        f.write_str("00-")?;
        hex(f, &self.trace_id)?;
        f.write_str("-")?;
        hex(f, &self.span_id)?;
        write!(f, "-{:02x}", self.flags)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) {
            let context = TraceContext { trace_id, span_id, flags, state: "".into() };
            let read = context.to_string().parse();
            let named = trace_id != [0; 16] && span_id != [0; 8];
            prop_assert_eq!(read, if named { Ok(context) } else { Err(NoTraceContext) });
        }

        #[test]
        fn nothing_that_comes_makes_it_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<TraceContext>();
        }
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(good.parse::<TraceContext>().is_ok());
        assert!(good.replacen("00", "cc", 1).parse::<TraceContext>().is_ok(), "a later version");
        assert!((good.replacen("00", "cc", 1) + "-more").parse::<TraceContext>().is_ok());
        for bad in [
            good.to_uppercase(),
            format!("{good}-more"),
            good.replacen("00", "ff", 1),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replace("b7ad6b7169203331", &"0".repeat(16)),
            good[..54].to_owned(),
            String::new(),
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(NoTraceContext), "{bad}");
        }
    }

    #[test]
    fn a_state_that_is_too_long_is_dropped() {
        let context: TraceContext =
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("a context");
        assert_eq!(&*context.clone().with_state("a=1").state, "a=1");
        assert_eq!(&*context.with_state(&"x".repeat(513)).state, "");
    }
}

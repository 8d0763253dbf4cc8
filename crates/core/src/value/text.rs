//! Values that are little more than their text or their bytes: `Decimal`, `UUID`.

use std::fmt;
use std::str::FromStr;

use super::extension::{Body, DECIMAL, Extension, UUID, serde_by_text};

/// A `decimal.Decimal`, digits and all: `1.10` stays `1.10`.
///
/// Kept as Python's text of it; parse that with the decimal library of your choice. A field of
/// such a library's type can also be read directly from a result, as can a `String`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(String);

impl Decimal {
    /// The digits as Python prints them; also `NaN`, `sNaN1`, `-Infinity`, `1E+999`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let number = || {
            let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let some = !whole.is_empty() || !fraction.is_empty();
            some && !exponent.is_empty() && [whole, fraction, exponent].into_iter().all(digits)
        };
        let lower = unsigned.to_ascii_lowercase();
        let payload = lower.strip_prefix("snan").or_else(|| lower.strip_prefix("nan"));
        let special = matches!(&*lower, "inf" | "infinity") || payload.is_some_and(digits);
        if special || number() {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{text:?} is no decimal number"))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Extension for Decimal {
    const TAG: i8 = DECIMAL;
    const NAME: &'static str = "a Decimal";

    fn body(&self) -> Body<'_> {
        Body::whole(self.0.as_bytes())
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        str::from_utf8(body).map_err(|error| error.to_string())?.parse()
    }
}

/// A `uuid.UUID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl FromStr for Uuid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        let shaped = text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
        if !shaped || digits.len() != 32 {
            return Err(format!("{text:?} is no UUID of 32 hexadecimal digits"));
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8; // two digits below 16
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Extension for Uuid {
    const TAG: i8 = UUID;
    const NAME: &'static str = "a UUID";

    fn body(&self) -> Body<'_> {
        Body::whole(&self.0[..])
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        body.try_into().map(Self).map_err(|_| format!("a UUID has 16 bytes, not {}", body.len()))
    }
}

serde_by_text!(Decimal Uuid);

//! Python's ints, which have no largest one.

use std::fmt;

use super::extension::{Body, Extension};

/// A whole number of any size.
///
/// ```
/// use snakepit::value::Int;
///
/// let large = Int::from(u128::MAX);
/// assert_eq!(i64::try_from(&Int::from(-7)), Ok(-7));
/// assert!(i64::try_from(&large).is_err());
/// assert_eq!(large.to_string(), "340282366920938463463374607431768211455");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Int(Repr);

/// Each number has exactly one form, the first that fits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Repr {
    Signed(i64),
    Unsigned(u64),
    /// Beyond 64 bits: big-endian two's complement, as it travels.
    Wide(Box<[u8]>),
}

/// The forms that msgpack itself knows, and the one beyond.
pub(super) enum Form<'a> {
    Signed(i64),
    Unsigned(u64),
    Wide(&'a [u8]),
}

impl Int {
    /// From big-endian two's complement of any length; no bytes are zero.
    pub fn from_be_bytes(bytes: &[u8]) -> Self {
        let sign = sign_byte(bytes);
        let first = bytes.iter().position(|&byte| byte != sign).unwrap_or(bytes.len());
        let rest = &bytes[first..];
        if rest.len() <= 16 {
            let mut padded = [sign; 17];
            padded[17 - rest.len()..].copy_from_slice(rest);
            let low: [u8; 16] = padded[1..].try_into().expect("16 of 17 bytes");
            let value = i128::from_be_bytes(low);
            if let Ok(value) = i64::try_from(value) {
                // Sixteen bytes of a number may turn its sign over: then it is a wide one.
                if (value < 0) == (sign == 0xff) {
                    return Self(Repr::Signed(value));
                }
            } else if let (Ok(value), 0) = (u64::try_from(value), sign) {
                return Self(Repr::Unsigned(value));
            }
        }
        let magnitude = magnitude(sign, rest);
        let bits =
            magnitude.len() * 8 - magnitude.first().map_or(0, |top| top.leading_zeros() as usize);
        let length = bits / 8 + 1;
        let mut body = vec![sign; length];
        let kept = rest.len().min(length);
        body[length - kept..].copy_from_slice(&rest[rest.len() - kept..]);
        Self(Repr::Wide(body.into()))
    }

    /// As big-endian two's complement, at most one byte longer than it must be.
    pub fn to_be_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Repr::Signed(value) => value.to_be_bytes().to_vec(),
            Repr::Unsigned(value) => i128::from(*value).to_be_bytes()[7..].to_vec(),
            Repr::Wide(body) => body.to_vec(),
        }
    }

    pub(super) fn form(&self) -> Form<'_> {
        match &self.0 {
            Repr::Signed(value) => Form::Signed(*value),
            Repr::Unsigned(value) => Form::Unsigned(*value),
            Repr::Wide(body) => Form::Wide(body),
        }
    }
}

fn sign_byte(bytes: &[u8]) -> u8 {
    if bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 }
}

/// Big-endian bytes of the number without its sign, no zeros in front.
fn magnitude(sign: u8, bytes: &[u8]) -> Vec<u8> {
    let mut result: Vec<u8> = bytes.iter().map(|byte| byte ^ sign).collect();
    if sign != 0 {
        let mut carry = true;
        for byte in result.iter_mut().rev() {
            (*byte, carry) = byte.overflowing_add(u8::from(carry));
        }
        if carry {
            result.insert(0, 1);
        }
    }
    let zeros = result.iter().take_while(|&&byte| byte == 0).count();
    result.split_off(zeros)
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.0 {
            Repr::Signed(value) => return value.fmt(f),
            Repr::Unsigned(value) => return value.fmt(f),
            Repr::Wide(body) => body,
        };
        let sign = sign_byte(body);
        let mut left = magnitude(sign, body);
        let mut digits = Vec::new();
        while !left.is_empty() {
            let mut rest = 0_u32;
            for byte in &mut left {
                let part = rest << 8 | u32::from(*byte);
                *byte = (part / 10) as u8; // rest < 10, so the quotient is below 256
                rest = part % 10;
            }
            digits.push(char::from(b'0' + rest as u8));
            let zeros = left.iter().take_while(|&&byte| byte == 0).count();
            left.drain(..zeros);
        }
        let text: String = digits.iter().rev().collect();
        f.pad_integral(sign == 0, "", &text)
    }
}

macro_rules! from_small {
    ($($int:ty)*) => { $(
        impl From<$int> for Int {
            fn from(value: $int) -> Self {
                Self(Repr::Signed(value.into()))
            }
        }
    )* };
}
from_small!(i8 i16 i32 i64 u8 u16 u32);

impl From<u64> for Int {
    fn from(value: u64) -> Self {
        Self(i64::try_from(value).map_or(Repr::Unsigned(value), Repr::Signed))
    }
}

impl From<usize> for Int {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<isize> for Int {
    fn from(value: isize) -> Self {
        Self::from(value as i64)
    }
}

impl From<i128> for Int {
    fn from(value: i128) -> Self {
        Self::from_be_bytes(&value.to_be_bytes())
    }
}

impl From<u128> for Int {
    fn from(value: u128) -> Self {
        let mut bytes = [0; 17];
        bytes[1..].copy_from_slice(&value.to_be_bytes());
        Self::from_be_bytes(&bytes)
    }
}

/// The number does not fit the type that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number does not fit the type that was asked for")
    }
}

impl std::error::Error for OutOfRange {}

impl TryFrom<&Int> for i128 {
    type Error = OutOfRange;

    fn try_from(int: &Int) -> Result<Self, OutOfRange> {
        match &int.0 {
            Repr::Signed(value) => Ok(Self::from(*value)),
            Repr::Unsigned(value) => Ok(Self::from(*value)),
            Repr::Wide(body) => {
                let sign = sign_byte(body);
                let cut = body.len().saturating_sub(16);
                let mut low = [sign; 16];
                let kept = &body[cut..];
                low[16 - kept.len()..].copy_from_slice(kept);
                let value = Self::from_be_bytes(low);
                let whole = body[..cut].iter().all(|&byte| byte == sign);
                (whole && (value < 0) == (sign != 0)).then_some(value).ok_or(OutOfRange)
            }
        }
    }
}

impl TryFrom<&Int> for u128 {
    type Error = OutOfRange;

    fn try_from(int: &Int) -> Result<Self, OutOfRange> {
        match &int.0 {
            Repr::Wide(body) if body.len() == 17 && body[0] == 0 => {
                Ok(Self::from_be_bytes(body[1..].try_into().expect("16 of 17 bytes")))
            }
            _ => i128::try_from(int)?.try_into().map_err(|_| OutOfRange),
        }
    }
}

macro_rules! try_into_small {
    ($($int:ty)*) => { $(
        impl TryFrom<&Int> for $int {
            type Error = OutOfRange;

            fn try_from(int: &Int) -> Result<Self, OutOfRange> {
                i128::try_from(int)?.try_into().map_err(|_| OutOfRange)
            }
        }
    )* };
}
try_into_small!(i8 i16 i32 i64 u8 u16 u32 u64 isize usize);

impl Extension for Int {
    const TAG: i8 = super::extension::BIG_INT;
    const NAME: &'static str = "an int";

    fn body(&self) -> Body<'_> {
        Body::whole(self.to_be_bytes())
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        Ok(Self::from_be_bytes(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_form() {
        for value in [0, 1, -1, i64::MIN, i64::MAX, 127, -128] {
            let padded = i128::from(value).to_be_bytes();
            assert_eq!(Int::from_be_bytes(&padded), Int::from(value));
            assert_eq!(i64::try_from(&Int::from(value)), Ok(value));
        }
        assert_eq!(Int::from_be_bytes(&[]), Int::from(0));
        assert_eq!(Int::from(u64::MAX).form_name(), "unsigned");
        assert_eq!(Int::from(i128::from(u64::MAX) + 1).form_name(), "wide");
        assert_eq!(Int::from(i128::from(i64::MIN) - 1).form_name(), "wide");
    }

    impl Int {
        fn form_name(&self) -> &'static str {
            match self.form() {
                Form::Signed(_) => "signed",
                Form::Unsigned(_) => "unsigned",
                Form::Wide(_) => "wide",
            }
        }
    }

    #[test]
    fn the_edges_of_128_bits_come_back() {
        for value in [i128::MIN, i128::MIN + 1, -1 << 64, 1 << 64, i128::MAX] {
            let int = Int::from(value);
            assert_eq!(i128::try_from(&int), Ok(value));
            assert_eq!(int.to_string(), value.to_string());
        }
        for value in [1 << 127, u128::MAX] {
            assert_eq!(u128::try_from(&Int::from(value)), Ok(value));
            assert_eq!(i128::try_from(&Int::from(value)), Err(OutOfRange));
        }
        assert_eq!(u128::try_from(&Int::from(-1)), Err(OutOfRange));
    }
}

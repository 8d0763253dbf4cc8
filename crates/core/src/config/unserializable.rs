//! What becomes of a value in a worker's results that cannot travel.

use std::str::FromStr;

use crate::error::Error;

/// Longest text of a value in its marker, in characters, that a pool may ask for.
const LARGEST_REPR: u32 = 2000;

/// Instead of an error, a value that cannot travel is converted by the first of `model_dump`,
/// `to_dict`, `_asdict`, `tolist` and `isoformat` that it has; one that has none becomes a marker:
/// `{"__ffi_unserializable__": true, "__type__": "module.Class"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unserializable {
    /// What else the marker says.
    pub detail: Detail,
    /// Characters of the value's `repr()` in it, 2000 at most. Default: 500.
    pub max_repr: u32,
    /// An array of more elements becomes no list. Default: 1,000,000.
    pub max_elements: u64,
}

impl Default for Unserializable {
    fn default() -> Self {
        Self { detail: Detail::default(), max_repr: 500, max_elements: 1_000_000 }
    }
}

impl Unserializable {
    /// # Errors
    /// [`Error::Config`]: `max_repr` is too large.
    pub fn validate(&self) -> Result<(), Error> {
        if self.max_repr > LARGEST_REPR {
            let message = format!("max_repr must be at most {LARGEST_REPR}, not {}", self.max_repr);
            return Err(Error::Config { field: "unserializable", message });
        }
        Ok(())
    }
}

/// What a marker says under `__repr__`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Nothing: a text of the value may hold secrets.
    #[default]
    None,
    /// The name of its type, once more.
    Type,
    /// The beginning of its `repr()`.
    ReprTruncated,
    /// The same, without what looks like a key, a token or a password.
    ReprRedactedTruncated,
}

impl Detail {
    /// `none`, `type`, `repr_truncated` or `repr_redacted_truncated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Type => "type",
            Self::ReprTruncated => "repr_truncated",
            Self::ReprRedactedTruncated => "repr_redacted_truncated",
        }
    }
}

impl FromStr for Detail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::None, Self::Type, Self::ReprTruncated, Self::ReprRedactedTruncated];
        all.into_iter().find(|detail| detail.as_str() == text).ok_or_else(|| {
            let names = all.map(|detail| format!("{:?}", detail.as_str())).join(", ");
            format!("unknown detail {text:?}; use one of {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_have_names() {
        assert_eq!("repr_redacted_truncated".parse(), Ok(Detail::ReprRedactedTruncated));
        assert!("repr".parse::<Detail>().unwrap_err().contains("\"repr_truncated\""));
    }

    #[test]
    fn a_text_is_bounded() {
        assert!(Unserializable { max_repr: 2000, ..Default::default() }.validate().is_ok());
        assert!(Unserializable { max_repr: 2001, ..Default::default() }.validate().is_err());
    }
}

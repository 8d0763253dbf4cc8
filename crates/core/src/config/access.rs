//! What an operator may do to a pool over the host's operator socket.

use std::str::FromStr;

/// What the operator socket of this process has of a pool. Only processes of the same user get as
/// far as to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing: to the socket there is no such pool.
    Off,
    /// It tells how the pool fares.
    Read,
    /// It also asks workers where they are, and replaces them.
    #[default]
    Admin,
}

impl Access {
    /// `off`, `read` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Access {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "read" => Ok(Self::Read),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("unknown access {text:?}; use \"admin\", \"read\" or \"off\"")),
        }
    }
}

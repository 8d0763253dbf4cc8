//! Arguments of calls with Rust types, on their way out.

use serde::Serialize;

use super::Pool;
use crate::payload::Payload;
use crate::value::{self, CodecError};

/// Arguments as they travel: what is large of them lies in the pool's memory, where it has any.
pub(super) fn encoded(pool: &Pool, arguments: &impl Serialize) -> Result<Payload, CodecError> {
    match pool.arena() {
        Some(arena) => arena.beside(|outside| value::encode_arguments_beside(arguments, outside)),
        None => value::encode_arguments(arguments).map(Payload::from),
    }
}

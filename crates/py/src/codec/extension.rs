//! Numbers of the msgpack extension types. They are wire format: never renumber, only add.
//! `docs/values.md` tells what each body holds.

pub(super) const BIG_INT: i8 = 1;
pub(super) const DATETIME: i8 = 2;
pub(super) const DATE: i8 = 3;
pub(super) const DECIMAL: i8 = 4;
pub(super) const UUID: i8 = 5;
pub(super) const ARRAY: i8 = 6;
pub(super) const NUMPY_SCALAR: i8 = 7;
// 8 is kept for buffers that travel beside the message.
pub(super) const TIME: i8 = 9;
pub(super) const TIMEDELTA: i8 = 10;

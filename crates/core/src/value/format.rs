//! What both codecs in Rust write from, this crate's and the bindings': `docs/values.md` in code.

/// Numbers of the msgpack extension types. They are wire format: never renumber, only add.
pub const BIG_INT: i8 = 1;
pub const DATETIME: i8 = 2;
pub const DATE: i8 = 3;
pub const DECIMAL: i8 = 4;
pub const UUID: i8 = 5;
pub const ARRAY: i8 = 6;
pub const NUMPY_SCALAR: i8 = 7;
// 8 is kept for buffers that travel beside the message.
pub const TIME: i8 = 9;
pub const TIMEDELTA: i8 = 10;
pub const NAMED: i8 = 11;

/// The name and the message in the body of [`NAMED`]. None: malformed.
pub fn named(body: &[u8]) -> Option<(&str, &[u8])> {
    let (&len, rest) = body.split_first()?;
    let (name, message) = rest.split_at_checked(usize::from(len))?;
    Some((str::from_utf8(name).ok().filter(|name| !name.is_empty())?, message))
}

/// Kind and bytes of one item (0 for an empty text) of a numpy dtype, as `numpy.dtype.str` names it:
/// byte order, kind, size, and a unit for times. None: malformed, or of a kind that does not travel.
///
/// An allow-list: an array of objects over foreign bytes would be an array of foreign pointers.
pub fn dtype(name: &str) -> Option<(u8, usize)> {
    let [b'<' | b'>' | b'|', kind, rest @ ..] = name.as_bytes() else { return None };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (size, unit) = rest.split_at(digits);
    let size = usize::try_from(str::from_utf8(size).ok()?.parse::<u32>().ok()?).ok()?;
    let item_size = match kind {
        b'b' | b'i' | b'u' | b'f' | b'c' if size > 0 => size,
        b'm' | b'M' if size == 8 => size,
        b'S' => size,
        b'U' => size.checked_mul(4)?,
        _ => return None,
    };
    let is_unit = matches!(kind, b'm' | b'M') && matches!(unit, [b'[', .., b']']);
    (unit.is_empty() || is_unit).then_some((*kind, item_size))
}

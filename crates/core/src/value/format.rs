//! What both codecs in Rust write from, this crate's and the bindings': `docs/values.md` in code.

/// Numbers of the msgpack extension types. They are wire format: never renumber, only add.
pub const BIG_INT: i8 = 1;
pub const DATETIME: i8 = 2;
pub const DATE: i8 = 3;
pub const DECIMAL: i8 = 4;
pub const UUID: i8 = 5;
pub const ARRAY: i8 = 6;
pub const NUMPY_SCALAR: i8 = 7;
pub const REFERENCE: i8 = 8;
pub const TIME: i8 = 9;
pub const TIMEDELTA: i8 = 10;
pub const NAMED: i8 = 11;
pub const MEMORY: i8 = 12;
pub const RECORDS: i8 = 13;
pub const ARROW: i8 = 14;
pub const TENSOR: i8 = 15;
pub const SHARED: i8 = 16;

/// In a [`REFERENCE`], instead of an extension's type: plain bytes.
pub const BYTES: i8 = 0;

/// In an array's number of dimensions: its items are in Fortran order.
pub const FORTRAN: u8 = 0x80;

/// Types of the Python package `ml_dtypes`, with the bytes of an item: numpy has no name for them.
const NAMED_DTYPES: [(&str, usize); 20] = [
    ("bcomplex32", 4),
    ("bfloat16", 2),
    ("complex32", 4),
    ("float4_e2m1fn", 1),
    ("float6_e2m3fn", 1),
    ("float6_e3m2fn", 1),
    ("float8_e3m4", 1),
    ("float8_e4m3", 1),
    ("float8_e4m3b11fnuz", 1),
    ("float8_e4m3fn", 1),
    ("float8_e4m3fnuz", 1),
    ("float8_e5m2", 1),
    ("float8_e5m2fnuz", 1),
    ("float8_e8m0fnu", 1),
    ("int1", 1),
    ("int2", 1),
    ("int4", 1),
    ("uint1", 1),
    ("uint2", 1),
    ("uint4", 1),
];

/// Number of the buffer, type of the value, and the head of its body, in the body of [`REFERENCE`].
pub fn reference(body: &[u8]) -> Option<(u32, i8, &[u8])> {
    let (number, rest) = body.split_first_chunk()?;
    let (&tag, head) = rest.split_first()?;
    Some((u32::from_be_bytes(*number), tag.cast_signed(), head))
}

/// The name and the message in the body of [`NAMED`]. None: malformed.
pub fn named(body: &[u8]) -> Option<(&str, &[u8])> {
    let (&len, rest) = body.split_first()?;
    let (name, message) = rest.split_at_checked(usize::from(len))?;
    Some((str::from_utf8(name).ok().filter(|name| !name.is_empty())?, message))
}

/// Kind and bytes of one item (0 for an empty text) of a numpy dtype, as `numpy.dtype.str` names it:
/// byte order, kind, size, and a unit for times; or one of `ml_dtypes`, which is of kind `V` here.
/// None: malformed, or of a kind that does not travel.
///
/// An allow-list: an array of objects over foreign bytes would be an array of foreign pointers.
pub fn dtype(name: &str) -> Option<(u8, usize)> {
    let [order @ (b'<' | b'>' | b'|'), kind, rest @ ..] = name.as_bytes() else {
        let (_, size) = NAMED_DTYPES.iter().find(|(known, _)| *known == name)?;
        return Some((b'V', *size));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (size, unit) = rest.split_at(digits);
    let size = usize::try_from(str::from_utf8(size).ok()?.parse::<u32>().ok()?).ok()?;
    let item_size = match kind {
        b'b' | b'i' | b'u' | b'f' | b'c' if size > 0 => size,
        b'm' | b'M' if size == 8 => size,
        b'V' if size > 0 && *order == b'|' => size,
        b'S' => size,
        b'U' => size.checked_mul(4)?,
        _ => return None,
    };
    let is_unit = matches!(kind, b'm' | b'M') && matches!(unit, [b'[', .., b']']);
    (unit.is_empty() || is_unit).then_some((*kind, item_size))
}

//! numpy's names of item types, as far as they may travel.
//!
//! An allow-list, applied in both directions before numpy sees a name: an array of objects over
//! foreign bytes would be an array of foreign pointers.

pub(super) struct Dtype<'a> {
    /// As in `numpy.dtype.str`: byte order, kind, size, and a unit for times.
    pub(super) name: &'a str,
    pub(super) kind: u8,
    /// Bytes of one item; 0 for an empty text.
    pub(super) item_size: usize,
}

impl<'a> Dtype<'a> {
    /// None: malformed, or of a kind that does not travel.
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        let (kind, item_size) = snakepit::value::format::dtype(name)?;
        Some(Self { name, kind, item_size })
    }

    /// Texts drop their trailing NULs as items of an array, which a scalar must not.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.kind, b'S' | b'U')
    }
}

/// The name of a native number's type from its `struct` format: cheaper than asking numpy.
pub(super) fn of_format(format: &[u8], item_size: usize) -> Option<&'static str> {
    if cfg!(target_endian = "big") {
        return None;
    }
    Some(match (format, item_size) {
        (b"?", 1) => "|b1",
        (b"b", 1) => "|i1",
        (b"B", 1) => "|u1",
        (b"h", 2) => "<i2",
        (b"H", 2) => "<u2",
        (b"i" | b"l", 4) => "<i4",
        (b"I" | b"L", 4) => "<u4",
        (b"l" | b"q", 8) => "<i8",
        (b"L" | b"Q", 8) => "<u8",
        (b"e", 2) => "<f2",
        (b"f", 4) => "<f4",
        (b"d", 8) => "<f8",
        (b"Zf", 8) => "<c8",
        (b"Zd", 16) => "<c16",
        _ => return None,
    })
}

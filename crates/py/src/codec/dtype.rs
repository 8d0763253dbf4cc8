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
        (unit.is_empty() || is_unit).then_some(Self { name, kind: *kind, item_size })
    }

    /// Texts drop their trailing NULs as items of an array, which a scalar must not.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.kind, b'S' | b'U')
    }

    pub(super) fn is_time(&self) -> bool {
        matches!(self.kind, b'm' | b'M')
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

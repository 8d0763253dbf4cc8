//! numpy's names of item types, as far as they may travel.

use std::fmt;
use std::str::FromStr;

use super::format;

/// The type of an array's items, as `numpy.dtype.str` writes it: `<f4`, `|b1`, `<M8[ns]`, `<U12`.
///
/// Byte order (`<` little, `>` big, `|` neither), kind (`b i u f c m M S U`), size, unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dtype {
    name: Box<str>,
    kind: u8,
    item_size: usize,
}

impl Dtype {
    /// What numpy calls items of `T`.
    pub fn of<T: Item>() -> Self {
        let order = match size_of::<T>() {
            1 => '|',
            _ if cfg!(target_endian = "big") => '>',
            _ => '<',
        };
        let name = format!("{order}{}", <T as sealed::Item>::NAME);
        name.parse().expect("items name types that travel")
    }

    /// As numpy writes it.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The letter of its kind: `f` in `<f4`.
    pub fn kind(&self) -> char {
        char::from(self.kind)
    }

    /// Bytes of one item; 0 for an empty text.
    pub fn item_size(&self) -> usize {
        self.item_size
    }

    /// Whether items have their most significant byte first.
    pub fn is_big_endian(&self) -> bool {
        self.name.starts_with('>')
    }
}

impl FromStr for Dtype {
    type Err = String;

    /// The same allow-list as the Python side's: objects and structures do not travel.
    fn from_str(name: &str) -> Result<Self, String> {
        parse(name).ok_or_else(|| format!("{name:?} is no dtype that travels, such as \"<f4\""))
    }
}

fn parse(name: &str) -> Option<Dtype> {
    let (kind, item_size) = format::dtype(name)?;
    let fits = name.len() <= usize::from(u8::MAX);
    fits.then(|| Dtype { name: name.into(), kind, item_size })
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Rust types that are items of arrays.
pub trait Item: Copy + sealed::Item {}

pub(super) mod sealed {
    pub trait Item: Sized {
        /// Kind and size: `f4`.
        const NAME: &'static str;
        fn read(bytes: &[u8], big_endian: bool) -> Self;
        /// Items where they lie, in this machine's byte order.
        fn bytes(items: &[Self]) -> &[u8];
        /// The other way; `None`: the bytes are not aligned, or need a look at each of them.
        fn items(bytes: &[u8]) -> Option<&[Self]>;
    }
}

macro_rules! items {
    ($($type:ty => $name:literal),* $(,)?) => { $(
        impl Item for $type {}

        impl sealed::Item for $type {
            const NAME: &'static str = $name;

            fn read(bytes: &[u8], big_endian: bool) -> Self {
                let bytes = bytes.try_into().expect("the caller cut items of the dtype's size");
                if big_endian { Self::from_be_bytes(bytes) } else { Self::from_le_bytes(bytes) }
            }

            fn bytes(items: &[Self]) -> &[u8] {
                bytemuck::cast_slice(items)
            }

            fn items(bytes: &[u8]) -> Option<&[Self]> {
                bytemuck::try_cast_slice(bytes).ok()
            }
        }
    )* };
}
items!(
    i8 => "i1", i16 => "i2", i32 => "i4", i64 => "i8",
    u8 => "u1", u16 => "u2", u32 => "u4", u64 => "u8",
    f32 => "f4", f64 => "f8",
);

impl Item for bool {}

impl sealed::Item for bool {
    const NAME: &'static str = "b1";

    fn read(bytes: &[u8], _: bool) -> Self {
        bytes[0] != 0
    }

    fn bytes(items: &[Self]) -> &[u8] {
        bytemuck::cast_slice(items)
    }

    fn items(_: &[u8]) -> Option<&[Self]> {
        None
    }
}

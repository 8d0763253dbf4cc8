//! Into [`Value`], and looks into it.

use bytes::Bytes;

use super::{
    Array, Arrow, Date, DateTime, Decimal, Ext, Int, Map, Scalar, Time, TimeDelta, Uuid, Value,
};

impl Value {
    /// What Python calls its type: `dict`, `numpy.ndarray`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "dict",
            Self::DateTime(_) => "datetime.datetime",
            Self::Date(_) => "datetime.date",
            Self::Time(_) => "datetime.time",
            Self::TimeDelta(_) => "datetime.timedelta",
            Self::Decimal(_) => "decimal.Decimal",
            Self::Uuid(_) => "uuid.UUID",
            Self::Array(_) => "numpy.ndarray",
            Self::Scalar(_) => "a numpy scalar",
            Self::Arrow(arrow) => arrow.kind().type_name(),
            Self::Ext(_) => "an unknown extension",
        }
    }

    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// A bool; a number is none.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// An int that fits 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_int().and_then(|int| int.try_into().ok())
    }

    /// An int that fits 64 bits and is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_int().and_then(|int| int.try_into().ok())
    }

    /// An int of any size.
    pub fn as_int(&self) -> Option<&Int> {
        if let Self::Int(int) = self { Some(int) } else { None }
    }

    /// A float; also an int that a float holds exactly.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Int(_) => {
                let value = self.as_i64()?;
                let float = value as f64;
                // The comparison is made in 128 bits: 2^63 is a float and no `i64`.
                (float as i128 == i128::from(value)).then_some(float)
            }
            _ => None,
        }
    }

    /// A text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// Bytes.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// A list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// A dict.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// A numpy array.
    pub fn as_array(&self) -> Option<&Array> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    /// Arrow data.
    pub fn as_arrow(&self) -> Option<&Arrow> {
        if let Self::Arrow(arrow) = self { Some(arrow) } else { None }
    }

    /// The value under a name of a dict.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_map()?.get(name)
    }
}

macro_rules! from {
    ($($type:ty => |$value:ident| $made:expr;)*) => { $(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $made
            }
        }
    )* };
}
from! {
    () => |_unit| Self::None;
    bool => |value| Self::Bool(value);
    f32 => |value| Self::Float(value.into());
    f64 => |value| Self::Float(value);
    &str => |value| Self::Str(value.to_owned());
    String => |value| Self::Str(value);
    Bytes => |value| Self::Bytes(value);
    Int => |value| Self::Int(value);
    Map => |value| Self::Map(value);
    DateTime => |value| Self::DateTime(value);
    Date => |value| Self::Date(value);
    Time => |value| Self::Time(value);
    TimeDelta => |value| Self::TimeDelta(value);
    Decimal => |value| Self::Decimal(value);
    Uuid => |value| Self::Uuid(value);
    Array => |value| Self::Array(value);
    Scalar => |value| Self::Scalar(value);
    Arrow => |value| Self::Arrow(value);
    Ext => |value| Self::Ext(value);
}

macro_rules! from_int {
    ($($int:ty)*) => { $(
        impl From<$int> for Value {
            fn from(value: $int) -> Self {
                Self::Int(value.into())
            }
        }
    )* };
}
from_int!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    /// A list.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

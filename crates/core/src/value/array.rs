//! numpy's arrays and scalars, values under a name, and extensions that are not known.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::dtype::{Dtype, Item, sealed};
use super::extension::{ARRAY, Body, Extension, NUMPY_SCALAR};
use super::failure::CodecError;
use super::format;

/// Most dimensions that a numpy array has.
const MOST_DIMENSIONS: usize = 64;

/// A numpy array: items of one type in C order.
///
/// ```
/// use snakepit::value::Array;
///
/// let matrix = Array::from_items(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
/// assert_eq!(matrix.dtype().as_str(), "<f4");
/// assert_eq!(matrix.to_vec::<f32>()?[3], 4.0);
/// # Ok::<(), snakepit::value::ShapeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Bytes,
}

/// Shape, dtype and data of an array do not belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError(pub(super) String);

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ShapeError {}

impl Array {
    /// From the items' bytes in C order; they are not copied.
    ///
    /// # Errors
    /// `data` has not the size that dtype and shape say, or there are more than 64 dimensions.
    pub fn new(
        dtype: Dtype,
        shape: impl Into<Vec<usize>>,
        data: impl Into<Bytes>,
    ) -> Result<Self, ShapeError> {
        let (shape, data) = (shape.into(), data.into());
        check_dimensions(&shape)?;
        let size = shape.iter().try_fold(dtype.item_size(), |size, &len| size.checked_mul(len));
        if size != Some(data.len()) || dtype.item_size() == 0 {
            let message = format!("{} bytes are no {dtype} array of shape {shape:?}", data.len());
            return Err(ShapeError(message));
        }
        Ok(Self { dtype, shape, data })
    }

    /// From items in C order.
    ///
    /// # Errors
    /// Their number is not the product of `shape`.
    pub fn from_items<T: Item>(items: &[T], shape: &[usize]) -> Result<Self, ShapeError> {
        let data = Bytes::copy_from_slice(<T as sealed::Item>::bytes(items));
        Self::new(Dtype::of::<T>(), shape, data)
    }

    /// The items' type.
    pub fn dtype(&self) -> &Dtype {
        &self.dtype
    }

    /// The length of each dimension; empty for an array of one item and no dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The items' bytes in C order, in the byte order that the dtype says.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.item_size()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The array whose items lie in Fortran order here, in C order.
    fn turned(self) -> Self {
        let Self { dtype, shape, data } = self;
        let size = dtype.item_size();
        let mut turned = Vec::with_capacity(data.len());
        let mut at = vec![0; shape.len()];
        for _ in 0..data.len() / size {
            let place = at.iter().zip(&shape).rev().fold(0, |place, (at, len)| place * len + at);
            turned.extend_from_slice(&data[place * size..][..size]);
            // The next one in C order: the last place counts up first.
            for (at, len) in at.iter_mut().zip(&shape).rev() {
                *at += 1;
                if *at < *len {
                    break;
                }
                *at = 0;
            }
        }
        Self { dtype, shape, data: turned.into() }
    }

    /// From what is before the items, and the items.
    pub(super) fn over(head: &[u8], data: Bytes) -> Result<Self, String> {
        match Layout::read(head)? {
            (layout, []) => layout.array(data),
            _ => Err("the head is followed by bytes, though its bulk lies elsewhere".to_owned()),
        }
    }

    fn check_items<T: Item>(&self) -> Result<(), ShapeError> {
        let (name, wanted) = (self.dtype.as_str(), <T as sealed::Item>::NAME);
        if name[1..] == *wanted {
            return Ok(());
        }
        Err(ShapeError(format!("the items are {name}, not {wanted}; convert with .astype()")))
    }

    /// The items in C order, where they lie: no copy.
    ///
    /// # Errors
    /// The dtype is not that of `T`; or they cannot be read in place, and [`to_vec`](Self::to_vec) can:
    /// of the other byte order, not aligned, or `bool`.
    pub fn items<T: Item>(&self) -> Result<&[T], ShapeError> {
        self.check_items::<T>()?;
        let is_native = self.dtype == Dtype::of::<T>();
        let items = is_native.then(|| <T as sealed::Item>::items(&self.data)).flatten();
        items.ok_or_else(|| {
            let name = self.dtype.as_str();
            ShapeError(format!("items of {name} cannot be read where they lie here; copy them"))
        })
    }

    /// A copy of the items in C order, of whatever byte order.
    ///
    /// # Errors
    /// The dtype is not that of `T`; nothing is converted.
    pub fn to_vec<T: Item>(&self) -> Result<Vec<T>, ShapeError> {
        self.check_items::<T>()?;
        let big_endian = self.dtype.is_big_endian();
        let items = self.data.chunks_exact(self.dtype.item_size());
        Ok(items.map(|item| T::read(item, big_endian)).collect())
    }
}

impl Extension for Array {
    const TAG: i8 = ARRAY;
    const NAME: &'static str = "a numpy array";

    fn body(&self) -> Body<'_> {
        Body::with_tail(layout(&self.dtype, &self.shape, 0), &self.data)
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        let (layout, data) = Layout::read(body)?;
        layout.array(data.to_vec().into())
    }
}

/// What is before an array's items.
struct Layout {
    dtype: Dtype,
    shape: Vec<usize>,
    is_fortran: bool,
}

impl Layout {
    /// And what follows it.
    fn read(body: &[u8]) -> Result<(Self, &[u8]), String> {
        let torn = || "the bytes end inside an array's head".to_owned();
        let (dtype, rest) = read_dtype(body)?;
        let (&dimensions, rest) = rest.split_first().ok_or_else(torn)?;
        let is_fortran = dimensions & format::FORTRAN != 0;
        let lengths = usize::from(dimensions & !format::FORTRAN) * 8;
        let (shape, data) = rest.split_at_checked(lengths).ok_or_else(torn)?;
        let (lengths, _) = shape.as_chunks::<8>();
        let shape: Result<Vec<usize>, _> =
            lengths.iter().map(|length| u64::from_be_bytes(*length).try_into()).collect();
        let shape = shape.map_err(|_| "an array too large for this machine".to_owned())?;
        Ok((Self { dtype, shape, is_fortran }, data))
    }

    fn array(self, data: Bytes) -> Result<Array, String> {
        let array = Array::new(self.dtype, self.shape, data).map_err(|error| error.0)?;
        Ok(if self.is_fortran { array.turned() } else { array })
    }
}

/// A numpy scalar, with its dtype: `numpy.float32(0.1)`.
///
/// A number among them can be read straight into a Rust number, and a text into a `String`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    dtype: Dtype,
    data: Bytes,
}

impl Scalar {
    /// From the item's bytes.
    ///
    /// # Errors
    /// They are not of the dtype's size.
    pub fn new(dtype: Dtype, data: impl Into<Bytes>) -> Result<Self, ShapeError> {
        let data = data.into();
        if data.len() != dtype.item_size() {
            return Err(ShapeError(format!("{} bytes are no {dtype}", data.len())));
        }
        Ok(Self { dtype, data })
    }

    /// Its type.
    pub fn dtype(&self) -> &Dtype {
        &self.dtype
    }

    /// Its bytes, in the byte order that the dtype says.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// What a Rust program would call it; `Other` for complex numbers, times, and floats of sizes
    /// that Rust has not.
    pub(super) fn plain(&self) -> Plain {
        let mut bytes = self.data.to_vec();
        if self.dtype.is_big_endian() && self.dtype.kind() != 'U' {
            bytes.reverse();
        }
        let wide = |sign: u8| {
            let mut all = [sign; 16];
            all.get_mut(..bytes.len())?.copy_from_slice(&bytes);
            Some(all)
        };
        let top = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let plain = match (self.dtype.kind(), &bytes[..]) {
            ('b', [byte]) => Some(Plain::Bool(*byte != 0)),
            ('i', _) => {
                wide(if top { 0xff } else { 0 }).map(|all| Plain::Int(i128::from_le_bytes(all)))
            }
            ('u', _) if bytes.len() < 16 => wide(0).map(|all| Plain::Int(i128::from_le_bytes(all))),
            ('f', &[a, b]) => Some(Plain::Float(half(u16::from_le_bytes([a, b])))),
            ('f', &[a, b, c, d]) => Some(Plain::Float(f32::from_le_bytes([a, b, c, d]).into())),
            ('f', &[a, b, c, d, e, f, g, h]) => {
                Some(Plain::Float(f64::from_le_bytes([a, b, c, d, e, f, g, h])))
            }
            ('S', _) => Some(Plain::Bytes(bytes)),
            ('U', _) => self.text().map(Plain::Text),
            _ => None,
        };
        plain.unwrap_or(Plain::Other)
    }

    fn text(&self) -> Option<String> {
        let (letters, _) = self.data.as_chunks::<4>();
        let big = self.dtype.is_big_endian();
        let letter = |code: &[u8; 4]| {
            if big { u32::from_be_bytes(*code) } else { u32::from_le_bytes(*code) }
        };
        letters.iter().map(|code| char::from_u32(letter(code))).collect()
    }
}

/// A numpy scalar without its dtype.
pub(super) enum Plain {
    Bool(bool),
    Int(i128),
    Float(f64),
    Bytes(Vec<u8>),
    Text(String),
    Other,
}

/// An IEEE 754 half as the double that it is.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    if bits & 0x8000 != 0 { -size } else { size }
}

impl Extension for Scalar {
    const TAG: i8 = NUMPY_SCALAR;
    const NAME: &'static str = "a numpy scalar";

    fn body(&self) -> Body<'_> {
        Body::with_tail(dtype_head(&self.dtype), &self.data)
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        let (dtype, data) = read_dtype(body)?;
        Self::new(dtype, data.to_vec()).map_err(|error| error.0)
    }
}

/// A value of a type of the program, under its name; or an extension that this version does not
/// know, since a worker of a newer version sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ext {
    /// Its type.
    pub tag: i8,
    /// What it is made of.
    pub body: Bytes,
}

impl Ext {
    /// A value for the decoder that the worker's program registered under `name`.
    ///
    /// # Errors
    /// `value` cannot travel, or the name has not 1 to 255 bytes.
    pub fn named<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<Self, CodecError> {
        let length = u8::try_from(name.len()).ok().filter(|&length| length > 0);
        let length = length
            .ok_or_else(|| CodecError::new("the name of a type has 1 to 255 bytes".to_owned()))?;
        let message = super::encode(value)?;
        let body = [&[length], name.as_bytes(), &message].concat();
        Ok(Self { tag: format::NAMED, body: body.into() })
    }

    /// The name under which the worker's program registered the value's type. None: it is of no
    /// such type.
    pub fn name(&self) -> Option<&str> {
        self.parts().map(|(name, _)| name)
    }

    /// What the encoder of that type made of the value.
    ///
    /// # Errors
    /// It is not what `T` can be, or the extension is no value under a name.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        let (_, message) = self
            .parts()
            .ok_or_else(|| CodecError::new("the extension is no value under a name".to_owned()))?;
        super::decode(message)
    }

    fn parts(&self) -> Option<(&str, &[u8])> {
        (self.tag == format::NAMED).then(|| format::named(&self.body))?
    }
}

/// What is before the items of an array.
///
/// # Errors
/// There are more dimensions than numpy has.
#[cfg(feature = "ndarray")]
pub(super) fn head(
    dtype: &Dtype,
    shape: &[usize],
    is_fortran: bool,
) -> Result<Vec<u8>, ShapeError> {
    check_dimensions(shape)?;
    Ok(layout(dtype, shape, if is_fortran { format::FORTRAN } else { 0 }))
}

fn check_dimensions(shape: &[usize]) -> Result<(), ShapeError> {
    match shape.len() {
        ..=MOST_DIMENSIONS => Ok(()),
        most => Err(ShapeError(format!("{most} dimensions; at most {MOST_DIMENSIONS} fit"))),
    }
}

fn layout(dtype: &Dtype, shape: &[usize], order: u8) -> Vec<u8> {
    let mut head = dtype_head(dtype);
    head.push(shape.len() as u8 | order); // at most 64 were checked
    for &length in shape {
        head.extend_from_slice(&(length as u64).to_be_bytes());
    }
    head
}

fn dtype_head(dtype: &Dtype) -> Vec<u8> {
    let name = dtype.as_str().as_bytes();
    let mut head = vec![name.len() as u8]; // at most 255, see `Dtype`
    head.extend_from_slice(name);
    head
}

fn read_dtype(body: &[u8]) -> Result<(Dtype, &[u8]), String> {
    let torn = || "the bytes end inside a dtype".to_owned();
    let (&length, rest) = body.split_first().ok_or_else(torn)?;
    let (name, rest) = rest.split_at_checked(usize::from(length)).ok_or_else(torn)?;
    let name = str::from_utf8(name).map_err(|error| error.to_string())?;
    Ok((name.parse()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_must_have_the_size_of_dtype_and_shape() {
        let dtype: Dtype = "<f4".parse().expect("a dtype");
        assert!(Array::new(dtype.clone(), [2, 3], vec![0; 24]).is_ok());
        assert!(Array::new(dtype.clone(), [2, 3], vec![0; 23]).is_err());
        assert!(Array::new(dtype.clone(), [usize::MAX, 2], vec![0; 8]).is_err());
        assert!(Array::new(dtype, [1; 65], vec![0; 4]).is_err());
        assert!("|O8".parse::<Dtype>().is_err());
    }

    #[test]
    fn items_in_fortran_order_are_turned() {
        let body = [&b"\x03|u1\x82"[..], &2_u64.to_be_bytes(), &3_u64.to_be_bytes()].concat();
        let array = Array::from_body(&[&body[..], &[1, 4, 2, 5, 3, 6]].concat()).expect("an array");
        assert_eq!(array.to_vec::<u8>(), Ok(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(array.shape(), [2, 3]);
        assert!(Array::from_body(&[&body[..], &[1, 4, 2]].concat()).is_err());
    }

    #[test]
    fn items_of_the_other_byte_order_are_turned() {
        let array = Array::new(">i2".parse().expect("a dtype"), [2], vec![0, 1, 255, 254]);
        let array = array.expect("two items");
        assert_eq!(array.to_vec::<i16>(), Ok(vec![1, -2]));
        assert_eq!(array.items::<i16>().is_err(), cfg!(target_endian = "little"));
    }

    #[test]
    fn halves_are_numbers() {
        for (bits, value) in [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_477_539_063e-8)] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(half(0xfc00), f64::NEG_INFINITY);
    }
}

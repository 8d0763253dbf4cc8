//! Arrays of the crate `ndarray`.

use std::fmt;

use ndarray::{ArrayBase, ArrayD, ArrayViewD, Data, Dimension};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{self, Serialize, Serializer};

use super::array::{Array, ShapeError, head};
use super::dtype::{Dtype, Item, sealed};
use super::extension::{self, Pieces};
use super::format;

/// Items of an array that lies in no order that travels: as many at once are laid out.
const ITEMS_AT_ONCE: usize = 8 << 10;

/// An array of the crate `ndarray` as an argument or a result: a `numpy.ndarray` in Python.
///
/// To send one copies its items once, to the pool's shared memory, also those of a view with strides. As
/// a result it is an owned [`ndarray::Array`] of the type and the number of dimensions that are asked
/// for; [`Array::view`] reads without a copy.
///
/// ```no_run
/// use ndarray::{Array2, ArrayView2};
/// use serde::Serialize;
/// use snakepit::value::Nd;
///
/// #[derive(Serialize)]
/// struct Arguments<'a> {
///     matrix: Nd<ArrayView2<'a, f32>>,
/// }
///
/// # async fn example(pool: snakepit::Pool) -> Result<(), snakepit::Error> {
/// let matrix = Array2::<f32>::zeros((1000, 100));
/// let call = Arguments { matrix: Nd(matrix.view()) };
/// let Nd(normal): Nd<Array2<f32>> = pool.execute("normalize", call).await?;
/// assert_eq!(normal.dim(), (1000, 100));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nd<A>(pub A);

impl<A> From<A> for Nd<A> {
    fn from(array: A) -> Self {
        Self(array)
    }
}

/// The items in C order, copied.
impl<T: Item, S: Data<Elem = T>, D: Dimension> TryFrom<&ArrayBase<S, D>> for Array {
    type Error = ShapeError;

    /// Fails where there are more than 64 dimensions.
    fn try_from(array: &ArrayBase<S, D>) -> Result<Self, ShapeError> {
        match array.as_slice() {
            Some(items) => Self::from_items(items, array.shape()),
            None => Self::from_items(&array.iter().copied().collect::<Vec<T>>(), array.shape()),
        }
    }
}

impl Array {
    /// The items where they lie: no copy.
    ///
    /// # Errors
    /// As [`Array::items`].
    pub fn view<T: Item>(&self) -> Result<ArrayViewD<'_, T>, ShapeError> {
        ArrayViewD::from_shape(self.shape(), self.items()?).map_err(|error| misfit(&error))
    }

    /// A copy of the items, of whatever byte order.
    ///
    /// # Errors
    /// The dtype is not that of `T`; nothing is converted.
    pub fn to_ndarray<T: Item>(&self) -> Result<ArrayD<T>, ShapeError> {
        ArrayD::from_shape_vec(self.shape(), self.to_vec()?).map_err(|error| misfit(&error))
    }
}

fn misfit(error: &dyn fmt::Display) -> ShapeError {
    ShapeError(error.to_string())
}

/// Items as they travel.
enum Items<'a, T> {
    /// As they lie.
    Slice(&'a [T]),
    /// In C order, laid out on their way.
    Strided(ArrayViewD<'a, T>),
}

impl<T: Item> Pieces for Items<'_, T> {
    fn size(&self) -> usize {
        let items = match self {
            Self::Slice(items) => items.len(),
            Self::Strided(array) => array.len(),
        };
        items * size_of::<T>()
    }

    fn each<E>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let array = match self {
            Self::Slice(items) => return take(<T as sealed::Item>::bytes(items)),
            Self::Strided(array) => array,
        };
        let mut items = array.iter().copied();
        let mut part = Vec::with_capacity(ITEMS_AT_ONCE.min(array.len()));
        loop {
            part.clear();
            part.extend(items.by_ref().take(ITEMS_AT_ONCE));
            if part.is_empty() {
                return Ok(());
            }
            take(<T as sealed::Item>::bytes(&part))?;
        }
    }
}

/// As other formats see it.
struct Shown<'a, T>(ArrayViewD<'a, T>);

impl<T: Item> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Array::try_from(&self.0).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<T: Item, A: Data<Elem = T>, D: Dimension> Serialize for Nd<ArrayBase<A, D>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let array = self.0.view().into_dyn();
        let turned = array.view().reversed_axes();
        let (items, is_fortran) = match (array.as_slice(), turned.as_slice()) {
            (Some(items), _) => (Items::Slice(items), false),
            (None, Some(items)) => (Items::Slice(items), true),
            (None, None) => (Items::Strided(array.view()), false),
        };
        let head =
            head(&Dtype::of::<T>(), array.shape(), is_fortran).map_err(ser::Error::custom)?;
        extension::serialize_pieces(serializer, format::ARRAY, &head, &items, &Shown(array.view()))
    }
}

impl<'de, T: Item, D: Dimension> Deserialize<'de> for Nd<ndarray::Array<T, D>> {
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
        let array = Array::deserialize(deserializer)?.to_ndarray::<T>();
        let array = array.map_err(de::Error::custom)?;
        let shape = array.shape().to_vec();
        array.into_dimensionality::<D>().map(Self).map_err(|_| {
            let wanted = D::NDIM.unwrap_or_default();
            de::Error::custom(format!("an array of shape {shape:?} has not {wanted} dimensions"))
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;
    use crate::Value;
    use crate::value::tests::beside;
    use crate::value::{decode, decode_payload, encode};

    fn matrix() -> Array2<f64> {
        Array2::from_shape_fn((20, 30), |(row, column)| (row * 100 + column) as f64)
    }

    #[test]
    fn arrays_come_back_whatever_their_order() {
        let matrix = matrix();
        for view in [
            matrix.view(),
            matrix.t(),
            matrix.slice(s![..;2, 3..]),
            matrix.slice(s![..;-1, ..;7]),
            matrix.slice(s![0..0, ..]),
        ] {
            let message = encode(&Nd(view)).expect("it travels");
            assert_eq!(decode::<Nd<Array2<f64>>>(&message), Ok(Nd(view.to_owned())));
            let value = decode::<Value>(&message).expect("an array");
            assert_eq!(value, Value::Array(Array::try_from(&view).expect("two dimensions")));
            for threshold in [1, 100_000] {
                let payload = beside(&Nd(view), threshold);
                assert_eq!(payload.buffers.len(), usize::from(threshold == 1 && !view.is_empty()));
                let back: std::collections::HashMap<String, Nd<ArrayD<f64>>> =
                    decode_payload(&payload).expect("what was sent");
                assert_eq!(back["value"].0, view.into_dyn());
            }
        }
        let scalar = encode(&Nd(ndarray::arr0(true))).expect("it travels");
        assert_eq!(decode::<Nd<ArrayD<bool>>>(&scalar), Ok(Nd(ndarray::arr0(true).into_dyn())));
    }

    #[test]
    fn items_keep_their_type_and_the_number_of_dimensions() {
        let message = encode(&Nd(array![1_u8, 2, 3])).expect("it travels");
        let wrong = decode::<Nd<ndarray::Array1<i8>>>(&message).expect_err("of u8");
        assert!(wrong.to_string().contains("|u1, not i1"), "{wrong}");
        let wrong = decode::<Nd<Array2<u8>>>(&message).expect_err("of one dimension");
        assert!(wrong.to_string().contains("has not 2 dimensions"), "{wrong}");
    }

    #[test]
    fn items_are_seen_where_they_lie() {
        let array = Array::try_from(&matrix()).expect("two dimensions");
        let view = array.view::<f64>().expect("aligned");
        assert_eq!(view, matrix().into_dyn());
        assert_eq!(view.as_ptr().cast(), array.data().as_ptr());
        assert!(array.view::<f32>().is_err());
    }

    #[test]
    fn another_format_sees_type_shape_and_bytes() {
        let json = serde_json::to_value(Nd(array![[1_u8, 2]].t())).expect("a format of texts");
        assert_eq!(json, serde_json::json!({"dtype": "|u1", "shape": [2, 1], "data": [1, 2]}));
    }
}

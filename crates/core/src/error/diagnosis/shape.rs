//! Shapes that do not fit.

use super::Diagnosis;
use super::pattern::{find, name, number, shape};

#[derive(Default)]
struct Told {
    expected: Option<Vec<u64>>,
    got: Option<Vec<u64>>,
    dimension: Option<u64>,
    expected_dim: Option<u64>,
    got_dim: Option<u64>,
    operation: Option<String>,
}

/// Two shapes: the one that was needed, or is the first operand's, and the other.
const TWO_SHAPES: &[&str] = &[
    // PyTorch
    "mat1 and mat2 shapes cannot be multiplied ({} and {})",
    "size mismatch, m1: {}, m2: {} at",
    "shape '{}' is invalid for input of size {}",
    "stack expects each tensor to be equal size, but got {} at entry 0 and {} at entry",
    "Expected size for first two dimensions of batch2 tensor to be: {} but got: {}.",
    // NumPy
    "operands could not be broadcast together with shapes ({}) ({})",
    // JAX
    "got incompatible shapes for broadcasting: ({}), ({}).",
    "Incompatible shapes for broadcasting: ({}) and requested shape ({})",
    "Incompatible shapes for broadcasting: shapes=[({}), ({})]",
    "requires contracting dimensions to have the same shape, got ({}) and ({}).",
    // TensorFlow
    "Incompatible shapes: {} vs. {} [",
    "Matrix size-incompatible: In[0]: {}, In[1]: {} [",
];

/// The same, the one that was there first.
const GOT_FIRST: &[&str] = &[
    "cannot reshape array of size {} into shape {}",
    "could not broadcast input array from shape {} into shape {}",
];

pub(super) fn read(message: &str) -> Option<Diagnosis> {
    let told =
        two_shapes(message).or_else(|| one_dimension(message)).or_else(|| others(message))?;
    let Told { expected, got, dimension, expected_dim, got_dim, operation } = told;
    Some(Diagnosis::ShapeMismatch { expected, got, dimension, expected_dim, got_dim, operation })
}

fn two_shapes(message: &str) -> Option<Told> {
    let read = |[expected, got]: [&str; 2]| {
        let (expected, got) = (Some(shape(expected)?), Some(shape(got)?));
        Some(Told { expected, got, operation: operation(message), ..Told::default() })
    };
    let forward = TWO_SHAPES.iter().find_map(|pattern| read(find(pattern, message)?));
    forward.or_else(|| {
        GOT_FIRST.iter().find_map(|pattern| {
            let [got, expected] = find(pattern, message)?;
            read([expected, got])
        })
    })
}

/// One dimension, of shapes that are not told.
fn one_dimension(message: &str) -> Option<Told> {
    let read = |[expected, got]: [&str; 2], dimension: Option<&str>| {
        Some(Told {
            expected_dim: Some(number(expected)?),
            got_dim: Some(number(got)?),
            dimension: dimension.and_then(number),
            operation: operation(message),
            ..Told::default()
        })
    };
    let torch = "The size of tensor a ({}) must match the size of tensor b ({}) at non-singleton dimension {}";
    if let Some([a, b, dimension]) = find(torch, message) {
        return read([a, b], Some(dimension));
    }
    let concatenation = "along dimension {}, the array at index 0 has size {} and the array at index {} has size {}";
    if let Some([dimension, first, _, other]) = find(concatenation, message) {
        return read([first, other], Some(dimension));
    }
    let core = "has a mismatch in its core dimension {}, with gufunc signature {} (size {} is different from {})";
    if let Some([dimension, _, got, expected]) = find(core, message) {
        return read([expected, got], Some(dimension));
    }
    let cat =
        "Sizes of tensors must match except in dimension {}. Expected size {} but got size {} for";
    if let Some([_, expected, got]) = find(cat, message) {
        return read([expected, got], None);
    }
    let batch = "Expected input batch_size ({}) to match target batch_size ({})";
    if let Some([input, target]) = find(batch, message) {
        return read([input, target], Some("0"));
    }
    // scikit-learn
    let [got, _, expected] = find("X has {} features, but {} is expecting {} features", message)?;
    read([expected, got], Some("1"))
}

fn others(message: &str) -> Option<Told> {
    let numpy = "shapes ({}) and ({}) not aligned: {} (dim {}) != {} (dim {})";
    if let Some([first, second, left, dimension, right, _]) = find(numpy, message) {
        return Some(Told {
            expected: shape(first),
            got: shape(second),
            dimension: number(dimension),
            expected_dim: number(left),
            got_dim: number(right),
            ..Told::default()
        });
    }
    let expand = "The expanded size of the tensor ({}) must match the existing size ({}) at non-singleton dimension {}.  Target sizes: {}.  Tensor sizes: {}";
    if let Some([target, existing, dimension, wanted, was]) = find(expand, message) {
        return Some(Told {
            expected: shape(wanted),
            got: shape(was),
            dimension: number(dimension),
            expected_dim: number(target),
            got_dim: number(existing),
            ..Told::default()
        });
    }
    let checkpoint =
        "copying a param with shape {} from checkpoint, the shape in current model is {}";
    if let Some([got, expected]) = find(checkpoint, message) {
        let (expected, got) = (Some(shape(expected)?), Some(shape(got)?));
        return Some(Told { expected, got, ..Told::default() });
    }
    let jax = "cannot reshape array of shape {} (size {}) into shape {} (size {})";
    if let Some([got, _, expected, _]) = find(jax, message) {
        let (expected, got) = (Some(shape(expected)?), Some(shape(got)?));
        return Some(Told { expected, got, ..Told::default() });
    }
    let convolution = "expected input{} to have {} channels, but got {} channels instead";
    let [got, expected_dim, got_dim] = find(convolution, message)?;
    Some(Told {
        got: shape(got),
        dimension: Some(1),
        expected_dim: Some(number(expected_dim)?),
        got_dim: Some(number(got_dim)?),
        ..Told::default()
    })
}

/// JAX puts it first, NumPy's matmul before a colon, TensorFlow behind `[Op:`.
fn operation(message: &str) -> Option<String> {
    if let Some([operation]) = find("[Op:{}]", message) {
        return name(operation);
    }
    let message = message.trim_start();
    let first = message.split_whitespace().next()?;
    let is_named = ["got incompatible shapes", "requires contracting dimensions", "Input operand"]
        .iter()
        .any(|words| message[first.len()..].trim_start().starts_with(words));
    is_named.then(|| name(first.trim_end_matches(':'))).flatten()
}

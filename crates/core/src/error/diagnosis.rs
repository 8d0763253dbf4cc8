//! What the message of an exception says about shapes, devices and memory.
//!
//! ```text
//! type name, message ─▶ memory, device, shape: patterns of one library each ─▶ Diagnosis
//! ```
//!
//! Numeric libraries tell such facts in prose only. A pattern is matched as a whole or not at all;
//! what matches none is no diagnosis, and nothing is lost: the message stays as it was.

mod device;
mod memory;
mod pattern;
mod shape;
#[cfg(test)]
mod tests;

/// What is known about a failure of a numeric library: PyTorch, NumPy, JAX, TensorFlow, CuPy,
/// scikit-learn.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diagnosis {
    /// Two shapes do not fit.
    ShapeMismatch {
        /// The shape that was needed; of two operands, the first one's.
        expected: Option<Vec<u64>>,
        /// The shape that was there instead; of two operands, the second one's.
        got: Option<Vec<u64>>,
        /// The dimension in which they differ, where the message names it.
        dimension: Option<u64>,
        /// Its length as it was needed.
        expected_dim: Option<u64>,
        /// Its length as it was.
        got_dim: Option<u64>,
        /// The function of the library, where the message names it.
        operation: Option<String>,
    },
    /// Two values are on different devices.
    DeviceMismatch {
        /// Where the value was needed, or the first one was: `cuda:0`.
        expected: Option<String>,
        /// Where it was, or the second one was: `cpu`.
        got: Option<String>,
        /// The function of the library, where the message names it.
        operation: Option<String>,
    },
    /// No memory was left, on a device or on the host.
    OutOfMemory {
        /// Which device: `cuda:0`, `mps`, `cpu`; None: the message does not say.
        device: Option<String>,
        /// Bytes that were asked for.
        requested_bytes: Option<u64>,
        /// Bytes that were free on the device.
        free_bytes: Option<u64>,
        /// Bytes that the device has.
        total_bytes: Option<u64>,
        /// What may help, the likeliest first.
        suggestions: Vec<&'static str>,
    },
}

impl Diagnosis {
    /// What an exception says, given its class's name and its text.
    pub fn of(type_name: &str, message: &str) -> Option<Self> {
        memory::read(type_name, message)
            .or_else(|| device::read(message))
            .or_else(|| shape::read(message))
    }
}

//! Messages as the libraries write them.

use proptest::prelude::*;

use super::Diagnosis;
use super::pattern::{bytes, find, shape};

/// Expected, got; dimension, its length expected and got; operation.
type Shape<'a> = (&'a [u64], &'a [u64], [Option<u64>; 3], Option<&'a str>);

const NO_DIMENSION: [Option<u64>; 3] = [None; 3];

/// No shape has no dimensions here, so an empty one stands for none that was told.
const SHAPES: &[(&str, Shape<'_>)] = &[
    // PyTorch
    (
        "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)",
        (&[2, 3], &[4, 5], NO_DIMENSION, None),
    ),
    (
        "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
        (&[], &[], [Some(1), Some(3), Some(4)], None),
    ),
    ("shape '[2, 3]' is invalid for input of size 5", (&[2, 3], &[5], NO_DIMENSION, None)),
    (
        "size mismatch, m1: [2 x 3], m2: [4 x 5] at /pytorch/aten/src/TH/THTensorMath.cpp:41",
        (&[2, 3], &[4, 5], NO_DIMENSION, None),
    ),
    (
        "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for \
         tensor number 1 in the list.",
        (&[], &[], [None, Some(3), Some(4)], None),
    ),
    (
        "stack expects each tensor to be equal size, but got [3] at entry 0 and [4] at entry 1",
        (&[3], &[4], NO_DIMENSION, None),
    ),
    (
        "Expected size for first two dimensions of batch2 tensor to be: [2, 3] but got: [2, 4].",
        (&[2, 3], &[2, 4], NO_DIMENSION, None),
    ),
    (
        "The expanded size of the tensor (4) must match the existing size (3) at non-singleton \
         dimension 0.  Target sizes: [4].  Tensor sizes: [3]",
        (&[4], &[3], [Some(0), Some(4), Some(3)], None),
    ),
    (
        "Given groups=1, weight of size [64, 3, 7, 7], expected input[1, 1, 28, 28] to have 3 \
         channels, but got 1 channels instead",
        (&[], &[1, 1, 28, 28], [Some(1), Some(3), Some(1)], None),
    ),
    (
        "Expected input batch_size (32) to match target batch_size (16).",
        (&[], &[], [Some(0), Some(32), Some(16)], None),
    ),
    (
        "Error(s) in loading state_dict for Net:\n\tsize mismatch for fc.weight: copying a param \
         with shape torch.Size([10, 5]) from checkpoint, the shape in current model is \
         torch.Size([10, 6]).",
        (&[10, 6], &[10, 5], NO_DIMENSION, None),
    ),
    // NumPy
    (
        "operands could not be broadcast together with shapes (2,3) (4,) ",
        (&[2, 3], &[4], NO_DIMENSION, None),
    ),
    (
        "shapes (2,3) and (4,5) not aligned: 3 (dim 1) != 4 (dim 0)",
        (&[2, 3], &[4, 5], [Some(1), Some(3), Some(4)], None),
    ),
    (
        "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature \
         (n?,k),(k,m?)->(n?,m?) (size 4 is different from 3)",
        (&[], &[], [Some(0), Some(3), Some(4)], Some("matmul")),
    ),
    ("cannot reshape array of size 6 into shape (4,2)", (&[4, 2], &[6], NO_DIMENSION, None)),
    (
        "could not broadcast input array from shape (3,) into shape (4,)",
        (&[4], &[3], NO_DIMENSION, None),
    ),
    (
        "all the input array dimensions except for the concatenation axis must match exactly, but \
         along dimension 1, the array at index 0 has size 2 and the array at index 1 has size 3",
        (&[], &[], [Some(1), Some(2), Some(3)], None),
    ),
    // JAX
    (
        "add got incompatible shapes for broadcasting: (2, 3), (4,).",
        (&[2, 3], &[4], NO_DIMENSION, Some("add")),
    ),
    (
        "dot_general requires contracting dimensions to have the same shape, got (3,) and (4,).",
        (&[3], &[4], NO_DIMENSION, Some("dot_general")),
    ),
    (
        "Incompatible shapes for broadcasting: shapes=[(2, 3), (4,)]",
        (&[2, 3], &[4], NO_DIMENSION, None),
    ),
    (
        "cannot reshape array of shape (6,) (size 6) into shape (4, 2) (size 8)",
        (&[4, 2], &[6], NO_DIMENSION, None),
    ),
    // TensorFlow
    (
        "{{function_node __wrapped__AddV2_device_/job:localhost/replica:0/task:0/device:CPU:0}} \
         Incompatible shapes: [2,3] vs. [4] [Op:AddV2] name: ",
        (&[2, 3], &[4], NO_DIMENSION, Some("AddV2")),
    ),
    (
        "Matrix size-incompatible: In[0]: [2,3], In[1]: [4,5] [Op:MatMul]",
        (&[2, 3], &[4, 5], NO_DIMENSION, Some("MatMul")),
    ),
    // scikit-learn
    (
        "X has 3 features, but LinearRegression is expecting 4 features as input.",
        (&[], &[], [Some(1), Some(4), Some(3)], None),
    ),
];

#[test]
fn shapes_are_read() {
    for (message, (expected, got, [dimension, expected_dim, got_dim], operation)) in SHAPES {
        let told = |shape: &[u64]| (!shape.is_empty()).then(|| shape.to_vec());
        let diagnosis = Diagnosis::ShapeMismatch {
            expected: told(expected),
            got: told(got),
            dimension: *dimension,
            expected_dim: *expected_dim,
            got_dim: *got_dim,
            operation: operation.map(str::to_owned),
        };
        assert_eq!(Diagnosis::of("RuntimeError", message), Some(diagnosis), "{message}");
    }
}

/// Message; expected, got, operation.
const DEVICES: &[(&str, [Option<&str>; 3])] = &[
    (
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and \
         cpu! (when checking argument for argument mat1 in method wrapper_CUDA_addmm)",
        [Some("cuda:0"), Some("cpu"), Some("wrapper_CUDA_addmm")],
    ),
    (
        "Expected all tensors to be on the same device, but got mat2 is on cpu, different from other \
         tensors on cuda:0 (when checking argument in method wrapper_CUDA_mm)",
        [Some("cuda:0"), Some("cpu"), Some("wrapper_CUDA_mm")],
    ),
    (
        "Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) should be the same",
        [Some("cpu"), Some("cuda"), None],
    ),
    (
        "Expected object of device type cuda but got device type cpu for argument #1 'self' in call \
         to _th_mm",
        [Some("cuda"), Some("cpu"), Some("_th_mm")],
    ),
    (
        "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to \
         host memory first.",
        [Some("cpu"), Some("cuda:0"), None],
    ),
    (
        "Received incompatible devices for jitted computation. Got argument x of f with shape \
         float32[3] and device ids [0] on platform GPU and argument y of f with shape float32[3] \
         and device ids [1] on platform GPU",
        [Some("gpu:0"), Some("gpu:1"), None],
    ),
];

#[test]
fn devices_are_read() {
    for (message, told) in DEVICES {
        let [expected, got, operation] = told.map(|text| text.map(str::to_owned));
        let diagnosis = Diagnosis::DeviceMismatch { expected, got, operation };
        assert_eq!(Diagnosis::of("RuntimeError", message), Some(diagnosis), "{message}");
    }
}

const GIB: u64 = 1 << 30;

fn gib(number: f64) -> Option<u64> {
    Some((number * GIB as f64).round() as u64)
}

/// Class, message; device; bytes requested, free, in all.
type Memory = (&'static str, &'static str, Option<&'static str>, [Option<u64>; 3]);

#[test]
fn memory_is_read() {
    let rows: [Memory; 11] = [
        (
            "torch.OutOfMemoryError",
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB \
             of which 1.31 GiB is free. Including non-PyTorch memory, this process has 14.46 GiB \
             memory in use. Of the allocated memory 13.02 GiB is allocated by PyTorch, and 1.07 GiB \
             is reserved by PyTorch but unallocated. If reserved but unallocated memory is large try \
             setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.",
            Some("cuda:0"),
            [Some(2 * GIB), gib(1.31), gib(15.77)],
        ),
        (
            "RuntimeError",
            "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 1; 7.79 GiB total capacity; 6.29 \
             GiB already allocated; 11.44 MiB free; 6.37 GiB reserved in total by PyTorch) If \
             reserved memory is >> allocated memory try setting max_split_size_mb",
            Some("cuda:1"),
            [Some(20 << 20), Some((11.44 * 1_048_576.0_f64).round() as u64), gib(7.79)],
        ),
        ("RuntimeError", "CUDA error: out of memory", Some("cuda"), [None; 3]),
        ("torch.cuda.OutOfMemoryError", "", Some("cuda"), [None; 3]),
        (
            "RuntimeError",
            "MPS backend out of memory (MPS allocated: 5.05 GB, other allocations: 1.25 GB, max \
             allowed: 6.80 GB). Tried to allocate 512.00 MB on private pool. Use \
             PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0 to disable upper limit",
            Some("mps"),
            [Some(512 << 20), None, None],
        ),
        (
            "RuntimeError",
            "[enforce fail at alloc_cpu.cpp:75] . DefaultCPUAllocator: can't allocate memory: you \
             tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)",
            Some("cpu"),
            [Some(4_000_000_000_000), None, None],
        ),
        (
            "numpy._core._exceptions._ArrayMemoryError",
            "Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000) and data type \
             float64",
            Some("cpu"),
            [gib(7.28 * 1024.0), None, None],
        ),
        (
            "jaxlib.xla_extension.XlaRuntimeError",
            "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 34359738368 bytes.",
            None,
            [Some(32 * GIB), None, None],
        ),
        (
            "cupy.cuda.memory.OutOfMemoryError",
            "Out of memory allocating 8,589,934,592 bytes (allocated so far: 0 bytes).",
            Some("cuda"),
            [Some(8 * GIB), None, None],
        ),
        (
            "tensorflow.python.framework.errors_impl.ResourceExhaustedError",
            "OOM when allocating tensor with shape[32,1024] and type float on \
             /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc [Op:Mul]",
            Some("cuda:0"),
            [None; 3],
        ),
        (
            "torch.OutOfMemoryError",
            "HIP out of memory. Tried to allocate 64.00 GiB. GPU 3 has a total capacity of 63.98 GiB \
             of which 63.47 GiB is free.",
            Some("cuda:3"),
            [Some(64 * GIB), gib(63.47), gib(63.98)],
        ),
    ];
    for (type_name, message, expected_device, expected) in rows {
        match Diagnosis::of(type_name, message) {
            Some(Diagnosis::OutOfMemory {
                device,
                requested_bytes,
                free_bytes,
                total_bytes,
                suggestions,
            }) => {
                assert_eq!(device.as_deref(), expected_device, "{message}");
                assert_eq!([requested_bytes, free_bytes, total_bytes], expected, "{message}");
                let says = |word| suggestions.iter().any(|text: &&str| text.contains(word));
                assert!(!suggestions.is_empty());
                assert_eq!(says("expandable_segments"), message.contains("expandable_segments"));
                assert_eq!(says("fewer workers"), expected_device != Some("cpu"), "{message}");
            }
            other => panic!("{message}: {other:?}"),
        }
    }
}

#[test]
fn other_messages_are_no_diagnosis() {
    for message in [
        "",
        "bad",
        "mat1 and mat2 shapes cannot be multiplied (2x3 and 4xk)",
        "mat1 and mat2 shapes cannot be multiplied",
        "the shapes (2,3) and (4,5) do not please me",
        "Input type (torch.FloatTensor) and weight type (torch.HalfTensor) should be the same",
        "CUDA error: device-side assert triggered",
        "out of memory",
        "X has 3 features, but we like it",
    ] {
        assert_eq!(Diagnosis::of("RuntimeError", message), None, "{message}");
    }
}

#[test]
fn space_before_a_message_is_passed_over() {
    let told = "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc \
                signature (n?,k),(k,m?)->(n?,m?) (size 4 is different from 3)";
    let plain = Diagnosis::of("ValueError", told);
    assert!(plain.is_some());
    assert_eq!(Diagnosis::of("ValueError", &format!("\t {told}")), plain);
    let _ = Diagnosis::of("ValueError", &format!("\t\u{a1} {told}"));
}

#[test]
fn a_pattern_takes_the_first_place_that_fits_it() {
    assert_eq!(find("size {} of {}", "size, size 3 of 4\nmore"), Some(["3", "4"]));
    assert_eq!(find("a {} b {} c", "a 1 b 2"), None::<[&str; 2]>);
    assert_eq!(find("a {}", "a 1 b"), Some(["1 b"]));
    assert_eq!(find("a {}", "a 1"), None::<[&str; 2]>, "of another number of places");
}

#[test]
fn numbers_are_read_or_refused() {
    assert_eq!(shape("torch.Size([])"), Some(vec![]));
    assert_eq!(shape("()"), Some(vec![]));
    for text in ["", "(2, -3)", "(2, 3", "[a]", "2 3", "99999999999999999999"] {
        assert_eq!(shape(text), None, "{text:?}");
    }
    assert_eq!(bytes("1.5 KiB"), Some(1536));
    for text in ["", "5", "5 apples", "-5 GiB", "NaN GiB", "1e300 GiB", "GiB GiB"] {
        assert_eq!(bytes(text), None, "{text:?}");
    }
}

proptest! {
    /// Whatever a worker writes, and however it is cut.
    #[test]
    fn any_text_is_read_without_a_panic(
        message in prop::sample::select(SHAPES).prop_map(|row| row.0),
        cut in any::<prop::sample::Index>(),
        rest in ".{0,40}",
    ) {
        let end = message.floor_char_boundary(cut.index(message.len()));
        let _ = Diagnosis::of(&rest, &format!("{}{rest}", &message[..end]));
        let _ = Diagnosis::of(&rest, &format!("{rest}{}", &message[end..]));
    }
}

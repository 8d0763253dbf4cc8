//! No memory left, on a device or on the host.

use super::Diagnosis;
use super::pattern::{bytes, find, name, number};

const SMALLER: &str = "use a smaller batch or a smaller input";
const PRECISION: &str = "use a type of fewer bits, such as float16 or bfloat16";
const SHARE: &str =
    "run fewer workers on this device, or give each one a device of its own by env=";
const FRAGMENTS: &str = "set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True: much is reserved \
                         and not used";
const CHUNKS: &str = "work on the array in parts, or map it from a file";

/// How messages begin that mean it, with the kind of device they are about.
const SIGNS: &[(&str, Option<&str>)] = &[
    ("CUDA out of memory", Some("cuda")),
    ("CUDA error: out of memory", Some("cuda")),
    ("HIP out of memory", Some("cuda")),
    ("XPU out of memory", Some("xpu")),
    ("MPS backend out of memory", Some("mps")),
    ("DefaultCPUAllocator: can't allocate memory", Some("cpu")),
    ("DefaultCPUAllocator: not enough memory", Some("cpu")),
    ("RESOURCE_EXHAUSTED: Out of memory", None),
    ("Out of memory allocating ", Some("cuda")),
    ("OOM when allocating tensor", None),
];

pub(super) fn read(type_name: &str, message: &str) -> Option<Diagnosis> {
    let sign = SIGNS.iter().find(|(sign, _)| message.contains(sign)).map(|(_, kind)| *kind);
    let is_numpy =
        || find::<2>("Unable to allocate {} for an array with shape {}", message).is_some();
    let kind = match sign {
        Some(kind) => kind,
        None if is_numpy() => Some("cpu"),
        // Whatever it says: the class says it all.
        None if matches!(type_name, "torch.OutOfMemoryError" | "torch.cuda.OutOfMemoryError") => {
            Some("cuda")
        }
        None => return None,
    };
    let device = numbered(message).or_else(|| kind.map(str::to_owned));
    Some(Diagnosis::OutOfMemory {
        requested_bytes: requested(message),
        free_bytes: first(message, &["of which {} is free", "already allocated; {} free;"]),
        total_bytes: first(
            message,
            &["has a total capacity of {} of which", "; {} total capacity;"],
        ),
        suggestions: suggestions(device.as_deref(), message),
        device,
    })
}

fn first(message: &str, patterns: &[&str]) -> Option<u64> {
    patterns.iter().find_map(|pattern| find(pattern, message).and_then(|[told]| bytes(told)))
}

fn requested(message: &str) -> Option<u64> {
    if let Some([told]) = find::<1>("Tried to allocate {}", message) {
        // Up to the end of its sentence, or of what follows in brackets.
        let mut words = told.split(' ');
        return bytes(&format!("{} {}", words.next()?, words.next()?));
    }
    let patterns = ["Unable to allocate {} for an array", "Out of memory allocating {} ("];
    let plain = ["you tried to allocate {} bytes", "while trying to allocate {} bytes"];
    first(message, &patterns).or_else(|| {
        plain.iter().find_map(|pattern| find(pattern, message).and_then(|[told]| number(told)))
    })
}

/// `cuda:0`, where the message numbers its device.
fn numbered(message: &str) -> Option<String> {
    let of = |[told]: [&str; 1]| number(told);
    let torch = find(" GPU {} has a total capacity", message).and_then(of);
    let older = || find("(GPU {};", message).and_then(of);
    if let Some(index) = torch.or_else(older) {
        return Some(format!("cuda:{index}"));
    }
    let [kind, index] = find("/device:{}:{} by allocator", message)?;
    let kind = match kind {
        "GPU" => "cuda".to_owned(),
        _ => name(kind)?.to_ascii_lowercase(),
    };
    Some(format!("{kind}:{}", number(index)?))
}

fn suggestions(device: Option<&str>, message: &str) -> Vec<&'static str> {
    if device == Some("cpu") {
        return vec![CHUNKS, SMALLER, PRECISION];
    }
    let is_fragmented = message.contains("reserved") && message.contains("PYTORCH");
    let fragments = is_fragmented.then_some(FRAGMENTS);
    [SMALLER, PRECISION, SHARE].into_iter().chain(fragments).collect()
}

//! Values on different devices.

use super::Diagnosis;
use super::pattern::{find, name};

/// Where a value was needed, or the first one was, and where it was, or the second one was.
const TWO_DEVICES: &[&str] = &[
    // PyTorch up to 2.7
    "but found at least two devices, {} and {}!",
    "Expected object of device type {} but got device type {} for argument",
];

pub(super) fn read(message: &str) -> Option<Diagnosis> {
    let [expected, got] = TWO_DEVICES
        .iter()
        .find_map(|pattern| find(pattern, message)?.map(device).into())
        .or_else(|| others(message))
        .or_else(|| jax(message).map(|devices| devices.map(Some)))?;
    if expected == got {
        return None;
    }
    Some(Diagnosis::DeviceMismatch { expected, got, operation: operation(message) })
}

fn others(message: &str) -> Option<[Option<String>; 2]> {
    // PyTorch from 2.8 on.
    let newer = "but got {} is on {}, different from other tensors on {} (";
    if let Some([_, got, expected]) = find(newer, message) {
        return Some([expected, got].map(device));
    }
    if let Some([input, weight]) =
        find("Input type ({}) and weight type ({}) should be the same", message)
    {
        return Some([weight, input].map(device));
    }
    let [got] = find("can't convert {} device type tensor to numpy", message)?;
    Some(["cpu", got].map(device))
}

fn jax(message: &str) -> Option<[String; 2]> {
    let told = "Received incompatible devices for jitted computation. Got {} device ids [{}] on \
                platform {} and {} device ids [{}] on platform {}";
    let [_, first_ids, first, _, second_ids, second]: [&str; 6] = find(told, message)?;
    let of = |platform: &str, ids: &str| {
        let platform = platform.trim_end_matches('.').to_ascii_lowercase();
        format!("{platform}:{}", ids.replace(' ', ""))
    };
    Some([of(first, first_ids), of(second, second_ids)])
}

/// `cuda:0`, `cpu`; of an old tensor type, `torch.cuda.FloatTensor`, the device that it stands for.
fn device(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(kind) = text.strip_prefix("torch.").filter(|kind| kind.ends_with("Tensor")) {
        return Some(kind.split_once('.').map_or("cpu", |(device, _)| device).to_owned());
    }
    name(text).map(|text| text.to_ascii_lowercase())
}

fn operation(message: &str) -> Option<String> {
    let [named] = find("in method {})", message).or_else(|| find("in call to {}", message))?;
    name(named)
}

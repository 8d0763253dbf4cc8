//! Names of devices: `cpu`, `cuda:1`, `rocm:0`, `mps`, and for pools a UUID.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::report::Accelerator;

/// A device of this machine, as this process numbers them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Device {
    /// Its family.
    pub kind: Accelerator,
    /// Its place in the family; none where that has one device only.
    pub index: Option<usize>,
}

impl Device {
    /// The processors.
    pub const CPU: Self = Self { kind: Accelerator::Cpu, index: None };
    /// Apple's.
    pub const MPS: Self = Self { kind: Accelerator::Mps, index: None };

    pub(crate) fn new(kind: Accelerator, index: usize) -> Self {
        match kind {
            Accelerator::Cpu => Self::CPU,
            Accelerator::Mps => Self::MPS,
            Accelerator::Cuda | Accelerator::Rocm => Self { kind, index: Some(index) },
        }
    }
}

/// As frameworks write it: `cuda:1`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}:{index}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

/// A family, or one of its devices.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Named {
    pub(crate) kind: Accelerator,
    pub(crate) index: Option<usize>,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (family, index) = match text.split_once(':') {
            Some((family, index)) => (family, Some(index)),
            None => (text, None),
        };
        let kind = match family {
            "cpu" => Accelerator::Cpu,
            "cuda" => Accelerator::Cuda,
            "rocm" => Accelerator::Rocm,
            "mps" => Accelerator::Mps,
            _ => return Err(unknown(text)),
        };
        let Some(index) = index else { return Ok(Self { kind, index: None }) };
        // Not what `parse` alone would take: "+1".
        let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        let index = index.parse().ok().filter(|_| digits).ok_or_else(|| unknown(text))?;
        match kind {
            // Frameworks say so, too; there is but one.
            Accelerator::Cpu | Accelerator::Mps if index != 0 => Err(unknown(text)),
            _ => Ok(Self { kind, index: Some(index) }),
        }
    }
}

fn unknown(text: &str) -> String {
    let shown: String = text.chars().take(80).collect();
    format!("{shown:?} names no device; \"cpu\", \"cuda:0\", \"rocm:0\" and \"mps\" do")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_devices_are_read() {
        let read = |text: &str| text.parse::<Named>().map(|it| (it.kind, it.index));
        assert_eq!(read("cuda"), Ok((Accelerator::Cuda, None)));
        assert_eq!(read("rocm:12"), Ok((Accelerator::Rocm, Some(12))));
        assert_eq!(read("cpu:0"), Ok((Accelerator::Cpu, Some(0))));
        for wrong in
            ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:1:2", "CUDA", "mps:1", "cuda 0"]
        {
            assert!(read(wrong).is_err_and(|told| told.contains("cuda:0")), "{wrong}");
        }
        assert!(read(&"9".repeat(400)).is_err() && read("cuda:99999999999999999999").is_err());
    }

    #[test]
    fn a_device_is_written_as_frameworks_write_it() {
        assert_eq!(Device::new(Accelerator::Cuda, 1).to_string(), "cuda:1");
        assert_eq!(Device::new(Accelerator::Cpu, 0).to_string(), "cpu");
    }
}

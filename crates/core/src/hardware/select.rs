//! Which device to use, of those that are wanted and those that there are.

use super::device::{Device, Named};
use super::report::{Accelerator, Hardware};

/// Why a device cannot be had.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No name of a device.
    #[error("device: {message}")]
    Unknown {
        /// What was wrong with it and what would be right.
        message: String,
    },
    /// This process sees no such device.
    #[error("no device {wanted} is available to this process; there are: {}", available.join(", "))]
    NotAvailable {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
}

impl Hardware {
    /// The devices that this process sees, the best first; the CPU is the last.
    pub fn devices(&self) -> Vec<Device> {
        let numbered = |kind, count| (0..count).map(move |index| Device::new(kind, index));
        let cuda = self.cuda.as_ref().map_or(0, |cuda| cuda.devices.len());
        let rocm = self.rocm.as_ref().map_or(0, |rocm| rocm.devices.len());
        numbered(Accelerator::Cuda, cuda)
            .chain(numbered(Accelerator::Rocm, rocm))
            .chain(self.mps.as_ref().map(|_| Device::MPS))
            .chain([Device::CPU])
            .collect()
    }

    /// The device that `wanted` names: a family (`cuda`: its first one), one device (`cuda:1`), or
    /// `auto`: the best.
    ///
    /// # Errors
    /// It is no name, or there is none.
    pub fn select(&self, wanted: &str) -> Result<Device, DeviceError> {
        self.select_with_fallback(&[wanted])
    }

    /// The first of `wanted` that there is; each as in [`select`](Self::select).
    ///
    /// # Errors
    /// One of them is no name, or there is none of them.
    pub fn select_with_fallback<S: AsRef<str>>(&self, wanted: &[S]) -> Result<Device, DeviceError> {
        // All are read first: a misspelt one must not depend on the machine to be found.
        let named = wanted.iter().map(|name| match name.as_ref() {
            "auto" => Ok(None),
            name => name.parse::<Named>().map(Some),
        });
        let named: Vec<_> =
            named.collect::<Result<_, _>>().map_err(|message| DeviceError::Unknown { message })?;
        let there = self.devices();
        let fits = |named: &Option<Named>, device: &Device| {
            named.is_none_or(|named| {
                let index = named.index.filter(|_| device.index.is_some());
                named.kind == device.kind && (index.is_none() || index == device.index)
            })
        };
        let found = named.iter().find_map(|named| there.iter().find(|device| fits(named, device)));
        found.copied().ok_or_else(|| DeviceError::NotAvailable {
            wanted: wanted.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "),
            available: there.iter().map(Device::to_string).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::report::{Cpu, Cuda, CudaDevice, Mps};

    fn machine(cuda: usize, mps: bool) -> Hardware {
        let devices = vec![CudaDevice::default(); cuda];
        let cuda = Cuda { devices, ..Cuda::default() };
        Hardware::of("test".into(), Cpu::default(), Some(cuda), None, mps.then(Mps::default))
    }

    #[test]
    fn the_first_that_there_is_is_taken() {
        let two = machine(2, false);
        let select = |wanted: &[&str]| two.select_with_fallback(wanted).map(|it| it.to_string());
        assert_eq!(select(&["rocm", "cuda", "cpu"]).unwrap(), "cuda:0");
        assert_eq!(select(&["cuda:2", "cuda:1"]).unwrap(), "cuda:1");
        assert_eq!(select(&["auto"]).unwrap(), "cuda:0");
        assert_eq!(select(&["cpu:0"]).unwrap(), "cpu");
        assert_eq!(machine(0, true).select("auto").unwrap(), Device::MPS);
        assert_eq!(machine(0, false).select("auto").unwrap(), Device::CPU);
    }

    #[test]
    fn what_there_is_not_is_told_with_what_there_is() {
        let one = machine(1, false);
        assert_eq!(
            one.select_with_fallback(&["cuda:1", "mps"]),
            Err(DeviceError::NotAvailable {
                wanted: "cuda:1, mps".into(),
                available: vec!["cuda:0".into(), "cpu".into()],
            })
        );
        assert!(matches!(
            one.select_with_fallback::<&str>(&[]),
            Err(DeviceError::NotAvailable { .. })
        ));
        let misspelt = one.select_with_fallback(&["cuda", "cup"]);
        assert!(matches!(misspelt, Err(DeviceError::Unknown { .. })), "though the first is there");
    }
}

//! What `CUDA_VISIBLE_DEVICES` and `ROCR_VISIBLE_DEVICES` leave of a machine's devices.
//!
//! Both runtimes read them alike: numbers, or the beginnings of UUIDs, with commas between; the first
//! that fits nothing ends the list, so that an empty text and `-1` hide all.

/// One entry that fits: the place of a device, and of the instance in it that the entry names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shown {
    pub(crate) device: usize,
    pub(crate) instance: Option<usize>,
}

/// The UUIDs that a device is known by.
pub(crate) struct Names<'a> {
    pub(crate) uuid: Option<&'a str>,
    pub(crate) instances: Vec<&'a str>,
}

/// What is seen of `devices`, in its order; none: the variable is not set, and all are seen.
pub(crate) fn shown(variable: Option<&str>, devices: &[Names<'_>]) -> Vec<Shown> {
    let Some(variable) = variable else {
        return (0..devices.len()).map(|device| Shown { device, instance: None }).collect();
    };
    let mut seen = Vec::new();
    for entry in variable.split(',').map(str::trim) {
        let Some(shown) = find(entry, devices) else { break };
        // Said twice, the runtimes see none at all; that is a mistake, and one is what was meant.
        if !seen.contains(&shown) {
            seen.push(shown);
        }
    }
    seen
}

fn find(entry: &str, devices: &[Names<'_>]) -> Option<Shown> {
    if !entry.is_empty() && entry.bytes().all(|byte| byte.is_ascii_digit()) {
        let device = entry.parse().ok().filter(|&index: &usize| index < devices.len())?;
        return Some(Shown { device, instance: None });
    }
    let lower = |text: &str| text.to_ascii_lowercase();
    let wanted = lower(entry);
    // "GPU-" alone is the beginning of all.
    if !(wanted.starts_with("gpu-") || wanted.starts_with("mig-")) || wanted.len() < 5 {
        return None;
    }
    let fits = |uuid: &str| lower(uuid).starts_with(&wanted);
    let mut found = devices.iter().enumerate().flat_map(|(device, names)| {
        let whole = names.uuid.filter(|uuid| fits(uuid)).map(|_| Shown { device, instance: None });
        let parts = names.instances.iter().enumerate().filter(|(_, uuid)| fits(uuid));
        whole
            .into_iter()
            .chain(parts.map(move |(instance, _)| Shown { device, instance: Some(instance) }))
    });
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(variable: Option<&str>) -> Vec<(usize, Option<usize>)> {
        let devices = [
            Names { uuid: Some("GPU-aa11"), instances: vec![] },
            Names { uuid: Some("GPU-aa22"), instances: vec!["MIG-b1", "MIG-b2"] },
            Names { uuid: None, instances: vec![] },
        ];
        shown(variable, &devices).into_iter().map(|it| (it.device, it.instance)).collect()
    }

    #[test]
    fn numbers_and_beginnings_of_names_are_found_in_their_order() {
        assert_eq!(seen(None), [(0, None), (1, None), (2, None)]);
        assert_eq!(seen(Some("2, 0")), [(2, None), (0, None)]);
        assert_eq!(seen(Some("gpu-AA2,MIG-b2,1")), [(1, None), (1, Some(1))]);
    }

    #[test]
    fn the_first_that_fits_nothing_ends_the_list() {
        for all_hidden in ["", "-1", "NoDevFiles", "none", "GPU-", "GPU-aa", "MIG-b", "7,0", " ,0"]
        {
            assert_eq!(seen(Some(all_hidden)), [], "{all_hidden}");
        }
        assert_eq!(seen(Some("1,-1,0")), [(1, None)]);
        assert_eq!(seen(Some("0,0,1")), [(0, None), (1, None)]);
    }

    proptest! {
        #[test]
        fn whatever_is_said_no_device_is_made_up(said in "[0-9a-zA-Z,\\- ]{0,40}") {
            let seen = seen(Some(&said));
            prop_assert!(seen.iter().all(|(device, _)| *device < 3));
            let mut once = seen.clone();
            once.dedup();
            prop_assert_eq!(once, seen);
        }
    }
}

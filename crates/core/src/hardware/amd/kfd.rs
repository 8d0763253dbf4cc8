//! The nodes that the kernel's driver for computing shows in sysfs, in ROCm's own order.

/// What a node's `properties` tell of a device.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Node {
    pub(super) gfx: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) pci_bus: Option<String>,
    /// Of `/dev/dri/renderD128` and its folder in sysfs.
    pub(super) render_minor: Option<u32>,
}

/// None: the processors' node, somebody else's device, or one that this process may not use, whose
/// properties are empty.
pub(super) fn node(properties: &str) -> Option<Node> {
    let number = |name: &str| {
        properties.lines().find_map(|line| {
            let (key, value) = line.trim().split_once(' ')?;
            (key == name).then(|| value.trim().parse::<u64>().ok())?
        })
    };
    if number("simd_count")? == 0 || number("vendor_id").is_some_and(|vendor| vendor != AMD) {
        return None;
    }
    let location = number("location_id");
    Some(Node {
        gfx: number("gfx_target_version").and_then(gfx),
        uuid: number("unique_id").filter(|&id| id != 0).map(|id| format!("GPU-{id:016x}")),
        pci_bus: location.map(|it| {
            let domain = number("domain").unwrap_or(0);
            format!("{domain:04x}:{:02x}:{:02x}.{:x}", it >> 8 & 0xff, it >> 3 & 0x1f, it & 7)
        }),
        render_minor: number("drm_render_minor").and_then(|minor| minor.try_into().ok()),
    })
}

const AMD: u64 = 0x1002;

/// 90010 is `gfx90a`: version, two digits of revision, two of stepping, the latter in hexadecimal.
fn gfx(version: u64) -> Option<String> {
    let (major, minor, stepping) = (version / 10_000, version / 100 % 100, version % 100);
    (major != 0).then(|| format!("gfx{major}{minor}{stepping:x}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_device_and_what_is_none() {
        assert_eq!(
            node(include_str!("../recorded/kfd-mi210")),
            Some(Node {
                gfx: Some("gfx90a".into()),
                uuid: Some("GPU-1901ead3a2ecd4a6".into()),
                pci_bus: Some("0000:63:00.0".into()),
                render_minor: Some(128),
            })
        );
        for none in [
            "",
            "simd_count 0\ncpu_cores_count 24\n",
            "simd_count x\n",
            "simd_count 1\nvendor_id 4318\n",
        ] {
            assert_eq!(node(none), None, "{none}");
        }
        assert_eq!(node("simd_count 1\n"), Some(Node::default()));
    }

    #[test]
    fn versions_of_chips() {
        let names =
            [(90_402, "gfx942"), (110_501, "gfx1151"), (100_300, "gfx1030"), (90_500, "gfx950")];
        for (version, name) in names {
            assert_eq!(gfx(version).as_deref(), Some(name));
        }
        assert_eq!(gfx(0), None);
    }

    proptest! {
        #[test]
        fn nothing_is_too_garbled(text in "((simd_count|gfx_target_version|location_id|\\PC{0,9}) ?[0-9]{0,30}\n){0,9}") {
            node(&text);
        }
    }
}

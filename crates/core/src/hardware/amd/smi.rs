//! What `rocm-smi --json` prints: each release has other names for the same.

use serde_json::{Map, Value};

use crate::hardware::report::RocmDevice;

pub(super) const ARGS: [&str; 7] = [
    "--showid",
    "--showuniqueid",
    "--showbus",
    "--showproductname",
    "--showmeminfo",
    "vram",
    "--json",
];
pub(super) const DRIVER_ARGS: [&str; 2] = ["--showdriverversion", "--json"];

const MIB: u64 = 1 << 20;

/// The devices by their numbers, and the driver's version where it is told.
pub(super) fn devices(text: &str) -> (Vec<RocmDevice>, Option<String>) {
    // Warnings come first, at times.
    let json = text.find('{').map_or("", |start| &text[start..]);
    let mut reader = serde_json::Deserializer::from_str(json).into_iter::<Map<String, Value>>();
    let Some(Ok(all)) = reader.next() else { return (Vec::new(), None) };
    let card = |(name, card): (&String, &Value)| {
        let number: usize = name.strip_prefix("card")?.parse().ok()?;
        Some((number, device(card.as_object()?)))
    };
    let mut cards: Vec<(usize, RocmDevice)> = all.iter().filter_map(card).collect();
    cards.sort_by_key(|(number, _)| *number);
    let numbered = cards.into_iter().enumerate().map(|(place, (_, mut device))| {
        device.physical_index = place;
        device
    });
    let system = all.get("system").and_then(Value::as_object);
    let driver = system.and_then(|system| said(system, &["Driver version"]));
    (numbered.collect(), driver)
}

fn device(card: &Map<String, Value>) -> RocmDevice {
    let bytes = |name| said(card, &[name])?.parse::<u64>().ok();
    let total = bytes("VRAM Total Memory (B)");
    let used = bytes("VRAM Total Used Memory (B)");
    let gfx = said(card, &["GFX Version"]).filter(|name| name.starts_with("gfx"));
    let unique = said(card, &["Unique ID"]);
    let unique = unique.and_then(|id| u64::from_str_radix(id.strip_prefix("0x")?, 16).ok());
    // A number stands where the list of products has no name.
    let name = ["Card Series", "Device Name", "Card Model"]
        .into_iter()
        .filter_map(|key| said(card, &[key]))
        .find(|name| !name.starts_with("0x"));
    RocmDevice {
        uuid: unique.map(|id| format!("GPU-{id:016x}")),
        name: name.or_else(|| gfx.as_ref().map(|gfx| format!("AMD {gfx}"))).unwrap_or_else(unnamed),
        gfx,
        pci_bus: said(card, &["PCI Bus"]).map(|bus| bus.to_ascii_lowercase()),
        memory_total_mb: total.map(|bytes| bytes / MIB),
        memory_free_mb: total.zip(used).map(|(total, used)| total.saturating_sub(used) / MIB),
        ..RocmDevice::default()
    }
}

/// Of a device that nobody names.
pub(super) fn unnamed() -> String {
    "AMD device".into()
}

/// A value, whatever the case of its name in this release.
fn said(from: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let fits = |key: &str| names.iter().any(|name| key.trim().eq_ignore_ascii_case(name));
    let text = match from.iter().find(|(key, _)| fits(key))?.1 {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text != "N/A").then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cards_of_release_6_0() {
        let (found, driver) = devices(include_str!("../recorded/rocm-smi-6.0.json"));
        assert_eq!(driver.as_deref(), Some("6.3.6"));
        assert_eq!(found.len(), 2);
        let first = &found[0];
        assert_eq!(first.uuid.as_deref(), Some("GPU-79ccd55167a2124a"));
        assert_eq!(&*first.name, "Arcturus GL-XL [Instinct MI100]");
        assert_eq!(first.pci_bus.as_deref(), Some("0000:83:00.0"));
        assert_eq!((first.memory_total_mb, first.memory_free_mb), (Some(32_752), Some(32_745)));
        assert_eq!(found[1].physical_index, 1);
        assert_eq!(found[1].uuid.as_deref(), Some("GPU-04edfb117a17a07d"), "with its zeros");
    }

    #[test]
    fn cards_of_other_releases() {
        let (found, _) = devices(include_str!("../recorded/rocm-smi-6.1.json"));
        assert_eq!(&*found[0].name, "Navi 22 [Radeon RX 6700/6700 XT / 6800M]");
        assert_eq!((found[0].gfx.as_deref(), &found[0].uuid), (Some("gfx1031"), &None));
        let (found, _) = devices(include_str!("../recorded/rocm-smi-4.3.json"));
        assert_eq!((&*found[0].name, found[0].memory_total_mb), ("AMD device", Some(12_272)));
    }

    #[test]
    fn what_it_says_instead_is_no_device() {
        for said in [
            "",
            "ERROR:root:Driver not initialized (amdgpu not found in modules)",
            "WARNING: AMD GPU device(s) is/are in a low-power state.\n{",
            "{\"card0\": []}",
            "[1]",
            "{\"cardx\": {}, \"card\": {}, \"system\": 1}",
            "\u{fffd}{\u{fffd}}",
        ] {
            assert_eq!(devices(said), (vec![], None), "{said}");
        }
        let warned =
            "WARNING: low power\n\n{\"card10\": {}, \"card2\": {\"Card Series\": \"X\"}}\nbye";
        let names: Vec<String> = devices(warned).0.into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["X", "AMD device"]);
    }

    proptest! {
        #[test]
        fn nothing_is_too_garbled(text in "([{}\\[\\]:,\"]|card0|VRAM Total Memory \\(B\\)|[0-9]|\\PC){0,60}") {
            devices(&text);
        }
    }
}

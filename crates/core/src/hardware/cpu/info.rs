//! `/proc/cpuinfo`, of x86 and of ARM.

use std::collections::BTreeSet;

/// What it tells.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CpuInfo {
    /// As the processor names itself, or as its numbers do.
    pub(crate) model: Option<String>,
    /// That all processors have, of those that matter to numeric code.
    pub(crate) features: BTreeSet<String>,
    /// Logical processors.
    pub(crate) threads: usize,
    /// Physical cores; none where it does not tell.
    pub(crate) cores: Option<usize>,
}

pub(crate) fn parse(text: &str) -> CpuInfo {
    let mut info = CpuInfo::default();
    let mut features: Option<BTreeSet<String>> = None;
    let mut cores = BTreeSet::new();
    let (mut implementer, mut part, mut package) = (None, None, "");
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim_end() {
            // With a capital letter it is an old ARM kernel's name of the model.
            "processor" => info.threads += 1,
            "model name" | "Processor" | "cpu" if info.model.is_none() && !value.is_empty() => {
                info.model = Some(value.to_owned());
            }
            key @ ("flags" | "Features" | "features") => {
                let has: BTreeSet<String> = value
                    .split_ascii_whitespace()
                    // To x86 that is encrypted memory, to ARM a matrix unit.
                    .filter(|name| matters(name) || key == "Features" && name.starts_with("sme"))
                    .map(ToOwned::to_owned)
                    .collect();
                // Big and little cores differ; code may run on any of them.
                features = Some(match features {
                    Some(before) => &before & &has,
                    None => has,
                });
            }
            "CPU implementer" => implementer = implementer.or_else(|| hex(value)),
            "CPU part" => part = part.or_else(|| hex(value)),
            "physical id" => package = value,
            "core id" => drop(cores.insert((package, value))),
            _ => {}
        }
    }
    let numbers = implementer.zip(part);
    info.model = numbers.and_then(|(maker, part)| arm(maker, part)).map(Into::into).or(info.model);
    info.features = features.unwrap_or_default();
    if info.features.contains("asimd") {
        info.features.insert("neon".into()); // what everybody calls it
    }
    info.cores = (!cores.is_empty()).then_some(cores.len());
    info
}

/// Of the hundred that a processor has, those that somebody compiles kernels for.
fn matters(name: &str) -> bool {
    const NAMES: [&str; 24] = [
        "aes",
        "asimd",
        "asimddp",
        "asimdfhm",
        "asimdhp",
        "atomics",
        "bf16",
        "bmi2",
        "f16c",
        "fma",
        "fphp",
        "i8mm",
        "neon",
        "pclmulqdq",
        "pmull",
        "sha2",
        "sha_ni",
        "sse2",
        "sse4_1",
        "sse4_2",
        "ssse3",
        "svebf16",
        "svei8mm",
        "vfpv4",
    ];
    const FAMILIES: [&str; 3] = ["avx", "amx", "sve"];
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// ARM's processors tell numbers; these are the ones of servers and boards.
fn arm(implementer: u32, part: u32) -> Option<&'static str> {
    Some(match (implementer, part) {
        (0x41, 0xd03) => "ARM Cortex-A53",
        (0x41, 0xd05) => "ARM Cortex-A55",
        (0x41, 0xd07) => "ARM Cortex-A57",
        (0x41, 0xd08) => "ARM Cortex-A72",
        (0x41, 0xd0b) => "ARM Cortex-A76",
        (0x41, 0xd0c) => "ARM Neoverse-N1",
        (0x41, 0xd40) => "ARM Neoverse-V1",
        (0x41, 0xd41) => "ARM Cortex-A78",
        (0x41, 0xd42) => "ARM Cortex-A78AE",
        (0x41, 0xd49) => "ARM Neoverse-N2",
        (0x41, 0xd4f) => "ARM Neoverse-V2",
        (0x41, 0xd84) => "ARM Neoverse-V3",
        (0x41, 0xd8e) => "ARM Neoverse-N3",
        (0x46, 0x001) => "Fujitsu A64FX",
        (0x48, 0xd01) => "HiSilicon Kunpeng-920",
        (0xc0, 0xac3) => "Ampere-1",
        (0xc0, 0xac4) => "Ampere-1a",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(info: &CpuInfo, names: &[&str]) -> bool {
        names.iter().all(|name| info.features.contains(*name))
    }

    #[test]
    fn an_intel_server() {
        let info = parse(include_str!("../recorded/cpuinfo-intel"));
        assert_eq!(info.model.as_deref(), Some("Intel(R) Xeon(R) Platinum 8480+"));
        assert_eq!((info.threads, info.cores), (4, Some(2)));
        assert!(has(&info, &["avx", "avx2", "avx512f", "avx512_bf16", "amx_tile", "fma"]));
        assert!(!has(&info, &["neon"]) && !has(&info, &["smep"]) && !has(&info, &["constant_tsc"]));
    }

    #[test]
    fn an_amd_machine() {
        let info = parse(include_str!("../recorded/cpuinfo-amd"));
        assert_eq!(info.model.as_deref(), Some("AMD EPYC"));
        assert_eq!((info.threads, info.cores), (2, Some(2)));
        assert!(has(&info, &["avx2", "avx512_bf16"]) && !has(&info, &["amx_tile"]));
    }

    #[test]
    fn an_arm_server_and_a_board_of_two_kinds_of_cores() {
        let info = parse(include_str!("../recorded/cpuinfo-graviton"));
        assert_eq!(info.model.as_deref(), Some("ARM Neoverse-V1"));
        assert_eq!((info.threads, info.cores), (2, None));
        assert!(has(&info, &["neon", "sve", "bf16", "i8mm", "asimd"]) && !has(&info, &["avx"]));
        let mixed = "processor: 0\nFeatures: fp asimd sve\n\nprocessor: 1\nFeatures: fp asimd\n";
        assert!(!has(&parse(mixed), &["sve"]) && has(&parse(mixed), &["neon"]));
        let old = parse("Processor\t: ARMv7 Processor rev 2 (v7l)\nFeatures\t: half neon vfpv4\n");
        assert_eq!(old.model.as_deref(), Some("ARMv7 Processor rev 2 (v7l)"));
        assert!(has(&old, &["neon"]));
    }

    #[test]
    fn nothing_is_told_by_nothing() {
        assert_eq!(parse(""), CpuInfo::default());
        assert_eq!(parse("model name :\nflags :\n").model, None);
    }

    proptest! {
        #[test]
        fn nothing_is_too_garbled(text in "((processor|flags|CPU part|core id)?[ \t:\\PC]{0,20}\n){0,9}") {
            parse(&text);
        }
    }
}

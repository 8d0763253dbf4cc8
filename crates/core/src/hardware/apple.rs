//! Apple's Metal: on every machine with one of Apple's own chips, and nowhere else.

use super::machine::Machine;
use super::report::Mps;

const MIB: u64 = 1 << 20;

/// None: another machine.
pub(super) fn detect(machine: &Machine) -> Option<Mps> {
    if !machine.is_apple {
        return None;
    }
    parse(&machine.ask("sysctl", &["machdep.cpu.brand_string", "hw.memsize"])?)
}

/// What `sysctl` prints: `name: value`.
fn parse(text: &str) -> Option<Mps> {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let device_name =
        value("machdep.cpu.brand_string").filter(|name| name.starts_with("Apple "))?;
    let bytes: u64 = value("hw.memsize")?.parse().ok()?;
    Some(Mps { device_name: device_name.into(), memory_total_mb: bytes / MIB })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "machdep.cpu.brand_string: Apple M2 Pro\nhw.memsize: 34359738368\n";

    #[test]
    fn a_chip_of_apple_and_others() {
        let mps = parse(SAID).unwrap();
        assert_eq!((&*mps.device_name, mps.memory_total_mb), ("Apple M2 Pro", 32_768));
        let intel = "machdep.cpu.brand_string: Intel(R) Core(TM) i9\nhw.memsize: 1\n";
        for none in
            ["", intel, "hw.memsize: 5\n", "machdep.cpu.brand_string: Apple M1\nhw.memsize: x"]
        {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    #[test]
    fn it_is_asked_for_only_where_it_can_be() {
        let (_root, machine) = Machine::of_files(&[]);
        let mut machine = machine.with_tool("sysctl", &format!("printf '{SAID}'"));
        assert_eq!(detect(&machine), None);
        machine.is_apple = true;
        assert!(detect(&machine).is_some());
    }
}

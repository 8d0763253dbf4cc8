//! All of it together: machines of files, with tools that work, lie, hang and flood, and a driver's
//! library that is built here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::machine::Machine;
use super::report::{Accelerator, Hardware};
use super::{DeviceInfo, look};

/// A library that stands for NVML, built with `flag`.
fn stub(folder: &Path, flag: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hardware/nvidia/stub.c");
    let library = folder.join("libnvidia-ml.so.1");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let built = Command::new(compiler)
        .args(["-shared", "-fPIC", flag, "-o"])
        .args([&library, &source])
        .status()
        .expect("a C compiler, which building needs, too");
    assert!(built.success());
    library
}

fn empty() -> (tempfile::TempDir, Machine) {
    Machine::of_files(&[])
}

fn with_stub(flag: &str) -> (tempfile::TempDir, Machine) {
    let (root, mut machine) = empty();
    let flag = flag.replace("HERE", root.path().to_str().unwrap());
    machine.nvml = vec!["libnot-there.so.1".into(), stub(root.path(), &flag)];
    (root, machine.alone().within(Duration::from_secs(60)))
}

#[test]
fn the_library_of_a_driver_tells_of_its_devices() {
    let (_root, machine) = with_stub("-DPLAIN");
    let found = look(&machine);
    assert_eq!(found.accelerator, Accelerator::Cuda);
    let cuda = found.cuda.unwrap();
    assert_eq!((cuda.source, cuda.version.as_deref()), ("nvml", Some("12.4")));
    assert_eq!(cuda.driver_version.as_deref(), Some("550.54.15"));
    let [first, second] = &*cuda.devices else { panic!("{cuda:?}") };
    assert_eq!(
        (&*first.name, first.memory_total_mb, first.mig_enabled),
        ("NVIDIA A40", None, false)
    );
    assert_eq!(first.compute_capability.as_deref(), Some("8.6"));
    assert_eq!((second.memory_total_mb, second.memory_free_mb), (Some(81_920), Some(81_408)));
    let instances: Vec<_> =
        second.mig_devices.iter().map(|it| (&*it.name, it.uuid.len())).collect();
    assert_eq!(instances, [("1g.10gb", 40), ("1g.10gb", 40)]);
    assert_eq!(second.mig_devices[0].memory_total_mb, Some(9728));
}

#[test]
fn a_process_sees_what_its_variable_leaves() {
    let (_root, machine) = with_stub("-DPLAIN");
    let with = |value: &str| {
        look(&machine.clone().with_variable("CUDA_VISIBLE_DEVICES", value)).cuda.unwrap()
    };
    let cuda = with("1,0");
    let places: Vec<_> = cuda.devices.iter().map(|it| (it.index, it.physical_index)).collect();
    assert_eq!((places, cuda.hidden), (vec![(0, 1), (1, 0)], 0));
    let instance = with("MIG-00000000-0000-0000-0000-00000000000b");
    assert_eq!((instance.devices.len(), instance.hidden), (1, 1));
    assert_eq!(instance.devices[0].mig_devices.len(), 1);
    let none = with("");
    assert_eq!((none.devices.len(), none.hidden), (0, 2));
    let hidden = look(&machine.with_variable("CUDA_VISIBLE_DEVICES", "-1"));
    assert_eq!(hidden.accelerator, Accelerator::Cpu);
    assert!(!hidden.capabilities().cuda && hidden.capabilities().cuda_version.is_some());
}

#[test]
fn a_library_that_lies_of_its_devices_is_not_believed() {
    let (_root, machine) = with_stub("-DMANY");
    assert_eq!(look(&machine).cuda.unwrap().devices.len(), 2);
}

#[test]
fn a_library_that_hangs_is_not_available_and_nobody_asks_it_again() {
    let (root, machine) = with_stub(r#"-DHANG="HERE/released""#);
    // Time enough to begin asking it, whatever else the machine does.
    let machine = machine.with_tool("nvidia-smi", "echo no").within(Duration::from_secs(2));
    assert_eq!(look(&machine).cuda, None);
    let again = Instant::now();
    let patient = || machine.clone().within(Duration::from_secs(600));
    assert_eq!(look(&patient()).cuda, None);
    assert!(again.elapsed() < Duration::from_secs(300), "no second thread is lost");
    std::fs::write(root.path().join("released"), "").unwrap();
    // When it has come back, it is asked again.
    let came_back = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        look(&patient()).cuda.is_some()
    });
    assert!(came_back);
}

const SMI: &str = r#"
case "$1" in
  --query-gpu=*compute_cap*) while read -r line; do echo "$line"; done < HERE/query ;;
  -L) while read -r line; do echo "$line"; done < HERE/list ;;
  "") while read -r line; do echo "$line"; done < HERE/table ;;
  *) exit 2 ;;
esac"#;

fn with_smi() -> (tempfile::TempDir, Machine) {
    let (root, machine) = Machine::of_files(&[
        ("query", include_str!("recorded/nvidia-smi-query.csv")),
        ("list", include_str!("recorded/nvidia-smi-list")),
        ("table", include_str!("recorded/nvidia-smi-table")),
    ]);
    let script = SMI.replace("HERE", root.path().to_str().unwrap());
    (root, machine.with_tool("nvidia-smi", &script).within(Duration::from_secs(60)))
}

#[test]
fn without_the_library_the_tool_is_asked() {
    let (root, mut machine) = with_smi();
    let cuda = look(&machine).cuda.unwrap();
    assert_eq!((cuda.source, cuda.version.as_deref()), ("nvidia-smi", Some("12.4")));
    assert_eq!((cuda.devices.len(), cuda.devices[1].mig_devices.len()), (3, 4));
    machine.nvml = vec![stub(root.path(), "-DFAIL")];
    assert_eq!(look(&machine.alone()).cuda.unwrap().source, "nvidia-smi");
}

#[test]
fn an_old_tool_is_asked_for_less() {
    let script = r#"
case "$1" in
  *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2 ;;
  --query-gpu=*) echo '0, GPU-9de3d0e8, 40536, 40533, 460.80, A100-PCIE-40GB' ;;
esac"#;
    let (_root, machine) = empty();
    let cuda = look(&machine.with_tool("nvidia-smi", script).within(Duration::from_secs(60))).cuda;
    let cuda = cuda.unwrap();
    assert_eq!((cuda.version, cuda.driver_version.as_deref()), (None, Some("460.80")));
    assert_eq!(&*cuda.devices[0].name, "A100-PCIE-40GB");
}

#[test]
fn tools_that_hang_flood_or_babble_are_not_available() {
    for script in [
        "sleep 600",
        "sleep 600 & wait",
        "trap '' TERM; while :; do sleep 1; done",
        "while :; do echo 0123456789012345678901234567890123456789; done",
        "exit 1",
        "kill -SEGV $$",
        "printf '\\377\\376\\000\\001,,,,,,,'",
        "echo 'No devices were found'; exit 6",
        "echo '{'",
        ":",
    ] {
        let (_root, machine) = empty();
        let machine = machine.with_tool("nvidia-smi", script).with_tool("rocm-smi", script);
        let begun = Instant::now();
        let found = look(&machine.within(Duration::from_millis(800)));
        assert_eq!((found.cuda, found.rocm), (None, None), "{script}");
        assert_eq!(found.accelerator, Accelerator::Cpu);
        assert!(begun.elapsed() < Duration::from_secs(30), "{script}");
    }
}

#[test]
fn files_that_are_no_text_folders_or_pipes_are_not_available() {
    let (root, machine) = Machine::of_files(&[("proc/meminfo", "MemTotal: many kB\n")]);
    let at = |name: &str| root.path().join(name);
    std::fs::create_dir_all(at("proc/cpuinfo")).unwrap();
    std::fs::create_dir_all(at("sys/devices/system/cpu")).unwrap();
    std::fs::write(at("sys/devices/system/cpu/online"), b"\xff\xfe0-\x00").unwrap();
    std::fs::create_dir_all(at("sys/class/kfd/kfd/topology/nodes/1/properties")).unwrap();
    std::fs::create_dir_all(at("sys/class/kfd/kfd/topology/nodes/2")).unwrap();
    std::fs::write(at("sys/class/kfd/kfd/topology/nodes/2/properties"), b"\xffsimd_count 1")
        .unwrap();
    let found = look(&machine.clone().within(Duration::from_secs(60)));
    assert!(found.cpu.threads >= 1 && found.cpu.memory_total_mb == 0);
    assert_eq!((found.rocm, found.cuda), (None, None));

    // Whoever opens it waits for somebody to write.
    std::fs::remove_file(at("proc/meminfo")).unwrap();
    let made = Command::new("mkfifo").arg(at("proc/meminfo")).status().unwrap();
    assert!(made.success());
    let begun = Instant::now();
    let found = look(&machine.within(Duration::from_millis(300)));
    assert!(found.cpu.threads >= 1 && found.cpu.model.is_empty(), "little is known");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn files_that_may_not_be_read_are_not_available() {
    use std::os::unix::fs::PermissionsExt;
    let (root, machine) = Machine::of_files(&[
        ("proc/cpuinfo", include_str!("recorded/cpuinfo-amd")),
        ("sys/class/kfd/kfd/topology/nodes/1/properties", include_str!("recorded/kfd-mi210")),
    ]);
    let closed = root.path().join("sys/class/kfd/kfd/topology/nodes/1/properties");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let found = look(&machine.within(Duration::from_secs(60)));
    // Root reads what it likes.
    assert_eq!(found.rocm.is_none(), std::fs::read(&closed).is_err());
    assert_eq!(&*found.cpu.model, "AMD EPYC");
}

#[test]
fn a_tool_in_a_folder_that_is_not_absolute_is_not_run() {
    let (_root, machine) = empty();
    assert!(!machine.has_tool("nvidia-smi"));
    assert!(Machine::here(&[]).has_tool("sh"));
}

#[test]
fn what_is_found_is_remembered_until_it_is_forgotten() {
    let first = super::detect();
    assert!(std::sync::Arc::ptr_eq(&first, &super::detect()));
    super::clear_cache();
    let second = super::detect();
    assert_eq!(first.cpu.model, second.cpu.model);
    assert_eq!(first.identity().to_string(), second.identity().to_string());
    assert!(super::capabilities().cpu);
    assert!(matches!(super::device_info("cpu"), Ok(DeviceInfo::Cpu(cpu)) if cpu.threads >= 1));
    assert!(super::select("warp").is_err() && super::select("cuda:900").is_err());
    assert!(super::select_with_fallback(&["cuda:900", "cpu"]).is_ok());
}

#[test]
fn what_is_known_of_each_device_can_be_asked_for() {
    let (_root, machine) = with_smi();
    let found: Hardware = look(&machine);
    let info = |name| found.info(found.select(name).unwrap());
    assert!(matches!(info("cuda:2"), DeviceInfo::Cuda(device) if device.name == "NVIDIA A40"));
    assert!(matches!(info("auto"), DeviceInfo::Cuda(device) if device.index == 0));
    assert_eq!(found.devices().len(), 4);
}

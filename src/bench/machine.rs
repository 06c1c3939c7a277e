//! What the operating system tells of the machine and of this process.

use serde::Serialize;
use std::{fs, path::Path, process::Command};

/// The machine that a benchmark ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// What its maker calls the processor; the architecture if nothing says more.
    pub cpu_info: String,
    /// `linux`, `macos`, `windows`.
    pub os: &'static str,
    /// Threads that this process may run at once.
    pub n_cpus: usize,
}

impl Machine {
    /// This machine.
    pub fn this() -> Machine {
        Machine {
            cpu_info: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.into()),
            os: std::env::consts::OS,
            n_cpus: std::thread::available_parallelism().map_or(1, |n| n.get()),
        }
    }
}

fn cpu_name() -> Option<String> {
    let name = match std::env::consts::OS {
        "linux" => {
            let text = fs::read_to_string("/proc/cpuinfo").ok()?;
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix(':'));
            let board = || fs::read_to_string("/sys/firmware/devicetree/base/model").ok();
            field("model name").map(str::to_owned).or_else(board)?
        }
        "macos" => {
            let output = Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
            String::from_utf8(output.stdout).ok()?
        }
        "windows" => std::env::var("PROCESSOR_IDENTIFIER").ok()?,
        _ => return None,
    };
    let name = name.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned();
    (!name.is_empty()).then_some(name)
}

/// Begins to count the peak anew, where the system can (Linux).
pub(super) fn reset_peak_rss() {
    // Where it cannot, the peak is that of the whole process, which is what the others report.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process has had; `None` where the system does not tell without more ado.
pub(super) fn peak_rss_bytes() -> Option<u64> {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        return line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024);
    }
    #[cfg(target_os = "macos")]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        return u64::try_from(getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss()).ok();
    }
    #[cfg(not(target_os = "macos"))]
    None
}

/// The counters of energy that processors have, in the order of the system.
///
/// Source: Linux, Documentation/power/powercap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Energy {
    /// Of each package: microjoules so far, and where the counter starts again.
    packages: Vec<(u64, u64)>,
}

impl Energy {
    /// As they stand; `None` where there are none or only an administrator may read them.
    pub(super) fn now() -> Option<Energy> {
        Energy::read(Path::new("/sys/class/powercap"))
    }

    fn read(folder: &Path) -> Option<Energy> {
        let number = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let mut packages = Vec::new();
        // Parts of a package are named after it with one more number, and counted with it.
        for i in 0.. {
            let package = folder.join(format!("intel-rapl:{i}"));
            let Some(energy) = number(&package.join("energy_uj")) else { break };
            packages.push((energy, number(&package.join("max_energy_range_uj"))?));
        }
        (!packages.is_empty()).then_some(Energy { packages })
    }

    /// What was taken since `before`.
    pub(super) fn joules_since(&self, before: &Energy) -> f64 {
        let taken = self.packages.iter().zip(&before.packages).map(|(&(now, range), &(then, _))| match now >= then {
            true => now - then,
            false => (now + range).saturating_sub(then),
        });
        taken.sum::<u64>() as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_counted_over_the_end_of_a_counter() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let package = |i: usize, energy: u64| {
            let path = folder.path().join(format!("intel-rapl:{i}"));
            fs::create_dir_all(&path).expect("a folder");
            fs::write(path.join("energy_uj"), format!("{energy}\n")).expect("written");
            fs::write(path.join("max_energy_range_uj"), "10000000\n").expect("written");
        };
        assert_eq!(Energy::read(folder.path()), None);
        package(0, 1_000_000);
        package(1, 9_000_000);
        let before = Energy::read(folder.path()).expect("there");
        package(0, 3_500_000);
        package(1, 1_000_000);
        let after = Energy::read(folder.path()).expect("there");
        assert_eq!(after.joules_since(&before), 2.5 + 2.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_what_the_process_has_had() {
        let memory = vec![1u8; 50_000_000];
        let peak = peak_rss_bytes().expect("Linux tells");
        assert!(peak >= memory.iter().map(|&byte| u64::from(byte)).sum());
        assert_ne!(Machine::this().cpu_info, "");
    }
}

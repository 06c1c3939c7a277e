//! How many threads pay.

use std::{collections::HashSet, fs, thread};

/// One thread for each physical core that this process may use, of the fast ones where a processor has two kinds:
/// threads that share a core's multipliers or wait for a slow core only add waiting.
pub fn default_threads() -> usize {
    // Counts what the affinity mask and the container's quota leave.
    let allowed = thread::available_parallelism().map_or(1, usize::from);
    physical_cores().map_or(allowed, |cores| cores.clamp(1, allowed))
}

/// Physical cores that this process may run on, as Linux describes them; `None` where it does not.
fn physical_cores() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    // Only processors with two kinds of cores have this file.
    let fast = fs::read_to_string("/sys/devices/cpu_core/cpus").ok().and_then(|list| cpus(&list));
    let cores: HashSet<String> = cpus(allowed)?
        .into_iter()
        .filter(|cpu| fast.as_ref().is_none_or(|fast| fast.contains(cpu)))
        .filter_map(|cpu| {
            let topology = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            fs::read_to_string(topology).ok()
        })
        .collect();
    Some(cores.len()).filter(|&n| n > 0)
}

/// The numbers in a list such as `0-3,8`; `None` if it is not one.
fn cpus(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(first..=last.min(first.saturating_add(1 << 16)));
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_read() {
        assert_eq!(cpus("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(cpus("5"), Some(vec![5]));
        assert_eq!(cpus("none"), None);
    }

    #[test]
    fn the_default_is_within_what_the_process_may_use() {
        let allowed = thread::available_parallelism().expect("known here").get();
        assert!((1..=allowed).contains(&default_threads()));
    }
}

//! What a process costs: CPU and memory, as the kernel counts them. Linux only.
//!
//! Every reader answers `None` where there is no such process, or the kernel does not tell.

use std::fs;
use std::time::Duration;

/// A thread of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: u32,
    /// Its name, which the kernel cuts at 15 bytes.
    pub name: String,
    /// CPU it has used, user and system, since it began.
    pub cpu: Duration,
}

/// CPU a process has used with all its threads: to the nanosecond as long as none has ended, then in steps of a clock
/// tick, 10 ms as a rule.
pub fn cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, blanks and brackets too.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut ticks = fields.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (ticks.next()?.parse().ok()?, ticks.next()?.parse().ok()?);
    // The first is cut to ticks, the second misses ended threads: the larger one is nearer.
    let living = threads(pid)?.iter().map(|thread| thread.cpu).sum();
    Some(of_ticks(user + system).max(living))
}

/// The living threads of a process, with their CPU to the nanosecond.
pub fn threads(pid: u32) -> Option<Vec<Thread>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // A thread that ended meanwhile is left out.
        let path = entry.path();
        let (Ok(name), Ok(times)) = (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
        else {
            continue;
        };
        let nanos = times.split_ascii_whitespace().next().and_then(|nanos| nanos.parse().ok());
        let id = entry.file_name().to_str().and_then(|id| id.parse().ok());
        if let (Some(id), Some(nanos)) = (id, nanos) {
            threads.push(Thread { id, name: name.trim_end().to_owned(), cpu: Duration::from_nanos(nanos) });
        }
    }
    Some(threads)
}

/// CPU that all processes of this machine have used since it started, in clock ticks' steps.
pub fn cpu_of_machine() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let mut fields = stat.lines().next()?.split_ascii_whitespace();
    if fields.next() != Some("cpu") {
        return None;
    }
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; what guests use is in user already.
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some(of_ticks(ticks.iter().take(8).sum::<u64>() - idle))
}

/// Resident memory, in KiB.
pub fn resident_kib(pid: u32) -> Option<u64> {
    kib(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Proportional set size, in KiB: resident memory, with each shared page divided by its users.
pub fn pss_kib(pid: u32) -> Option<u64> {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kib(file: &str, label: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let pid = std::process::id();
        let before = cpu(pid).unwrap();
        let busy = std::time::Instant::now();
        while busy.elapsed() < Duration::from_millis(60) {
            std::hint::black_box(pid);
        }
        // At least something is seen of 60 ms, however busy the machine.
        assert!(cpu(pid).unwrap() > before);
        assert!(cpu_of_machine().unwrap() >= cpu(pid).unwrap());
        assert!(resident_kib(pid).unwrap() > 100);
        assert!(pss_kib(pid).unwrap() > 100);
    }

    #[test]
    fn of_a_process_that_is_not_there_nothing_is_known() {
        let none = u32::MAX;
        assert_eq!((cpu(none), threads(none), pss_kib(none)), (None, None, None));
    }
}

//! Cachegrind: how a program is run under it, and what it says of how much it saw. The benchmark uses it too.

use std::path::Path;
use std::process::Command;

/// The command that runs `program` under it. Without its caches it counts like callgrind, several times as fast.
pub(crate) fn counted(program: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]).arg(program);
    valgrind
}

/// The count in what cachegrind says at its end: `==7== I   refs:      2,041,074,546`.
pub(crate) fn instructions(said: &str) -> Option<u64> {
    let mut counts = said.lines().filter_map(|line| {
        let line = line.strip_prefix("==")?.split_once("== ")?.1;
        line.strip_prefix('I')?.trim_start().strip_prefix("refs:")
    });
    let (count, another) = (counts.next()?, counts.next());
    let count = count.trim();
    let plain = count.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
    if another.is_some() || !plain { None } else { count.replace(',', "").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str =
        "==7== Cachegrind, a cache and branch-prediction profiler\n==7== \n==7== I   refs:      2,044,440,989";

    #[test]
    fn the_count_is_found_in_what_old_and_new_valgrinds_say() {
        assert_eq!(instructions(SAID), Some(2_044_440_989));
        assert_eq!(instructions("==31234== I refs:        7"), Some(7));
    }

    #[test]
    fn garbage_is_no_count() {
        let garbage = [
            "",
            "I refs: 7",
            "==7== D   refs:      7",
            "==7== I   refs:",
            "==7== I   refs:      ",
            "==7== I   refs:      7.5",
            "==7== I   refs:      -7",
            "==7== I   refs:      many",
            "==7== I   refs:      99,999,999,999,999,999,999,999",
            "==7== I1  misses:    7",
            "==7== Collected : 7",
            "==7== I   refs:      7\n==8== I   refs:      7",
            "valgrind: failed to start tool",
        ];
        for said in garbage {
            assert_eq!(instructions(said), None, "{said}");
        }
    }
}

//! What the system knows of this process. Where it does not tell (no `/proc`), nothing is reported.

use std::fs;

/// The unit in which Linux counts a process's time for others, whatever its own clock does.
const TICKS_PER_SECOND: u64 = 100;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Process {
    pub resident_bytes: Option<u64>,
    pub open_files: Option<u64>,
    pub cpu_seconds: Option<u64>,
}

impl Process {
    pub fn read() -> Self {
        Self {
            resident_bytes: fs::read_to_string("/proc/self/status").ok().and_then(|text| resident(&text)),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            cpu_seconds: fs::read_to_string("/proc/self/stat").ok().and_then(|text| cpu(&text)),
        }
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn cpu(stat: &str) -> Option<u64> {
    // The name in parentheses may hold spaces; the state follows it, then the numbers from the fourth field on.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_read_from_the_system_s_own_words() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   12 kB\nThreads: 1\n"), Some(12 * 1024));
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 60 0 0 20 0 9 0 1 1 1";
        assert_eq!(cpu(stat), Some(3));
        for text in ["", "7 (x", "7 (x) S 1"] {
            assert_eq!((resident(text), cpu(text)), (None, None));
        }
    }
}

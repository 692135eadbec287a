//! Memory and huge pages as `/proc/meminfo` tells them (E27).

/// Memory of a host, in bytes where nothing else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// All of it.
    pub total: u64,
    /// What new users can have without swapping.
    pub available: u64,
    /// Size of a huge page.
    pub hugepage: u64,
    /// Huge pages there are.
    pub hugepages_total: u64,
    /// Huge pages that nobody uses.
    pub hugepages_free: u64,
}

/// A text that is not what the kernel writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeminfoError {
    /// A line that is needed is missing.
    #[error("/proc/meminfo has no line {0}")]
    Missing(&'static str),
    /// A number that is none, or is not counted in kB.
    #[error("/proc/meminfo: {line:?} is not understood")]
    Malformed {
        /// The line.
        line: String,
    },
}

impl HostMemory {
    /// Reads the text of `/proc/meminfo`; lines it does not know are skipped.
    ///
    /// # Errors
    /// [`MeminfoError`] when a needed line is missing or is not a number of kB.
    pub fn parse(text: &str) -> Result<Self, MeminfoError> {
        let line = |name: &'static str| {
            text.lines()
                .find_map(|line| {
                    let (found, rest) = line.split_once(':')?;
                    (found.trim() == name).then_some((line, rest.trim()))
                })
                .ok_or(MeminfoError::Missing(name))
        };
        let number = |name, unit: Option<&str>| {
            let (line, rest) = line(name)?;
            let malformed = || MeminfoError::Malformed { line: line.to_owned() };
            let digits = match unit {
                Some(unit) => rest.strip_suffix(unit).ok_or_else(malformed)?.trim_end(),
                None => rest,
            };
            digits.parse::<u64>().map_err(|_| malformed())
        };
        let kib = |name| number(name, Some("kB")).map(|count| count.saturating_mul(1024));
        Ok(Self {
            total: kib("MemTotal")?,
            available: kib("MemAvailable")?,
            hugepage: kib("Hugepagesize")?,
            hugepages_total: number("HugePages_Total", None)?,
            hugepages_free: number("HugePages_Free", None)?,
        })
    }

    /// Size of a huge page, MiB.
    #[must_use]
    pub fn hugepage_mib(&self) -> u32 {
        u32::try_from(self.hugepage >> 20).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{HostMemory, MeminfoError};

    const TEXT: &str = "MemTotal:       131072000 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\nOdd line\n\
                        HugePages_Total:    512\nHugePages_Free:     256\nHugepagesize:       2048 kB\n";

    #[test]
    fn e27_reads_what_it_knows_and_skips_the_rest() {
        let memory = HostMemory::parse(TEXT).unwrap();
        assert_eq!(memory.total, 131_072_000 * 1024);
        assert_eq!((memory.available, memory.hugepage_mib()), (1 << 20, 2));
        assert_eq!((memory.hugepages_total, memory.hugepages_free), (512, 256));
    }

    #[test]
    fn e27_another_unit_is_an_error() {
        let text = TEXT.replace("2048 kB", "2 MB");
        assert_eq!(
            HostMemory::parse(&text),
            Err(MeminfoError::Malformed { line: "Hugepagesize:       2 MB".to_owned() })
        );
        assert_eq!(
            HostMemory::parse("MemTotal: 1 kB\n"),
            Err(MeminfoError::Missing("MemAvailable"))
        );
    }

    #[test]
    fn reads_this_host() {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap();
        let memory = HostMemory::parse(&text).unwrap();
        assert!(memory.total >= memory.available && memory.available > 0);
    }
}

//! Sizes for people: `3.0 TB` for devices, `3.0 TiB` for memory modules.

const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes in powers of 1000.
pub fn decimal(bytes: u64) -> String {
    scaled(bytes, 1000.0, DECIMAL)
}

/// Bytes in powers of 1024.
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, BINARY)
}

/// One decimal below ten, none above.
fn scaled(bytes: u64, base: f64, units: [&'static str; 7]) -> String {
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let (mut value, mut index) = (bytes as f64, 0);
    while value >= base && index + 1 < units.len() {
        value /= base;
        index += 1;
    }
    let unit = units.get(index).copied().unwrap_or_default();
    let rounded = (value * 10.0 + 0.5).floor() / 10.0;
    if rounded < 10.0 { format!("{rounded:.1} {unit}") } else { format!("{rounded:.0} {unit}") }
}

/// `1 host`, `2 hosts`.
pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{binary, count, decimal};

    /// Contract 8.5: cells like `3.0 TB (2 namespaces)`.
    #[test]
    fn sizes_read_as_the_contract_prints_them() {
        let cases = [
            (0, "0 B"),
            (9, "9 B"),
            (10, "10 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (375_000_000_000, "375 GB"),
            (3_000_000_000_000, "3.0 TB"),
            (9_960_000_000, "10 GB"),
            (u64::MAX, "18 EB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(decimal(bytes), text);
        }
        assert_eq!(binary(1 << 30), "1.0 GiB");
        assert_eq!(binary(539_661_172_736), "503 GiB");
    }

    #[test]
    fn words_follow_the_number() {
        assert_eq!(
            [count(0, "host"), count(1, "host"), count(2, "host")],
            ["0 hosts", "1 host", "2 hosts"]
        );
    }
}

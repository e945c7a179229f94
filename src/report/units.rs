//! Figures as people read them.

/// Bytes in powers of 1,000, three digits: `1.23 GB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {}", UNITS.get(unit).unwrap_or(&"EB"))
}

/// A time as short as it is clear: `640 ms`, `3.2 s`, `4 min 05 s`, `2 h 03 min`.
#[must_use]
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", seconds, millis % 1000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Bytes a second: `210 MB/s`; empty where no time passed.
#[must_use]
pub fn rate(count: u64, millis: u64) -> String {
    count.saturating_mul(1000).checked_div(millis).map_or_else(String::new, |each| format!("{}/s", bytes(each)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_600, "1.00 MB"),
            (1_234_567_890, "1.23 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn durations_read_well() {
        for (millis, text) in
            [(0, "0 ms"), (640, "640 ms"), (3_290, "3.2 s"), (245_000, "4 min 05 s"), (7_380_000, "2 h 03 min")]
        {
            assert_eq!(duration(millis), text);
        }
    }

    #[test]
    fn a_rate_without_time_is_not_told() {
        assert_eq!(rate(1_000_000, 500), "2.00 MB/s");
        assert_eq!(rate(1, 0), "");
    }
}

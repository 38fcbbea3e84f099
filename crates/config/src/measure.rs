//! Durations (`1h30m`), sizes (`2MiB`) and names as they are written in the file.

use crate::problem::Misfit;
use std::time::Duration;

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

/// `500ms`, `5m`, `1h30m`, `30d`; larger units first.
pub(crate) fn duration(text: &str) -> Result<Duration, Misfit> {
    let wrong = || {
        Misfit::new("invalid_value", format!("`{}` is not a duration", shortened(text)))
            .hint("write numbers with units, as in \"500ms\", \"5m\", \"1h30m\", \"30d\"")
    };
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        if unit >= last {
            return Err(wrong());
        }
        last = unit;
        rest = &rest[letters..];
        total = number.checked_mul(unit).and_then(|it| total.checked_add(it)).ok_or_else(wrong)?;
    }
    if last == u64::MAX {
        return Err(wrong());
    }
    if total > 10 * YEAR_MS {
        return Err(Misfit::new("invalid_value", "the duration is longer than ten years"));
    }
    Ok(Duration::from_millis(total))
}

/// A duration between two bounds.
pub(crate) fn duration_within(least: &str, most: &str) -> impl Fn(&str) -> Result<Duration, Misfit> {
    move |text| {
        let value = duration(text)?;
        let fits = duration(least).is_ok_and(|it| value >= it) && duration(most).is_ok_and(|it| value <= it);
        if fits {
            return Ok(value);
        }
        Err(Misfit::new("out_of_range", format!("`{text}` is out of range; expected {least} to {most}")))
    }
}

/// `2MiB`, `512KiB`, or a number of bytes.
pub(crate) fn size(text: &str) -> Result<usize, Misfit> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: Option<usize> = match text[digits..].trim_start() {
        "" | "B" => Some(1),
        "KiB" => Some(1024),
        "MiB" => Some(1024 * 1024),
        "GiB" => Some(1024 * 1024 * 1024),
        _ => None,
    };
    let bytes = text[..digits].parse::<usize>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    bytes.ok_or_else(|| {
        Misfit::new("invalid_value", format!("`{}` is not a size", shortened(text)))
            .hint("write a number of bytes, or one with a unit, as in \"512KiB\", \"2MiB\"")
    })
}

/// A whole number between two bounds.
pub(crate) fn whole_within(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, Misfit> {
    move |text| {
        text.parse().ok().filter(|it| (least..=most).contains(it)).ok_or_else(|| {
            Misfit::new("out_of_range", format!("`{}` is out of range; expected {least} to {most}", shortened(text)))
        })
    }
}

/// Names of connections, flows and maps appear in addresses, metrics and commands.
pub(crate) fn name(text: &str) -> Result<(), Misfit> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(inner) && text.len() <= 63 {
        return Ok(());
    }
    Err(Misfit::new("invalid_name", format!("`{}` cannot be a name", shortened(text)))
        .hint("a name starts with a small letter and holds small letters, digits, `_` and `-`, at most 63"))
}

pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(59).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_from_large_to_small() {
        for (text, millis) in
            [("0s", 0), ("500ms", 500), ("5m", 300_000), ("1h30m", 5_400_000), ("72h", 259_200_000), ("1d2h3m4s5ms", 93_784_005)]
        {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "1.5h",
            "5m1h",
            "5m5m",
            "5M",
            "99999999999999999999s",
            "400000000d",
            "9d99999999999999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        for (text, bytes) in [("0", 0), ("1024", 1024), ("2MiB", 2 << 20), ("64 KiB", 64 << 10), ("1GiB", 1 << 30), ("7B", 7)] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "MiB", "2MB", "-1", "1.5MiB", "99999999999999999999", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_short_lower_case_words() {
        for text in ["a", "shop", "shop-2", "erp_no"] {
            assert!(name(text).is_ok(), "{text}");
        }
        for text in ["", "2shop", "Shop", "shop.no", "s/", "é", &"a".repeat(64)] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}

//! The keys that there are, and the nearest to one that there is not.

/// The keys of a table: those that this version reads, and those that a later one is to read.
pub(super) struct Keys {
    pub known: &'static [&'static str],
    pub planned: &'static [&'static str],
}

pub(super) const TOP: Keys = Keys { known: &["repository", "temp_dir", "time_zone", "jobs", "database"], planned: &[] };

pub(super) const DATABASE: Keys = Keys {
    known: &["url", "files", "compression", "check", "absent_ok", "protected", "retention"],
    planned: &[
        "admin_url",
        "app_url",
        "url_env",
        "migrations",
        "expect",
        "checks",
        "smoke",
        "deploy",
        "version_command",
        "backup_max_age",
        "flags",
    ],
};

pub(super) const RETENTION: Keys = Keys {
    known: &["keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"],
    planned: &[],
};

impl Keys {
    /// What to say about a key that there is not.
    pub(super) fn hint(&self, key: &str) -> String {
        let nearest = self.known.iter().map(|known| (distance(key, known), known)).min();
        match nearest {
            Some((distance, known)) if distance * 2 <= known.len() => format!("; did you mean {known}?"),
            Some(_) | None => format!("; the keys here are {}", self.known.join(", ")),
        }
    }
}

/// How many letters must be put in, left out or changed to make one word of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&to) {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = *cell;
            *cell = changed.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("file", "files", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}

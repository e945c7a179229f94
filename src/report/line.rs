//! Text of others (paths, notes, names) as part of one line.

/// `text` without control characters: a newline in a path would break lines, an escape sequence the terminal.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        for (text, line) in [
            ("umläut ß 日本", "umläut ß 日本"),
            ("a\nb", "a\\nb"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\tb\r", "a b\\u{d}"),
        ] {
            assert_eq!(one_line(text), line);
        }
    }
}

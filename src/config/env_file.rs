//! Environment files: `KEY=value` lines, as `docker compose` and the shell's `source` read the simple ones.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::expand::is_name;

/// Reads `KEY=value` lines; the last of a name counts.
///
/// `export` before the name, empty lines and lines that start with `#` are let pass. `'…'` is taken as it is,
/// `"…"` with `\n`, `\r`, `\t`, `\"`, `\\` and `\$`; both may go over several lines. Without quotes the value
/// ends before ` #` or at the line's end, blanks around it cut off. References to other variables stay as they are.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut variables = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        let wrong = |why| ConfigError::EnvFile { line, why };
        let (head, below) = rest.split_once('\n').unwrap_or((rest, ""));
        if head.trim().is_empty() || head.trim_start().starts_with('#') {
            rest = below;
            continue;
        }
        let (name, value) = rest.split_once('=').ok_or_else(|| wrong("expected KEY=value"))?;
        let name = name.trim();
        let name = name.strip_prefix("export").filter(|name| name.starts_with([' ', '\t'])).unwrap_or(name).trim();
        if !is_name(name) {
            return Err(wrong("expected KEY=value, the key of letters, digits and _"));
        }
        let value = value.trim_start_matches([' ', '\t']);
        let (value, after) = match value.chars().next() {
            Some('\'') => value[1..].split_once('\'').map(|(value, after)| (value.to_owned(), after)),
            Some('"') => double_quoted(&value[1..]),
            Some(_) | None => Some(bare(value)),
        }
        .ok_or_else(|| wrong("the quote is not closed"))?;
        let (trailing, below) = after.split_once('\n').unwrap_or((after, ""));
        if !trailing.trim().is_empty() && !trailing.trim_start().starts_with('#') {
            return Err(wrong("something follows the closing quote"));
        }
        variables.insert(name.to_owned(), value);
        rest = below;
    }
    Ok(variables)
}

/// A value without quotes, and what follows it.
fn bare(text: &str) -> (String, &str) {
    let line_end = text.find('\n').unwrap_or(text.len());
    let (line, after) = text.split_at(line_end);
    let comment = line.match_indices('#').map(|(at, _)| at).find(|&at| line[..at].ends_with([' ', '\t']) || at == 0);
    (line[..comment.unwrap_or(line.len())].trim().to_owned(), after)
}

/// A value up to its closing quote, and what follows that.
fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                quoted @ ('"' | '\\' | '$') => value.push(quoted),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    fn check_error(text: &str, at: usize) {
        assert!(matches!(parse(text), Err(ConfigError::EnvFile { line, .. }) if line == at), "{text}");
    }

    #[test]
    fn values() {
        check("", &[]);
        check("\n# note\n  # A=1\n", &[]);
        check("A=1\nB=2", &[("A", "1"), ("B", "2")]);
        check("A=1\r\nB=\"2\"\r\n", &[("A", "1"), ("B", "2")]);
        check("export A=1\n export\tB = 2 ", &[("A", "1"), ("B", "2")]);
        check("export=1", &[("export", "1")]);
        check("A=\nB=", &[("A", ""), ("B", "")]);
        check("A=1\nA=2", &[("A", "2")]);
        check("A=b c # note\nB=b#c\nC=#", &[("A", "b c"), ("B", "b#c"), ("C", "")]);
        check("A=postgres://u:p=w@h/d?x=1", &[("A", "postgres://u:p=w@h/d?x=1")]);
        check("A='b \"c\" $D \\n # e' # note", &[("A", "b \"c\" $D \\n # e")]);
        check(r#"A="b\n\"c\" \$D \q""#, &[("A", "b\n\"c\" $D \\q")]);
        check("A=\"one\ntwo\"\nB=1", &[("A", "one\ntwo"), ("B", "1")]);
        check("\u{feff}A=ü", &[("A", "ü")]);
        check("A=it's", &[("A", "it's")]);
    }

    #[test]
    fn errors_name_the_line() {
        check_error("A=1\nnonsense", 2);
        check_error("\n\nB C=1", 3);
        check_error("A=1\nnonsense\nB=1", 2);
        check_error("A='1", 1);
        check_error("A=\"1\\", 1);
        check_error("A='1' 2", 1);
        check_error("1A=1", 1);
        check_error("=1", 1);
    }
}

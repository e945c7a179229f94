//! `${NAME}` in a value.

/// Why a text can't be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExpandError {
    /// A variable is not set.
    Missing(String),
    /// A `${` that is no reference to a variable.
    Malformed,
}

/// Replaces `${NAME}` by what `environment` knows and `$$` by `$`; what comes in is not expanded again.
/// A `$` before anything else stands for itself.
pub(super) fn expand(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let (mut expanded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (name, after) = after.split_once('}').ok_or(ExpandError::Malformed)?;
            if !is_name(name) {
                return Err(ExpandError::Malformed);
            }
            expanded.push_str(&environment(name).ok_or_else(|| ExpandError::Missing(name.to_owned()))?);
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Whether a text can be the name of an environment variable.
pub(super) fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

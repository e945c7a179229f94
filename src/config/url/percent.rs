//! `%XX` in URLs.

use super::invalid;
use crate::config::error::ConfigError;

/// The bytes that a part of a URL stands for.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, ConfigError> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|&byte| byte != 0);
        bytes.push(byte.ok_or_else(|| invalid("a % in it is followed by other than two hexadecimal digits"))?);
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    Ok(bytes)
}

/// The text that a part of a URL stands for.
pub(super) fn decoded_text(text: &str) -> Result<String, ConfigError> {
    String::from_utf8(decoded(text)?).map_err(|_| invalid("a %XX in it is not UTF-8"))
}

/// The `name=value` pairs of a URL's query, decoded.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = Result<(String, String), ConfigError>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded_text(name)?, decoded_text(value)?))
    })
}

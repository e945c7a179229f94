//! A table of the file with what is needed to read and to blame its values.

use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::ConfigError;
use super::expand::{ExpandError, expand};
use super::keys::Keys;

/// What all tables of a file share.
pub(super) struct Source<'a> {
    pub text: &'a str,
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Source<'_> {
    /// Line and column of a byte of the text, both from 1.
    pub(super) fn place(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

/// A table of the file.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    table: &'a DeTable<'a>,
    /// `database.exam.`, or nothing at the top.
    prefix: String,
}

/// One entry of a table.
pub(super) struct Entry<'a> {
    source: &'a Source<'a>,
    key: String,
    name: &'a str,
    value: &'a Spanned<DeValue<'a>>,
    /// Where the key stands.
    line: usize,
}

impl<'a> Section<'a> {
    pub(super) fn top(source: &'a Source<'a>, table: &'a DeTable<'a>) -> Self {
        Self { source, table, prefix: String::new() }
    }

    /// Refuses keys that there are not.
    pub(super) fn check(&self, keys: &Keys) -> Result<(), ConfigError> {
        self.entries().try_for_each(|entry| match entry.name {
            name if keys.known.contains(&name) => Ok(()),
            name if keys.planned.contains(&name) => Err(entry.unsupported("")),
            name => Err(ConfigError::UnknownKey { line: entry.line, hint: keys.hint(name), key: entry.key }),
        })
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        self.table.iter().map(|(key, value)| self.entry(key, value))
    }

    pub(super) fn get(&self, name: &str) -> Option<Entry<'a>> {
        self.table.iter().find(|(key, _)| key.get_ref() == name).map(|(key, value)| self.entry(key, value))
    }

    fn entry(&self, key: &'a Spanned<DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Entry<'a> {
        let name = key.get_ref().as_ref();
        let (line, _) = self.source.place(key.span().start);
        Entry { source: self.source, key: format!("{}{name}", self.prefix), name, value, line }
    }

    /// The value of a key as `read` makes it, or what holds when it is missing.
    pub(super) fn read<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Entry<'a>) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        self.get(name).map_or(Ok(default), |entry| read(&entry))
    }
}

impl<'a> Entry<'a> {
    pub(super) const fn name(&self) -> &'a str {
        self.name
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> ConfigError {
        ConfigError::Value { line: self.line, key: self.key.clone(), why: why.into() }
    }

    /// `what` of its value is for a later version; empty: the key itself.
    pub(super) fn unsupported(&self, what: &str) -> ConfigError {
        let key = if what.is_empty() { self.key.clone() } else { format!("{}: {what}", self.key) };
        ConfigError::Unsupported { line: self.line, key }
    }

    fn other_type(&self, expected: &str) -> ConfigError {
        self.wrong(format!("expected {expected}, found {}", self.value.get_ref().type_str()))
    }

    pub(super) fn section(&self) -> Result<Section<'a>, ConfigError> {
        let table = self.value.get_ref().as_table().ok_or_else(|| self.other_type("a table"))?;
        Ok(Section { source: self.source, table, prefix: format!("{}.", self.key) })
    }

    /// The text, variables replaced; empty is an error.
    pub(super) fn text(&self) -> Result<String, ConfigError> {
        let text = self.value.get_ref().as_str().ok_or_else(|| self.other_type("a string"))?;
        self.expanded(text)
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, ConfigError> {
        let array = self.value.get_ref().as_array().ok_or_else(|| self.other_type("an array of strings"))?;
        let text = |value: &Spanned<DeValue<'a>>| {
            let text = value.get_ref().as_str().ok_or_else(|| self.wrong("expected strings in the array"))?;
            self.expanded(text)
        };
        array.iter().map(text).collect()
    }

    fn expanded(&self, text: &str) -> Result<String, ConfigError> {
        match expand(text, self.source.environment) {
            Ok(text) if text.is_empty() => Err(self.wrong("is empty")),
            Ok(text) => Ok(text),
            Err(ExpandError::Malformed) => Err(self.wrong("a ${ is no ${NAME}; write $${ for the characters")),
            Err(ExpandError::Missing(variable)) => {
                Err(ConfigError::MissingVariable { line: self.line, key: self.key.clone(), variable })
            }
        }
    }

    /// The text as a value of its own type, whose error is shown.
    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(&self) -> Result<T, ConfigError> {
        self.text()?.parse().map_err(|error: T::Err| self.wrong(error.to_string()))
    }

    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.other_type("true or false"))
    }

    /// A whole number from 0.
    pub(super) fn number(&self) -> Result<u32, ConfigError> {
        let integer = self.value.get_ref().as_integer().ok_or_else(|| self.other_type("a whole number"))?;
        let number = u32::from_str_radix(integer.as_str(), integer.radix());
        number.map_err(|_| self.wrong("expected a whole number from 0 to 4294967295"))
    }
}

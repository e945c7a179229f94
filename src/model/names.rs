//! Names, parsed once and carried as proof that they are safe where they are used.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

/// A text that can't be used as the name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {why}")]
pub struct InvalidName {
    what: &'static str,
    text: String,
    why: &'static str,
}

impl InvalidName {
    fn new(what: &'static str, text: &str, why: &'static str) -> Self {
        Self { what, text: text.chars().take(120).collect(), why }
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    };
}

/// The folder that holds a database's snapshots: letters, digits, `_`, `-`, `.`, and `=XX` for any other byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct DatabaseName(String);

/// Bytes that a database's folder name may have; leaves room for time, endings and file systems' 255.
const DATABASE_NAME_BYTES: usize = 120;

impl DatabaseName {
    /// The folder name for a database called `name` by its server or its user.
    pub fn escape(name: &str) -> Result<Self, InvalidName> {
        let mut escaped = String::with_capacity(name.len());
        for (i, byte) in name.bytes().enumerate() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => escaped.push(char::from(byte)),
                b'-' | b'.' if i > 0 => escaped.push(char::from(byte)),
                _ => escaped.push_str(&format!("={byte:02X}")),
            }
        }
        escaped.parse()
    }

    /// The folder's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |why| InvalidName::new("database name", text, why);
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if text.len() > DATABASE_NAME_BYTES {
            return Err(invalid("it is longer than 120 bytes"));
        }
        if text.starts_with(['.', '-']) {
            return Err(invalid("it starts with a dot or a hyphen"));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'=');
        if !text.bytes().all(allowed) {
            return Err(invalid("only letters, digits, _, -, ., and =XX for other bytes"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(DatabaseName);

/// A snapshot's name: `<database>_<UTC date>_<UTC time>`, to the second.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct SnapshotId {
    database: DatabaseName,
    second: NaiveDateTime,
}

const SNAPSHOT_TIME: &str = "%Y%m%d_%H%M%S";

impl SnapshotId {
    /// The id of a snapshot of `database` begun at `instant`; fractions of a second are cut off.
    #[must_use]
    pub fn new(database: DatabaseName, instant: DateTime<Utc>) -> Self {
        let second = DateTime::from_timestamp(instant.timestamp(), 0).unwrap_or(instant).naive_utc();
        Self { database, second }
    }

    /// The database whose folder holds it.
    #[must_use]
    pub const fn database(&self) -> &DatabaseName {
        &self.database
    }

    /// The second in its name, UTC.
    #[must_use]
    pub const fn instant(&self) -> DateTime<Utc> {
        self.second.and_utc()
    }
}

impl FromStr for SnapshotId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName::new("snapshot id", text, "expected <database>_<date>_<time>");
        let at = text.len().checked_sub(16).filter(|&at| text.is_char_boundary(at)).ok_or_else(invalid)?;
        let (database, time) = text.split_at(at);
        let time = time.strip_prefix('_').ok_or_else(invalid)?;
        let second = NaiveDateTime::parse_from_str(time, SNAPSHOT_TIME).map_err(|_| invalid())?;
        let id = Self { database: database.parse()?, second };
        if id.to_string() == text { Ok(id) } else { Err(invalid()) }
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.database, self.second.format(SNAPSHOT_TIME))
    }
}

as_text!(SnapshotId);

/// A file of a snapshot: a relative path with `/`, that stays inside the snapshot's folder on every system.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct FileName(String);

impl FileName {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bytes that a stored file's path may have, below object stores' 1,024 with room for the prefix.
const FILE_NAME_BYTES: usize = 700;

impl FromStr for FileName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |why| Err(InvalidName::new("file name of a snapshot", text, why));
        if text.is_empty() || text.len() > FILE_NAME_BYTES {
            return invalid("it is empty or too long");
        }
        if text.starts_with('/') || text.contains('\\') {
            return invalid("it is not a relative path with slashes");
        }
        if text.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return invalid("it has an empty, . or .. part");
        }
        if text.split('/').any(|part| part.len() > 200) {
            return invalid("a part of it is longer than 200 bytes");
        }
        if text.chars().any(char::is_control) {
            return invalid("it has a control character");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(FileName);

/// A table's name in its database; `schema` is `main` on SQLite.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TableName {
    schema: String,
    name: String,
}

impl TableName {
    /// Takes the names as the catalog gives them, unquoted.
    #[must_use]
    pub fn new(schema: &str, name: &str) -> Self {
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }

    /// The schema, unquoted.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The table's name without schema, unquoted.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Both parts quoted for SQL; valid on PostgreSQL and SQLite, which double a quote inside quotes alike.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// An identifier between double quotes, as SQL wants it.
#[must_use]
pub fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_names_are_escaped() {
        for (name, folder) in [
            ("exam_prod", "exam_prod"),
            ("a/b", "a=2Fb"),
            (".dbops", "=2Edbops"),
            ("-rf", "=2Drf"),
            ("v1.2-x", "v1.2-x"),
            ("prüf", "pr=C3=BCf"),
            ("a=b", "a=3Db"),
        ] {
            assert_eq!(DatabaseName::escape(name).unwrap().as_str(), folder);
        }
        assert!(DatabaseName::escape("").is_err());
        assert!(DatabaseName::escape(&"é".repeat(60)).is_err());
    }

    #[test]
    fn snapshot_ids_survive_the_round_trip() {
        let id: SnapshotId = "exam_prod_20261120_030000".parse().unwrap();
        assert_eq!(id.database().as_str(), "exam_prod");
        assert_eq!(id.to_string(), "exam_prod_20261120_030000");
        assert_eq!(id.instant().to_rfc3339(), "2026-11-20T03:00:00+00:00");
    }

    #[test]
    fn other_texts_are_no_snapshot_ids() {
        for text in
            ["", "exam", "exam_20261320_030000", "_20261120_030000", "../x_20261120_030000", "exam_20261120_0300 0"]
        {
            assert!(text.parse::<SnapshotId>().is_err(), "{text}");
        }
    }

    #[test]
    fn file_names_stay_inside() {
        for good in ["toc.dat", "files/workflows.json.zst", "files/a b", "..a"] {
            assert!(good.parse::<FileName>().is_ok(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\\b", "a\nb", "a/"] {
            assert!(bad.parse::<FileName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(TableName::new("main", "we\"ird").quoted(), "\"main\".\"we\"\"ird\"");
    }
}

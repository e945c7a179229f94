//! Why a configuration, a URL or an environment file can't be used.

/// Why a configuration, a URL or an environment file can't be used. No value that may be secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is no TOML.
    #[error("line {line}, column {column}: {why}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Character in the line, from 1.
        column: usize,
        /// What the parser says.
        why: String,
    },
    /// A key that no version knows.
    #[error("line {line}: unknown key {key}{hint}")]
    UnknownKey {
        /// Line, from 1.
        line: usize,
        /// The key with the tables around it.
        key: String,
        /// `; did you mean …?`, or the keys that there are.
        hint: String,
    },
    /// A key or a value that a later version is to know.
    #[error("line {line}: {key} is not supported by this version")]
    Unsupported {
        /// Line, from 1.
        line: usize,
        /// The key with the tables around it, or what of its value.
        key: String,
    },
    /// A value that is not what its key asks for.
    #[error("line {line}: {key}: {why}")]
    Value {
        /// Line, from 1.
        line: usize,
        /// The key with the tables around it.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A variable of the environment that is not set.
    #[error("line {line}: {key}: the environment variable {variable} is not set")]
    MissingVariable {
        /// Line, from 1.
        line: usize,
        /// The key with the tables around it.
        key: String,
        /// The variable.
        variable: String,
    },
    /// A text that names no database.
    #[error("not a database URL: {0}")]
    Url(String),
    /// A line of an environment file that sets nothing.
    #[error("line {line} of the environment file: {why}")]
    EnvFile {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

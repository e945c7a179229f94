//! The documents that `--json` prints; `docs/json.md` describes them, `docs/json-schema.json` is made from them.

use serde::Serialize;
use serde_json::Value;

use crate::model::names::SnapshotId;
use crate::model::outcome::Outcome;

/// Name and version of the JSON documents; fields are added within a version, never changed or removed.
pub const SCHEMA: &str = "dbops/1";

/// What `--json` prints: an answer on stdout, an error on stderr.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Document<'a> {
    /// Name and version of the documents.
    schema: &'a str,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Content<'a> {
    /// What a command found or did.
    Answer(&'a Outcome),
    /// Of commands that have no outcome of an operation.
    Other(&'a Other),
    /// Why a command failed.
    Error(&'a ErrorDocument),
}

/// Answers of commands that are no operation on a repository.
#[derive(Debug, Serialize)]
#[serde(tag = "command", rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Other {
    /// Of `demo`.
    Demo {
        /// Where its files are.
        folder: String,
        /// The snapshot that it took, proved and restored.
        snapshot: SnapshotId,
        /// What it did, in order.
        steps: Vec<String>,
    },
    /// Of `completions`.
    Completions {
        /// The script.
        text: String,
    },
    /// Of `man`.
    Man {
        /// The page, as roff.
        text: String,
    },
}

/// Why a command failed; stands on stderr.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorDocument {
    /// The error.
    pub error: ErrorBody,
}

/// An error in its parts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// The exit code of the process.
    pub exit_code: u8,
    /// What was tried, on what.
    pub message: String,
    /// Why it failed, outermost cause first, and what was found.
    pub causes: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// The document that answers a command.
#[must_use]
pub fn document(outcome: &Outcome) -> Value {
    whole(Content::Answer(outcome))
}

/// The document of a command that is no operation.
#[must_use]
pub fn other_document(other: &Other) -> Value {
    whole(Content::Other(other))
}

/// The document that tells why a command failed.
#[must_use]
pub fn error_document(error: &ErrorDocument) -> Value {
    whole(Content::Error(error))
}

fn whole(content: Content<'_>) -> Value {
    // These types have text keys only, which is all that JSON asks for.
    serde_json::to_value(Document { schema: SCHEMA, content }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Verified;

    #[test]
    fn a_document_names_schema_and_command_first() {
        let verified = Outcome::Verify(Verified { snapshots: Vec::new(), passed: false });
        let text = document(&verified).to_string();
        assert_eq!(text, r#"{"schema":"dbops/1","command":"verify","snapshots":[],"passed":false}"#);
    }

    #[test]
    fn an_error_stands_under_its_own_key() {
        let body = ErrorBody { exit_code: 10, message: "m".into(), causes: vec!["c".into()], hint: None };
        let text = error_document(&ErrorDocument { error: body }).to_string();
        let expected = r#"{"schema":"dbops/1","error":{"exit_code":10,"message":"m","causes":["c"],"hint":null}}"#;
        assert_eq!(text, expected);
    }

    /// `DBOPS_BLESS=1 cargo test` writes the file anew.
    #[test]
    fn the_published_schema_is_the_one_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json-schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Document<'static>)).unwrap() + "\n";
        if std::env::var_os("DBOPS_BLESS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "docs/json-schema.json is not of these types");
    }
}

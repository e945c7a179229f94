//! The documents that `--json` prints; `docs/json.md` describes them.

use serde_json::{Value, json};

use crate::model::outcome::Outcome;

/// Name and version of the JSON documents; fields are added within a version, never changed or removed.
pub const SCHEMA: &str = "dbops/1";

/// The document that answers a command.
#[must_use]
pub fn document(outcome: &Outcome) -> Value {
    let mut document = json!({ "schema": SCHEMA });
    if let (Value::Object(into), Ok(Value::Object(fields))) = (&mut document, serde_json::to_value(outcome)) {
        into.extend(fields);
    }
    document
}

/// The document that tells why a command failed.
#[must_use]
pub fn error_document(exit_code: u8, message: &str, causes: &[String], hint: Option<&str>) -> Value {
    json!({
        "schema": SCHEMA,
        "error": { "exit_code": exit_code, "message": message, "causes": causes, "hint": hint },
    })
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

    /// `DBOPS_BLESS=1 cargo test` writes the file anew.
    #[test]
    fn the_published_schema_is_the_one_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json-schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Outcome)).unwrap() + "\n";
        if std::env::var_os("DBOPS_BLESS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "docs/json-schema.json is not of these types");
    }
}

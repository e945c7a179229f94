//! Make a database from a script.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::connect::failure;
use crate::blocking::blocking;
use crate::engine::EngineError;

/// Makes a new database at `path` by running `script`; a file that is there is an error.
pub async fn create_from_script(path: &Path, script: &'static str) -> Result<(), EngineError> {
    let path = path.to_owned();
    blocking(move || {
        let taken = |source| EngineError::Disk { deed: "make", subject: path.display().to_string(), source };
        std::fs::File::create_new(&path).map_err(taken)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(|error| failure("open", &path, error))?;
        connection.execute_batch(script).map_err(|error| failure("fill", &path, error))
    })
    .await
}

//! Ask before something is replaced or deleted.

use std::io::{self, BufRead, IsTerminal, Write};

use super::error::CliError;
use crate::engine::Confirmed;

/// The owner's yes to `what`: by `--yes`, or asked for on a terminal; anything else than yes is a no.
pub(super) fn confirm(what: &str, yes: bool) -> Result<Confirmed, CliError> {
    if yes {
        return Ok(Confirmed::by_owner());
    }
    let not_confirmed = || CliError::NotConfirmed { what: what.to_owned() };
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(not_confirmed());
    }
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{what}. Go on? [y/N] ").and_then(|()| io::stdin().lock().read_line(&mut answer));
    match (asked, answer.trim()) {
        (Ok(_), "y" | "yes" | "Y") => Ok(Confirmed::by_owner()),
        _ => Err(CliError::Usage("nothing was changed".into())),
    }
}

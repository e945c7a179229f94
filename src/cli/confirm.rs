//! Ask before something is replaced or deleted.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use super::error::CliError;
use crate::engine::Confirmed;
use crate::model::cancel::Cancel;
use crate::report::one_line;

/// The owner's yes to `what`: by `--yes`, or asked for on a terminal; anything else than yes is a no.
pub(super) async fn confirm(what: &str, yes: bool, cancel: &Cancel) -> Result<Confirmed, CliError> {
    if yes {
        return Ok(Confirmed::by_owner());
    }
    if !can_ask() {
        return Err(CliError::NotConfirmed { what: what.to_owned() });
    }
    let asked = write!(io::stderr(), "{}. Go on? [y/N] ", one_line(what));
    let answer = match asked {
        Ok(()) => answer(cancel).await?,
        Err(_) => String::new(),
    };
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(Confirmed::by_owner()),
        _ => Err(CliError::Declined { what: what.to_owned() }),
    }
}

/// Whether there is somebody to ask.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Time between two looks whether the user pressed Ctrl-C instead of answering.
const LOOK: Duration = Duration::from_millis(50);

/// One line of stdin. A thread of its own reads it: Ctrl-C must not wait for an answer that nobody will give.
async fn answer(cancel: &Cancel) -> Result<String, CliError> {
    let (tell, mut told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        drop(tell.send(if read.is_ok() { line } else { String::new() }));
    });
    loop {
        if let Ok(line) = tokio::time::timeout(LOOK, &mut told).await {
            let line = line.unwrap_or_default();
            if line.is_empty() {
                drop(writeln!(io::stderr()));
            }
            return Ok(line);
        }
        if let Err(interrupted) = cancel.check() {
            drop(writeln!(io::stderr()));
            return Err(interrupted.into());
        }
    }
}

//! Ctrl-C and SIGTERM: once is a wish to stop, twice is an end.

use super::exit::Exit;
use crate::model::cancel::Cancel;

/// From here on the first signal asks to stop cleanly; the second ends at once, and the next run clears up.
///
/// Called when the work begins: until then, e.g. while a configuration is read from a pipe, a signal just ends it.
pub(super) fn stop_cleanly_from_now(cancel: &Cancel) {
    tokio::spawn(stop_on_signal(cancel.clone()));
}

async fn stop_on_signal(cancel: Cancel) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for asked in 0.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if asked > 0 {
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
        cancel.cancel();
    }
}

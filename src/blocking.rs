//! The one door from async code to blocking work.
//!
//! Absent: any other `spawn_blocking` (held by `tests/architecture.rs`).

/// Runs `work` on a thread that may block; a panic of the work goes on in the caller.
pub async fn blocking<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels blocking work, and then nobody waits for it.
            Err(_) => std::future::pending().await,
        },
    }
}

//! Runs system calls that block on a thread made for that.

use crate::ScmError;

/// The result of `work`, done on a blocking thread. Dropping the future does not stop work under way.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ScmError> + Send + 'static,
) -> Result<T, ScmError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ScmError::Internal { what: format!("storage thread: {error}") }),
    }
}

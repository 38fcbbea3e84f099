//! What a failure of the database means to the caller and to the connection it happened on.

use crate::StoreError;
use rusqlite::ErrorCode;

pub(super) type Tried<T> = Result<T, Failure>;

/// Why a statement or a commit did not do it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub error: StoreError,
    /// The connection may be unusable from now on: open another.
    pub reopen: bool,
}

impl Failure {
    pub fn corrupt(what: impl Into<String>) -> Self {
        StoreError::Corrupt(what.into()).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, reopen: false }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        use ErrorCode::*;
        let text = error.to_string();
        let Some(code) = error.sqlite_error_code() else { return Self::corrupt(text) };
        match code {
            DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory | OperationInterrupted | SchemaChanged => {
                StoreError::Unavailable(text).into()
            }
            ReadOnly | SystemIoFailure | CannotOpen | PermissionDenied | FileLockingProtocolFailed | NoLargeFileSupport => {
                Self { error: StoreError::Unavailable(text), reopen: true }
            }
            _ => Self { error: StoreError::Corrupt(text), reopen: matches!(code, DatabaseCorrupt | NotADatabase) },
        }
    }
}

//! What a failure of the database means to the caller and to the connection it happened on.

use crate::StoreError;
use rusqlite::ErrorCode;

pub(crate) type Tried<T> = Result<T, Failure>;

/// Why a statement or a commit did not do it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub error: StoreError,
    /// The connection may be unusable from now on: open another.
    pub reopen: bool,
    /// Another transaction was in the way and this one was rolled back: the same again may succeed.
    pub again: bool,
}

impl Failure {
    pub fn corrupt(what: impl Into<String>) -> Self {
        StoreError::Corrupt(what.into()).into()
    }

    /// The connection is gone: whether a commit under way was done is not known.
    pub fn lost(why: impl Into<String>) -> Self {
        Self { reopen: true, ..StoreError::Unavailable(why.into()).into() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, reopen: false, again: false }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
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
                Self::lost(text)
            }
            _ => Self { reopen: matches!(code, DatabaseCorrupt | NotADatabase), ..StoreError::Corrupt(text).into() },
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(refused) = error.as_db_error() else {
            let text = match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            };
            // Our own values did not fit the statement or the other way round; everything else is the connection.
            let ours = ["error serializing", "error deserializing", "invalid column", "query returned"];
            return if ours.iter().any(|start| text.starts_with(start)) { Self::corrupt(text) } else { Self::lost(text) };
        };
        // Not the detail: it holds values.
        let text = format!("{} ({})", refused.message(), refused.code().code());
        match refused.code().code() {
            "40001" | "40P01" => Self { again: true, ..StoreError::Unavailable(text).into() },
            // Took too long or waited too long for another.
            "57014" | "55P03" => StoreError::Unavailable(text).into(),
            // A plan that no longer fits the schema, a statement that is not there any more, a server that only reads now.
            "0A000" | "26000" | "25006" | "25P02" | "25P03" => Self::lost(text),
            code => match &code[..2] {
                // No space, memory or connections; an error of its disk.
                "53" | "58" => StoreError::Unavailable(text).into(),
                // Connection, authentication, shut down, no such database or schema.
                "08" | "28" | "57" | "3D" | "3F" => Self::lost(text),
                "42" if code == "42501" => StoreError::Unavailable(text).into(),
                _ => Self::corrupt(text),
            },
        }
    }
}

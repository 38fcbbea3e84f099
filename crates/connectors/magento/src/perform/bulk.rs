//! The bulk API: many rows in one call, which the shop takes and works through in its background.

use serde::{Deserialize, Serialize};
use spindel_connect::{Api, CallError};
use spindel_model::ErrorClass;

/// What a row is at, as Magento numbers it.
const RETRY: u64 = 2;
const FAILED: u64 = 3;
const REJECTED: u64 = 5;

#[derive(Deserialize)]
struct Accepted {
    bulk_uuid: String,
    #[serde(default)]
    request_items: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: u64,
    status: Option<String>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    operations_list: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    id: u64,
    status: u64,
    result_message: Option<String>,
}

/// One outcome for each row. What the shop has taken and not looked at yet counts as done: from there on it is the shop's.
pub(super) async fn write<T: Serialize>(
    api: &Api,
    operation: &'static str,
    resource: &str,
    rows: &[T],
) -> Vec<Result<(), CallError>> {
    if rows.is_empty() {
        return Vec::new();
    }
    let accepted: Accepted = match api.post(operation, format!("/all/async/bulk/V1/{resource}")).json(&rows).fetch().await {
        Ok(accepted) => accepted,
        Err(error) => return rows.iter().map(|_| Err(error.clone())).collect(),
    };
    let done = status(api, operation, &accepted.bulk_uuid).await;
    (0..rows.len() as u64)
        .map(|row| {
            taken(operation, accepted.request_items.iter().find(|it| it.id == row))?;
            // Older versions number the operations of all bulks together; then only whether all went well can be told.
            done.iter().find(|it| it.id == row).map_or(Ok(()), |it| it.outcome(operation))
        })
        .collect()
}

fn taken(operation: &'static str, row: Option<&Row>) -> Result<(), CallError> {
    match row {
        Some(row) if row.status.as_deref() == Some("accepted") => Ok(()),
        Some(row) => {
            let why = row.error_message.as_deref().unwrap_or("it does not say why");
            Err(CallError::data(operation, format!("the shop did not take the row: {}", short(why))))
        }
        None => Err(CallError::unexpected(operation, "the shop does not say whether it took the row")),
    }
}

/// As far as it is known at once. The rows are with the shop, whatever becomes of this question.
async fn status(api: &Api, operation: &'static str, bulk: &str) -> Vec<Operation> {
    if bulk.len() > 40 || !bulk.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-') {
        return Vec::new();
    }
    let status: Result<Status, CallError> = api.get(operation, format!("/all/V1/bulk/{bulk}/status")).fetch().await;
    status.map(|it| it.operations_list).unwrap_or_default()
}

impl Operation {
    fn outcome(&self, operation: &'static str) -> Result<(), CallError> {
        let class = match self.status {
            RETRY | REJECTED => ErrorClass::Transient,
            FAILED => ErrorClass::Data,
            _ => return Ok(()),
        };
        let why = self.result_message.as_deref().unwrap_or("it does not say why");
        Err(CallError::new(operation, class, format!("the shop could not do it: {}", short(why))))
    }
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

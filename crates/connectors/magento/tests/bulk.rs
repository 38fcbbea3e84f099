//! Stock and prices through the bulk API: the shop takes the rows, and says what became of them as far as it knows.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use spindel_connect::{Api, Around, Job, Maps, entry};
use spindel_connector_magento::Magento;
use spindel_model::{Action, Clock, ErrorClass};
use spindel_testkit::script::Script;
use std::sync::Arc;

async fn perform(actions: Vec<Value>, exchanges: Value) -> Vec<Result<bool, (ErrorClass, String)>> {
    let settings = json!({
        "url": "https://shop.example.no", "access_token": "t", "currency": "NOK", "stock": "bulk", "prices": "bulk",
    });
    let (shop, _) = (entry::<Magento>().connect)(settings).unwrap();
    let script = Arc::new(Script::new(serde_json::from_value(exchanges).unwrap()));
    let now = "2026-11-20T10:00:00Z".parse().unwrap();
    let api = Api::new(script.clone(), entry::<Magento>().refine, Clock::manual(now));
    let actions: Vec<Action> = actions.into_iter().map(|it| serde_json::from_value(it).unwrap()).collect();
    let maps = Maps::default();
    let around = Around { from: "erp", key: uuid::Uuid::nil(), known: None, maps: &maps, attempt: 1, now };
    let jobs: Vec<Job<'_>> = actions.iter().map(|action| Job { action, around }).collect();
    let outcomes = shop.perform(&api, &jobs).unwrap().await;
    assert_eq!(script.problems(), Vec::<String>::new());
    outcomes.into_iter().map(|it| it.map(|it| it.unchanged).map_err(|error| (error.class, error.message))).collect()
}

fn set_stock(sku: &str, quantity: &str) -> Value {
    json!({ "do": "set_stock", "expected": null, "stock": {
        "sku": sku, "location": "default", "available": quantity, "as_of": "2026-11-20T09:00:00Z" } })
}

const SOURCE_ITEMS: &str = "/all/V1/inventory/source-items?searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bfield%5D=sku\
    &searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bvalue%5D=A%2CB%2CC\
    &searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bcondition_type%5D=in\
    &searchCriteria%5Bfilter_groups%5D%5B1%5D%5Bfilters%5D%5B0%5D%5Bfield%5D=source_code\
    &searchCriteria%5Bfilter_groups%5D%5B1%5D%5Bfilters%5D%5B0%5D%5Bvalue%5D=default\
    &searchCriteria%5Bfilter_groups%5D%5B1%5D%5Bfilters%5D%5B0%5D%5Bcondition_type%5D=eq\
    &searchCriteria%5BpageSize%5D=50&searchCriteria%5BcurrentPage%5D=1";

fn there() -> Value {
    let row = |sku: &str| json!({ "sku": sku, "source_code": "default", "quantity": 1, "status": 1 });
    json!({ "method": "GET", "path": SOURCE_ITEMS, "reply": { "body": { "items": [row("A"), row("B"), row("C")] } } })
}

fn post(request_items: Value) -> Value {
    let row = |sku: &str| json!({ "sourceItems": [{ "sku": sku, "source_code": "default", "quantity": 5, "status": 1 }] });
    json!({ "method": "POST", "path": "/all/async/bulk/V1/inventory/source-items", "body": [row("A"), row("B"), row("C")],
        "reply": { "status": 202, "body": { "bulk_uuid": "a1b2-c3", "request_items": request_items, "errors": false } } })
}

#[tokio::test]
async fn what_the_shop_takes_is_done_and_what_it_knows_to_have_failed_is_told() {
    let accepted = |id: u64| json!({ "id": id, "data_hash": "h", "status": "accepted", "error_message": null });
    let status = json!({ "method": "GET", "path": "/all/V1/bulk/a1b2-c3/status", "reply": { "body": { "operations_list": [
        { "id": 0, "status": 4, "result_message": null, "error_code": null },
        { "id": 1, "status": 3, "result_message": "Source is gone", "error_code": 0 },
        { "id": 2, "status": 2, "result_message": "Deadlock", "error_code": 0 },
    ] } } });
    let exchanges = json!([there(), post(json!([accepted(0), accepted(1), accepted(2)])), status]);
    let outcomes = perform(vec![set_stock("A", "5"), set_stock("B", "5"), set_stock("C", "5")], exchanges).await;
    assert_eq!(outcomes[0], Ok(false));
    assert_eq!(outcomes[1], Err((ErrorClass::Data, "the shop could not do it: Source is gone".into())));
    assert_eq!(outcomes[2], Err((ErrorClass::Transient, "the shop could not do it: Deadlock".into())));
}

#[tokio::test]
async fn a_row_that_is_not_taken_is_told_and_a_status_that_cannot_be_had_changes_nothing() {
    let items = json!([{ "id": 0, "status": "accepted" }, { "id": 1, "status": "rejected", "error_message": "no sku" }]);
    let status = json!({ "method": "GET", "path": "/all/V1/bulk/a1b2-c3/status", "reply": { "status": 503 } });
    let outcomes =
        perform(vec![set_stock("A", "5"), set_stock("B", "5"), set_stock("C", "5")], json!([there(), post(items), status])).await;
    assert_eq!(outcomes[0], Ok(false));
    assert_eq!(outcomes[1], Err((ErrorClass::Data, "the shop did not take the row: no sku".into())));
    assert_eq!(outcomes[2].as_ref().unwrap_err().0, ErrorClass::Transient);
}

#[tokio::test]
async fn prices_go_one_by_one_into_one_call() {
    let price = json!({ "do": "set_price", "price": { "sku": "A", "amount": { "amount": "149.50", "currency": "NOK" },
        "includes_tax": true, "as_of": "2026-11-20T09:00:00Z" } });
    let products = "/all/V1/products?searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bfield%5D=sku\
        &searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bvalue%5D=A\
        &searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bcondition_type%5D=in\
        &fields=items%5Bid%2Csku%2Ctype_id%2Cprice%5D&searchCriteria%5BpageSize%5D=50&searchCriteria%5BcurrentPage%5D=1";
    let exchanges = json!([
        { "method": "GET", "path": products,
          "reply": { "body": { "items": [{ "id": 1, "sku": "A", "type_id": "simple", "price": 10 }] } } },
        { "method": "POST", "path": "/all/V1/products/special-price-information", "reply": { "body": [] } },
        { "method": "POST", "path": "/all/async/bulk/V1/products/base-prices",
          "body": [{ "prices": [{ "price": 149.5, "store_id": 0, "sku": "A" }] }],
          "reply": { "status": 202, "body": { "bulk_uuid": "u", "request_items": [{ "id": 0, "status": "accepted" }] } } },
        { "method": "GET", "path": "/all/V1/bulk/u/status", "reply": { "body": { "operations_list": [{ "id": 0, "status": 1 }] } } },
    ]);
    assert_eq!(perform(vec![price], exchanges).await, [Ok(false)]);
}

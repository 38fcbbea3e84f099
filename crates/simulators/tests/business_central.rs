//! The simulated company over HTTP, as a connector and a receiver of notifications meet it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use axum::{Router, body::Bytes, extract::State, http::Uri, response::IntoResponse as _, routing::post};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use spindel_model::Clock;
use spindel_simulators::{
    business_central::{BusinessCentralSim, Setup},
    fault::Fault,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

struct Company {
    sim: BusinessCentralSim,
    http: reqwest::Client,
    token: String,
    root: String,
}

impl Company {
    async fn start(setup: Setup) -> Self {
        let company = setup.company;
        let sim = BusinessCentralSim::start(setup).await.unwrap();
        let http = reqwest::Client::new();
        let (status, token) = grant(&http, &sim, "fake-client-secret-for-tests").await;
        assert_eq!(status, 200);
        let root = format!("/companies({company})");
        Self { sim, http, token: token["access_token"].as_str().unwrap().into(), root }
    }

    async fn new() -> Self {
        Self::start(Setup::default()).await
    }

    async fn send(&self, method: Method, path: &str, if_match: Option<&str>, body: Value) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.sim.api_url())).bearer_auth(&self.token);
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, &format!("{}{path}", self.root), None, Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, &format!("{}{path}", self.root), None, body).await
    }

    async fn patch(&self, path: &str, if_match: Option<&str>, body: Value) -> (u16, Value) {
        self.send(Method::PATCH, &format!("{}{path}", self.root), if_match, body).await
    }

    async fn batch(&self, requests: Value, isolated: bool) -> Value {
        let mut request = self.http.post(format!("{}/$batch", self.sim.api_url())).bearer_auth(&self.token);
        if isolated {
            request = request.header("isolation", "snapshot");
        }
        let body = json!({ "requests": requests }).to_string();
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn order(&self) -> Value {
        let (status, order) = self.post("/salesOrders", new_order()).await;
        assert_eq!(status, 201, "{order}");
        self.get(&format!("/salesOrders({})?$expand=salesOrderLines", order["id"].as_str().unwrap())).await
    }
}

async fn grant(http: &reqwest::Client, sim: &BusinessCentralSim, secret: &str) -> (u16, Value) {
    let client = "0a0b0c0d-0000-4000-8000-00000000000e";
    let scope = "https%3A%2F%2Fapi.businesscentral.dynamics.com%2F.default";
    let form = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}&scope={scope}");
    let request = http.post(sim.token_url()).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

fn new_order() -> Value {
    json!({
        "externalDocumentNumber": "web-1042", "orderDate": "2026-11-20", "customerNumber": "WEB", "currencyCode": "NOK",
        "salesOrderLines": [
            { "lineType": "Item", "lineObjectNumber": "ULL-M-BLK", "quantity": 2, "unitPrice": 639.36111, "discountAmount": 127.87,
              "taxCode": "MVA25", "description2": "ours" },
            { "lineType": "Item", "lineObjectNumber": "TE-03", "quantity": 3, "unitPrice": 42.61, "taxCode": "MVA15" },
            { "lineType": "Account", "lineObjectNumber": "3410", "description": "Frakt", "quantity": 1, "unitPrice": 63.2,
              "taxCode": "MVA25" },
        ],
    })
}

fn code((status, body): (u16, Value)) -> (u16, String) {
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

// --- who may call

#[tokio::test]
async fn nothing_is_answered_without_a_token_and_no_token_is_given_for_a_wrong_secret() {
    let company = Company::new().await;
    let (status, refused) = grant(&company.http, &company.sim, "wrong").await;
    assert_eq!((status, refused["error"].as_str()), (401, Some("invalid_client")));
    company.sim.revoke_tokens();
    let refused = company.send(Method::GET, "/companies", None, Value::Null).await;
    assert_eq!(code(refused), (401, "Authentication_InvalidCredentials".into()));
}

#[tokio::test]
async fn a_token_ends_after_its_time() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let company = Company::start(Setup { clock: clock.clone(), ..Setup::default() }).await;
    assert_eq!(company.get("/items").await["value"].as_array().unwrap().len(), 4);
    clock.advance(SignedDuration::from_hours(1));
    let (status, _) = company.send(Method::GET, "/companies", None, Value::Null).await;
    assert_eq!(status, 401);
}

// --- what is written

#[tokio::test]
async fn an_order_comes_with_its_lines_and_adds_up_with_vat_rounded_once_for_each_code() {
    let company = Company::new().await;
    let order = company.order().await;
    assert_eq!(order["totalAmountIncludingTax"].to_string(), "1664.56");
    assert_eq!(order["totalAmountExcludingTax"].to_string(), "1341.88");
    assert_eq!((&order["externalDocumentNumber"], &order["status"]), (&json!("WEB-1042"), &json!("Draft")));
    let lines = order["salesOrderLines"].as_array().unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["description2"], "ours");
    assert_eq!(lines[1]["description"], "TE-03");
}

#[tokio::test]
async fn what_the_vendor_refuses_is_refused_with_its_codes_and_leaves_nothing_behind() {
    let company = Company::new().await;
    let with = |name: &str, value: Value| {
        let mut order = new_order();
        order[name] = value;
        order
    };
    let with_line = |name: &str, value: Value| {
        let mut order = new_order();
        order["salesOrderLines"][2][name] = value;
        order
    };
    for (body, status, want) in [
        (with("number", json!("W1")), 400, "Application_DialogException"),
        (with("colour", json!("red")), 400, "BadRequest"),
        (with("pricesIncludeTax", json!(true)), 400, "BadRequest_InvalidOperation"),
        (with("externalDocumentNumber", json!("1".repeat(36))), 400, "Application_StringExceededLength"),
        (with("customerNumber", json!("NOBODY")), 400, "Application_DialogException"),
        (with("currencyCode", json!("USD")), 400, "Internal_InvalidTableRelation"),
        (with_line("sequence", json!(10000)), 500, "Internal_ServerError"),
        (with_line("lineObjectNumber", json!("9999")), 400, "Internal_InvalidTableRelation"),
        (with_line("taxCode", json!("NONE")), 400, "Internal_InvalidTableRelation"),
        (with_line("unitPrice", json!("63.20")), 400, "BadRequest"),
        (with_line("description2", json!("1".repeat(51))), 400, "Application_StringExceededLength"),
    ] {
        assert_eq!(code(company.post("/salesOrders", body).await), (status, want.into()));
    }
    assert_eq!(company.sim.orders(), []);
    assert_eq!(code(company.post("/items", json!({ "number": "NEW" })).await), (405, "BadRequest_MethodNotAllowed".into()));
    assert_eq!(code(company.post("/priceLists", json!({})).await), (404, "BadRequest_ResourceNotFound".into()));
}

#[tokio::test]
async fn a_record_that_changed_meanwhile_is_not_overwritten() {
    let company = Company::new().await;
    let order = company.order().await;
    let (id, etag) = (order["id"].as_str().unwrap(), order["@odata.etag"].as_str().unwrap());
    company.sim.add_line("101001", "TE-03", 1).unwrap();
    let path = format!("/salesOrders({id})");
    let change = json!({ "phoneNumber": "+4790000001" });
    assert_eq!(code(company.patch(&path, Some(etag), change.clone()).await), (409, "Request_EntityChanged".into()));
    assert_eq!(code(company.patch(&path, None, change.clone()).await), (400, "BadRequest_InvalidToken".into()));
    let newest = company.get(&path).await;
    let (status, changed) = company.patch(&path, newest["@odata.etag"].as_str(), change).await;
    assert_eq!(status, 200);
    assert_ne!(changed["@odata.etag"], newest["@odata.etag"]);
}

#[tokio::test]
async fn a_released_order_takes_no_changes() {
    let company = Company::new().await;
    let order = company.order().await;
    company.sim.release("101001").unwrap();
    let line = &order["salesOrderLines"][0];
    let path = format!("/salesOrders({})/salesOrderLines({})", order["id"].as_str().unwrap(), line["id"].as_str().unwrap());
    let refused = company.patch(&path, Some("*"), json!({ "quantity": 5 })).await;
    assert_eq!(code(refused), (400, "Application_FieldValidationException".into()));
}

#[tokio::test]
async fn a_batch_in_a_snapshot_is_all_or_none() {
    let company = Company::new().await;
    let order = company.order().await;
    let root = company.root.trim_start_matches('/');
    let path = format!("{root}/salesOrders({})", order["id"].as_str().unwrap());
    let lines = format!("{path}/salesOrderLines");
    let line = format!("{lines}({})", order["salesOrderLines"][1]["id"].as_str().unwrap());
    let requests = |etag: &str, item: &str| {
        json!([
            { "id": "1", "method": "PATCH", "url": path, "headers": { "If-Match": etag }, "body": { "email": "kari@example.no" } },
            { "id": "2", "method": "DELETE", "url": line, "headers": { "If-Match": "*" } },
            { "id": "3", "method": "POST", "url": lines, "headers": {},
              "body": { "lineType": "Item", "lineObjectNumber": item, "quantity": 1, "unitPrice": 100 } },
        ])
    };
    let etag = order["@odata.etag"].as_str().unwrap();
    let failed = company.batch(requests(etag, "NOWHERE"), true).await;
    let statuses: Vec<_> = failed["responses"].as_array().unwrap().iter().map(|it| it["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 204, 400]);
    assert_eq!(company.sim.orders()[0].lines.len(), 3);
    let stale = company.batch(requests("W/\"c3RhbGU=\"", "LUE-01"), true).await;
    assert_eq!(stale["responses"].as_array().unwrap().len(), 1);
    let done = company.batch(requests(etag, "LUE-01"), true).await;
    assert!(done["responses"].as_array().unwrap().iter().all(|it| it["status"].as_u64().unwrap() < 300), "{done}");
    let numbers: Vec<String> = company.sim.orders()[0].lines.iter().map(|it| it.number.clone()).collect();
    assert_eq!(numbers, ["ULL-M-BLK", "3410", "LUE-01"]);
}

// --- what is read

#[tokio::test]
async fn filters_know_codes_texts_numbers_and_moments() {
    let company = Company::new().await;
    company.order().await;
    for (path, found) in [
        ("/salesOrders?$filter=externalDocumentNumber%20eq%20%27Web-1042%27", 1),
        ("/salesOrders?$filter=externalDocumentNumber%20eq%20%27web-1%27", 0),
        ("/salesOrders?$filter=totalAmountIncludingTax%20ge%201664.56", 1),
        ("/salesOrders?$filter=lastModifiedDateTime%20gt%202099-01-01T00:00:00Z", 0),
        ("/items?$filter=type%20eq%20%27Inventory%27%20and%20number%20gt%20%27LUE-01%27&$orderby=number", 2),
        ("/items?$filter=number%20eq%20%27TE-03%27%20or%20number%20eq%20%27LUE-01%27", 2),
        ("/itemLedgerEntries?$orderby=entryNumber%20desc&$top=1&$select=entryNumber", 1),
        ("/customers?$filter=displayName%20eq%20%27it%27%27s%27", 0),
    ] {
        assert_eq!(company.get(path).await["value"].as_array().unwrap().len(), found, "{path}");
    }
    let selected = company.get("/items?$select=number&$top=1").await;
    assert_eq!(selected["value"][0].as_object().unwrap().keys().collect::<Vec<_>>(), ["@odata.etag", "number"]);
    for path in [
        "/items?$filter=number%20eq%20%27A%27%20or%20displayName%20eq%20%27A%27",
        "/items?$filter=colour%20eq%20%27A%27",
        "/items?$filter=number%20eq%20A",
        "/items?$filter=number%20eq",
        "/items?$expand=salesOrderLines",
    ] {
        let (status, _) = company.send(Method::GET, &format!("{}{path}", company.root), None, Value::Null).await;
        assert_eq!(status, 400, "{path}");
    }
}

// --- people

#[tokio::test]
async fn an_order_that_is_invoiced_in_full_is_gone_and_its_invoice_names_it() {
    let company = Company::new().await;
    let order = company.order().await;
    let item = company.get("/items?$filter=number%20eq%20%27TE-03%27").await["value"][0].clone();
    company.sim.ship_some("101001", &[("TE-03", 3)]).unwrap();
    assert_eq!(company.sim.invoice("101001").unwrap(), "103001");
    assert_eq!(company.sim.orders().len(), 1);
    assert_eq!(company.sim.ship("101001").unwrap(), "102002");
    company.sim.invoice("101001").unwrap();
    assert_eq!(company.sim.orders(), []);
    let invoices = company.sim.invoices();
    assert_eq!(invoices.iter().map(|it| it.total.to_string()).collect::<Vec<_>>(), ["147", "1517.56"]);
    assert!(invoices.iter().all(|it| it.external_number == "WEB-1042" && it.order_number == "101001"));
    let found = company.get(&format!("/salesInvoices?$filter=orderId%20eq%20{}", order["id"].as_str().unwrap())).await;
    assert_eq!(found["value"].as_array().unwrap().len(), 2);
    let shipments = company.get("/salesShipments?$expand=salesShipmentLines").await;
    assert_eq!(shipments["value"][1]["salesShipmentLines"][1]["lineType"], "G/L Account");
    // Stock moved, and the item did not.
    let after = company.get("/items?$filter=number%20eq%20%27TE-03%27").await["value"][0].clone();
    assert_eq!((&item["inventory"], &after["inventory"]), (&json!(100), &json!(97)));
    assert_eq!(item["lastModifiedDateTime"], after["lastModifiedDateTime"]);
}

#[tokio::test]
async fn a_payment_is_negative_and_closes_its_invoice_when_people_post_the_journal() {
    let company = Company::new().await;
    let order = company.order().await;
    let id = order["id"].as_str().unwrap();
    assert_eq!(company.post(&format!("/salesOrders({id})/Microsoft.NAV.shipAndInvoice"), Value::Null).await.0, 204);
    let journal = company.get("/customerPaymentJournals?$filter=code%20eq%20%27VIPPS%27").await["value"][0]["id"].clone();
    let path = format!("/customerPaymentJournals({})/customerPayments", journal.as_str().unwrap());
    let payment = |amount: Value| json!({ "customerNumber": "WEB", "documentNumber": "SP1", "amount": amount, "appliesToInvoiceNumber": "103001" });
    assert_eq!(code(company.post(&path, payment(json!(1664.56))).await), (400, "Application_DialogException".into()));
    assert_eq!(company.post(&path, payment(json!(-1664.56))).await.0, 201);
    assert_eq!(company.sim.payments()[0].journal, "VIPPS");
    assert_eq!(company.sim.post_journal("VIPPS").unwrap(), 1);
    assert_eq!(company.sim.payments(), []);
    assert_eq!(company.sim.invoices()[0].status, "Paid");
    let entries = company.get("/generalLedgerEntries?$filter=documentNumber%20eq%20%27SP1%27").await;
    assert_eq!(entries["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_posted_credit_memo_brings_goods_back_and_cannot_be_deleted() {
    let company = Company::new().await;
    let body = json!({
        "customerNumber": "WEB", "externalDocumentNumber": "R-1",
        "salesCreditMemoLines": [{ "lineType": "Item", "lineObjectNumber": "TE-03", "quantity": 2, "unitPrice": 42.61, "taxCode": "MVA15" }],
    });
    let (status, memo) = company.post("/salesCreditMemos", body).await;
    assert_eq!((status, memo["status"].as_str(), memo["totalAmountIncludingTax"].to_string()), (201, Some("Draft"), "98".into()));
    let path = format!("/salesCreditMemos({})", memo["id"].as_str().unwrap());
    assert_eq!(company.post(&format!("{path}/Microsoft.NAV.post"), Value::Null).await.0, 204);
    assert_eq!(company.sim.stock("te-03").unwrap().to_string(), "102");
    let (status, _) = company.send(Method::DELETE, &format!("{}{path}", company.root), Some("*"), Value::Null).await;
    assert_eq!((status, company.sim.credit_memos()[0].status.as_str()), (400, "Open"));
}

// --- notifications

/// An address that gives tokens back, keeps bodies, and answers them with `status`.
struct Inbox {
    url: String,
    status: Arc<AtomicU16>,
    handshakes: Arc<AtomicU16>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Inbox {
    async fn start() -> Self {
        let (status, handshakes) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU16::new(200)));
        let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
        let shared = (Arc::clone(&status), Arc::clone(&handshakes), Arc::clone(&bodies));
        type Shared = (Arc<AtomicU16>, Arc<AtomicU16>, Arc<Mutex<Vec<Value>>>);
        let receive = |State((status, handshakes, bodies)): State<Shared>, uri: Uri, body: Bytes| async move {
            let answer = |status: &AtomicU16| axum::http::StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap();
            if let Some(token) = uri.query().and_then(|it| it.strip_prefix("validationToken=")) {
                return (answer(&handshakes), token.to_owned()).into_response();
            }
            bodies.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            answer(&status).into_response()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in/erp", listener.local_addr().unwrap());
        let router = Router::new().route("/in/erp", post(receive)).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, status, handshakes, bodies }
    }

    fn told(&self) -> Vec<(String, String)> {
        let bodies = self.bodies.lock().unwrap();
        let entries = bodies.iter().flat_map(|it| it["value"].as_array().unwrap().clone());
        entries.map(|it| (it["resource"].as_str().unwrap().to_owned(), it["changeType"].as_str().unwrap().to_owned())).collect()
    }
}

impl Company {
    async fn subscribe(&self, url: &str, set: &str) -> (u16, Value) {
        let resource = format!("/api/v2.0{}/{set}", self.root);
        let body = json!({ "notificationUrl": url, "resource": resource, "clientState": "fake-client-state-0123456789" });
        self.send(Method::POST, "/subscriptions", None, body).await
    }
}

#[tokio::test]
async fn a_subscription_is_made_only_for_an_address_that_gives_the_token_back() {
    let (company, inbox) = (Company::new().await, Inbox::start().await);
    inbox.handshakes.store(202, Ordering::SeqCst);
    assert_eq!(company.subscribe(&inbox.url, "items").await.0, 400);
    inbox.handshakes.store(200, Ordering::SeqCst);
    let (status, made) = company.subscribe(&inbox.url, "items").await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(code(company.subscribe(&inbox.url, "items").await), (400, "Internal_EntityWithSameKeyExists".into()));
    assert_eq!(code(company.subscribe(&inbox.url, "salesShipments").await), (400, "BadRequest".into()));
    assert_eq!(company.sim.subscriptions().len(), 1);
}

#[tokio::test]
async fn a_subscription_ends_after_three_days_unless_it_is_renewed_under_its_etag() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let setup = Setup { clock: clock.clone(), token_seconds: 1_000_000, ..Setup::default() };
    let (company, inbox) = (Company::start(setup).await, Inbox::start().await);
    let (_, made) = company.subscribe(&inbox.url, "items").await;
    assert_eq!(made["expirationDateTime"], "2026-11-23T10:00:00Z");
    clock.advance(SignedDuration::from_hours(48));
    let path = format!("/subscriptions('{}')", made["subscriptionId"].as_str().unwrap());
    let wanted = json!({ "notificationUrl": inbox.url, "resource": made["resource"], "clientState": "another-client-state-1" });
    assert_eq!(code(company.send(Method::PATCH, &path, None, wanted.clone()).await), (400, "BadRequest_InvalidToken".into()));
    let (status, renewed) = company.send(Method::PATCH, &path, made["@odata.etag"].as_str(), wanted.clone()).await;
    assert_eq!((status, renewed["expirationDateTime"].as_str()), (200, Some("2026-11-25T10:00:00Z")));
    let stale = company.send(Method::PATCH, &path, made["@odata.etag"].as_str(), wanted).await;
    assert_eq!(code(stale), (409, "Request_EntityChanged".into()));
    clock.advance(SignedDuration::from_hours(72));
    assert_eq!(company.sim.subscriptions(), []);
    assert_eq!(company.send(Method::GET, &path, None, Value::Null).await.0, 404);
}

#[tokio::test]
async fn changes_of_a_while_are_told_once_and_stock_is_not_told_at_all() {
    let (company, inbox) = (Company::new().await, Inbox::start().await);
    company.subscribe(&inbox.url, "items").await;
    company.subscribe(&inbox.url, "customers").await;
    company.sim.set_price("TE-03", 50.into()).unwrap();
    company.sim.set_price("TE-03", 51.into()).unwrap();
    company.sim.adjust_stock("ULL-M-BLK", -3).unwrap();
    company.sim.add_customer("Ola Nordmann", "ola@example.no", false);
    company.sim.flush().await;
    let told = inbox.told();
    assert_eq!(told.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["updated", "created"]);
    assert!(told[0].0.starts_with(&format!("api/v2.0{}/items(", company.root)), "{told:?}");
    assert_eq!(inbox.bodies.lock().unwrap()[0]["value"][0]["clientState"], "fake-client-state-0123456789");
}

#[tokio::test]
async fn very_many_changes_are_told_as_a_collection() {
    let setup = Setup { collection_above: 2, ..Setup::default() };
    let (company, inbox) = (Company::start(setup).await, Inbox::start().await);
    company.subscribe(&inbox.url, "items").await;
    for item in ["ULL-M-BLK", "TE-03", "LUE-01"] {
        company.sim.set_price(item, 10.into()).unwrap();
    }
    company.sim.flush().await;
    let told = inbox.told();
    assert_eq!((told.len(), told[0].1.as_str()), (1, "collection"));
    assert!(told[0].0.contains("/items?$filter="), "{told:?}");
}

#[tokio::test]
async fn a_busy_address_is_tried_again_and_one_that_refuses_loses_its_subscription() {
    let (company, inbox) = (Company::new().await, Inbox::start().await);
    company.subscribe(&inbox.url, "items").await;
    for status in [503, 429, 408, 500] {
        inbox.status.store(status, Ordering::SeqCst);
        company.sim.set_price("TE-03", 50.into()).unwrap();
        let (freed, later) = (Arc::clone(&inbox.status), tokio::time::sleep(Duration::from_millis(50)));
        let free = async move {
            later.await;
            freed.store(202, Ordering::SeqCst);
        };
        tokio::join!(company.sim.flush(), free);
        assert_eq!(company.sim.sent().last().unwrap().status, Some(202));
        assert_eq!(company.sim.subscriptions().len(), 1, "{status}");
    }
    for status in [401, 404, 413, 302] {
        inbox.status.store(status, Ordering::SeqCst);
        company.sim.set_price("TE-03", 51.into()).unwrap();
        company.sim.flush().await;
        assert_eq!(company.sim.subscriptions(), [], "{status}");
        assert_eq!(company.subscribe(&inbox.url, "items").await.0, 201);
    }
}

#[tokio::test]
async fn forgeries_and_repetitions_are_sent_on_demand() {
    let (company, inbox) = (Company::new().await, Inbox::start().await);
    company.subscribe(&inbox.url, "items").await;
    company.sim.set_price("TE-03", 50.into()).unwrap();
    company.sim.flush().await;
    company.sim.send_again().await;
    assert_eq!(inbox.told().len(), 2);
    let forged = company.sim.forge(&inbox.url, 4).await;
    assert_eq!((forged.sent, forged.accepted), (4, 4));
}

#[tokio::test]
async fn the_company_fails_on_demand() {
    let company = Company::new().await;
    company.sim.faults().next(Fault::TooMany { retry_after: Some(7) }, 1);
    assert_eq!(company.send(Method::GET, "/companies", None, Value::Null).await.0, 429);
    assert_eq!(company.send(Method::GET, "/companies", None, Value::Null).await.0, 200);
}

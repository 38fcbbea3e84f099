//! The simulated Bring over plain HTTP: what a shop asks, books and follows, and what it is told.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use jiff::SignedDuration;
use reqwest::{Client, RequestBuilder, header::LOCATION, redirect::Policy};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use spindel_model::Clock;
use spindel_simulators::{
    bring::{BringSim, Options},
    fault::Fault,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

struct Shop {
    bring: BringSim,
    http: Client,
}

impl Shop {
    async fn with(options: Options) -> Self {
        let bring = BringSim::start(options).await.unwrap();
        // A label's redirect must be seen.
        Self { bring, http: Client::builder().redirect(Policy::none()).no_proxy().build().unwrap() }
    }

    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("x-mybring-api-uid", "api@fjell.example").header("x-mybring-api-key", "api-key");
        request.header("x-bring-client-url", "https://shop.example.no")
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.signed(self.http.get(format!("{}{path}", self.bring.base_url())))).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.bring.base_url()));
        answer(self.signed(request).header("content-type", "application/json").body(body.to_string())).await
    }

    async fn quote(&self, consignment: Value) -> (u16, Vec<Value>) {
        let body = json!({ "language": "no", "consignments": [consignment] });
        let (status, answer) = self.post("/shippingguide/api/v2/products", &body).await;
        (status, answer["consignments"][0]["products"].as_array().cloned().unwrap_or_default())
    }

    /// Books, and answers the consignment's number.
    async fn book(&self, reference: &str) -> String {
        let (status, answer) = self.post("/booking/api/create", &booking(reference)).await;
        assert_eq!((status, &answer["consignments"][0]["errors"]), (200, &Value::Null), "{answer}");
        answer["consignments"][0]["confirmation"]["consignmentNumber"].as_str().unwrap().to_owned()
    }

    async fn refused(&self, body: &Value) -> Vec<String> {
        let (status, answer) = self.post("/booking/api/create", body).await;
        assert_eq!((status, &answer["consignments"][0]["confirmation"]), (200, &Value::Null), "{answer}");
        let errors = answer["consignments"][0]["errors"].as_array().unwrap();
        errors.iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
    }

    async fn track(&self, wanted: &str) -> Value {
        let (status, answer) = self.get(&format!("/tracking/api/v2/tracking.json?q={wanted}&lang=en")).await;
        assert_eq!(status, 200);
        answer
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn asked(products: &[&str], postal_code: &str, grams: &[u32]) -> Value {
    let products: Vec<Value> = products.iter().map(|id| json!({ "id": id, "customerNumber": "5" })).collect();
    let packages: Vec<Value> = grams.iter().map(|grams| json!({ "id": "1", "grossWeight": grams })).collect();
    json!({
        "id": "1",
        "products": products,
        "fromCountryCode": "NO",
        "fromPostalCode": "0263",
        "toCountryCode": "NO",
        "toPostalCode": postal_code,
        "shippingDate": { "year": "2026", "month": "11", "day": "20", "hour": "15", "minute": "0" },
        "packages": packages,
        "additionalServices": [{ "id": "EVARSLING" }],
    })
}

fn booking(reference: &str) -> Value {
    let party = |name: &str| {
        json!({
            "name": name,
            "addressLine": "Storgata 1",
            "addressLine2": null,
            "postalCode": "0155",
            "city": "OSLO",
            "countryCode": "no",
            "reference": reference,
            "contact": { "name": name, "email": "kari@example.no", "phoneNumber": "+4712345678" },
        })
    };
    let notice = json!({ "id": "EVARSLING", "email": "kari@example.no", "mobile": "+4712345678" });
    json!({
        "testIndicator": false,
        "schemaVersion": 1,
        "consignments": [{
            "shippingDateTime": "2026-11-23T15:00:00",
            "correlationId": reference,
            "parties": {
                "sender": party("Fjell Handel AS"),
                "recipient": party("Kari Nordmann"),
                "pickupPoint": { "id": "121524", "countryCode": "NO" },
            },
            "product": { "id": "5800", "customerNumber": "5", "additionalServices": [notice] },
            "packages": [
                { "correlationId": "P1", "weightInKg": 1.2, "dimensions": { "lengthInCm": 30, "widthInCm": 20, "heightInCm": 10 } },
                { "correlationId": "P2", "weightInKg": 0.5 },
            ],
        }],
    })
}

/// What a receiver of webhooks got, and how many it turns away before it takes one.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<(Vec<Value>, u32)>>);

impl Inbox {
    async fn open(&self) -> String {
        async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
            if headers.get("x-spindel-secret").is_none_or(|it| it != "webhook-secret") {
                return StatusCode::UNAUTHORIZED;
            }
            let mut inbox = inbox.0.lock().unwrap();
            if inbox.1 > 0 {
                inbox.1 -= 1;
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            inbox.0.push(serde_json::from_slice(&body).unwrap());
            StatusCode::OK
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in/bring", listener.local_addr().unwrap());
        let router = Router::new().route("/in/bring", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn taken(&self) -> Vec<Value> {
        self.0.lock().unwrap().0.clone()
    }
}

#[tokio::test]
async fn nobody_comes_in_without_user_and_key_and_the_shops_address() {
    let shop = Shop::new().await;
    let url = format!("{}/booking/api/customers", shop.bring.base_url());
    assert_eq!(answer(shop.http.get(&url)).await.0, 401);
    let wrong = shop.http.get(&url).header("x-mybring-api-uid", "api@fjell.example").header("x-mybring-api-key", "other");
    assert_eq!(answer(wrong).await.0, 401);
    let shy = shop.http.get(&url).header("x-mybring-api-uid", "api@fjell.example").header("x-mybring-api-key", "api-key");
    assert_eq!(answer(shy).await.0, 400);
    let (status, customers) = shop.get("/booking/api/customers").await;
    assert_eq!((status, &customers["customers"][0]["customerNumber"]), (200, &json!("5")));
    assert_eq!(shop.bring.calls()["booking"], 1, "who is turned away at the door is not counted");
}

#[tokio::test]
async fn prices_are_texts_with_tax_and_delivery_counts_working_days() {
    let shop = Shop::new().await;
    let (status, products) = shop.quote(asked(&["5800"], "0155", &[1_200])).await;
    let price = |kind: &str| products[0]["price"][kind]["priceWithAdditionalServices"].clone();
    assert_eq!(status, 200);
    assert_eq!(price("listPrice"), json!({ "amountWithoutVAT": "119.20", "vat": "29.80", "amountWithVAT": "149.00" }));
    assert_eq!(price("netPrice"), json!({ "amountWithoutVAT": "95.36", "vat": "23.84", "amountWithVAT": "119.20" }));
    // The 20th is a Friday.
    let date = &products[0]["expectedDelivery"]["expectedDeliveryDate"];
    assert_eq!(*date, json!({ "year": "2026", "month": "11", "day": "24" }));
    shop.bring.set_price("5800", Decimal::new(10_001, 2));
    let (_, products) = shop.quote(asked(&["5800"], "0155", &[1_200, 5_001])).await;
    let list = &products[0]["price"]["listPrice"]["priceWithAdditionalServices"]["amountWithVAT"];
    assert_eq!(*list, "262.53", "two parcels, and one step of weight");
}

#[tokio::test]
async fn what_cannot_be_priced_says_so_for_each_service_or_is_left_out() {
    let shop = Shop::new().await;
    let (status, products) = shop.quote(asked(&["5800", "9650"], "015", &[1_200])).await;
    let codes: Vec<&Value> = products.iter().map(|it| &it["errors"][0]["code"]).collect();
    assert_eq!((status, codes), (200, vec![&json!("INVALID_POSTAL_CODE"), &json!("SERVICE_NOT_FOUND")]));
    for (code, grams) in [("0155", vec![36_000]), ("9999", vec![1_000])] {
        assert_eq!(shop.quote(asked(&["5800"], code, &grams)).await, (200, vec![]), "an empty set is normal");
    }
    let ids = |products: Vec<Value>| products.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(shop.quote(asked(&["5800", "3584"], "0155", &[1_000, 1_000])).await.1), ["5800"]);
    shop.bring.refuse_service("5600", "SOMETHING_NEW", "Not today");
    shop.bring.set_prices_down(true);
    let (_, products) = shop.quote(asked(&["5600", "5800"], "0155", &[1_200])).await;
    assert_eq!(products[0], json!({ "id": "5600", "errors": [{ "code": "SOMETHING_NEW", "description": "Not today" }] }));
    assert_eq!((&products[1]["price"], products[1]["warnings"].is_array()), (&Value::Null, true));
    assert_eq!(shop.quote(asked(&[], "0155", &[1_200])).await.0, 400);
    assert_eq!(shop.quote(asked(&["5800"], "0155", &[])).await.0, 400);
}

#[tokio::test]
async fn pickup_points_come_nearest_first_and_no_more_than_asked_for() {
    let shop = Shop::new().await;
    let path = |country: &str, rest: &str| format!("/pickuppoint/api/pickuppoint/{country}/postalCode/{rest}");
    let (status, found) = shop.get(&path("NO", "0183.json?numberOfResponses=2&street=Storgata&streetNumber=1")).await;
    let points = found["pickupPoint"].as_array().unwrap();
    let ids: Vec<&str> = points.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!((status, ids), (200, vec!["121525", "121524"]));
    assert_eq!((&points[0]["distanceInKm"], points[0]["latitude"].is_number()), (&json!("0.3"), true));
    assert_eq!(shop.get(&path("SE", "11320.json")).await.1["pickupPoint"][0]["city"], "STOCKHOLM");
    assert_eq!(shop.get(&path("DE", "10115.json")).await.0, 404);
    assert_eq!(shop.get(&path("NO", "oslo.json")).await.0, 400);
}

#[tokio::test]
async fn a_booking_is_confirmed_and_its_label_is_a_pdf_in_a_store_that_wants_no_credentials() {
    let shop = Shop::new().await;
    let (_, booked) = shop.post("/booking/api/create", &booking("1042@shop")).await;
    let confirmation = &booked["consignments"][0]["confirmation"];
    let number = confirmation["consignmentNumber"].as_str().unwrap();
    assert_eq!(confirmation["packages"][1]["correlationId"], "P2");
    let kept = shop.bring.consignment(number).unwrap();
    assert_eq!((kept.reference.as_str(), kept.pickup_point.as_deref()), ("1042@shop", Some("121524")));
    assert_eq!(kept.packages[0].kilograms, Decimal::new(12, 1));
    assert_eq!((kept.packages[0].centimetres, kept.packages[1].centimetres), (Some((30, 20, 10)), None));

    let label = shop.http.get(confirmation["links"]["labels"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(label.status(), 302);
    let store = label.headers()[LOCATION].to_str().unwrap().to_owned();
    assert!(!store.starts_with(&shop.bring.base_url()), "the store is another host");
    assert_eq!(answer(shop.signed(shop.http.get(&store))).await.0, 400, "credentials were sent to the store");
    assert_eq!(answer(shop.http.get(store.split('?').next().unwrap())).await.0, 403);
    let pdf = shop.http.get(&store).send().await.unwrap();
    assert_eq!(pdf.headers()["content-type"], "application/pdf");
    let pdf = pdf.text().await.unwrap();
    assert!(pdf.starts_with("%PDF-1.4") && pdf.ends_with("%%EOF\n") && pdf.contains(&kept.packages[1].number));
    let xref: usize = pdf.lines().rev().nth(1).unwrap().parse().unwrap();
    assert!(pdf[xref..].starts_with("xref\n0 6"), "readers find the table by its place");
    assert_eq!(shop.bring.consignment(number).unwrap().label_downloads, 1);

    shop.bring.set_labels_down(true);
    assert_eq!(answer(shop.http.get(&store)).await.0, 503);
    shop.book("1043@shop").await;
}

#[tokio::test]
async fn the_same_booking_twice_is_two_bookings_also_when_the_first_answer_was_lost() {
    let shop = Shop::new().await;
    shop.bring.faults().next(Fault::CutAfter, 1);
    let url = format!("{}/booking/api/create", shop.bring.base_url());
    let lost = shop.signed(shop.http.post(url)).header("content-type", "application/json");
    assert!(lost.body(booking("1042@shop").to_string()).send().await.is_err());
    shop.book("1042@shop").await;
    assert_eq!(shop.bring.consignments().len(), 2);
    assert_eq!(shop.track("1042%40shop").await["consignmentSet"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_booking_that_cannot_be_made_is_refused_by_code_with_status_200() {
    let shop = Shop::new().await;
    for (pointer, value, codes) in [
        ("/testIndicator", json!(null), vec!["BOOK-INPUT-030"]),
        ("/consignments", json!([]), vec!["BOOK-INPUT-004"]),
        ("/consignments", json!([{}, {}]), vec!["BOOK-INPUT-005"]),
        ("/consignments/0/packages", json!([]), vec!["BOOK-INPUT-009"]),
        ("/consignments/0/packages/0/weightInKg", json!(36), vec!["BOOK-INPUT-023"]),
        ("/consignments/0/shippingDateTime", json!("tomorrow"), vec!["BOOK-INPUT-012"]),
        ("/consignments/0/product/id", json!("9650"), vec!["BOOK-INPUT-020"]),
        ("/consignments/0/product/customerNumber", json!("6"), vec!["BOOK-INPUT-021"]),
        ("/consignments/0/parties/recipient/name", json!(""), vec!["BOOK-INPUT-014-RECIPIENT"]),
        ("/consignments/0/parties/recipient/addressLine", json!("x".repeat(36)), vec!["BOOK-INPUT-001"]),
        ("/consignments/0/parties/recipient/postalCode", json!("9999"), vec!["BOOK-INPUT-024"]),
        ("/consignments/0/parties/recipient/postalCode", json!("99"), vec!["BOOK_INPUT-057"]),
        ("/consignments/0/parties/pickupPoint/id", json!("1"), vec!["BOOK-INPUT-045"]),
        ("/consignments/0/parties/pickupPoint/countryCode", json!("SE"), vec!["PICKUP-INPUT-012"]),
        ("/consignments/0/product/additionalServices", json!([{ "id": "EVARSLING" }]), vec!["BOOK_VALIDATION-002"]),
        ("/consignments/0/product/id", json!("3584"), vec!["BOOK-INPUT-032", "BOOK-INPUT-047"]),
    ] {
        let mut body = booking("1042@shop");
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(shop.refused(&body).await, codes, "{pointer}");
    }
    assert!(shop.bring.consignments().is_empty());
}

#[tokio::test]
async fn goods_that_leave_norway_need_customs_data() {
    let shop = Shop::with(Options { refusal_status: 400, ..Options::default() }).await;
    let mut body = booking("1042@shop");
    let consignment = &mut body["consignments"][0];
    consignment["product"]["id"] = json!("0340");
    consignment["parties"]["recipient"]["countryCode"] = json!("SE");
    consignment["parties"]["recipient"]["postalCode"] = json!("113 22");
    consignment["parties"]["pickupPoint"] = json!({ "id": "900001", "countryCode": "SE" });
    let (status, answer) = shop.post("/booking/api/create", &body).await;
    assert_eq!((status, &answer["consignments"][0]["errors"][0]["code"]), (400, &json!("BOOK_VALIDATION-014")));
    body["consignments"][0]["customsInformation"] = json!({ "consent": true });
    assert_eq!(shop.post("/booking/api/create", &body).await.0, 200);
}

#[tokio::test]
async fn more_than_eighteen_bookings_a_second_are_too_many() {
    let shop = Shop::new().await;
    let url = format!("{}/booking/api/create", shop.bring.base_url());
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..60 {
        let request = shop.signed(shop.http.post(&url)).header("content-type", "application/json");
        calls.spawn(answer(request.body(booking(&number.to_string()).to_string())));
    }
    let statuses: Vec<u16> = calls.join_all().await.into_iter().map(|(status, _)| status).collect();
    let booked = statuses.iter().filter(|it| **it == 200).count();
    assert!(booked >= 18 && statuses.contains(&429), "{statuses:?}");
    assert_eq!(shop.bring.consignments().len(), booked, "who is told to wait has not booked");
}

#[tokio::test]
async fn a_parcel_is_followed_by_each_of_its_numbers_newest_event_first_whatever_the_code() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let shop = Shop::with(Options { clock: clock.clone(), ..Options::default() }).await;
    let number = shop.book("1042@shop").await;
    let packages = shop.bring.consignment(&number).unwrap().packages;
    clock.advance(SignedDuration::from_hours(2));
    shop.bring.scan(&number, "IN_TRANSIT").unwrap();
    clock.advance(SignedDuration::from_mins(90));
    shop.bring.scan(&packages[0].number, "SENT_BY_BALLOON").unwrap();
    shop.bring.scan(&packages[0].number, "DELIVERED").unwrap();
    shop.bring.scan_at(&packages[0].number, "CUSTOMS", "2026-11-20T11:00:00Z".parse().unwrap()).unwrap();

    for wanted in [number.as_str(), packages[1].number.as_str(), "1042%40shop"] {
        let set = &shop.track(wanted).await["consignmentSet"][0];
        assert_eq!((&set["consignmentId"], &set["senderReference"]), (&json!(number), &json!("1042@shop")));
        let events = |at: usize| set["packageSet"][at]["eventSet"].as_array().unwrap().clone();
        let statuses = |at| events(at).iter().map(|it| it["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(statuses(0), ["DELIVERED", "SENT_BY_BALLOON", "IN_TRANSIT", "CUSTOMS", "PRE_NOTIFIED"]);
        assert_eq!(statuses(1), ["IN_TRANSIT", "PRE_NOTIFIED"]);
        assert_eq!(events(0)[0]["dateIso"], "2026-11-20T14:30:00+01:00");
    }
    assert!(shop.bring.scan("370000000000000001", "DELIVERED").is_err());
}

#[tokio::test]
async fn tracking_fails_inside_a_success_and_knows_neither_tests_nor_what_is_too_new() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let late = Options { clock: clock.clone(), shown_after: SignedDuration::from_mins(10), ..Options::default() };
    let shop = Shop::with(late).await;
    let error = |answer: &Value| answer["consignmentSet"][0]["error"]["code"].clone();
    let number = shop.book("1042@shop").await;
    assert_eq!(error(&shop.track(&number).await), 404);
    clock.advance(SignedDuration::from_mins(10));
    assert_eq!(shop.track(&number).await["consignmentSet"][0]["consignmentId"], json!(number));

    let mut test = booking("1043@shop");
    test["testIndicator"] = json!(true);
    shop.post("/booking/api/create", &test).await;
    clock.advance(SignedDuration::from_hours(1));
    assert_eq!(error(&shop.track("1043%40shop").await), 404);
    assert!(shop.bring.scan(&shop.bring.consignments()[1].number, "IN_TRANSIT").is_err());

    assert_eq!(error(&shop.track("").await), 400);
    shop.bring.set_tracking_error(Some(500));
    assert_eq!(error(&shop.track(&number).await), 500);
    shop.bring.set_tracking_error(Some(503));
    let busy = shop.track(&number).await;
    assert_eq!((error(&busy["shipments"][0]), &busy["consignmentSet"]), (json!(503), &Value::Null));
    shop.bring.set_tracking_error(None);
    shop.bring.faults().next(Fault::TooMany { retry_after: Some(7) }, 1);
    assert_eq!(shop.get("/tracking/api/v2/tracking.json?q=1").await.0, 429);
}

#[tokio::test]
async fn every_event_of_every_parcel_is_told_with_the_registered_header() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let shop = Shop::with(Options { clock: clock.clone(), ..Options::default() }).await;
    let inbox = Inbox::default();
    shop.bring.set_target(Some(&inbox.open().await));
    let number = shop.book("1042@shop").await;
    shop.bring.flush().await;
    clock.advance(SignedDuration::from_secs(48));
    shop.bring.duplicate_next(1);
    shop.bring.scan(&shop.bring.consignment(&number).unwrap().packages[0].number, "SENT_BY_BALLOON").unwrap();
    let sent = shop.bring.flush().await;
    assert_eq!((sent.sent, sent.acknowledged, sent.duplicates_sent, sent.given_up), (4, 4, 1, 0));

    let taken = inbox.taken();
    let statuses: Vec<&str> = taken.iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["PRE_NOTIFIED", "PRE_NOTIFIED", "SENT_BY_BALLOON", "SENT_BY_BALLOON"]);
    assert_eq!(taken[2], taken[3]);
    assert_eq!((&taken[2]["shipment"], &taken[2]["created"]), (&json!(number), &json!("2026-11-20T10:00:48+0000")));
    let log = shop.bring.webhook_log();
    assert_eq!((log.len(), log[0].header("x-bring-application")), (3, Some("BMEC")));
}

#[tokio::test]
async fn a_webhook_that_is_not_taken_is_sent_three_times_more_and_then_no_more() {
    let shop = Shop::with(Options { retry_unit: Duration::from_millis(5), ..Options::default() }).await;
    let inbox = Inbox::default();
    shop.bring.set_target(Some(&inbox.open().await));
    let number = shop.book("1042@shop").await;
    shop.bring.flush().await;
    let package = shop.bring.consignment(&number).unwrap().packages[0].number.clone();

    inbox.0.lock().unwrap().1 = 3;
    shop.bring.scan(&package, "IN_TRANSIT").unwrap();
    let sent = shop.bring.flush().await;
    assert_eq!((sent.acknowledged, sent.retries, sent.given_up), (3, 3, 0));

    inbox.0.lock().unwrap().1 = 4;
    shop.bring.scan(&package, "DELIVERED").unwrap();
    let sent = shop.bring.flush().await;
    assert_eq!((sent.acknowledged, sent.retries, sent.given_up), (3, 6, 1));
    assert_eq!(inbox.taken().len(), 3);
}

#[tokio::test]
async fn forged_webhooks_carry_no_right_secret() {
    let shop = Shop::new().await;
    let inbox = Inbox::default();
    shop.bring.set_target(Some(&inbox.open().await));
    shop.book("1042@shop").await;
    shop.bring.flush().await;
    let before = inbox.taken().len();
    let forged = shop.bring.forge(8).await;
    assert_eq!((forged.sent, forged.accepted, inbox.taken().len()), (8, 0, before));
}

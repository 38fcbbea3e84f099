//! Requests of an invented vendor against its description, and a whole connector against one that does not fit it.

use super::*;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use std::fs;

const DESCRIPTION: &str = r##"
openapi: 3.0.3
servers: [{ url: https://api.acme.example/api/v2/ }]
paths:
  /orders:
    get:
      parameters:
        - { name: status, in: query, required: true, schema: { type: string, enum: [open, closed] } }
        - { name: limit, in: query, schema: { type: integer, maximum: 100 } }
    post:
      parameters: [{ $ref: "#/components/parameters/Key" }]
      requestBody:
        required: true
        content: { application/json: { schema: { $ref: "#/components/schemas/Order" } } }
  /orders/{id}:
    parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
    get: {}
    put:
      requestBody: { content: { application/x-www-form-urlencoded: { schema: { $ref: "#/components/schemas/Order" } } } }
  /orders/search: { get: {} }
components:
  parameters: { Key: { name: Idempotency-Key, in: header, required: true, schema: { type: string } } }
  schemas:
    Base: { type: object, properties: { id: { type: integer, readOnly: true }, country: { type: string, minLength: 2 } }, required: [id] }
    Order:
      allOf:
        - $ref: "#/components/schemas/Base"
        - type: object
          required: [number]
          properties:
            number: { type: string }
            note: { type: string, nullable: true }
            lines: { type: array, items: { type: object, properties: { quantity: { type: integer } } } }
"##;

struct Sent {
    method: Method,
    path: &'static str,
    kind: &'static str,
    body: &'static str,
    key: bool,
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn get(path: &'static str) -> Sent {
    Sent { method: Method::GET, path, kind: "", body: "", key: false }
}

fn post(body: &'static str) -> Sent {
    Sent { method: Method::POST, path: "/orders", kind: JSON, body, key: true }
}

fn put(path: &'static str, body: &'static str) -> Sent {
    Sent { method: Method::PUT, path, kind: FORM, body, key: false }
}

/// The problems of one request, without the call that they are of.
fn found(sent: Sent) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.yaml"), DESCRIPTION).unwrap();
    fs::write(folder.path().join("SOURCE.txt"), "not a description").unwrap();
    let Some(Described::Operations(descriptions)) = described(folder.path(), &Vendor::default()).unwrap() else { panic!() };
    let mut headers = HeaderMap::new();
    if !sent.kind.is_empty() {
        headers.insert("content-type", HeaderValue::from_static(sent.kind));
    }
    if sent.key {
        headers.insert("idempotency-key", HeaderValue::from_static("k"));
    }
    let body = Bytes::from_static(sent.body.as_bytes());
    let request = Request { operation: "test", method: sent.method, path: sent.path.into(), headers, body, cost: 1.0 };
    let problems = of_request("https://shop.acme.example/api/v2", &BTreeSet::new(), &request, &descriptions);
    problems.into_iter().map(|it| it.text).collect()
}

#[test]
fn requests_of_the_description_pass() {
    for sent in [
        get("/orders?status=open&limit=7"),
        get("/orders/7"),
        get("/orders/search"),
        get("https://api.acme.example/api/v2/orders/7"),
        post(r#"{"number":"1042","note":null,"country":"NO","lines":[{"quantity":2}]}"#),
        put("/orders/7", "number=1042&lines[0][quantity]=2"),
    ] {
        let path = sent.path;
        assert_eq!(found(sent), [""; 0], "{path}");
    }
}

#[test]
fn unknown_paths_methods_and_parameters_are_told() {
    assert_eq!(found(get("/invoices")), ["the description has no such path"]);
    let delete = Sent { method: Method::DELETE, ..get("/orders/7") };
    assert_eq!(found(delete), ["the description has this path for GET, PUT only"]);
    assert_eq!(
        found(get("/orders?state=open")),
        ["nothing reads the query parameter `state`", "the query parameter `status` is required"]
    );
    assert_eq!(found(get("/orders?status=open&Limit=7")), ["nothing reads the query parameter `Limit` (there is `limit`)"]);
}

#[test]
fn wrong_values_are_told_wherever_they_stand() {
    let one = |sent: Sent, words: &str| {
        let problems = found(sent);
        assert!(problems.len() == 1 && problems[0].contains(words), "{problems:?}");
    };
    one(get("/orders?status=paid"), "query parameter `status`: \"paid\" is not one of");
    one(get("/orders?status=open&limit=500"), "query parameter `limit`: 500 is greater");
    one(get("/orders/abc"), "`id` of the path: \"abc\" is not of type \"integer\"");
    one(post(r#"{"number":1042}"#), "`number`: 1042 is not of type \"string\"");
    one(post(r#"{"number":"1042","country":"N"}"#), "`country`: \"N\" is shorter than 2");
    one(post(r#"{"number":"1042","lines":[{"quantity":"2"}]}"#), "`lines.*.quantity`: \"2\" is not of type");
    one(put("/orders/7", "number=1042&lines[0][quantity]=two"), "`lines.*.quantity`: \"two\" is not of type");
}

#[test]
fn what_is_missing_and_what_nobody_reads_is_told() {
    assert_eq!(found(post(r#"{"note":"a"}"#)), ["\"number\" is a required property"]);
    assert_eq!(found(post(r#"{"number":"1042","Note":"a"}"#)), ["nothing reads `Note`"]);
    assert_eq!(found(post(r#"{"number":"1042","lines":[{"quantity":2},{"qty":2}]}"#)), ["`lines.*`: nothing reads `qty`"]);
    assert_eq!(found(Sent { key: false, ..post(r#"{"number":"1042"}"#) }), ["the header `Idempotency-Key` is required"]);
    assert_eq!(found(post("")), ["a body is required"]);
    assert_eq!(
        found(Sent { kind: FORM, ..post("number=1042") }),
        ["a body of `application/x-www-form-urlencoded` is not read, but application/json"]
    );
    assert_eq!(found(Sent { kind: JSON, body: "{}", ..get("/orders/7") }), ["nothing reads a body here"]);
}

/// The example of a connector, and a description of its vendor that knows less than is sent.
#[test]
fn a_connector_that_sends_what_its_vendor_does_not_read_is_found_with_its_file_and_line() {
    let specs = tempfile::tempdir().unwrap();
    fs::create_dir(specs.path().join("stripe")).unwrap();
    let paths = ["payment_intents/{id}", "payment_intents/{id}/cancel", "refunds", "refunds/{id}", "events", "charges/{id}"];
    let item = serde_json::json!({ "get": {}, "post": {} });
    let paths: serde_json::Map<String, Value> = paths.iter().map(|it| (format!("/v1/{it}"), item.clone())).collect();
    let description = serde_json::json!({ "swagger": "2.0", "basePath": "/", "paths": paths });
    fs::write(specs.path().join("stripe/api.json"), description.to_string()).unwrap();

    let file = "crates/connectors/stripe/fixtures/capture_payment.json";
    let text = fs::read_to_string(crate::repository().join(file)).unwrap();
    let unneeded = "[[stripe.waive]]\nsays = \"of the moon\"\nreason = \"never seen\"\n";
    let known = "[[stripe.waive]]\ncall = \"POST /v1/refunds\"\nsays = \"nothing reads a body\"\nreason = \"it does\"\n";
    let settings = format!("{unneeded}{known}[strype]\nbase = \"/v2\"\n");
    let tree = Tree::of(&[(file, &text), (SETTINGS, &settings)]);
    let stripe = spindel_catalog::find("stripe").unwrap();
    let outcome = check(&tree, &[*stripe], specs.path()).unwrap();

    let told: Vec<String> = outcome.findings.iter().map(ToString::to_string).collect();
    let capture = told.iter().find(|it| it.contains("/capture: the description has no such path")).unwrap();
    assert!(capture.contains(&format!("{file}:")) && !capture.contains(&format!("{file}:1:")), "{capture}");
    assert!(told.iter().any(|it| it.contains("POST /v1/payment_intents/{id}/cancel: nothing reads a body here")), "{told:?}");
    assert!(!told.iter().any(|it| it.contains("POST /v1/refunds: ")), "it is waived");
    assert!(told.iter().any(|it| it.contains("contracts.toml:8: there is no connector `strype`")), "{told:?}");
    assert!(
        told.iter().any(|it| it.contains("contracts.toml:3: stripe: the waiver for `of the moon` hides nothing")),
        "{told:?}"
    );
}

#[test]
fn a_waiver_needs_its_reason() {
    let tree = Tree::of(&[(SETTINGS, "[[acme.waive]]\nsays = \"x\"\nreason = \" \"\n")]);
    assert!(settings::read(&tree).is_err());
    let tree = Tree::of(&[(SETTINGS, "[[acme.waiver]]\nsays = \"x\"\nreason = \"y\"\n")]);
    assert!(settings::read(&tree).is_err(), "a word that nobody knows");
}

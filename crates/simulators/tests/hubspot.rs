//! The simulated HubSpot account as the real connector meets it, and as plain HTTP does.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod hub;

use hub::{Hub, Receiver, now};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use spindel_connector_hubspot::Hubspot;
use spindel_model::{Clock, EntityKind, ErrorClass, Record, Topic};
use spindel_simulators::{
    fault::Fault,
    hubspot::{HubspotSim, Options},
};

fn settings(url: &str) -> Value {
    json!({
        "access_token": "pat-eu1-simulated", "client_secret": "client-secret", "portal_id": "24681357", "subscription_id": 4711,
        "customer_id_property": "shop_customer_id", "base_url": url,
    })
}

async fn account(change: impl FnOnce(&mut Options)) -> (HubspotSim, Hub, Clock) {
    let clock = Clock::manual(now());
    let mut options = Options { clock: clock.clone(), ..Options::default() };
    change(&mut options);
    let sim = HubspotSim::start(options).await.unwrap();
    let hub = Hub::of::<Hubspot>(settings(&sim.base_url()), &clock);
    (sim, hub, clock)
}

fn customer(id: &str, email: &str, consent: &str, at: &str) -> Value {
    json!({ "id": id, "email": email, "first_name": "Kari", "last_name": "Nordmann",
        "default_address": { "line1": "Storgata 1", "postal_code": "0155", "city": "Oslo", "country": "NO" },
        "email_consent": { "state": consent, "at": at } })
}

fn upsert(id: &str, email: &str, consent: &str) -> Value {
    json!({ "do": "upsert_customer", "customer": customer(id, email, consent, "2026-11-20T08:00:00Z") })
}

fn push(number: u32, consent: &str, currency: &str) -> Value {
    let bag = |amount: &str| {
        let money = json!({ "amount": amount, "currency": currency });
        json!({ "shop": money, "presentment": money })
    };
    let zero = bag("0.00");
    json!({ "do": "push_order", "order": {
        "id": number.to_string(), "number": format!("#{number}"), "placed_at": "2026-11-20T08:30:00Z",
        "updated_at": "2026-11-20T08:30:00Z", "payment_state": "paid", "fulfilment_state": "unfulfilled", "currency": currency,
        "presentment_currency": currency, "prices_include_tax": true, "lines": [],
        "customer": customer("C-1", "Kari@Example.no", consent, "2026-11-20T08:00:00Z"),
        "totals": { "subtotal": bag("447.00"), "discount": zero, "shipping": zero, "tax": zero, "rounding": bag("447.00"),
            "grand": bag("447.00"), "refunded": zero } } })
}

async fn raw(sim: &HubspotSim, method: Method, path: &str, body: Value) -> (StatusCode, Value, reqwest::header::HeaderMap) {
    let url = format!("{}{path}", sim.base_url());
    let request = reqwest::Client::new().request(method, url).header("authorization", "Bearer pat-eu1-simulated");
    let answer = if body.is_null() { request.send() } else { request.body(body.to_string()).send() }.await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default(), headers)
}

#[tokio::test]
async fn only_who_agreed_gets_into_the_crm_and_consent_is_kept_with_its_basis() {
    let (sim, hub, _) = account(|_| ()).await;
    assert_eq!(hub.connection.probe(&hub.api).await.unwrap(), "account 24681357, NOK");
    let done = hub
        .perform_all(vec![
            upsert("1", "Kari@Example.no", "given"),
            upsert("2", "ola@example.no", "unknown"),
            upsert("3", "per@example.no", "withdrawn"),
            upsert("4", "liv@example.no", "given"),
        ])
        .await;
    assert_eq!(done.iter().map(|it| it.as_ref().unwrap().unchanged).collect::<Vec<_>>(), [false, true, true, false]);
    let emails: Vec<String> = sim.contacts().into_iter().filter_map(|it| it.email).collect();
    assert_eq!(emails, ["kari@example.no", "liv@example.no"]);
    let kari = sim.contact("kari@example.no").unwrap();
    assert_eq!((kari.properties["shop_customer_id"].as_str(), kari.properties["city"].as_str()), ("1", "Oslo"));
    let consent = sim.consent("kari@example.no", 4711).unwrap();
    assert_eq!((consent.state.as_str(), consent.legal_basis.as_deref()), ("SUBSCRIBED", Some("CONSENT_WITH_NOTICE")));
    assert!(consent.explanation.unwrap().contains("`erp` at 2026-11-20T08:00:00Z"));
    assert_eq!(sim.consent("per@example.no", 4711), None, "who is no contact does not become known");
    // Addresses are part of these paths, and what is kept of a call names nobody.
    let kept: Vec<String> = hub.journal.take().into_iter().map(|it| it.path).collect();
    assert!(kept.contains(&"/communication-preferences/v4/statuses/…?channel=EMAIL".to_owned()), "{kept:?}");
    assert!(kept.iter().all(|it| !it.contains("example.no")), "{kept:?}");
}

#[tokio::test]
async fn the_later_word_about_consent_counts() {
    let (sim, hub, clock) = account(|_| ()).await;
    hub.perform(None, upsert("1", "kari@example.no", "given")).await.unwrap();
    clock.advance(SignedDuration::from_hours(1));
    sim.unsubscribe("kari@example.no", 4711);
    // Told again what was said before that.
    hub.perform(None, upsert("1", "kari@example.no", "given")).await.unwrap();
    assert_eq!(sim.consent("kari@example.no", 4711).unwrap().state, "UNSUBSCRIBED");
    let later = customer("1", "kari@example.no", "given", "2026-11-20T11:00:00Z");
    hub.perform(None, json!({ "do": "upsert_customer", "customer": later })).await.unwrap();
    assert_eq!(sim.consent("kari@example.no", 4711).unwrap().state, "SUBSCRIBED");
    let withdrawn = customer("1", "kari@example.no", "withdrawn", "2026-11-20T12:00:00Z");
    hub.perform(None, json!({ "do": "upsert_customer", "customer": withdrawn })).await.unwrap();
    assert_eq!(sim.consent("kari@example.no", 4711).unwrap().state, "UNSUBSCRIBED");
    assert_eq!(sim.contacts().len(), 1);
}

#[tokio::test]
async fn without_a_subscription_a_withdrawal_is_of_everything() {
    let (sim, _, clock) = account(|_| ()).await;
    let mut broad = settings(&sim.base_url());
    broad.as_object_mut().unwrap().remove("subscription_id");
    let hub = Hub::of::<Hubspot>(broad, &clock);
    hub.perform(None, upsert("1", "kari@example.no", "given")).await.unwrap();
    assert_eq!(sim.consent("kari@example.no", 4711), None);
    hub.perform(None, upsert("1", "kari@example.no", "withdrawn")).await.unwrap();
    assert_eq!(sim.consent("kari@example.no", 1).unwrap().state, "UNSUBSCRIBED");
    let kari = sim.contact("kari@example.no").unwrap();
    let Some(Record::Customer(read)) = hub.read(EntityKind::Customer, &kari.id).await else { panic!("no customer") };
    assert_eq!(read.email_consent.state, spindel_model::ConsentState::Withdrawn);
}

#[tokio::test]
async fn an_order_is_one_deal_of_its_contact_however_often_it_is_pushed() {
    let (sim, hub, _) = account(|_| ()).await;
    let first = hub.perform(None, push(411, "given", "NOK")).await.unwrap().reference.unwrap();
    assert_eq!(first.number.as_deref(), Some("#411"));
    sim.faults().next(Fault::Slow(std::time::Duration::ZERO), 2);
    sim.faults().next(Fault::CutAfter, 1);
    hub.perform(None, push(412, "given", "NOK")).await.unwrap_err();
    for number in [411, 412] {
        hub.perform(None, push(number, "given", "NOK")).await.unwrap();
    }
    let deals = sim.deals();
    assert_eq!(deals.len(), 2);
    let deal = deals.iter().find(|it| it.id == first.id).unwrap();
    let property = |name: &str| deal.properties[name].as_str();
    assert_eq!((property("spindel_order"), property("amount"), property("dealstage")), ("erp:411", "447.00", "closedwon"));
    assert_eq!(deal.contacts, [sim.contact("kari@example.no").unwrap().id]);
    assert!(hub.perform(None, push(413, "unknown", "NOK")).await.unwrap().unchanged);
    let refused = hub.perform(None, push(414, "given", "USD")).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Data);
    assert!(refused.message.contains("`deal_currency_code` is INVALID_OPTION"), "{refused}");
}

#[tokio::test]
async fn one_bad_address_in_a_batch_is_refused_alone() {
    let (sim, hub, _) = account(|_| ()).await;
    let done = hub.perform_all(vec![upsert("1", "kari@example.no", "given"), upsert("2", "ola@nowhere", "given")]).await;
    assert!(done[0].is_ok());
    let refused = done[1].as_ref().unwrap_err();
    assert!(refused.class == ErrorClass::Data && refused.message.contains("INVALID_EMAIL"), "{refused}");
    assert!(!refused.message.contains("ola"));
    assert_eq!(sim.contacts().len(), 1);
}

#[tokio::test]
async fn changes_of_contacts_come_signed_in_batches_and_are_read_back() {
    let (sim, hub, clock) = account(|_| ()).await;
    let (receiver, url) = Receiver::start(&hub).await;
    sim.set_target(Some(&format!("{url}?to=crm")));
    let id = sim.add_contact(&[("email", "liv@example.no"), ("city", "Bergen")]).unwrap();
    sim.flush().await;
    let told = receiver.take();
    assert_eq!((told.len(), told[0].topic.as_str()), (1, "mixed"));
    let topics: Vec<Topic> = told[0].changes.iter().map(|it| it.topic).collect();
    assert_eq!(topics, [Topic::CustomerCreated, Topic::CustomerUpdated], "three events, and one change for each topic");
    assert!(told[0].changes.iter().all(|it| it.entity.id == id && it.record == Record::Nudge));
    let Some(Record::Customer(read)) = hub.read(EntityKind::Customer, &id).await else { panic!("no customer") };
    assert_eq!((read.email.as_deref(), read.default_address.unwrap().city.as_deref()), (Some("liv@example.no"), Some("Bergen")));

    clock.advance(SignedDuration::from_mins(1));
    sim.change_contact(&id, "city", "Oslo").unwrap();
    sim.flush().await;
    assert_eq!(sim.repeat_last().await, Some(true));
    let told = receiver.take();
    assert_eq!((told.len(), &told[0].key), (2, &told[1].key), "a repeated batch has the same key");
    let forged = sim.forge(8).await;
    assert_eq!((forged.sent, forged.accepted, receiver.take().len()), (8, 0, 0));

    // Nobody is there for a while.
    receiver.answer(503);
    sim.delete_contact(&id).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    receiver.answer(0);
    let sent = sim.flush().await;
    assert!(sent.retries > 0 && sent.given_up == 0, "{sent:?}");
    let told = receiver.take();
    assert_eq!((told[0].changes[0].topic, &told[0].changes[0].record), (Topic::CustomerDeleted, &Record::Deleted));
    assert!(hub.read(EntityKind::Customer, &id).await.is_none());
    let id = sim.add_contact(&[("email", "per@example.no")]).unwrap();
    sim.forget_contact(&id).unwrap();
    sim.flush().await;
    let topics: Vec<Topic> = receiver.take().iter().flat_map(|it| &it.changes).map(|it| it.topic).collect();
    assert!(topics.contains(&Topic::PrivacyCustomerRedacted), "{topics:?}");
}

#[tokio::test]
async fn limits_scopes_and_tokens_are_told_apart() {
    let (sim, hub, _) = account(|_| ()).await;
    sim.use_up_the_day();
    let over = hub.perform(None, upsert("1", "kari@example.no", "given")).await.unwrap_err();
    assert_eq!((over.class, over.retry_after.unwrap().as_secs()), (ErrorClass::RateLimited, 3_600));
    sim.next_day();
    hub.perform(None, upsert("1", "kari@example.no", "given")).await.unwrap();

    let (sim, hub, clock) = account(|it| it.burst = 3).await;
    let call = || raw(&sim, Method::GET, "/account-info/v3/details", Value::Null);
    let (_, _, headers) = call().await;
    assert_eq!(headers["x-hubspot-ratelimit-remaining"], "2");
    call().await;
    call().await;
    let (status, body, headers) = call().await;
    assert_eq!(
        (status.as_u16(), &body["errorType"], &body["policyName"]),
        (429, &json!("RATE_LIMIT"), &json!("TEN_SECONDLY_ROLLING"))
    );
    assert!(!headers.contains_key("retry-after"));
    let over = hub.connection.probe(&hub.api).await.unwrap_err();
    assert_eq!((over.class, over.retry_after.unwrap().as_secs()), (ErrorClass::RateLimited, 10));
    clock.advance(SignedDuration::from_secs(11));
    assert_eq!(call().await.0, StatusCode::OK);

    let (_sim, hub, _) = account(|it| it.scopes.retain(|scope| scope != "crm.objects.contacts.write")).await;
    let refused = hub.perform(None, upsert("1", "kari@example.no", "given")).await.unwrap_err();
    assert!(refused.class == ErrorClass::Auth && refused.message.contains("scope"), "{refused}");

    let (sim, _, clock) = account(|_| ()).await;
    let mut oauth = settings(&sim.base_url());
    oauth.as_object_mut().unwrap().remove("access_token");
    oauth["client_id"] = "client-id".into();
    oauth["refresh_token"] = "refresh-token".into();
    let hub = Hub::of::<Hubspot>(oauth, &clock);
    assert!(hub.connection.probe(&hub.api).await.is_ok());
    assert_eq!(sim.tokens_issued(), 1);
}

#[tokio::test]
async fn duplicates_conflict_and_search_lags_behind() {
    let (sim, _, clock) = account(|_| ()).await;
    let contact = json!({ "properties": { "email": "kari@example.no", "city": "Oslo" } });
    let (status, made, _) = raw(&sim, Method::POST, "/crm/v3/objects/contacts", contact.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, body, _) = raw(&sim, Method::POST, "/crm/v3/objects/contacts", contact).await;
    let message = format!("Contact already exists. Existing ID: {}", made["id"].as_str().unwrap());
    assert_eq!((status.as_u16(), &body["category"], &body["message"]), (409, &json!("CONFLICT"), &json!(message)));

    let filter = json!({ "propertyName": "email", "operator": "EQ", "value": "kari@example.no" });
    let search = json!({ "filterGroups": [{ "filters": [filter] }], "properties": ["city"], "limit": 10 });
    let find = || raw(&sim, Method::POST, "/crm/v3/objects/contacts/search", search.clone());
    assert_eq!(find().await.1["total"], 0, "the index has not seen it yet");
    clock.advance(SignedDuration::from_secs(6));
    assert_eq!(find().await.1["results"][0]["properties"]["city"], "Oslo");

    let inputs = json!({ "properties": ["email"], "inputs": [{ "id": made["id"] }, { "id": "1" }] });
    let (status, body, _) = raw(&sim, Method::POST, "/crm/v3/objects/contacts/batch/read", inputs).await;
    assert_eq!((status.as_u16(), body["results"].as_array().unwrap().len(), &body["numErrors"]), (207, 1, &json!(1)));
    let wrong = json!({ "properties": { "email": "a@example.no", "colour": "red" } });
    let (status, body, _) = raw(&sim, Method::POST, "/crm/v3/objects/contacts", wrong).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["message"].as_str().unwrap().contains("PROPERTY_DOESNT_EXIST"), "{body}");
    let row = json!({ "id": "a@example.no", "idProperty": "email", "properties": {} });
    let (status, _, _) = raw(&sim, Method::POST, "/crm/v3/objects/contacts/batch/upsert", json!({ "inputs": [row, row] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "an address that stands twice");
    let path = "/communication-preferences/v4/statuses/a%40example.no";
    let (status, ..) =
        raw(&sim, Method::POST, path, json!({ "channel": "EMAIL", "statusState": "SUBSCRIBED", "subscriptionId": 4711 })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "nobody is subscribed without a legal basis");
    let request = reqwest::Client::new().get(format!("{}/account-info/v3/details", sim.base_url()));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

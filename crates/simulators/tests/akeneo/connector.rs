//! The connector against the PIM: walks, reading back, events and failures.

use super::*;
use spindel_connect::{Api, Connection, Cursor, Incoming, Verified, entry};
use spindel_connector_akeneo::Akeneo;
use spindel_http::{Client, MemoryTokens};
use spindel_model::{Change, EntityKind, ErrorClass, Product, ProductStatus, Record, Topic};
use spindel_simulators::fault::Fault;

struct Hooked {
    connection: Arc<dyn Connection>,
    api: Api,
    clock: Clock,
}

impl Hooked {
    fn to(pim: &AkeneoSim, clock: &Clock, change: Value) -> Self {
        let mut settings = json!({
            "url": pim.base_url(), "client_id": "1_client", "client_secret": "client-secret", "username": "spindel_1234",
            "password": "password", "webhook_secret": ["primary-secret", "secondary-secret"],
            "events_api_secret": "events-api-secret", "channel": "ecommerce", "locales": ["nb_NO", "sv_SE"], "currency": "NOK",
            "attributes": { "description": "description", "price": "price", "weight": "weight", "gtin": "ean",
                            "tags": "collection", "images": ["picture"] },
        });
        for (key, value) in change.as_object().unwrap() {
            settings[key] = value.clone();
        }
        let entry = entry::<Akeneo>();
        let (connection, endpoint) = (entry.connect)(settings).unwrap();
        let mut options = spindel_http::Options::new("pim", clock.clone(), Arc::new(MemoryTokens::default()));
        options.allow = vec!["127.0.0.0/8".parse().unwrap()];
        let transport = Client::new().transport(endpoint, entry.budget, options).unwrap();
        Self { connection, api: Api::new(Arc::new(transport), entry.refine, clock.clone()), clock: clock.clone() }
    }

    /// All pages of a walk.
    async fn poll(&self, cursor: Option<Cursor>) -> (Vec<Change>, Cursor) {
        let (mut all, mut cursor) = (Vec::new(), cursor);
        for _ in 0..50 {
            let page = self.connection.poll(&self.api, EntityKind::Product, cursor.as_ref(), self.clock.now());
            let page = page.unwrap().await.unwrap();
            all.extend(page.changes);
            cursor = Some(page.cursor);
            if !page.more {
                return (all, cursor.unwrap());
            }
        }
        panic!("the walk has no end");
    }

    async fn read(&self, id: &str) -> Option<Product> {
        let record = self.connection.read(&self.api, EntityKind::Product, id).unwrap().await.unwrap();
        record.map(|it| match it {
            Record::Product(it) => *it,
            other => panic!("{other:?}"),
        })
    }

    fn believed(&self, (headers, body): &(HeaderMap, Bytes)) -> Option<Verified> {
        let incoming = Incoming {
            method: http::Method::POST,
            uri: "/in/pim".into(),
            origin: "https://hooks.example.no".into(),
            headers: headers.clone(),
            body: body.clone(),
        };
        self.connection.proof(&[]).unwrap().check(incoming, self.clock.now()).ok()
    }

    fn changes(&self, came: &(HeaderMap, Bytes)) -> Vec<Change> {
        self.connection.changes(&self.believed(came).unwrap()).unwrap().unwrap()
    }
}

fn product(change: &Change) -> &Product {
    match &change.record {
        Record::Product(it) => it,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_settings_are_held_against_what_the_pim_has() {
    let clock = clock();
    let pim = AkeneoSim::start(options(&clock)).await.unwrap();
    let probe = |change: Value| {
        let hooked = Hooked::to(&pim, &clock, change);
        async move { hooked.connection.probe(&hooked.api).await }
    };
    assert_eq!(probe(json!({})).await.unwrap(), "channel ecommerce, nb_NO, sv_SE in NOK");
    for (change, word) in [
        (json!({ "locales": ["nb_NO", "en_US"] }), "en_US"),
        (json!({ "currency": "JPY" }), "JPY"),
        (json!({ "attributes": { "price": "cost" } }), "`attributes.price`: the PIM has no attribute cost"),
        (json!({ "attributes": { "weight": "price" } }), "pim_catalog_price_collection"),
    ] {
        let error = probe(change).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Config);
        assert!(error.message.contains(word), "{error}");
    }
    assert_eq!(probe(json!({ "password": "guessed" })).await.unwrap_err().class, ErrorClass::Auth);
}

#[tokio::test]
async fn a_walk_brings_the_whole_catalogue_and_the_next_one_what_changed_since() {
    let clock = clock();
    // It takes itself for another host: what it links to is asked at the address of the settings.
    let own_url = Some("http://pim.internal".to_owned());
    let pim = AkeneoSim::start(Options { own_url, ..options(&clock) }).await.unwrap();
    for _ in 0..99 {
        pim.create_product(mug()).unwrap();
    }
    let [black, red] = jumper(&pim);
    minutes(&clock, 10);
    let hooked = Hooked::to(&pim, &clock, json!({}));
    let (all, cursor) = hooked.poll(None).await;
    let jumpers: Vec<&Change> = all.iter().filter(|it| it.entity.id == "model/ull").collect();
    assert_eq!(all.len() - jumpers.len(), 99);
    assert!(jumpers.windows(2).all(|two| two[0] == two[1]), "told twice in the same words where its variants are on two pages");
    let jumper = product(jumpers[0]);
    let mut variants: Vec<(&str, &str)> = jumper.variants.iter().map(|it| (it.id.as_str(), it.options[0].1.as_str())).collect();
    variants.sort_by_key(|it| it.1);
    assert_eq!(variants, [(red.as_str(), "Rød"), (black.as_str(), "Sort")]);
    assert_eq!(jumper.variants[0].options[0].0, "Farge");
    assert_eq!(jumper.variants[0].price.unwrap().to_string(), "799.00 NOK");
    let mug = product(all.iter().find(|it| it.entity.id != "model/ull").unwrap());
    assert_eq!((mug.title.as_str(), mug.translations["sv-SE"].title.as_deref()), ("Krus", Some("Mugg")));
    assert_eq!(
        (mug.description.as_deref(), mug.tags.as_slice()),
        (Some("<p>Steintøy.</p>"), &["Høst".into(), "Nyhet".into()][..])
    );
    assert_eq!(mug.variants[0].grams.unwrap().to_string(), "350");

    minutes(&clock, 10);
    assert!(hooked.poll(Some(cursor.clone())).await.0.is_empty());
    pim.change_model("ull", vec![Val::new("name", "Tykk ullgenser").locale("nb_NO")]).unwrap();
    pim.change_model("ull_red", vec![Val::new("picture", "a/b/red.jpg")]).unwrap();
    minutes(&clock, 10);
    let (changed, _) = hooked.poll(Some(cursor)).await;
    assert_eq!(changed.len(), 1, "both variants are in the list, and are one product");
    let jumper = product(&changed[0]);
    assert_eq!((jumper.title.as_str(), jumper.updated_at), ("Tykk ullgenser", at("2026-11-20T10:20:00Z")));
    assert_eq!(jumper.media[0].id, "a/b/red.jpg");
    assert!(hooked.connection.poll_since(EntityKind::Product, at("2026-11-20T10:00:00Z")).is_some());
}

#[tokio::test]
async fn what_is_switched_off_or_not_complete_is_a_draft() {
    let clock = clock();
    let pim = AkeneoSim::start(options(&clock)).await.unwrap();
    let uuid = pim.create_product(mug()).unwrap();
    let [black, red] = jumper(&pim);
    let hooked = Hooked::to(&pim, &clock, json!({}));
    assert_eq!(hooked.read(&uuid).await.unwrap().status, ProductStatus::Active);
    pim.change_product(&uuid, vec![Val::new("price", Value::Null).scope("ecommerce")]).unwrap();
    assert_eq!(hooked.read(&uuid).await.unwrap().status, ProductStatus::Draft);
    pim.unpublish(&black).unwrap();
    let jumper = hooked.read(&black).await.unwrap();
    assert_eq!((jumper.id.as_str(), jumper.status), ("model/ull", ProductStatus::Active));
    assert_eq!(jumper.variants.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [red.as_str()]);
    pim.unpublish(&red).unwrap();
    let jumper = hooked.read("model/ull_red").await.unwrap();
    assert_eq!((jumper.status, jumper.variants.len()), (ProductStatus::Draft, 2));
    pim.delete_model("ull").unwrap();
    assert!(hooked.read("model/ull").await.is_none() && hooked.read(&red).await.is_none());
}

#[tokio::test]
async fn events_of_both_ways_are_believed_and_read_back_and_forged_ones_are_not() {
    let clock = clock();
    let pim = AkeneoSim::start(Options { delta: true, ..options(&clock) }).await.unwrap();
    let (hub, url) = Hub::start().await;
    let [black, _] = jumper(&pim);
    let hooked = Hooked::to(&pim, &clock, json!({}));
    pim.set_target(Some(&url));
    pim.move_product(&black, "ull_red").unwrap();
    pim.flush().await;
    let came = hub.take().remove(0);
    let changes = hooked.changes(&came);
    assert_eq!(changes.iter().map(|it| it.entity.id.as_str()).collect::<Vec<_>>(), [black.as_str(), "model/ull_black"]);
    assert!(changes.iter().all(|it| it.topic == Topic::ProductUpdated && it.record == Record::Nudge));
    for change in &changes {
        assert_eq!(hooked.read(&change.entity.id).await.unwrap().id, "model/ull");
    }
    let verified = hooked.believed(&came).unwrap();
    assert_eq!(hooked.connection.topic(&verified).unwrap().unwrap(), "product.updated.delta");

    pim.rotate_secret("new-secret");
    pim.change_model("ull", vec![Val::new("name", "Genser").locale("nb_NO")]).unwrap();
    pim.delete_product(&black).unwrap();
    pim.tell("asset.updated", json!({ "asset": { "code": "side", "asset_family": { "code": "packshots" } } }));
    pim.remove_connection();
    pim.flush().await;
    let mut told: Vec<(Topic, String)> =
        hub.take().iter().flat_map(|came| hooked.changes(came)).map(|it| (it.topic, it.entity.id)).collect();
    told.sort();
    let expected =
        [(Topic::ProductUpdated, "model/ull"), (Topic::ProductDeleted, black.as_str()), (Topic::AppUninstalled, "1_client")];
    assert_eq!(told.iter().map(|(topic, id)| (*topic, id.as_str())).collect::<Vec<_>>(), expected);

    assert_eq!(pim.forge(8).await, 8, "this hub answers 200 to everything");
    assert!(hub.take().iter().all(|came| hooked.believed(came).is_none()));
}

#[tokio::test]
async fn the_events_api_is_believed_for_five_minutes_and_variants_stand_for_their_model() {
    let clock = clock();
    let pim = AkeneoSim::start(options(&clock)).await.unwrap();
    let (hub, url) = Hub::start().await;
    let uuid = pim.create_product(mug()).unwrap();
    let [black, red] = jumper(&pim);
    let hooked = Hooked::to(&pim, &clock, json!({}));
    pim.set_events_api_target(Some(&url));
    pim.publish_all(&[&uuid, &black, &red], false).unwrap();
    pim.flush().await;
    let came = hub.take().remove(0);
    let mut ids: Vec<String> = hooked.changes(&came).into_iter().map(|it| it.entity.id).collect();
    ids.sort();
    let mut expected = vec!["model/ull_black".to_owned(), "model/ull_red".to_owned(), uuid];
    expected.sort();
    assert_eq!(ids, expected);
    minutes(&clock, 6);
    assert!(hooked.believed(&came).is_none());
}

#[tokio::test]
async fn a_token_that_ended_early_is_renewed_and_other_failures_are_told_apart() {
    let clock = clock();
    let pim = AkeneoSim::start(options(&clock)).await.unwrap();
    let uuid = pim.create_product(mug()).unwrap();
    let hooked = Hooked::to(&pim, &clock, json!({}));
    assert!(hooked.read(&uuid).await.is_some());
    pim.expire_tokens();
    assert!(hooked.read(&uuid).await.is_some());
    minutes(&clock, 65);
    assert!(hooked.read(&uuid).await.is_some());
    assert_eq!(pim.tokens_issued(), 3);
    for (fault, class) in [
        (Fault::TooMany { retry_after: None }, ErrorClass::RateLimited),
        (Fault::Error(502), ErrorClass::Transient),
        (Fault::Malformed, ErrorClass::Transient),
        (Fault::Down, ErrorClass::Transient),
    ] {
        pim.faults().next(fault.clone(), 1);
        let error = hooked.connection.read(&hooked.api, EntityKind::Product, &uuid).unwrap().await.unwrap_err();
        assert_eq!(error.class, class, "{fault:?}");
    }
    assert_eq!(pim.calls()["GET /products-uuid/{id}"], 4, "what is answered malformed is carried out");
    let other = Hooked::to(&pim, &clock, json!({ "channel": "web" }));
    let error = other.connection.poll(&other.api, EntityKind::Product, None, clock.now()).unwrap().await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::Config, "HTTP 422: Scope \"web\" does not exist."));
    pim.remove_connection();
    let error = hooked.connection.read(&hooked.api, EntityKind::Product, &uuid).unwrap().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Auth);
}

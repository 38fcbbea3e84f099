//! `POST /rates/{connection}`: what a checkout is told about carriers, in its own shape or in plain JSON; in time, whatever the
//! carriers do, and never nothing.

use crate::hub::Hub;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use spindel_simulators::{
    bring::{self, BringSim},
    fault::{Fault, Faults},
    shipmondo::{self, ShipmondoSim},
    shopify::{self, ShopifySim, sign},
};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_millis(900);
/// For the way there and back, on a machine that has other things to do.
const SLACK: Duration = Duration::from_millis(900);
const TOKEN: &str = "a-token-of-the-counter";

struct Checkout {
    bring: BringSim,
    shipmondo: ShipmondoSim,
    hub: Hub,
    client: Client,
    _shop: ShopifySim,
}

/// A place that nobody asked about before.
struct Parcel {
    postal_code: String,
    grams: u32,
}

fn parcel(postal_code: u32) -> Parcel {
    Parcel { postal_code: format!("{postal_code:04}"), grams: 500 }
}

async fn start() -> Checkout {
    let shop = ShopifySim::start(shopify::Options::plus()).await.unwrap();
    let bring = BringSim::start(bring::Options::default()).await.unwrap();
    let shipmondo = ShipmondoSim::start(shipmondo::Options::default()).await.unwrap();
    let desk = |name: &str, token: &str| {
        format!(
            "[rates.{name}]\ncarriers = [\"bring\", \"carrier\"]\ndeadline = \"900ms\"\nkeep = \"10m\"\n{token}\n\
             [[rates.{name}.fallback]]\nservice = \"HOME\"\ntitle = \"Home delivery\"\nprice = \"99.00 DKK\"\ndays = 4\n\n"
        )
    };
    let rest = desk("shop", "") + &desk("counter", "token = { env = \"COUNTER_TOKEN\" }\n");
    let mut hub = Hub::prepare(&[("shop", &shop), ("bring", &bring), ("carrier", &shipmondo)], &rest).await;
    hub.change("product = \"PDK_MH\"\n", "product = \"PDK_MH\"\ndays = [1, 2]\n");
    hub.node.environment.push(("COUNTER_TOKEN".to_owned(), TOKEN.to_owned()));
    hub.launch().await;
    Checkout { bring, shipmondo, hub, client: Client::new(), _shop: shop }
}

impl Parcel {
    /// As Shopify's checkout puts it.
    fn in_shopify(&self) -> Vec<u8> {
        let place = |country: &str, postal_code: &str, city: &str| {
            json!({
                "country": country, "postal_code": postal_code, "province": null, "city": city, "name": null,
                "address1": "Storgata 1", "address2": "", "address3": null, "phone": null, "email": null, "company_name": "",
            })
        };
        let item = json!({
            "name": "Genser", "sku": "SKU-0001", "quantity": 1, "grams": self.grams, "price": 19900, "vendor": "Fjell",
            "requires_shipping": true, "taxable": true, "fulfillment_service": "manual", "properties": {},
        });
        let rate = json!({
            "origin": place("DK", "5000", "Odense"), "destination": place("NO", &self.postal_code, "Oslo"),
            "items": [item], "currency": "DKK", "locale": "nb",
        });
        json!({ "rate": rate }).to_string().into()
    }

    fn in_plain_json(&self) -> Value {
        json!({
            "currency": "DKK",
            "origin": { "country": "DK", "postal_code": "5000", "city": "Odense", "line1": "Vej 1" },
            "destination": { "country": "NO", "postal_code": self.postal_code, "city": "Oslo" },
            "items": [{ "sku": "SKU-0001", "quantity": 1, "grams": self.grams, "price": { "amount": "199.00", "currency": "DKK" } }],
        })
    }
}

impl Checkout {
    fn signed(&self, body: Vec<u8>, signature: &str) -> RequestBuilder {
        let url = format!("http://{}/rates/shop", self.hub.node.address);
        self.client.post(url).header("X-Shopify-Hmac-Sha256", signature).body(body)
    }

    fn plain(&self, parcel: &Parcel) -> RequestBuilder {
        let url = format!("http://{}/rates/counter", self.hub.node.address);
        self.client.post(url).body(parcel.in_plain_json().to_string())
    }

    /// Service and price in smallest units, cheapest first; in time.
    async fn asked_in_shopify(&self, parcel: &Parcel) -> Vec<(String, i64)> {
        let body = parcel.in_shopify();
        let signature = sign("client-secret", &body);
        let rates = answered(self.signed(body, &signature)).await;
        let rate = |it: &Value| {
            assert_eq!(it["currency"], "DKK");
            (it["service_code"].as_str().unwrap().to_owned(), it["total_price"].as_str().unwrap().parse().unwrap())
        };
        rates.iter().map(rate).collect()
    }

    async fn asked_in_plain_json(&self, parcel: &Parcel) -> Vec<(String, i64)> {
        let rates = answered(self.plain(parcel).bearer_auth(TOKEN)).await;
        let minor = |it: &Value| it["price"]["amount"].as_str().unwrap().replace('.', "").parse().unwrap();
        rates.iter().map(|it| (it["service"].as_str().unwrap().to_owned(), minor(it))).collect()
    }

    fn all_carriers(&self, fault: Option<Fault>) {
        self.bring.faults().set(fault.clone());
        self.shipmondo.faults().set(fault);
    }
}

async fn answered(request: RequestBuilder) -> Vec<Value> {
    let begun = Instant::now();
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let took = begun.elapsed();
    assert!(took < DEADLINE + SLACK, "{took:?}");
    let rates = body["rates"].as_array().unwrap().clone();
    assert!(!rates.is_empty(), "a checkout without any rate sells nothing");
    rates
}

fn all() -> Vec<(String, i64)> {
    [("PDK_MH", 7_406), ("5800", 11_920), ("5600", 15_920)].map(|(service, price)| (service.to_owned(), price)).into()
}

fn table() -> Vec<(String, i64)> {
    vec![("HOME".to_owned(), 9_900)]
}

#[tokio::test(flavor = "multi_thread")]
async fn both_shapes_are_told_the_prices_and_days_of_all_carriers() {
    let it = start().await;
    assert_eq!(it.asked_in_shopify(&parcel(155)).await, all());
    assert_eq!(it.asked_in_plain_json(&parcel(155)).await, all());

    let body = parcel(155).in_shopify();
    let signature = sign("client-secret", &body);
    let today = spindel_model::Clock::system().now().strftime("%Y-%m-%d").to_string();
    for rate in answered(it.signed(body, &signature)).await {
        let (min, max) = (rate["min_delivery_date"].as_str().unwrap(), rate["max_delivery_date"].as_str().unwrap());
        assert!(today.as_str() < min && min <= max, "{rate:#}");
        assert!(!rate["service_name"].as_str().unwrap().is_empty());
    }
    for rate in answered(it.plain(&parcel(155)).bearer_auth(TOKEN)).await {
        let (earliest, latest) = (rate["earliest"].as_str().unwrap(), rate["latest"].as_str().unwrap());
        assert!(today.as_str() < earliest && earliest <= latest, "{rate:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_hangs_is_left_out_and_its_late_answer_serves_the_next_checkout() {
    let it = start().await;
    it.bring.faults().next(Fault::Slow(DEADLINE * 3), 1);
    let begun = Instant::now();
    assert_eq!(it.asked_in_shopify(&parcel(5003)).await, [all()[0].clone()]);
    assert!(begun.elapsed() >= DEADLINE, "there was time to wait for it");

    it.hub.until("the late answer", || it.bring.calls().values().sum::<u64>() == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // From now on only what was kept can be told.
    it.all_carriers(Some(Fault::Down));
    let begun = Instant::now();
    assert_eq!(it.asked_in_shopify(&parcel(5003)).await, all());
    assert!(begun.elapsed() < DEADLINE, "nobody had to be asked");
    assert_eq!(it.asked_in_shopify(&parcel(7010)).await, table(), "another place is another question");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_answers_when_no_carrier_does_whatever_is_the_matter_with_them() {
    let it = start().await;
    let matters = [
        Fault::Down,
        Fault::Error(500),
        Fault::Error(401),
        Fault::Malformed,
        Fault::CutAfter,
        Fault::Slow(Duration::from_secs(5)),
    ];
    for (number, fault) in (1000..).zip(matters) {
        it.all_carriers(Some(fault.clone()));
        assert_eq!(it.asked_in_shopify(&parcel(number)).await, table(), "{fault:?}");
        assert_eq!(it.asked_in_plain_json(&parcel(number)).await, table(), "{fault:?}");
    }
    // When they are back, so are their prices; unless they asked to be left alone.
    it.all_carriers(None);
    assert_eq!(it.asked_in_shopify(&parcel(2000)).await, all());
    it.all_carriers(Some(Fault::TooMany { retry_after: Some(60) }));
    for number in 3000..3003 {
        assert_eq!(it.asked_in_shopify(&parcel(number)).await, table());
    }
    let turned_away = |faults: &Faults| faults.counts()["too_many"];
    assert_eq!((turned_away(&it.bring.faults()), turned_away(it.shipmondo.faults())), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_checkouts_at_once_are_answered_in_time_while_a_carrier_hangs() {
    let it = start().await;
    it.shipmondo.faults().set(Some(Fault::Slow(Duration::from_secs(5))));
    let asked = (0..8).map(|number| {
        let it = &it;
        async move { it.asked_in_shopify(&parcel(3000 + number)).await }
    });
    for rates in futures::future::join_all(asked).await {
        assert_eq!(rates, all()[1..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_proves_it_is_told_anything() {
    let it = start().await;
    let body = parcel(155).in_shopify();
    let mut changed = body.clone();
    *changed.last_mut().unwrap() = b' ';
    let shop = format!("http://{}/rates/shop", it.hub.node.address);
    let refused = [
        it.signed(body.clone(), &sign("another secret", &body)),
        it.signed(changed, &sign("client-secret", &body)),
        it.signed(body.clone(), ""),
        it.client.post(&shop).body(body.clone()),
        // A token is no signature, and the other way round.
        it.client.post(&shop).bearer_auth(TOKEN).body(parcel(155).in_plain_json().to_string()),
        it.plain(&parcel(155)),
        it.plain(&parcel(155)).bearer_auth("another token"),
        it.plain(&parcel(155)).bearer_auth(""),
        it.plain(&parcel(155)).header("authorization", TOKEN),
        it.plain(&parcel(155)).header("X-Shopify-Hmac-Sha256", sign("client-secret", &body)),
    ];
    for (number, request) in refused.into_iter().enumerate() {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "request {number}");
    }
    let elsewhere = it.client.post(format!("http://{}/rates/elsewhere", it.hub.node.address)).bearer_auth(TOKEN).body("{}");
    assert_eq!(elsewhere.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let nonsense = it.client.post(format!("http://{}/rates/counter", it.hub.node.address)).bearer_auth(TOKEN).body("{}");
    assert_eq!(nonsense.send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(it.bring.calls().len(), 0, "no carrier was asked");
}

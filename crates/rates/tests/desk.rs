//! A desk between carriers that answer, hang and fail.

#![allow(clippy::unwrap_used)]

use spindel_connect::{
    Ability, Api, Auth, BoxFuture, CallError, ConfigError, Connector, Endpoint, Failure, Fixture, Info, Kind, Quote, Reply,
    Request, Transport, entry, quotes,
};
use spindel_model::{Address, Clock, Currency, Decimal, Money, Rate, RateItem, RateRequest, Timestamp};
use spindel_rates::{Carrier, Desk, Fallback};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Answers with the price that its transport gives.
struct Parcels;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Connector for Parcels {
    const INFO: Info = Info { id: "parcels", name: "Parcels", kind: Kind::Shipping, about: "a carrier of these tests" };
    type Config = Nothing;
    const ABILITIES: &'static [Ability<Self>] = &[quotes::<Self>()];
    const FIXTURES: &'static [Fixture] = &[];

    fn connect(_: Nothing) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self, Endpoint::new("https://parcels.example.no", Auth::None)))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok("here".into())
    }
}

impl Quote for Parcels {
    async fn quote(&self, api: &Api, _: &RateRequest) -> Result<Vec<Rate>, CallError> {
        let minor: i64 = api.get("quote", "/price").fetch().await?;
        Ok(vec![rate("home", minor)])
    }
}

/// What the carrier's server does.
enum Server {
    Says(&'static str),
    Breaks,
    /// Answers once it is let go.
    Hangs(Arc<Notify>),
}

struct Line {
    server: Server,
    asked: Arc<AtomicUsize>,
}

impl Transport for Line {
    fn send<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(async {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let reply = |status, body: &'static str| Reply { status, headers: http::HeaderMap::new(), body: body.into() };
            match &self.server {
                Server::Says(price) => Ok(reply(200, price)),
                Server::Breaks => Ok(reply(500, "")),
                Server::Hangs(until) => {
                    until.notified().await;
                    Ok(reply(200, "4900"))
                }
            }
        })
    }
}

fn carrier(name: &str, server: Server) -> (Carrier, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (connection, _) = (entry::<Parcels>().connect)(serde_json::json!({})).unwrap();
    let line = Line { server, asked: asked.clone() };
    (Carrier::new(name, connection, Api::new(Arc::new(line), |_| None, Clock::system())), asked)
}

fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn nok(minor: i64) -> Money {
    Money::from_minor(minor, Currency::NOK)
}

fn rate(service: &str, minor: i64) -> Rate {
    Rate { service: service.into(), title: service.into(), description: None, price: nok(minor), earliest: None, latest: None }
}

fn row(service: &str, minor: i64, countries: &[&str], up_to_grams: Option<u64>) -> Fallback {
    Fallback {
        service: service.into(),
        title: service.into(),
        price: nok(minor),
        countries: countries.iter().map(|it| (*it).to_owned()).collect(),
        up_to_grams,
        days: Some(3),
    }
}

fn question(country: &str, grams: i64) -> RateRequest {
    RateRequest {
        currency: Currency::NOK,
        locale: None,
        origin: None,
        destination: Address { country: Some(country.into()), postal_code: Some("0155".into()), ..Address::default() },
        items: vec![RateItem { sku: Some("A".into()), quantity: Decimal::ONE, grams: grams.into(), price: nok(19900) }],
    }
}

const DEADLINE: Duration = Duration::from_millis(300);
const KEEP: Duration = Duration::from_secs(600);

fn services(rates: &[Rate]) -> Vec<(&str, Money)> {
    rates.iter().map(|it| (it.service.as_str(), it.price)).collect()
}

#[tokio::test]
async fn all_carriers_are_asked_and_the_cheapest_stands_first() {
    let carriers = vec![carrier("dear", Server::Says("9900")).0, carrier("cheap", Server::Says("4900")).0];
    let desk = Desk::new(carriers, DEADLINE, KEEP, Vec::new());
    let rates = desk.rates(&question("NO", 500), now()).await;
    assert_eq!(services(&rates), [("home", nok(4900)), ("home", nok(9900))]);
}

#[tokio::test]
async fn a_carrier_that_hangs_costs_no_more_than_the_deadline_and_serves_the_next_checkout() {
    let released = Arc::new(Notify::new());
    let (slow, asked) = carrier("slow", Server::Hangs(released.clone()));
    let desk = Desk::new(vec![carrier("quick", Server::Says("9900")).0, slow], DEADLINE, KEEP, Vec::new());
    let begun = Instant::now();
    let rates = desk.rates(&question("NO", 500), now()).await;
    assert!((DEADLINE..DEADLINE * 3).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(services(&rates), [("home", nok(9900))]);

    released.notify_one();
    // One thread: the late answer is kept before this test goes on.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    let rates = desk.rates(&question("NO", 500), now()).await;
    assert_eq!(services(&rates), [("home", nok(4900)), ("home", nok(9900))]);
    assert!(begun.elapsed() < DEADLINE);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "what came late was kept");
}

#[tokio::test]
async fn the_same_question_is_asked_once_and_another_place_is_another_question() {
    let (only, asked) = carrier("only", Server::Says("4900"));
    let desk = Desk::new(vec![only], DEADLINE, KEEP, Vec::new());
    for country in ["NO", "NO", "SE", "NO"] {
        assert_eq!(desk.rates(&question(country, 500), now()).await.len(), 1);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_table_answers_for_carriers_that_fail_and_is_never_empty() {
    let table =
        vec![row("letter", 3900, &["NO"], Some(2000)), row("parcel", 9900, &["NO"], None), row("abroad", 19900, &["SE"], None)];
    let desk = Desk::new(vec![carrier("broken", Server::Breaks).0], DEADLINE, KEEP, table);
    for (country, grams, expected) in [
        ("NO", 500, vec![("letter", nok(3900)), ("parcel", nok(9900))]),
        ("NO", 5000, vec![("parcel", nok(9900))]),
        ("SE", 500, vec![("abroad", nok(19900))]),
        // Nothing covers it: the dearest, rather than no sale.
        ("JP", 500, vec![("abroad", nok(19900))]),
    ] {
        let rates = desk.rates(&question(country, grams), now()).await;
        assert_eq!(services(&rates), expected, "{country} {grams}");
        assert_eq!(rates[0].latest.unwrap().to_string(), "2026-11-26");
    }
}

#[tokio::test]
async fn a_price_in_another_currency_is_no_answer() {
    let desk = Desk::new(vec![carrier("only", Server::Says("4900")).0], DEADLINE, KEEP, Vec::new());
    let request = RateRequest { currency: Currency::SEK, ..question("NO", 500) };
    assert_eq!(desk.rates(&request, now()).await, []);
}

#[tokio::test]
async fn the_table_answers_in_the_currency_of_the_question_where_it_can() {
    let in_sek = |service: &str, minor, countries: &[&str]| Fallback {
        price: Money::from_minor(minor, Currency::SEK),
        ..row(service, 0, countries, None)
    };
    let table = vec![row("home", 9900, &[], None), in_sek("hem", 12900, &["SE"]), in_sek("ombud", 4900, &["SE"])];
    let desk = Desk::new(Vec::new(), DEADLINE, KEEP, table);
    for (currency, country, expected) in [
        (Currency::NOK, "SE", vec!["home"]),
        (Currency::SEK, "SE", vec!["ombud", "hem"]),
        // Nothing of its currency covers it, and something else does.
        (Currency::SEK, "FI", vec!["home"]),
        (Currency::EUR, "SE", vec!["home", "hem", "ombud"]),
    ] {
        let rates = desk.rates(&RateRequest { currency, ..question(country, 500) }, now()).await;
        let mut found: Vec<&str> = rates.iter().map(|it| it.service.as_str()).collect();
        found.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found, expected, "{currency:?} {country}");
    }
}

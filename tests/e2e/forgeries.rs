//! Attacks on every connector that receives, over real HTTP: requests that nobody but a stranger sends, genuine ones sent again,
//! and genuine ones sent to somebody else.

use crate::{
    front::{Front, Passed},
    hub::{Hub, Plain},
};
use serde_json::{Value, json};
use spindel_simulators::{
    akeneo::{self, AkeneoSim},
    bring::{self, BringSim},
    business_central::{BusinessCentralSim, Setup},
    hubspot::{self, HubspotSim},
    klarna::{self, KlarnaSim},
    magento::{self, MagentoSim},
    roles::Vendor,
    shipmondo::{self, ShipmondoSim},
    shopify::{self, ShopifySim},
    stripe::{self, StripeSim},
    vipps::{self, VippsSim},
    woocommerce::{self, WoocommerceSim},
};
use std::{collections::BTreeSet, time::Duration};

const ALL: [&str; 11] = ["shop", "woo", "magento", "stripe", "vipps", "klarna", "bring", "carrier", "hubspot", "pim", "erp"];

/// Every vendor that tells something, and a Spindel that is told.
struct Senders {
    shop: ShopifySim,
    woo: WoocommerceSim,
    magento: MagentoSim,
    stripe: StripeSim,
    vipps: VippsSim,
    klarna: KlarnaSim,
    bring: BringSim,
    carrier: ShipmondoSim,
    hubspot: HubspotSim,
    pim: AkeneoSim,
    erp: BusinessCentralSim,
    front: Front,
    hub: Hub,
}

/// A label is made only for what is booked, and Bring tells only of that.
const BOOKING: &str = "[flows.booking]\nfrom = \"shop\"\non = [\"order.paid\"]\nto = \"bring\"\ndo = \"book_shipment\"\n";

fn hubspot(sim: &HubspotSim) -> Plain {
    let options = hubspot::Options::default();
    Plain::new("hubspot", format!("base_url = \"{}\"\nportal_id = \"{}\"\n", sim.base_url(), options.portal_id))
        .secret("access_token", options.access_token)
        .secret("client_secret", options.client_secret)
}

fn akeneo(sim: &AkeneoSim) -> Plain {
    let options = akeneo::Options::default();
    let settings = format!(
        "url = \"{}\"\nclient_id = \"{}\"\nusername = \"{}\"\nchannel = \"ecommerce\"\nlocales = [\"nb_NO\"]\ncurrency = \"NOK\"\n",
        sim.base_url(),
        options.client_id,
        options.username
    );
    Plain::new("akeneo", settings)
        .secret("client_secret", options.client_secret)
        .secret("password", options.password)
        .secret("webhook_secret", options.primary_secret)
}

fn magento(sim: &MagentoSim) -> Plain {
    let options = magento::Options::default();
    let key = magento::PUBLIC_KEY;
    let settings = format!(
        "url = \"{}\"\ncurrency = \"NOK\"\nevents = \"commerce-webhooks\"\npublic_keys = [\"\"\"{key}\"\"\"]\n",
        sim.base_url()
    );
    Plain::new("magento", settings)
        .secret("consumer_key", options.consumer_key)
        .secret("consumer_secret", options.consumer_secret)
        .secret("access_token", options.access_token)
        .secret("access_token_secret", options.access_token_secret)
}

impl Senders {
    /// All of them have told something that was believed.
    async fn start() -> Self {
        let shop = ShopifySim::start(shopify::Options::plus()).await.unwrap();
        let woo = WoocommerceSim::start(woocommerce::Options::default()).await.unwrap();
        let pushing = magento::Options { push: magento::Push::Webhooks, ..magento::Options::default() };
        let magento = MagentoSim::start(pushing).await.unwrap();
        let stripe = StripeSim::start(stripe::Options::default()).await.unwrap();
        let vipps = VippsSim::start(vipps::Options::default()).await.unwrap();
        let klarna = KlarnaSim::start(klarna::Options::default()).await.unwrap();
        let bring = BringSim::start(bring::Options::default()).await.unwrap();
        let carrier = ShipmondoSim::start(shipmondo::Options::default()).await.unwrap();
        let hubspot = HubspotSim::start(hubspot::Options::default()).await.unwrap();
        let pim = AkeneoSim::start(akeneo::Options::default()).await.unwrap();
        let erp = BusinessCentralSim::start(Setup::default()).await.unwrap();
        let plain = (self::magento(&magento), self::hubspot(&hubspot), akeneo(&pim), Plain::business_central(&erp));
        let vendors: [(&str, &dyn Vendor); 11] = [
            ("shop", &shop),
            ("woo", &woo),
            ("magento", &plain.0),
            ("stripe", &stripe),
            ("vipps", &vipps),
            ("klarna", &klarna),
            ("bring", &bring),
            ("carrier", &carrier),
            ("hubspot", &plain.1),
            ("pim", &plain.2),
            ("erp", &plain.3),
        ];
        let mut hub = Hub::start(&vendors, BOOKING).await;
        let front = Front::of(hub.node.address).await;
        hub.says_address(&front.url);
        let senders = Self { shop, woo, magento, stripe, vipps, klarna, bring, carrier, hubspot, pim, erp, front, hub };
        senders.tell().await;
        for name in ALL {
            senders.hub.until(name, || !senders.hub.events(name).is_empty()).await;
        }
        senders.quiet().await;
        senders
    }

    /// Something happens at each.
    async fn tell(&self) {
        let inbox = |name: &str| format!("{}/in/{name}", self.front.url);
        self.shop.set_target(Some(&inbox("shop")));
        self.woo.set_target(&inbox("woo"));
        self.magento.set_target(&inbox("magento"));
        self.stripe.set_target(Some(&inbox("stripe")));
        self.vipps.set_target(Some(&inbox("vipps")));
        self.klarna.set_target(Some(&inbox("klarna")));
        self.bring.set_target(Some(&inbox("bring")));
        self.carrier.set_target(Some(&inbox("carrier")));
        self.hubspot.set_target(Some(&inbox("hubspot")));
        self.pim.set_target(Some(&inbox("pim")));
        self.hub.node.cli(&["subscriptions", "repair", "erp"]);

        self.shop.place_order(&shopify::OrderSpec::of([(self.shop.skus()[0].clone(), 1)])).unwrap();
        self.woo.place_order(&woocommerce::OrderSpec::of(&[(&self.woo.skus()[0], 1)])).unwrap();
        self.magento.place_order(&magento::OrderSpec::of(&[("SKU-01", 1)])).unwrap();
        self.stripe.sell(10_000, "NOK", &[("order_number", "1042")]);
        self.vipps.authorize("order-1042", 10_000, "NOK").unwrap();
        self.klarna.authorize(10_000, "NOK", Some("1042"));
        self.carrier.book_by_hand(Some("#1042@shop"), None);
        self.hubspot.add_contact(&[("email", "kari@example.no")]).unwrap();
        self.pim.create_product(mug()).unwrap();
        self.erp.set_price("TE-03", rust_decimal::Decimal::new(49_90, 2)).unwrap();
        self.hub.until("the booking", || !self.bring.consignments().is_empty()).await;
        self.bring.scan(&self.bring.consignments()[0].number, "IN_TRANSIT").unwrap();
    }

    /// Waits until nothing is on its way any more.
    async fn quiet(&self) {
        let mut before = 0;
        while before != self.front.passed().len() {
            before = self.front.passed().len();
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    }

    /// So many that must be turned away: how many were sent, and how many accepted.
    async fn forge(&self, name: &str, n: usize) -> (u64, u64) {
        macro_rules! forged {
            ($vendor:expr) => {{
                let forged = $vendor.forge(n).await;
                (forged.sent, forged.accepted)
            }};
        }
        let sent = u64::try_from(n).unwrap();
        let count = |accepted: usize| (sent, u64::try_from(accepted).unwrap());
        match name {
            "shop" => forged!(self.shop),
            "woo" => forged!(self.woo),
            "magento" => forged!(self.magento),
            "stripe" => forged!(self.stripe),
            "vipps" => forged!(self.vipps),
            "klarna" => forged!(self.klarna),
            "bring" => forged!(self.bring),
            "hubspot" => forged!(self.hubspot),
            "carrier" => count(self.carrier.forge(n).await),
            "pim" => count(self.pim.forge(n).await),
            _ => {
                let forged = self.erp.forge(&format!("{}/in/erp", self.front.url), n).await;
                (forged.sent, forged.accepted)
            }
        }
    }

    /// Why requests to a connection were turned away.
    fn rejected(&self, name: &str) -> Vec<Value> {
        let all = self.hub.node.cli(&["events", "list", "--rejected", "--limit", "1000"]);
        all.as_array().unwrap().iter().filter(|it| it["connection"] == name).cloned().collect()
    }

    /// How many events each connection has.
    fn counts(&self) -> Vec<usize> {
        ALL.iter().map(|name| self.hub.events(name).len()).collect()
    }
}

fn mug() -> akeneo::ProductSpec {
    akeneo::ProductSpec {
        family: Some("kitchen".into()),
        parent: None,
        categories: vec!["cups".into()],
        enabled: true,
        values: vec![
            akeneo::Val::new("sku", "KRUS"),
            akeneo::Val::new("name", "Krus").locale("nb_NO"),
            akeneo::Val::new("price", json!([{ "amount": "199.00", "currency": "NOK" }])).scope("ecommerce"),
        ],
    }
}

const FORGED: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn what_no_vendor_sent_is_turned_away_and_on_record_with_its_reason() {
    let senders = Senders::start().await;
    let before = senders.counts();
    for name in ALL {
        assert_eq!(senders.rejected(name).len(), 0, "{name}: {:#?}", senders.rejected(name));
        assert_eq!(senders.forge(name, FORGED).await, (FORGED as u64, 0), "{name}");
        senders.hub.until(name, || senders.rejected(name).len() == FORGED).await;
        for one in senders.rejected(name) {
            let (reason, status) = (one["reason"].as_str().unwrap(), one["status"].as_u64().unwrap());
            let says = ["does not match", "missing", "empty", "no ", "not ", "none of", "too old"];
            assert!(says.iter().any(|it| reason.contains(it)), "{name}: {one:#}");
            assert!(status == 401 || (name == "erp" && status == 503), "{name}: {one:#}");
        }
        // No more than so many a second are noted.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(senders.counts(), before);
    let log = std::fs::read_to_string(senders.hub.node.folder.join("log")).unwrap();
    let said = log + &senders.hub.node.cli(&["events", "list", "--rejected", "--limit", "1000"]).to_string();
    for secret in ["client-secret", "simulatedsecret", "whsec_simulated", "webhook-secret", "primary-secret"] {
        assert!(!said.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_has_no_second_effect_and_what_is_sent_elsewhere_none() {
    let senders = Senders::start().await;
    let before = senders.counts();
    let genuine: Vec<Passed> = senders.front.passed().into_iter().filter(|it| it.status == 200 && is_event(it)).collect();
    let told: BTreeSet<&str> = genuine.iter().map(Passed::connection).collect();
    assert_eq!(told, BTreeSet::from(ALL));
    for request in &genuine {
        let again = senders.front.send(request).await;
        let answer: Value = serde_json::from_slice(&again.answer).unwrap();
        assert_eq!((again.status, answer["outcome"].as_str()), (200, Some("duplicate")), "{again:#?}");
    }
    for name in told {
        let request = genuine.iter().find(|it| it.connection() == name).unwrap();
        for other in ALL.iter().filter(|it| **it != name) {
            let elsewhere = senders.front.send(&request.to(other)).await;
            assert!(elsewhere.status >= 400, "{name} at {other}: {elsewhere:#?}");
        }
        let nobody = senders.front.send(&request.to("nobody")).await;
        assert_eq!(nobody.status, 404);
    }
    assert_eq!(senders.counts(), before);
}

/// And no handshake.
fn is_event(passed: &Passed) -> bool {
    serde_json::from_slice::<Value>(&passed.answer).is_ok_and(|it| it["event"].is_string())
}

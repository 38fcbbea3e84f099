//! `customers-with-consent.toml`: who agreed reaches the CRM, with the order as a deal; nobody else does.

use crate::world::Example;
use serde_json::Value;
use spindel_simulators::{
    hubspot::{self, HubspotSim},
    shopify::{self, ShopifySim},
};
use std::collections::{BTreeMap, BTreeSet};

const NEWSLETTER: u64 = 4711;

/// Who placed an order, by e-mail, and whether they agreed: as the shop told it.
fn buyers(shop: &ShopifySim) -> BTreeMap<String, bool> {
    let log = shop.webhook_log().into_iter().filter(|webhook| webhook.topic == "orders/paid");
    let buyer = |webhook: shopify::Webhook| {
        let order: Value = serde_json::from_slice(&webhook.body).unwrap();
        let customer = &order["customer"];
        let email = customer["email"].as_str().unwrap().to_owned();
        (email, customer["email_marketing_consent"]["state"] == "subscribed")
    };
    log.map(buyer).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_agreed_reaches_the_crm_and_nobody_else() {
    let shop = ShopifySim::start(shopify::Options { customers: 12, ..shopify::Options::default() }).await.unwrap();
    let crm = HubspotSim::start(hubspot::Options::default()).await.unwrap();
    let mut example = Example::of("customers-with-consent.toml");
    example.shop(&shop).set("connections.crm.base_url", crm.base_url());
    let world =
        example.secret("HUBSPOT_TOKEN", "pat-eu1-simulated").secret("HUBSPOT_CLIENT_SECRET", "client-secret").start().await;
    shop.set_target(Some(&world.inbox("shop")));
    let sku = shop.skus()[0].clone();
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(shop.place_order(&shopify::OrderSpec::of([(sku.clone(), 1)])).unwrap());
    }
    shop.flush().await;
    let buyers = buyers(&shop);
    let agreed: BTreeSet<&String> = buyers.iter().filter(|(_, agreed)| **agreed).map(|(email, _)| email).collect();
    assert!(!agreed.is_empty() && agreed.len() < buyers.len(), "the seed makes both kinds: {buyers:?}");

    world.until("a contact for each who agreed", || crm.contacts().len() == agreed.len()).await;
    world.until_all_is_delivered().await;
    let contacts: BTreeSet<String> = crm.contacts().into_iter().filter_map(|it| it.email).collect();
    assert_eq!(contacts.iter().collect::<BTreeSet<_>>(), agreed);
    for email in buyers.keys() {
        assert_eq!(crm.consent(email, NEWSLETTER).is_some(), agreed.contains(email), "{email}");
    }
    // A deal for each order of theirs, once, and no other.
    let deals = crm.deals();
    let names: BTreeSet<&String> = deals.iter().map(|deal| &deal.properties["spindel_order"]).collect();
    assert_eq!(names.len(), deals.len());
    assert!(!deals.is_empty() && deals.len() < orders.len());
    let of_contacts: BTreeSet<String> = crm.contacts().into_iter().map(|it| it.id).collect();
    assert!(deals.iter().all(|deal| deal.contacts.iter().all(|contact| of_contacts.contains(contact))));

    // Nothing at all is known there of the others, however often they are told of.
    shop.update_customer(None, "ny.adresse@example.no").unwrap();
    shop.flush().await;
    world.until_all_is_delivered().await;
    assert_eq!(crm.deals().len(), deals.len());
}

//! `product-texts.toml`: a product of the PIM is in the shop, in two languages, with the shop's own fields.

use crate::world::Example;
use serde_json::json;
use spindel_simulators::{
    akeneo::{self, AkeneoSim, ProductSpec, Val},
    shopify::{self, ShopifySim},
};

/// In that language, with what is translated.
fn translated(shop: &ShopifySim, locale: &str, field: &str) -> Option<String> {
    let translations = shop.product("KRUS")?.translations.into_iter();
    translations.filter(|it| !it.outdated).find(|it| it.locale == locale && it.field == field).map(|it| it.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_reaches_the_shop_in_two_languages_and_follows_the_pim() {
    let pim = AkeneoSim::start(akeneo::Options::default()).await.unwrap();
    let locales = ["nb", "sv"].map(str::to_owned).to_vec();
    let shop = ShopifySim::start(shopify::Options { locales, ..shopify::Options::default() }).await.unwrap();
    let mut example = Example::of("product-texts.toml");
    example.shop(&shop).akeneo(&pim);
    let world = example.start().await;
    pim.set_target(Some(&world.inbox("pim")));
    let price = json!([{ "amount": "249.00", "currency": "NOK" }]);
    let uuid = pim
        .create_product(ProductSpec {
            family: Some("kitchen".into()),
            parent: None,
            categories: Vec::new(),
            enabled: true,
            values: vec![
                Val::new("sku", "KRUS"),
                Val::new("name", "Krus").locale("nb_NO"),
                Val::new("name", "Mugg").locale("sv_SE"),
                Val::new("material", "Steintøy").locale("nb_NO"),
                Val::new("material", "Stengods").locale("sv_SE"),
                Val::new("price", price).scope("ecommerce"),
            ],
        })
        .unwrap();
    world.until("the product in the shop", || shop.product("KRUS").is_some()).await;
    world.until("its Swedish name", || translated(&shop, "sv", "title").as_deref() == Some("Mugg")).await;
    world.until_all_is_delivered().await;
    let product = shop.product("KRUS").unwrap();
    assert_eq!(product.title, "Krus");
    let material = product.metafields.iter().find(|(name, ..)| name == "custom.material").map(|(.., value)| value.as_str());
    assert_eq!(material, Some("Steintøy"));
    assert_eq!(translated(&shop, "sv", "custom.material").as_deref(), Some("Stengods"));
    assert_eq!(
        shop.variants().into_iter().filter(|it| it.sku == "KRUS").map(|it| it.price.to_string()).collect::<Vec<_>>(),
        ["249.00"]
    );

    // A change of one language alone.
    pim.change_product(&uuid, vec![Val::new("name", "Kaffemugg").locale("sv_SE")]).unwrap();
    world.until("the new Swedish name", || translated(&shop, "sv", "title").as_deref() == Some("Kaffemugg")).await;
    // And one that no webhook tells of.
    pim.set_target(None);
    pim.change_product(&uuid, vec![Val::new("name", "Kaffekrus").locale("nb_NO")]).unwrap();
    world.until("the new name", || shop.product("KRUS").unwrap().title == "Kaffekrus").await;
    world.until_all_is_delivered().await;
    assert_eq!(shop.variants().into_iter().filter(|it| it.sku == "KRUS").count(), 1);
}

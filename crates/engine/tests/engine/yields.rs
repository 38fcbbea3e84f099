//! What an action brings about at its destination: papers that are kept, changes that are carried on.

use crate::{
    vendor::Answer,
    world::{ERP, Repeat, SHOP, Setup, World, cut, order, orders, until},
};
use spindel_model::{ActionKind, Cause, Document, Flow, Performed, State, Topic, specimen_change};
use spindel_store::{EventFilter, Store};

fn label() -> Document {
    Document { name: "label.pdf".into(), media_type: "application/pdf".into(), base64: "JVBERi0=".into() }
}

/// The parcel that was booked, with its label.
fn booked() -> Performed {
    Performed::at("370000000000001234").telling(specimen_change(Topic::ShipmentCreated)).with(label())
}

/// From the carrier back to the shop.
fn tracking() -> Flow {
    Flow {
        name: "tracking".into(),
        from: ERP.into(),
        on: vec![Topic::ShipmentCreated],
        to: SHOP.into(),
        action: ActionKind::CreateFulfilment,
        ..orders()
    }
}

async fn caused_by_an_action(world: &World) -> usize {
    let events = world.store.events(EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap();
    events.iter().filter(|event| event.cause == Cause::Action).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booked_parcel_reaches_the_shop_and_its_label_is_kept() {
    let world = World::start(Setup { flows: vec![orders(), tracking()], ..Setup::default() }).await;
    world.erp().next("a", [Answer::Made(Box::new(booked()))]);
    world.put([order("a", 0)]).await;
    let delivery = world.until_state("a", "delivered").await;
    assert_eq!(world.store.documents(delivery.id).await.unwrap(), [label()]);
    until("the parcel to reach the shop", async || {
        let all = world.deliveries().await;
        all.iter().any(|it| it.flow == "tracking" && it.cause == Cause::Action && it.state == State::Delivered)
    })
    .await;
    assert_eq!(caused_by_an_action(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_up_finds_is_told_as_well() {
    let setup = Setup { flows: vec![orders(), tracking()], repeat: Repeat::LookUpFirst, ..Setup::default() };
    let world = World::start(setup).await;
    world.erp().next("a", [Answer::Fail(cut())]);
    world.erp().find("a", Ok(Some(booked())));
    world.put([order("a", 0)]).await;
    let delivery = world.until_state("a", "delivered").await;
    assert_eq!(world.store.documents(delivery.id).await.unwrap(), [label()]);
    assert_eq!(caused_by_an_action(&world).await, 1);
}

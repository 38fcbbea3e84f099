//! Parcels: what they cost, where they can be fetched, booked with a label, and followed.

use crate::{account::Acme, wire};
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, FindPickupPoints, Parcel, Perform, Quote, Repeat, Track};
use spindel_model::{
    Address, BookShipment, Change, Document, Money, Performed, PickupPoint, PickupQuery, Rate, RateRequest, Topic,
};

const BOOK: &str = "book_shipment";

impl Perform<BookShipment> for Acme {
    /// Acme knows no keys, but finds a booking by its reference.
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, BookShipment>) -> Result<Performed, CallError> {
        let booking = &ask.verb.booking;
        let service = ask.maps.translate(BOOK, "service", booking.service.as_deref().unwrap_or("parcel"))?;
        let body = json!({ "reference": reference(&ask), "service": service, "to": booking.recipient.postal_code });
        Ok(booked(api.post(BOOK, "/parcels").json(&body).fetch().await?))
    }

    /// After an answer that was lost: did it happen?
    async fn look_up(&self, api: &Api, ask: Ask<'_, BookShipment>) -> Result<Option<Performed>, CallError> {
        let search = api.post("find_booking", "/parcels/search").json(&json!({ "reference": reference(&ask) }));
        let found: Vec<wire::Booked> = search.fetch().await?;
        Ok(found.into_iter().next().map(booked))
    }
}

/// The same however often the order is booked, and another for the same number in another shop.
fn reference(ask: &Ask<'_, BookShipment>) -> String {
    format!("{}/{}", ask.from, ask.verb.booking.order.number.as_deref().unwrap_or_default())
}

/// The link, what happened, and the paper that came of it.
fn booked(booked: wire::Booked) -> Performed {
    let wire::Booked { parcel, label } = booked;
    let performed = Performed::at(parcel.number.as_str()).numbered(parcel.number.as_str());
    let name = format!("label-{}.pdf", parcel.number);
    let performed = performed.telling(parcel.change(Topic::ShipmentCreated));
    match label {
        Some(base64) => performed.with(Document { name, media_type: "application/pdf".to_owned(), base64 }),
        None => performed,
    }
}

impl Track for Acme {
    const MAX: usize = 50;

    async fn track(&self, api: &Api, parcels: &[Parcel]) -> Result<Vec<Change>, CallError> {
        let numbers: Vec<&str> = parcels.iter().map(|it| it.number.as_str()).collect();
        let found: Vec<wire::Parcel> = api.post("track", "/parcels/search").json(&json!({ "numbers": numbers })).fetch().await?;
        Ok(found.into_iter().map(|it| it.change(Topic::ShipmentUpdated)).collect())
    }
}

impl Quote for Acme {
    async fn quote(&self, api: &Api, request: &RateRequest) -> Result<Vec<Rate>, CallError> {
        let body = json!({ "to": request.destination.postal_code, "grams": request.grams().to_string() });
        let offers: Vec<wire::Offer> = api.post("quote", "/offers").json(&body).fetch().await?;
        let rate = |it: wire::Offer| Rate {
            service: it.code,
            title: it.name,
            description: None,
            price: Money::from_minor(it.cents, request.currency),
            earliest: None,
            latest: None,
        };
        Ok(offers.into_iter().map(rate).collect())
    }
}

impl FindPickupPoints for Acme {
    async fn pickup_points(&self, api: &Api, query: &PickupQuery) -> Result<Vec<PickupPoint>, CallError> {
        let body = json!({ "near": query.near.postal_code, "limit": query.limit });
        let points: Vec<wire::Point> = api.post("pickup_points", "/points").json(&body).fetch().await?;
        let point = |it: wire::Point| PickupPoint {
            id: it.id,
            name: it.name,
            address: Address { line1: Some(it.street), ..query.near.clone() },
            metres: None,
            opening_hours: Vec::new(),
            position: None,
        };
        Ok(points.into_iter().map(point).collect())
    }
}

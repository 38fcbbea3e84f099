//! `book_shipment`: one shipment with its labels, found again by the reference that it was booked under.

use super::cancel::CANCELLED;
use crate::{Shipmondo, find, wire};
use serde_json::{Value, json};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Address, BookShipment, Booking, Change, Document, OrderRef, Parcel, Performed, ShipmentState, Topic};

const BOOK: &str = "book_shipment";
const LOOK_UP: &str = "find_booking";
const LABELS: &str = "fetch_labels";

impl Perform<BookShipment> for Shipmondo {
    /// Shipmondo knows no key: two requests are two shipments, and both are paid.
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, BookShipment>) -> Result<Performed, CallError> {
        if let Some(known) = ask.known.filter(|it| !it.starts_with(CANCELLED)) {
            return Ok(Performed { unchanged: true, ..Performed::at(known) });
        }
        let request = self.request(&ask)?;
        self.sent.now(&ask.around);
        let booked: wire::Shipment = api.post(BOOK, "/shipments").json(&request).fetch().await?;
        Ok(self.performed(api, booked, &ask.verb.booking.order).await)
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, BookShipment>) -> Result<Option<Performed>, CallError> {
        let reference = find::reference(LOOK_UP, &ask.verb.booking.order, ask.from)?;
        let cancelled = ask.known.and_then(|it| it.strip_prefix(CANCELLED));
        match self.find(api, LOOK_UP, &reference, find::since(&ask.around), cancelled).await? {
            Some(booked) => Ok(Some(self.performed(api, booked, &ask.verb.booking.order).await)),
            None => match self.sent.still_hidden(&ask.around) {
                Some(wait) => Err(CallError::transient(LOOK_UP, "Shipmondo does not list new shipments at once").after(wait)),
                None => Ok(None),
            },
        }
    }
}

impl Shipmondo {
    async fn performed(&self, api: &Api, booked: wire::Shipment, order: &OrderRef) -> Performed {
        let shipment = find::shipment(&booked, order.clone(), ShipmentState::Booked);
        let number = shipment.tracking.first().map_or_else(|| booked.id.clone(), |it| it.number.clone());
        let change = Change::shipment(Topic::ShipmentCreated, shipment);
        let labels = if booked.labels.is_empty() { self.labels(api, &booked.id).await } else { booked.labels };
        let performed = Performed::at(booked.id).numbered(number.as_str()).telling(change);
        let papers = labels.into_iter().enumerate().map(|(index, label)| document(index, label, &number));
        papers.fold(performed, Performed::with)
    }

    /// The shipment is booked, so labels that cannot be had now do not make it a failure.
    async fn labels(&self, api: &Api, id: &str) -> Vec<wire::Label> {
        let path = format!("/shipments/{id}/labels?label_format={}", self.label_format.as_str());
        api.get(LABELS, path).fetch().await.unwrap_or_default()
    }

    fn request(&self, ask: &Ask<'_, BookShipment>) -> Result<Value, CallError> {
        let booking = &ask.verb.booking;
        let product = self.product_of(ask)?;
        let with = self.services.iter().find(|it| it.product == product).map(|it| it.with.join(",")).unwrap_or_default();
        let mut request = json!({
            "own_agreement": self.own_agreement,
            "label_format": self.label_format.as_str(),
            "product_code": product,
            "service_codes": with,
            "reference": find::reference(BOOK, &booking.order, ask.from)?,
            "parties": [self.sender_party(), receiver(booking)?],
            "parcels": self.parcels(booking)?,
        });
        match &booking.pickup_point {
            Some(point) => request["service_point_id"] = json!(point),
            None => request["automatic_select_service_point"] = json!(self.nearest_pickup_point),
        }
        if let Some(number) = &self.customer_number {
            request["customer_number"] = json!(number);
        }
        if self.test {
            request["test_mode"] = json!(true);
        }
        Ok(request)
    }

    /// Shipmondo's product: mapped, or one of the settings, or the default.
    fn product_of(&self, ask: &Ask<'_, BookShipment>) -> Result<String, CallError> {
        let mapped = ask.maps.0.contains_key("service");
        match (&ask.verb.booking.service, &self.service) {
            (Some(code), _) if mapped => Ok(ask.maps.translate(BOOK, "service", code)?.to_owned()),
            (Some(code), _) if self.services.iter().any(|it| it.product == *code) => Ok(code.clone()),
            (_, Some(default)) => Ok(default.clone()),
            (Some(code), None) => Ok(code.clone()),
            (None, None) => {
                let problem = "the order names no way of shipping; set `service` to a product code, as in `GLSDK_SD`";
                Err(CallError::config(BOOK, problem))
            }
        }
    }

    fn sender_party(&self) -> Value {
        let it = &self.sender;
        known(json!({
            "type": "sender",
            "name": it.name,
            "attention": it.contact,
            "address1": it.address,
            "address2": it.address2,
            "postal_code": it.postal_code,
            "city": it.city,
            "country_code": it.country.to_ascii_uppercase(),
            "email": it.email,
            "phone": it.phone,
        }))
    }

    fn parcels(&self, booking: &Booking) -> Result<Vec<Value>, CallError> {
        let one = [Parcel::default()];
        let parcels = if booking.parcels.is_empty() { &one[..] } else { &booking.parcels };
        parcels.iter().map(|it| self.parcel(it)).collect()
    }

    fn parcel(&self, parcel: &Parcel) -> Result<Value, CallError> {
        let grams = self.parcel.whole_grams(parcel.grams).ok_or_else(|| {
            CallError::config(BOOK, "the weight of the goods is not known; set `parcel.grams`, or weights in the shop")
        })?;
        let mut value = json!({ "quantity": 1, "weight": grams });
        if let Some((length, width, height)) = self.parcel.centimetres(parcel) {
            value["length"] = json!(length);
            value["width"] = json!(width);
            value["height"] = json!(height);
        }
        Ok(value)
    }
}

fn receiver(booking: &Booking) -> Result<Value, CallError> {
    let to: &Address = &booking.recipient;
    let missing = |what: &str| CallError::data(BOOK, format!("the shipping address has no {what}"));
    let person = to.name();
    let name = to.company.clone().or_else(|| person.clone()).ok_or_else(|| missing("name"))?;
    Ok(known(json!({
        "type": "receiver",
        "name": name,
        "attention": person.filter(|it| *it != name),
        "address1": to.line1.as_deref().ok_or_else(|| missing("street"))?,
        "address2": to.line2,
        "postal_code": to.postal_code.as_deref().ok_or_else(|| missing("postal code"))?,
        "city": to.city.as_deref().ok_or_else(|| missing("city"))?,
        "country_code": to.country.as_deref().ok_or_else(|| missing("country"))?.to_ascii_uppercase(),
        "email": booking.email,
        "phone": booking.phone.as_ref().or(to.phone.as_ref()),
    })))
}

/// Shipmondo's parties have no nulls: what is not known is left out.
fn known(mut party: Value) -> Value {
    if let Some(fields) = party.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    party
}

/// A PNG holds one label, everything else all of them.
fn document(index: usize, label: wire::Label, number: &str) -> Document {
    let format = label.file_format.to_ascii_lowercase();
    let (media_type, ending) = match format.as_str() {
        "zpl" => ("x-application/zpl", "zpl"),
        "png" => ("image/png", "png"),
        _ => ("application/pdf", "pdf"),
    };
    let count = if index == 0 { String::new() } else { format!("-{}", index + 1) };
    // Some lines of base64 are broken for mail.
    let base64 = label.base64.split_ascii_whitespace().collect();
    Document { name: format!("label-{number}{count}.{ending}"), media_type: media_type.to_owned(), base64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_named_by_its_parcel_and_its_form() {
        let label = |form: &str| wire::Label { base64: "AA\nBB".into(), file_format: form.into() };
        let zpl = document(0, label("ZPL"), "6064");
        assert_eq!(
            (zpl.name.as_str(), zpl.media_type.as_str(), zpl.base64.as_str()),
            ("label-6064.zpl", "x-application/zpl", "AABB")
        );
        assert_eq!(document(1, label("png"), "6064").name, "label-6064-2.png");
        assert_eq!(document(0, label("pdf"), "6064").media_type, "application/pdf");
    }
}

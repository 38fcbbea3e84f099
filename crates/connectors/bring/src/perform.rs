//! `book_shipment`: one consignment with its label, found again by the reference that it was booked under.

use crate::{Bring, label::tracking_page, reply, track, wire};
use serde_json::{Map, Value, json};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{
    Address, BookShipment, Booking, Change, Decimal, OrderRef, Parcel, Performed, Shipment, ShipmentState, Timestamp, Topic,
    Tracking,
};
use std::time::Duration;
use uuid::Uuid;

const BOOK: &str = "book_shipment";
const LOOK_UP: &str = "find_booking";
/// The longest text that Bring takes for a name, an address line or a reference.
const LINE: usize = 35;

impl Perform<BookShipment> for Bring {
    /// Bring echoes a correlation id and does not recognise it: only its tracking tells what was booked.
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, BookShipment>) -> Result<Performed, CallError> {
        if let Some(known) = ask.known {
            return Ok(Performed { unchanged: true, ..Performed::at(known) });
        }
        let request = self.request(&ask)?;
        let answer: wire::Booked = api.post(BOOK, "/booking/api/create").json(&request).fetch().await?;
        let Some(consignment) = answer.consignments.into_iter().next() else {
            return Err(CallError::unexpected(BOOK, "the answer names no consignment"));
        };
        reply::refused(BOOK, consignment.errors.as_deref().unwrap_or_default())?;
        let Some(booked) = consignment.confirmation else {
            return Err(CallError::unexpected(BOOK, "the answer holds neither a confirmation nor an error"));
        };
        let shipment = shipment(&booked, &ask.verb.booking.order, ask.now);
        let performed = performed(&booked.consignment_number, shipment);
        match &booked.links.labels {
            Some(address) => Ok(performed.with(self.label(api, address, &booked.consignment_number).await)),
            None => Ok(performed),
        }
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, BookShipment>) -> Result<Option<Performed>, CallError> {
        let reference = reference(&ask.verb.booking.order, ask.from)?;
        let found = self.tracked(api, LOOK_UP, &reference).await?;
        let Some(mine) = found.iter().find(|it| it.sender_reference == reference) else {
            return match still_hidden(&ask) {
                Some(wait) => Err(CallError::transient(LOOK_UP, "Bring does not show new bookings at once").after(wait)),
                None => Ok(None),
            };
        };
        let shipment = track::shipment(mine, &mine.consignment_id, ask.verb.booking.order.clone(), ask.now);
        Ok(Some(performed(&mine.consignment_id, shipment)))
    }
}

/// For how long nothing found means nothing: the key tells when the booking was first asked for.
fn still_hidden(ask: &Ask<'_, BookShipment>) -> Option<Duration> {
    const SHOWN_AFTER: Duration = Duration::from_secs(15 * 60);
    let (seconds, _) = ask.key.get_timestamp()?.to_unix();
    let asked_at = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    let age = Duration::try_from(ask.now.duration_since(asked_at)).unwrap_or_default();
    SHOWN_AFTER.checked_sub(age).filter(|it| !it.is_zero())
}

fn performed(consignment: &str, shipment: Shipment) -> Performed {
    let number = shipment.tracking.first().map_or_else(|| consignment.to_owned(), |it| it.number.clone());
    Performed::at(consignment).numbered(number).telling(Change::shipment(Topic::ShipmentCreated, shipment))
}

fn shipment(booked: &wire::Confirmation, order: &OrderRef, now: Timestamp) -> Shipment {
    let page = |number: &str| booked.links.tracking.clone().unwrap_or_else(|| tracking_page(number));
    let numbers = booked.packages.iter().map(|it| it.package_number.as_str());
    let mut tracking: Vec<Tracking> =
        numbers.map(|number| Tracking { number: number.to_owned(), url: Some(page(number)) }).collect();
    if tracking.is_empty() {
        let number = booked.consignment_number.clone();
        tracking.push(Tracking { url: Some(page(&number)), number });
    }
    Shipment {
        id: booked.consignment_number.clone(),
        order: order.clone(),
        state: ShipmentState::Booked,
        raw_state: None,
        carrier: Some("Bring".to_owned()),
        tracking,
        lines: Vec::new(),
        completes_order: false,
        location: None,
        shipped_at: None,
        updated_at: now,
    }
}

/// Order number and connection, so that two shops with one number are told apart: `1042@shop`.
fn reference(order: &OrderRef, from: &str) -> Result<String, CallError> {
    let number = order.number.as_deref().or(order.id.as_deref()).unwrap_or_default().trim().trim_start_matches('#');
    let whole = format!("{number}@{from}");
    // A connection with a long name goes by a hash of it.
    let short = || format!("{number}@{:.8}", Uuid::new_v5(&Uuid::NAMESPACE_OID, from.as_bytes()).simple().to_string());
    let reference = if whole.chars().count() <= LINE { whole } else { short() };
    if number.is_empty() || reference.chars().count() > LINE {
        return Err(CallError::data(BOOK, "the order needs a number of 1 to 26 characters, by which its booking is found again"));
    }
    Ok(reference)
}

impl Bring {
    fn request(&self, ask: &Ask<'_, BookShipment>) -> Result<Value, CallError> {
        let booking = &ask.verb.booking;
        let reference = reference(&booking.order, ask.from)?;
        let mut parties = json!({ "sender": self.sender_party(&reference), "recipient": recipient(booking, &reference)? });
        if let Some(point) = &booking.pickup_point {
            parties["pickupPoint"] = json!({ "id": point, "countryCode": country(&booking.recipient)? });
        }
        let mut product = json!({ "id": self.service_of(ask)?, "customerNumber": self.customer_number });
        if let Some(notice) = self.notice(booking) {
            product["additionalServices"] = json!([notice]);
        }
        Ok(json!({
            "testIndicator": self.test,
            "schemaVersion": 1,
            "consignments": [{
                "shippingDateTime": self.hand_in.next(ask.now).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                "correlationId": reference,
                "parties": parties,
                "product": product,
                "packages": self.packages(booking)?,
            }],
        }))
    }

    /// Bring's code: mapped, or one that a checkout was offered, or the default of the settings.
    fn service_of(&self, ask: &Ask<'_, BookShipment>) -> Result<String, CallError> {
        let mapped = ask.maps.0.contains_key("service");
        match (&ask.verb.booking.service, &self.service) {
            (Some(code), _) if mapped => Ok(ask.maps.translate(BOOK, "service", code)?.to_owned()),
            (Some(code), _) if self.services.contains(code) => Ok(code.clone()),
            (_, Some(default)) => Ok(default.clone()),
            (Some(code), None) => Ok(code.clone()),
            (None, None) => Err(CallError::config(
                BOOK,
                "the order names no way of shipping; set `service` to Bring's code of one, as in `5800`",
            )),
        }
    }

    fn sender_party(&self, reference: &str) -> Value {
        let it = &self.sender;
        let contact = json!({ "name": it.contact.as_ref().unwrap_or(&it.name), "email": it.email, "phoneNumber": it.phone });
        json!({
            "name": it.name,
            "addressLine": it.address,
            "addressLine2": it.address2,
            "postalCode": it.postal_code,
            "city": it.city,
            "countryCode": it.country.to_ascii_uppercase(),
            "reference": reference,
            "contact": contact,
        })
    }

    /// `None` when nobody could be told, or nobody shall be.
    fn notice(&self, booking: &Booking) -> Option<Value> {
        let phone = booking.phone.as_ref().or(booking.recipient.phone.as_ref());
        let mut notice = Map::from_iter([("id".to_owned(), json!("EVARSLING"))]);
        notice.extend(booking.email.as_ref().map(|it| ("email".to_owned(), json!(it))));
        notice.extend(phone.map(|it| ("mobile".to_owned(), json!(it))));
        (self.notify && notice.len() > 1).then_some(Value::Object(notice))
    }

    fn packages(&self, booking: &Booking) -> Result<Vec<Value>, CallError> {
        let one = [Parcel::default()];
        let parcels = if booking.parcels.is_empty() { &one[..] } else { &booking.parcels };
        parcels.iter().enumerate().map(|(index, parcel)| self.package(index, parcel)).collect()
    }

    fn package(&self, index: usize, parcel: &Parcel) -> Result<Value, CallError> {
        let grams = self.parcel.grams(parcel.grams).ok_or_else(|| {
            CallError::config(BOOK, "the weight of the goods is not known; set `parcel.grams`, or weights in the shop")
        })?;
        let mut package = json!({ "correlationId": format!("P{}", index + 1), "weightInKg": kilograms(grams) });
        if let Some((length, width, height)) = self.parcel.centimetres(parcel) {
            package["dimensions"] = json!({ "lengthInCm": length, "widthInCm": width, "heightInCm": height });
        }
        Ok(package)
    }
}

/// Bookings are in kilograms, where rates are in grams.
fn kilograms(grams: Decimal) -> Option<serde_json::Number> {
    (grams / Decimal::ONE_THOUSAND).round_dp(3).normalize().to_string().parse().ok()
}

fn recipient(booking: &Booking, reference: &str) -> Result<Value, CallError> {
    let to = &booking.recipient;
    let missing = |what: &str| CallError::data(BOOK, format!("the shipping address has no {what}"));
    let person = to.name();
    let name = to.company.clone().or_else(|| person.clone()).ok_or_else(|| missing("name"))?;
    let (line1, line2) = lines(to)?;
    let phone = booking.phone.as_ref().or(to.phone.as_ref());
    Ok(json!({
        "name": cut(&name),
        "addressLine": line1,
        "addressLine2": line2,
        "postalCode": to.postal_code.as_deref().ok_or_else(|| missing("postal code"))?,
        "city": to.city.as_deref().ok_or_else(|| missing("city"))?,
        "countryCode": country(to)?,
        "reference": reference,
        "contact": { "name": cut(&person.unwrap_or(name)), "email": booking.email, "phoneNumber": phone },
    }))
}

fn country(address: &Address) -> Result<String, CallError> {
    let country = address.country.as_deref().ok_or_else(|| CallError::data(BOOK, "the shipping address has no country"))?;
    Ok(country.to_ascii_uppercase())
}

fn cut(text: &str) -> String {
    text.chars().take(LINE).collect()
}

/// A long line goes on in the second, where that is free; an address is never cut.
fn lines(address: &Address) -> Result<(String, Option<String>), CallError> {
    let line1 = address.line1.as_deref().unwrap_or_default().trim();
    let line2 = address.line2.as_deref().map(str::trim).filter(|it| !it.is_empty());
    let fits = |line: &str| line.chars().count() <= LINE;
    if !line1.is_empty() && fits(line1) && line2.is_none_or(fits) {
        return Ok((line1.to_owned(), line2.map(str::to_owned)));
    }
    let blanks = line1.char_indices().filter(|(_, letter)| letter.is_whitespace());
    let halves = blanks.map(|(at, _)| line1.split_at(at)).rfind(|(first, rest)| fits(first) && fits(rest.trim()));
    match (halves, line2) {
        (Some((first, rest)), None) => Ok((first.trim().to_owned(), Some(rest.trim().to_owned()))),
        _ => Err(CallError::data(BOOK, "the shipping address is missing or too long: Bring takes two lines of 35 characters")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn order(number: &str) -> OrderRef {
        OrderRef { id: Some("1".into()), number: Some(number.into()) }
    }

    #[test]
    fn a_booking_is_found_again_by_order_and_connection() {
        assert_eq!(reference(&order("#1042"), "shop").unwrap(), "1042@shop");
        let long = reference(&order("WEB-100045"), "the-shop-of-the-mountains-in-norway").unwrap();
        assert!(long.starts_with("WEB-100045@") && long.len() <= LINE, "{long}");
        assert_ne!(long, reference(&order("WEB-100045"), "the-shop-of-the-mountains-in-sweden").unwrap());
        assert!(reference(&order(""), "shop").is_err());
        assert!(reference(&order(&"9".repeat(40)), "shop").is_err());
    }

    #[test]
    fn grams_become_kilograms_without_loss() {
        for (grams, want) in [(Decimal::from(1200), "1.2"), (Decimal::from(105), "0.105"), (Decimal::from(31_500), "31.5")] {
            assert_eq!(kilograms(grams).unwrap().to_string(), want);
        }
    }

    #[test]
    fn an_address_is_split_and_never_cut() {
        let address = |line1: &str, line2: Option<&str>| Address {
            line1: Some(line1.into()),
            line2: line2.map(Into::into),
            ..Address::default()
        };
        let split = lines(&address("Generaldirektør Ruges vei 12 oppgang B", None)).unwrap();
        assert_eq!(split, ("Generaldirektør Ruges vei 12".to_owned(), Some("oppgang B".to_owned())));
        assert!(lines(&address("Generaldirektør Ruges vei 12 oppgang B", Some("c/o Dahl"))).is_err());
        assert!(lines(&address(&"x".repeat(36), None)).is_err());
        assert!(lines(&address("", None)).is_err());
    }

    #[test]
    fn nothing_found_says_nothing_while_bring_may_not_show_it_yet() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let booking = Booking {
            order: order("1"),
            recipient: Address::default(),
            email: None,
            phone: None,
            parcels: Vec::new(),
            service: None,
            pickup_point: None,
            value: spindel_model::Money::zero(spindel_model::Currency::NOK),
            items: Vec::new(),
        };
        let verb = BookShipment { booking: Box::new(booking) };
        let maps = spindel_connect::Maps::default();
        let wait = |minutes: i64| {
            let at = now - jiff::SignedDuration::from_mins(minutes);
            let at = uuid::Timestamp::from_unix(uuid::NoContext, u64::try_from(at.as_second()).unwrap(), 0);
            let around =
                spindel_connect::Around { from: "shop", key: Uuid::new_v7(at), known: None, maps: &maps, attempt: 2, now };
            still_hidden(&Ask { verb: &verb, around })
        };
        assert_eq!(wait(5), Some(Duration::from_secs(600)));
        assert_eq!(wait(15), None);
        assert_eq!(wait(60), None);
    }
}

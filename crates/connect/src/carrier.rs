//! Settings that connectors to carriers share: the sender, a parcel's defaults, and when parcels are handed in.

use crate::ConfigError;
use jiff::{
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::Deserialize;
use spindel_model::{Decimal, Parcel, Timestamp};

/// Who sends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    pub name: String,
    /// Street and number.
    pub address: String,
    pub address2: Option<String>,
    pub postal_code: String,
    pub city: String,
    /// Two letters: `NO`.
    pub country: String,
    /// Whom the carrier may ask.
    pub contact: Option<String>,
    pub email: Option<String>,
    /// With country code; many services need one.
    pub phone: Option<String>,
}

impl Sender {
    /// `longest`: characters that the carrier takes in name, street and city.
    pub fn check(&self, longest: Option<usize>) -> Result<(), ConfigError> {
        let letters = self.country.len() == 2 && self.country.chars().all(|it| it.is_ascii_alphabetic());
        if !letters {
            return Err(ConfigError::new("sender.country", "expected two letters, as in `NO`"));
        }
        for (field, value) in [("sender.name", &self.name), ("sender.address", &self.address), ("sender.city", &self.city)] {
            if value.trim().is_empty() {
                return Err(ConfigError::new(field, "is empty; every shipment needs it"));
            }
            if let Some(longest) = longest.filter(|longest| value.chars().count() > *longest) {
                return Err(ConfigError::new(field, format!("is too long; the carrier takes {longest} characters")));
            }
        }
        Ok(())
    }
}

/// A parcel where the order tells nothing.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParcelDefaults {
    /// Weight of a whole parcel where the weight of its goods is not known.
    pub grams: Option<u32>,
    /// Weight of box and filling, added to the goods.
    #[serde(default)]
    pub packaging_grams: u32,
    pub length_mm: Option<u32>,
    pub width_mm: Option<u32>,
    pub height_mm: Option<u32>,
}

impl ParcelDefaults {
    /// What it weighs with its box; `None` when nobody knows.
    pub fn grams(&self, goods: Option<Decimal>) -> Option<Decimal> {
        match goods.filter(|it| *it > Decimal::ZERO) {
            Some(goods) => Some(goods + Decimal::from(self.packaging_grams)),
            None => self.grams.map(Decimal::from),
        }
    }

    /// [`ParcelDefaults::grams`], rounded up.
    pub fn whole_grams(&self, goods: Option<Decimal>) -> Option<u64> {
        u64::try_from(self.grams(goods)?.ceil()).ok()
    }

    /// Length, width and height in whole centimetres; `None` unless all three are known.
    pub fn centimetres(&self, parcel: &Parcel) -> Option<(u32, u32, u32)> {
        let cm = |known: Option<u32>, otherwise: Option<u32>| known.or(otherwise).map(|mm| mm.div_ceil(10));
        Some((cm(parcel.length_mm, self.length_mm)?, cm(parcel.width_mm, self.width_mm)?, cm(parcel.height_mm, self.height_mm)?))
    }
}

/// When parcels are handed in on a working day.
pub struct HandIn {
    time: Time,
    zone: TimeZone,
}

impl HandIn {
    /// From the settings `hand_in`, which is `15:00` unless told otherwise, and `time_zone`.
    pub fn new(time: Option<&str>, zone: &str) -> Result<Self, ConfigError> {
        let time = time.unwrap_or("15:00").parse::<Time>();
        let time = time.map_err(|_| ConfigError::new("hand_in", "expected hour and minute, as in `15:00`"))?;
        let zone = TimeZone::get(zone);
        let zone = zone.map_err(|_| ConfigError::new("time_zone", "expected a name of the IANA list, as in `Europe/Oslo`"))?;
        Ok(Self { time, zone })
    }

    /// The next time that parcels are handed in. Public holidays are not known here.
    pub fn next(&self, now: Timestamp) -> DateTime {
        let local = now.to_zoned(self.zone.clone()).datetime();
        let mut date = local.date();
        if local.time() >= self.time {
            date = date.tomorrow().unwrap_or(date);
        }
        while is_weekend(date) {
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        date.to_datetime(self.time)
    }
}

/// So many working days later.
pub fn working_days_after(from: Date, days: u8) -> Date {
    let mut date = from;
    let mut left = days;
    while left > 0 {
        let Ok(next) = date.tomorrow() else { break };
        date = next;
        left -= u8::from(!is_weekend(date));
    }
    date
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn working_days_count_from_the_next_hand_in_that_is_not_over() {
        let oslo = HandIn::new(None, "Europe/Oslo").unwrap();
        for (now, next, two_later) in [
            ("2026-11-19T10:00:00Z", "2026-11-19T15:00:00", "2026-11-23"),
            ("2026-11-19T14:00:00Z", "2026-11-20T15:00:00", "2026-11-24"),
            ("2026-11-20T14:30:00Z", "2026-11-23T15:00:00", "2026-11-25"),
            ("2026-11-21T08:00:00Z", "2026-11-23T15:00:00", "2026-11-25"),
            ("2026-07-01T13:30:00Z", "2026-07-02T15:00:00", "2026-07-06"),
        ] {
            let handed_in = oslo.next(now.parse().unwrap());
            assert_eq!(handed_in.to_string(), next, "{now}");
            assert_eq!(working_days_after(handed_in.date(), 2).to_string(), two_later, "{now}");
            assert_eq!(working_days_after(handed_in.date(), 0), handed_in.date());
        }
    }

    #[test]
    fn a_time_and_a_zone_that_are_none_are_refused_by_name() {
        let refused = |time, zone| HandIn::new(time, zone).err().unwrap().field;
        assert_eq!(refused(Some("three"), "Europe/Oslo"), "hand_in");
        assert_eq!(refused(None, "Europe/Atlantis"), "time_zone");
    }

    #[test]
    fn a_sender_that_a_carrier_would_refuse_is_refused_by_name() {
        let refused = |change: Value| {
            let mut sender =
                json!({ "name": "Fjell", "address": "Kaia 1", "postal_code": "0150", "city": "Oslo", "country": "NO" });
            sender.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let sender: Sender = serde_json::from_value(sender).unwrap();
            sender.check(Some(8)).err().map(|it| it.field).unwrap_or_default()
        };
        assert_eq!(refused(json!({})), "");
        assert_eq!(refused(json!({ "country": "Norway" })), "sender.country");
        assert_eq!(refused(json!({ "name": " " })), "sender.name");
        assert_eq!(refused(json!({ "address": "Storgata 111" })), "sender.address");
    }

    #[test]
    fn a_parcel_of_unknown_weight_weighs_what_the_settings_say() {
        let defaults = ParcelDefaults { grams: Some(800), packaging_grams: 50, ..ParcelDefaults::default() };
        assert_eq!(defaults.grams(Some(Decimal::from(1200))), Some(Decimal::from(1250)));
        assert_eq!(defaults.grams(Some(Decimal::ZERO)), Some(Decimal::from(800)));
        assert_eq!(ParcelDefaults::default().grams(None), None);
        assert_eq!(defaults.whole_grams(Some(Decimal::new(12_005, 1))), Some(1251));
    }

    #[test]
    fn millimetres_are_rounded_up_to_centimetres() {
        let defaults = ParcelDefaults { width_mm: Some(200), height_mm: Some(101), ..ParcelDefaults::default() };
        let parcel = Parcel { length_mm: Some(299), ..Parcel::default() };
        assert_eq!(defaults.centimetres(&parcel), Some((30, 20, 11)));
        assert_eq!(defaults.centimetres(&Parcel::default()), None);
    }
}

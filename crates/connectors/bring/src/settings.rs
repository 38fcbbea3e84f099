//! Settings that bookings and rates share: the sender, a parcel's defaults, and when parcels are handed in.

use jiff::{
    civil::{DateTime, Time, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::ConfigError;
use spindel_model::{Decimal, Parcel, Timestamp};

/// Who sends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sender {
    pub name: String,
    /// Street and number, 35 characters at most.
    pub address: String,
    pub address2: Option<String>,
    pub postal_code: String,
    pub city: String,
    /// Two letters: `NO`.
    pub country: String,
    /// Whom Bring may ask.
    pub contact: Option<String>,
    pub email: Option<String>,
    /// With country code; Bring wants one for most services.
    pub phone: Option<String>,
}

impl Sender {
    pub fn check(&self) -> Result<(), ConfigError> {
        let letters = self.country.len() == 2 && self.country.chars().all(|it| it.is_ascii_alphabetic());
        if !letters {
            return Err(ConfigError::new("sender.country", "expected two letters, as in `NO`"));
        }
        for (field, value) in [("sender.name", &self.name), ("sender.address", &self.address), ("sender.city", &self.city)] {
            if value.is_empty() || value.chars().count() > 35 {
                return Err(ConfigError::new(field, "expected 1 to 35 characters; Bring takes no more"));
            }
        }
        Ok(())
    }
}

/// A parcel where the order tells nothing.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParcelDefaults {
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

    /// Length, width and height in whole centimetres; `None` unless all three are known.
    pub fn centimetres(&self, parcel: &Parcel) -> Option<(u32, u32, u32)> {
        let cm = |known: Option<u32>, otherwise: Option<u32>| known.or(otherwise).map(|mm| mm.div_ceil(10));
        Some((cm(parcel.length_mm, self.length_mm)?, cm(parcel.width_mm, self.width_mm)?, cm(parcel.height_mm, self.height_mm)?))
    }
}

/// Which price a checkout is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Prices {
    /// That of the customer's agreement.
    #[default]
    Agreed,
    List,
}

/// When parcels are handed in on a working day.
pub(crate) struct HandIn {
    pub time: Time,
    pub zone: TimeZone,
}

impl HandIn {
    /// The next time that parcels are handed in. Public holidays are not known here.
    pub fn next(&self, now: Timestamp) -> DateTime {
        let local = now.to_zoned(self.zone.clone()).datetime();
        let mut date = local.date();
        if local.time() >= self.time {
            date = date.tomorrow().unwrap_or(date);
        }
        while matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        date.to_datetime(self.time)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parcels_are_handed_in_on_the_next_working_day_that_is_not_over() {
        let oslo = HandIn { time: "15:00".parse().unwrap(), zone: TimeZone::get("Europe/Oslo").unwrap() };
        for (now, next) in [
            ("2026-11-19T10:00:00Z", "2026-11-19T15:00:00"),
            ("2026-11-19T14:00:00Z", "2026-11-20T15:00:00"),
            ("2026-11-20T14:30:00Z", "2026-11-23T15:00:00"),
            ("2026-11-21T08:00:00Z", "2026-11-23T15:00:00"),
            ("2026-07-01T13:30:00Z", "2026-07-02T15:00:00"),
        ] {
            assert_eq!(oslo.next(now.parse().unwrap()).to_string(), next, "{now}");
        }
    }

    #[test]
    fn a_parcel_of_unknown_weight_weighs_what_the_settings_say() {
        let defaults = ParcelDefaults { grams: Some(800), packaging_grams: 50, ..ParcelDefaults::default() };
        assert_eq!(defaults.grams(Some(Decimal::from(1200))), Some(Decimal::from(1250)));
        assert_eq!(defaults.grams(Some(Decimal::ZERO)), Some(Decimal::from(800)));
        assert_eq!(ParcelDefaults::default().grams(None), None);
    }

    #[test]
    fn millimetres_are_rounded_up_to_centimetres() {
        let defaults = ParcelDefaults { width_mm: Some(200), height_mm: Some(101), ..ParcelDefaults::default() };
        let parcel = Parcel { length_mm: Some(299), ..Parcel::default() };
        assert_eq!(defaults.centimetres(&parcel), Some((30, 20, 11)));
        assert_eq!(defaults.centimetres(&Parcel::default()), None);
    }
}

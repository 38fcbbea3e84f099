//! Settings that bookings and rates share: the sender, products, labels, a parcel's defaults, and when parcels are handed in.

use jiff::{
    civil::{Date, Time, Weekday},
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
    /// Street and number.
    pub address: String,
    pub address2: Option<String>,
    pub postal_code: String,
    pub city: String,
    /// Two letters: `DK`.
    pub country: String,
    /// Whom the carrier may ask.
    pub contact: Option<String>,
    pub email: Option<String>,
    /// With country code.
    pub phone: Option<String>,
}

impl Sender {
    pub fn check(&self) -> Result<(), ConfigError> {
        let letters = self.country.len() == 2 && self.country.chars().all(|it| it.is_ascii_alphabetic());
        if !letters {
            return Err(ConfigError::new("sender.country", "expected two letters, as in `DK`"));
        }
        for (field, value) in [("sender.name", &self.name), ("sender.address", &self.address), ("sender.city", &self.city)] {
            if value.trim().is_empty() {
                return Err(ConfigError::new(field, "is empty; Shipmondo wants it for every shipment"));
            }
        }
        Ok(())
    }
}

/// A product of Shipmondo, as it is booked and offered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// Shipmondo's product code: `GLSDK_SD`.
    pub product: String,
    /// Services that go with it, by their codes: `["EMAIL_NT", "SMS_NT"]`. What a product requires must be there.
    #[serde(default)]
    pub with: Vec<String>,
    /// What a checkout calls it; Shipmondo's own name unless told otherwise.
    pub title: Option<String>,
    /// Working days from hand-in to delivery, at the least and at the most: `[1, 2]`. Shipmondo tells no delivery dates.
    pub days: Option<(u8, u8)>,
}

impl Service {
    pub fn check(&self, index: usize) -> Result<(), ConfigError> {
        let field = |name: &str| format!("services[{index}].{name}");
        if self.product.trim().is_empty() {
            return Err(ConfigError::new(field("product"), "is empty; expected a product code, as in `GLSDK_SD`"));
        }
        match self.days {
            Some((least, most)) if least > most || most > 60 => {
                Err(ConfigError::new(field("days"), "expected the least and the most working days, as in `[1, 2]`"))
            }
            _ => Ok(()),
        }
    }
}

/// Form of the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum LabelFormat {
    #[default]
    #[serde(rename = "a4_pdf")]
    A4Pdf,
    #[serde(rename = "10x19_pdf")]
    Pdf,
    #[serde(rename = "10x19_png")]
    Png,
    #[serde(rename = "10x19_zpl")]
    Zpl,
    #[serde(rename = "compact_pdf")]
    CompactPdf,
    #[serde(rename = "compact_png")]
    CompactPng,
    #[serde(rename = "compact_zpl")]
    CompactZpl,
}

impl LabelFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A4Pdf => "a4_pdf",
            Self::Pdf => "10x19_pdf",
            Self::Png => "10x19_png",
            Self::Zpl => "10x19_zpl",
            Self::CompactPdf => "compact_pdf",
            Self::CompactPng => "compact_png",
            Self::CompactZpl => "compact_zpl",
        }
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
    /// Whole grams with the box, rounded up; `None` when nobody knows.
    pub fn grams(&self, goods: Option<Decimal>) -> Option<u64> {
        match goods.filter(|it| *it > Decimal::ZERO) {
            Some(goods) => u64::try_from((goods + Decimal::from(self.packaging_grams)).ceil()).ok(),
            None => self.grams.map(u64::from),
        }
    }

    /// Length, width and height in whole centimetres; `None` unless all three are known.
    pub fn centimetres(&self, parcel: &Parcel) -> Option<(u32, u32, u32)> {
        let cm = |known: Option<u32>, otherwise: Option<u32>| known.or(otherwise).map(|mm| mm.div_ceil(10));
        Some((cm(parcel.length_mm, self.length_mm)?, cm(parcel.width_mm, self.width_mm)?, cm(parcel.height_mm, self.height_mm)?))
    }
}

/// When parcels are handed in on a working day.
pub(crate) struct HandIn {
    pub time: Time,
    pub zone: TimeZone,
}

impl HandIn {
    /// The next day on which parcels are handed in. Public holidays are not known here.
    pub fn next(&self, now: Timestamp) -> Date {
        let local = now.to_zoned(self.zone.clone()).datetime();
        let mut date = local.date();
        if local.time() >= self.time {
            date = date.tomorrow().unwrap_or(date);
        }
        while weekend(date) {
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        date
    }
}

fn weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// So many working days later.
pub(crate) fn working_days_after(from: Date, days: u8) -> Date {
    let mut date = from;
    let mut left = days;
    while left > 0 {
        let Ok(next) = date.tomorrow() else { break };
        date = next;
        left -= u8::from(!weekend(date));
    }
    date
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn working_days_count_from_the_next_hand_in() {
        let here = HandIn { time: "15:00".parse().unwrap(), zone: TimeZone::get("Europe/Copenhagen").unwrap() };
        for (now, next, two_later) in [
            ("2026-11-19T10:00:00Z", "2026-11-19", "2026-11-23"),
            ("2026-11-19T14:00:00Z", "2026-11-20", "2026-11-24"),
            ("2026-11-20T14:30:00Z", "2026-11-23", "2026-11-25"),
            ("2026-11-21T08:00:00Z", "2026-11-23", "2026-11-25"),
        ] {
            let date = here.next(now.parse().unwrap());
            assert_eq!(date.to_string(), next, "{now}");
            assert_eq!(working_days_after(date, 2).to_string(), two_later, "{now}");
            assert_eq!(working_days_after(date, 0), date);
        }
    }

    #[test]
    fn grams_are_whole_and_with_the_box() {
        let defaults = ParcelDefaults { grams: Some(800), packaging_grams: 50, ..ParcelDefaults::default() };
        assert_eq!(defaults.grams(Some(Decimal::new(12_005, 1))), Some(1251));
        assert_eq!(defaults.grams(Some(Decimal::ZERO)), Some(800));
        assert_eq!(ParcelDefaults::default().grams(None), None);
    }
}

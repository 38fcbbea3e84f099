//! What is booked and offered, and in what form labels come.

use schemars::JsonSchema;
use serde::Deserialize;
use spindel_connect::ConfigError;

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

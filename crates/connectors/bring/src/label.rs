//! Labels: Bring answers a booking with their address, and that address with a redirect to where they are kept.

use crate::Bring;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use spindel_connect::{Api, CallError, Reply};
use spindel_model::Document;

const LABEL: &str = "fetch_label";

/// The page on which a recipient follows a parcel.
pub(crate) fn tracking_page(number: &str) -> String {
    let segment: String = url::form_urlencoded::byte_serialize(number.as_bytes()).collect();
    format!("https://sporing.bring.no/sporing/{}", segment.replace('+', "%20"))
}

impl Bring {
    /// The label; or, because the parcel is booked already, at least the address that did not answer.
    pub(crate) async fn label(&self, api: &Api, address: &str, consignment: &str) -> Document {
        match self.fetch_label(api, address).await {
            Ok(pdf) => Document {
                name: format!("label-{consignment}.pdf"),
                media_type: "application/pdf".to_owned(),
                base64: STANDARD.encode(&pdf.body),
            },
            Err(_) => Document {
                name: format!("label-{consignment}.uri"),
                media_type: "text/uri-list".to_owned(),
                base64: STANDARD.encode(address),
            },
        }
    }

    async fn fetch_label(&self, api: &Api, address: &str) -> Result<Reply, CallError> {
        const MOST_HOPS: usize = 3;
        let bad = || CallError::unexpected(LABEL, "the label's address leads nowhere that may be called");
        let mut at = url::Url::parse(address).map_err(|_| bad())?;
        for _ in 0..=MOST_HOPS {
            if at.scheme() != "https" && !self.plain_http {
                return Err(bad());
            }
            let call = api.get(LABEL, at.as_str()).header("accept", "application/pdf, */*;q=0.1");
            let reply = call.redirects().send().await?;
            if reply.status < 300 {
                return if is_pdf(&reply) { Ok(reply) } else { Err(CallError::unexpected(LABEL, "the label is no PDF")) };
            }
            at = reply.header("location").and_then(|it| at.join(it).ok()).ok_or_else(bad)?;
        }
        Err(bad())
    }
}

/// The mark may stand anywhere in the first kilobyte.
fn is_pdf(reply: &Reply) -> bool {
    let start = &reply.body[..reply.body.len().min(1024)];
    start.windows(5).any(|it| it == b"%PDF-")
}

#[cfg(test)]
mod tests {
    use super::tracking_page;

    #[test]
    fn a_number_cannot_change_the_address_of_its_page() {
        assert_eq!(tracking_page("370438101268058536"), "https://sporing.bring.no/sporing/370438101268058536");
        assert_eq!(tracking_page("../1 &x=#2"), "https://sporing.bring.no/sporing/..%2F1%20%26x%3D%232");
    }
}

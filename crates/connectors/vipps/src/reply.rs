//! What a refusal says: problem documents, of which the title and the names of fields are for people.

use serde::Deserialize;
use spindel_connect::{Reply, Verdict};
use spindel_model::ErrorClass;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    title: String,
    #[serde(default)]
    extra_details: Option<Vec<Extra>>,
}

#[derive(Deserialize)]
struct Extra {
    name: String,
    #[serde(default)]
    reason: Option<String>,
}

/// <https://developer.vippsmobilepay.com/docs/knowledge-base/errors>
pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    let class = match reply.status {
        400 => ErrorClass::Data,
        // The payment changed meanwhile: the next try reads it again before anything else.
        409 => ErrorClass::Transient,
        _ => return None,
    };
    let problem: Problem = reply.json().ok()?;
    Some(Verdict::new(class, problem.text()))
}

impl Problem {
    fn text(&self) -> String {
        let mut text = format!("Vipps refuses it: {}", plain(&self.title, 120));
        for extra in self.extra_details.iter().flatten().take(5) {
            // A reason may repeat what was sent; only the code is known to be none of it.
            match (extra.name.as_str(), &extra.reason) {
                ("ErrorCode", Some(code)) => text.push_str(&format!(" ({})", plain(code, 20))),
                (field, _) => text.push_str(&format!(", see `{}`", plain(field, 40))),
            }
        }
        text
    }
}

fn plain(text: &str, most: usize) -> String {
    text.chars().filter(|it| !it.is_control()).take(most).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(status: u16, body: &Value) -> Option<Verdict> {
        refine(&Reply { status, headers: Default::default(), body: body.to_string().into_bytes().into() })
    }

    #[test]
    fn a_refusal_is_told_with_its_title_and_code_and_without_what_was_sent() {
        let problem = json!({
            "type": "about:blank", "title": "Cannot capture before reservation", "detail": "phone 4791234567", "status": 400,
            "extraDetails": [{ "name": "ErrorCode", "reason": "6080" }, { "name": "reference", "reason": "4791234567" }],
        });
        let verdict = read(400, &problem).unwrap();
        assert_eq!(verdict.class, ErrorClass::Data);
        assert_eq!(verdict.message, "Vipps refuses it: Cannot capture before reservation (6080), see `reference`");
    }

    #[test]
    fn a_conflict_is_tried_again() {
        assert_eq!(read(409, &json!({ "title": "Conflict" })).unwrap().class, ErrorClass::Transient);
    }

    #[test]
    fn the_gateways_own_shape_and_other_statuses_are_left_to_the_common_table() {
        assert_eq!(read(400, &json!({ "statusCode": 400, "message": "no" })), None);
        assert_eq!(read(401, &json!({ "title": "Unauthorized" })), None);
        assert_eq!(read(200, &json!({ "title": "no refusal" })), None);
    }
}

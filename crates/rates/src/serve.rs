//! `POST /rates/{connection}`: in the shop's own shape where its connector has one, else plain JSON.

use crate::Desk;
use axum::{
    Router,
    body::Body,
    extract::{Path, Request},
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use spindel_connect::{Answer, Connection, Incoming, Proof, Verified, parse};
use spindel_model::{Clock, Rate, RateRequest};
use std::sync::Arc;

/// A checkout's question is small.
const MOST_BYTES: usize = 256 * 1024;
/// Different goods in one cart.
const MOST_ITEMS: usize = 1000;

/// What stands behind a name.
pub struct Ask {
    pub desk: Arc<Desk>,
    /// The shop, when its connector knows how its checkout asks.
    pub shop: Option<Arc<dyn Connection>>,
    /// How a question in plain JSON proves itself.
    pub plain: Option<Proof>,
    /// Scheme and authority under which shops know this server.
    pub origin: String,
}

/// Who answers for this name, by today's configuration.
pub type FindDesk = Arc<dyn Fn(&str) -> Option<Ask> + Send + Sync>;

pub fn routes(find: FindDesk, wall: Clock) -> Router {
    Router::new().route(
        "/rates/{connection}",
        post(move |Path(name): Path<String>, request: Request| {
            let (find, wall) = (Arc::clone(&find), wall.clone());
            async move { answer(&find, &wall, &name, request).await.unwrap_or_else(refused) }
        }),
    )
}

fn refused((status, why): (StatusCode, String)) -> Response {
    tracing::info!(status = status.as_u16(), why, "a question for rates was refused");
    (status, format!("{}\n", status.canonical_reason().unwrap_or("refused"))).into_response()
}

async fn answer(find: &FindDesk, wall: &Clock, name: &str, request: Request) -> Result<Response, (StatusCode, String)> {
    let unknown = || (StatusCode::NOT_FOUND, "there is no [rates] for this name".to_owned());
    let Ask { desk, shop, plain, origin } = find(name).ok_or_else(unknown)?;
    let incoming = read(request, origin).await?;
    let shape =
        Shape::of(shop, plain).ok_or_else(|| (StatusCode::NOT_FOUND, "nothing says how a question proves itself".to_owned()))?;
    let verified = shape.proof.check(incoming, wall.now()).map_err(|why| (StatusCode::UNAUTHORIZED, why.to_string()))?;
    let question = shape.question(&verified).map_err(|why| (StatusCode::UNPROCESSABLE_ENTITY, why))?;
    if question.items.len() > MOST_ITEMS {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, format!("more than {MOST_ITEMS} items")));
    }
    let rates = desk.rates(&question, wall.now()).await;
    let answer = shape.answer(&rates);
    Ok((answer.status, [(header::CONTENT_TYPE, answer.content_type)], Body::from(answer.body)).into_response())
}

async fn read(request: Request, origin: String) -> Result<Incoming, (StatusCode, String)> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await;
    let body = body.map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, format!("larger than {MOST_BYTES} bytes, or not whole")))?;
    let uri = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    Ok(Incoming { method: parts.method, uri, origin, headers: parts.headers, body: body.to_bytes() })
}

/// How a question is put, and how it is answered.
struct Shape {
    proof: Proof,
    shop: Option<Arc<dyn Connection>>,
}

impl Shape {
    fn of(shop: Option<Arc<dyn Connection>>, plain: Option<Proof>) -> Option<Self> {
        match shop.and_then(|shop| Some((shop.rate_proof()?, shop))) {
            Some((proof, shop)) => Some(Self { proof, shop: Some(shop) }),
            None => Some(Self { proof: plain?, shop: None }),
        }
    }

    fn question(&self, verified: &Verified) -> Result<RateRequest, String> {
        match self.shop.as_ref().and_then(|shop| shop.rate_request(verified)) {
            Some(question) => question.map_err(|error| error.to_string()),
            None => parse(verified.body()).map_err(|error| error.to_string()),
        }
    }

    fn answer(&self, rates: &[Rate]) -> Answer {
        self.shop.as_ref().and_then(|shop| shop.rate_answer(rates)).unwrap_or_else(|| Answer {
            status: StatusCode::OK,
            content_type: "application/json",
            body: serde_json::json!({ "rates": rates }).to_string().into(),
        })
    }
}

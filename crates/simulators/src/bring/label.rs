//! Labels: an address of the booking's answer, which leads to a store elsewhere, which holds a PDF.

use crate::bring::{Consignment, Shared, api::refusal};
use axum::{
    Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{collections::BTreeMap, sync::Arc};

pub(crate) async fn redirect(State(shared): State<Arc<Shared>>, Path(file): Path<String>) -> Response {
    let label = file.strip_suffix(".pdf").unwrap_or_default();
    let place = shared.with(|state| {
        let known = state.consignments.iter().any(|it| it.label == label);
        known.then(|| format!("{}/kept/{label}.pdf?signature={}", state.store, signature(label)))
    });
    match place {
        Some(place) => (StatusCode::FOUND, [(header::LOCATION, place)]).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "Not found"),
    }
}

/// The store: a host of its own, to which Bring's credentials must not go.
pub(crate) fn store(shared: Arc<Shared>) -> Router {
    Router::new().route("/kept/{file}", get(kept)).with_state(shared)
}

async fn kept(
    State(shared): State<Arc<Shared>>,
    Path(file): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if headers.keys().any(|it| it.as_str().starts_with("x-mybring")) {
        return (StatusCode::BAD_REQUEST, "these credentials are for another host").into_response();
    }
    let label = file.strip_suffix(".pdf").unwrap_or_default();
    if query.get("signature") != Some(&signature(label)) {
        return (StatusCode::FORBIDDEN, "the signature does not match").into_response();
    }
    shared.with(|state| {
        if state.labels_down {
            return (StatusCode::SERVICE_UNAVAILABLE, "slow down").into_response();
        }
        let Some(consignment) = state.consignments.iter_mut().find(|it| it.label == label) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        consignment.label_downloads += 1;
        ([(header::CONTENT_TYPE, "application/pdf")], pdf(consignment)).into_response()
    })
}

/// Stands for one: a client cannot tell.
fn signature(label: &str) -> String {
    label.chars().rev().filter(|it| *it != '-').collect()
}

/// One page with the numbers of all parcels, small and valid.
fn pdf(consignment: &Consignment) -> String {
    let void = if consignment.test { "TEST - NOT VALID " } else { "" };
    let numbers: Vec<&str> = consignment.packages.iter().map(|it| it.number.as_str()).collect();
    let drawn = format!("BT /F1 9 Tf 20 380 Td ({void}{} {}) Tj ET", consignment.number, numbers.join(" "));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 297 420] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>"
            .to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut table = String::from("0000000000 65535 f \n");
    for (index, object) in objects.iter().enumerate() {
        table += &format!("{:010} 00000 n \n", out.len());
        out += &format!("{} 0 obj\n{object}\nendobj\n", index + 1);
    }
    let start = out.len();
    out + &format!("xref\n0 6\n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n")
}

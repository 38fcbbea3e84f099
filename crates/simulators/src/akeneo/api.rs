//! The REST API: tokens, single things, and HAL pages by number or behind the last key.

use super::{
    Pim,
    search::{Search, Shown},
    state::{File, Model, Product, State},
};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{borrow::Cow, sync::Arc};

const BELOW: &str = "/api/rest/v1";
const MOST: usize = 100;

/// An error in the PIM's own shape.
pub(super) struct Problem {
    status: u16,
    message: String,
}

impl Problem {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn missing(what: &str, id: &str) -> Self {
        Self::new(404, format!("{what} \"{id}\" does not exist or you do not have permission to access it."))
    }
}

enum Answer {
    Json(Value),
    File { mime: String, bytes: Vec<u8> },
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "code": self.status, "message": self.message });
        (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Json(body) => ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response(),
            Self::File { mime, bytes } => ([(header::CONTENT_TYPE, mime)], bytes).into_response(),
        }
    }
}

/// One question.
struct Asked {
    /// Below the API, decoded, without its slash.
    path: String,
    query: Vec<(String, String)>,
}

impl Asked {
    fn of(uri: &Uri) -> Option<Self> {
        let url = reqwest::Url::parse(&format!("http://localhost{uri}")).ok()?;
        let query = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let path = uri.path().strip_prefix(BELOW)?.trim_start_matches('/');
        // A slash of a code is told from one of the path by its encoding.
        let decoded = |part: &str| match reqwest::Url::parse(&format!("http://localhost/?{}", part.replace('+', "%2B"))) {
            Ok(url) => url.query_pairs().next().map_or_else(String::new, |(name, _)| Cow::into_owned(name)),
            Err(_) => part.to_owned(),
        };
        let path = path.split('/').map(|part| decoded(part).replace('/', "\u{0}")).collect::<Vec<_>>().join("/");
        Some(Self { path, query })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

pub(super) fn router(pim: Arc<Pim>) -> Router {
    Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let pim = Arc::clone(&pim);
        async move {
            let answer = pim.with(|state| answer(state, &method, &uri, &headers, &body));
            answer.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
        }
    })
}

fn answer(state: &mut State, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<Answer, Problem> {
    if uri.path() == "/api/oauth/v1/token" {
        return token(state, method, headers, body);
    }
    let Some(asked) = Asked::of(uri) else { return Err(Problem::new(404, "Not found.")) };
    if asked.path.is_empty() {
        let token = json!({ "fos_oauth_server_token": { "route": "/api/oauth/v1/token", "methods": ["POST"] } });
        return Ok(Answer::Json(json!({ "host": state.base, "authentication": token, "routes": {} })));
    }
    authorize(state, headers)?;
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or("*/*");
    if !accept.contains("application/json") && !accept.contains("*/*") {
        let what = format!("\"{accept}\" in \"Accept\" header is not valid. Only \"application/json\" is allowed.");
        return Err(Problem::new(406, what));
    }
    let parts: Vec<String> = asked.path.split('/').map(|it| it.replace('\u{0}', "/")).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    count(state, method, &parts);
    if method != Method::GET {
        return Err(Problem::new(
            405,
            format!("No route found for \"{method} {}\": Method Not Allowed (Allow: GET)", uri.path()),
        ));
    }
    get(state, &asked, &parts)
}

fn count(state: &mut State, method: &Method, parts: &[&str]) {
    // Names of things stand between names of kinds.
    let path: Vec<&str> = parts.iter().enumerate().map(|(at, it)| if at % 2 == 0 { *it } else { "{id}" }).take(4).collect();
    *state.calls.entry(format!("{method} /{}", path.join("/"))).or_default() += 1;
}

fn authorize(state: &State, headers: &HeaderMap) -> Result<(), Problem> {
    let header = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let Some(token) = header.and_then(|it| it.strip_prefix("Bearer ")) else {
        return Err(Problem::new(401, "Authentication is required"));
    };
    match state.tokens.get(token) {
        Some(until) if state.options.clock.now() < *until => Ok(()),
        Some(_) => Err(Problem::new(401, "The access token provided has expired.")),
        None => Err(Problem::new(401, "The access token provided is invalid.")),
    }
}

fn token(state: &mut State, method: &Method, headers: &HeaderMap, body: &Bytes) -> Result<Answer, Problem> {
    if method != Method::POST {
        return Err(Problem::new(405, "Method Not Allowed (Allow: POST)"));
    }
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = text(header::CONTENT_TYPE);
    let fields: Vec<(String, String)> = if kind.starts_with("application/json") {
        let json: Value = serde_json::from_slice(body).map_err(|_| Problem::new(400, "Invalid json message received"))?;
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        json.as_object().into_iter().flatten().filter_map(text).collect()
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        let form = String::from_utf8_lossy(body);
        let url = reqwest::Url::parse(&format!("http://localhost/?{form}"));
        url.map(|it| it.query_pairs().map(|(a, b)| (a.into_owned(), b.into_owned())).collect()).unwrap_or_default()
    } else {
        let what = format!("\"{kind}\" in \"Content-type\" header is not valid. Only \"application/json\" is allowed.");
        return Err(Problem::new(415, what));
    };
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let client = STANDARD.encode(format!("{}:{}", state.options.client_id, state.options.client_secret));
    if state.is_removed || text(header::AUTHORIZATION).strip_prefix("Basic ") != Some(client.as_str()) {
        let what = "Parameter \"client_id\" is missing or does not match any client, or secret is invalid";
        return Err(Problem::new(422, what));
    }
    match field("grant_type") {
        Some("password") => {
            let own = (Some(state.options.username.as_str()), Some(state.options.password.as_str()));
            if (field("username"), field("password")) != own {
                return Err(Problem::new(422, "No user found for the given username and password"));
            }
        }
        Some("refresh_token") => {
            let given = field("refresh_token").and_then(|token| state.refresh_tokens.iter().position(|it| it == token));
            let Some(at) = given else { return Err(Problem::new(422, "Refresh token is invalid or has expired")) };
            state.refresh_tokens.remove(at);
        }
        _ => return Err(Problem::new(422, "Parameter \"grant_type\" is missing, empty or invalid")),
    }
    let (access, refresh) = (state.uuid().replace('-', ""), state.uuid().replace('-', ""));
    let lifetime = state.options.token_lifetime;
    let until = state.options.clock.now().checked_add(lifetime).unwrap_or(jiff::Timestamp::MAX);
    state.tokens.insert(access.clone(), until);
    state.refresh_tokens.push(refresh.clone());
    state.tokens_issued += 1;
    Ok(Answer::Json(json!({
        "access_token": access, "expires_in": lifetime.as_secs(), "token_type": "bearer", "scope": null, "refresh_token": refresh,
    })))
}

fn get(state: &State, asked: &Asked, parts: &[&str]) -> Result<Answer, Problem> {
    let one = |found: Option<Value>, what: &str, id: &str| found.map(Answer::Json).ok_or_else(|| Problem::missing(what, id));
    match parts {
        ["products-uuid"] => products(state, asked),
        ["products-uuid", uuid] => {
            let shown = Shown {
                labels: asked.is_set("with_attribute_options"),
                completenesses: asked.is_set("with_completenesses"),
                ..Shown::default()
            };
            one(state.products.get(*uuid).map(|it| state.product_json(it, &shown)), "Product", uuid)
        }
        ["product-models"] => models(state, asked),
        ["product-models", code] => {
            one(state.models.get(*code).map(|it| state.model_json(it, &Shown::default())), "Product model", code)
        }
        ["families"] => listed(state, asked, state.families.keys().map(|it| (it.clone(), family(state, it))).collect()),
        ["families", code] => one(state.families.get(*code).and_then(|_| family(state, code)), "Family", code),
        ["families", code, "variants", variant] => one(family_variant(state, code, variant), "Family variant", variant),
        ["attributes"] => {
            let search = Search::read(asked.get("search"))?;
            let mut found = Vec::new();
            for code in state.attributes.keys() {
                let is_wanted = search.all(|property, operator, value| match (property, operator) {
                    ("code", "IN") => Ok(value.as_array().is_some_and(|all| all.iter().any(|it| it == code.as_str()))),
                    _ => Err(Problem::new(422, format!("Filter on property \"{property}\" is not supported."))),
                });
                if is_wanted? {
                    found.push((code.clone(), attribute(state, code)));
                }
            }
            listed(state, asked, found)
        }
        ["attributes", code] => one(attribute(state, code), "Attribute", code),
        ["attributes", code, "options"] => {
            let attribute = state.attributes.get(*code).ok_or_else(|| Problem::missing("Attribute", code))?;
            let option = |(option, labels): (&String, &_)| {
                (option.clone(), Some(json!({ "code": option, "attribute": code, "sort_order": 1, "labels": labels })))
            };
            listed(state, asked, attribute.options.iter().map(option).collect())
        }
        ["channels"] => listed(state, asked, state.channels.keys().map(|it| (it.clone(), channel(state, it))).collect()),
        ["channels", code] => one(channel(state, code), "Channel", code),
        ["media-files", .., "download"] => {
            let code = parts[1..parts.len() - 1].join("/");
            let file = state.files.get(&code).ok_or_else(|| Problem::missing("Media file", &code))?;
            Ok(Answer::File { mime: file.mime.clone(), bytes: file.bytes.clone() })
        }
        ["media-files", ..] if parts.len() > 1 => {
            let code = parts[1..].join("/");
            one(state.files.get(&code).map(|it| file_json(state, &code, it)), "Media file", &code)
        }
        ["system-information"] => Ok(Answer::Json(json!({ "version": "7.0.0", "edition": "Serenity" }))),
        _ => Err(Problem::new(404, format!("No route found for \"GET {BELOW}/{}\"", parts.join("/")))),
    }
}

fn products(state: &State, asked: &Asked) -> Result<Answer, Problem> {
    let shown = shown(state, asked)?;
    let search = Search::read(asked.get("search"))?;
    // A question that makes no sense is refused in an empty PIM too.
    state.finds_product(&Product::default(), &search)?;
    let mut found = Vec::new();
    for (uuid, product) in &state.products {
        if state.finds_product(product, &search)? {
            found.push((uuid.clone(), Some(state.product_json(product, &shown))));
        }
    }
    listed(state, asked, found)
}

fn models(state: &State, asked: &Asked) -> Result<Answer, Problem> {
    let shown = shown(state, asked)?;
    let search = Search::read(asked.get("search"))?;
    state.finds_model(&Model::default(), &search)?;
    let mut found = Vec::new();
    for (code, model) in &state.models {
        if state.finds_model(model, &search)? {
            found.push((code.clone(), Some(state.model_json(model, &shown))));
        }
    }
    listed(state, asked, found)
}

fn shown(state: &State, asked: &Asked) -> Result<Shown, Problem> {
    let scope = asked.get("scope").map(str::to_owned);
    let locales: Option<Vec<String>> = asked.get("locales").map(|all| all.split(',').map(str::to_owned).collect());
    let channel = match &scope {
        None => None,
        Some(scope) => {
            Some(state.channels.get(scope).ok_or_else(|| Problem::new(422, format!("Scope \"{scope}\" does not exist.")))?)
        }
    };
    for locale in locales.iter().flatten() {
        if !state.channels.values().any(|it| it.locales.contains(locale)) {
            return Err(Problem::new(422, format!("Locale \"{locale}\" does not exist or is not activated.")));
        }
        if channel.is_some_and(|it| !it.locales.contains(locale)) {
            let scope = scope.as_deref().unwrap_or_default();
            return Err(Problem::new(422, format!("Locale \"{locale}\" is not activated for the scope \"{scope}\".")));
        }
    }
    let (labels, completenesses) = (asked.is_set("with_attribute_options"), asked.is_set("with_completenesses"));
    Ok(Shown { scope, locales, labels, completenesses })
}

/// A page of what was found, in the order of keys. A full page names a next one, which may be empty.
fn listed(state: &State, asked: &Asked, found: Vec<(String, Option<Value>)>) -> Result<Answer, Problem> {
    let limit = asked.get("limit").map_or(Ok(10), str::parse::<usize>).unwrap_or(0);
    if limit == 0 {
        return Err(Problem::new(422, "\"limit\" is not a valid limit number."));
    }
    if limit > MOST {
        return Err(Problem::new(422, format!("You cannot request more than {MOST} items.")));
    }
    let kind = asked.path.replace('\u{0}', "%2F");
    let link = |change: &[(&str, String)]| {
        let kept = asked.query.iter().filter(|(name, _)| !change.iter().any(|(it, _)| it == name));
        let pairs = kept.map(|(name, value)| (name.as_str(), value.clone())).chain(change.iter().cloned());
        let pairs = pairs.filter(|(_, value)| !value.is_empty());
        let query = reqwest::Url::parse_with_params("http://localhost/", pairs);
        let query = query.ok().and_then(|it| it.query().map(str::to_owned)).unwrap_or_default();
        json!({ "href": format!("{}{BELOW}/{kind}?{query}", state.base) })
    };
    let by_key = match asked.get("pagination_type") {
        None | Some("page") => false,
        Some("search_after") => true,
        Some(_) => return Err(Problem::new(422, "Pagination type does not exist.")),
    };
    let mut links = json!({ "self": link(&[]) });
    let page = asked.get("page").and_then(|it| it.parse::<usize>().ok()).unwrap_or(1).max(1);
    let rest: Vec<(String, Value)> = if by_key {
        let after = asked.get("search_after").unwrap_or_default();
        found.into_iter().filter(|(key, _)| key.as_str() > after).filter_map(|(key, it)| Some((key, it?))).collect()
    } else {
        found.into_iter().skip((page - 1) * limit).filter_map(|(key, it)| Some((key, it?))).collect()
    };
    let items: Vec<(String, Value)> = rest.into_iter().take(limit).collect();
    let last = items.last().filter(|_| items.len() == limit).map(|(key, _)| key.clone());
    if by_key {
        links["first"] = link(&[("search_after", String::new())]);
        if let Some(last) = last {
            links["next"] = link(&[("search_after", last)]);
        }
        return Ok(page_of(links, None, items));
    }
    links["first"] = link(&[("page", "1".into())]);
    if page > 1 {
        links["previous"] = link(&[("page", (page - 1).to_string())]);
    }
    if last.is_some() {
        links["next"] = link(&[("page", (page + 1).to_string())]);
    }
    Ok(page_of(links, Some(page), items))
}

fn page_of(links: Value, page: Option<usize>, items: Vec<(String, Value)>) -> Answer {
    let items: Vec<Value> = items.into_iter().map(|(_, it)| it).collect();
    let mut body = json!({ "_links": links, "_embedded": { "items": items } });
    if let Some(page) = page {
        body["current_page"] = page.into();
    }
    Answer::Json(body)
}

fn family(state: &State, code: &str) -> Option<Value> {
    let family = state.families.get(code)?;
    let required: serde_json::Map<String, Value> = state.channels.keys().map(|it| (it.clone(), json!(family.required))).collect();
    Some(json!({
        "code": code, "attributes": family.attributes, "attribute_as_label": "name", "attribute_as_image": "picture",
        "attribute_requirements": required, "labels": {},
    }))
}

fn family_variant(state: &State, family: &str, code: &str) -> Option<Value> {
    let levels = &state.families.get(family)?.variants.get(code)?.0;
    let sets: Vec<Value> = levels
        .iter()
        .enumerate()
        .map(|(at, it)| json!({ "level": at + 1, "axes": it.axes, "attributes": it.attributes }))
        .collect();
    Some(json!({ "code": code, "labels": {}, "variant_attribute_sets": sets }))
}

fn attribute(state: &State, code: &str) -> Option<Value> {
    let it = state.attributes.get(code)?;
    Some(json!({
        "code": code, "type": it.kind, "group": "marketing", "labels": it.labels, "localizable": it.localizable,
        "scopable": it.scopable, "unique": it.kind == "pim_catalog_identifier", "sort_order": 1,
    }))
}

fn channel(state: &State, code: &str) -> Option<Value> {
    let it = state.channels.get(code)?;
    Some(json!({
        "code": code, "locales": it.locales, "currencies": it.currencies, "category_tree": "master", "conversion_units": {},
        "labels": {},
    }))
}

fn file_json(state: &State, code: &str, file: &File) -> Value {
    let extension = file.filename.rsplit_once('.').map_or("", |(_, end)| end);
    json!({
        "_links": { "download": { "href": format!("{}{BELOW}/media-files/{code}/download", state.base) } },
        "code": code, "original_filename": file.filename, "mime_type": file.mime, "size": file.bytes.len(), "extension": extension,
    })
}

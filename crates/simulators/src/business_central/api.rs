//! Calls below the service root: which record or collection an address means, and what is done with it; `$batch`.

use super::{
    odata::Options,
    schema::{self, Set},
    state::{Record, Refusal, State, amount, text},
};
use axum::http::Method;
use serde_json::{Value, json};

const BATCH: usize = 100;

/// One call, whether it came by itself or in a batch.
pub(super) struct Ask {
    pub method: Method,
    /// Below the service root, decoded.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub if_match: Option<String>,
    pub body: Option<Record>,
}

pub(super) struct Reply {
    pub status: u16,
    pub body: Option<Value>,
}

/// One transaction: what is refused leaves nothing behind.
pub(super) fn answer(state: &mut State, ask: &Ask) -> Result<Reply, Refusal> {
    if ask.method == Method::GET {
        return run(state, ask);
    }
    let mut trial = state.clone();
    let reply = run(&mut trial, ask)?;
    *state = trial;
    Ok(reply)
}

fn run(state: &mut State, ask: &Ask) -> Result<Reply, Refusal> {
    let segments: Vec<&str> = ask.path.trim_matches('/').split('/').collect();
    let (Some(first), rest) = (segments.first(), &segments[1..]) else { return Err(unknown("")) };
    let (name, company) = part(first);
    if name != "companies" {
        return Err(unknown(name));
    }
    let Some(company) = company else {
        return Ok(Reply { status: 200, body: Some(json!({ "value": [state.company()] })) });
    };
    if !company.eq_ignore_ascii_case(&state.setup.company.to_string()) {
        return Err(Refusal::new(
            404,
            "Internal_CompanyNotFound",
            "Cannot process the request because the company cannot be found.",
        ));
    }
    match rest {
        [] => Ok(Reply { status: 200, body: Some(state.company()) }),
        [one] => {
            let (name, id) = part(one);
            state.call(schema::set(name)?, id, None, ask)
        }
        [above, action] if action.starts_with("Microsoft.NAV.") => {
            let (name, id) = part(above);
            state.act(schema::set(name)?, id.unwrap_or_default(), action, ask)
        }
        [above, lines] => {
            let ((above, above_id), (name, id)) = (part(above), part(lines));
            let (above, set) = (schema::set(above)?, schema::set(name)?);
            if above.lines != Some(set.name) {
                return Err(unknown(name));
            }
            let above_id = text(state.found(above, above_id.unwrap_or_default())?, "id").to_owned();
            state.call(set, id, Some(&above_id), ask)
        }
        _ => Err(unknown(segments.last().unwrap_or(&""))),
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(404, "BadRequest_ResourceNotFound", format!("Resource not found for the segment '{name}'."))
}

/// `items(id)`.
pub(super) fn part(segment: &str) -> (&str, Option<&str>) {
    match segment.split_once('(') {
        Some((name, rest)) => (name, Some(rest.trim_end_matches(')').trim_matches('\''))),
        None => (segment, None),
    }
}

/// Whether the caller has seen the newest state.
pub(super) fn matched(etag: &str, if_match: Option<&str>) -> Result<(), Refusal> {
    match if_match {
        Some("*") => Ok(()),
        Some(sent) if sent == etag => Ok(()),
        Some(sent) if sent.starts_with("W/\"") => {
            Err(Refusal::new(409, "Request_EntityChanged", "Another user has already changed the record."))
        }
        _ => {
            let problem = "Could not validate the client concurrency token required by the service. Please provide a valid token in \
                           the client request.";
            Err(Refusal::new(400, "BadRequest_InvalidToken", problem))
        }
    }
}

impl State {
    fn company(&self) -> Value {
        json!({ "id": self.setup.company, "name": self.setup.company_name, "displayName": self.setup.company_name })
    }

    fn call(&mut self, set: &'static Set, id: Option<&str>, above: Option<&str>, ask: &Ask) -> Result<Reply, Refusal> {
        if ask.method == Method::GET {
            let body = match id {
                None => self.list(set, above, ask)?,
                Some(id) => self.shown(set, self.found(set, id)?, &Options::read(set, &ask.query)?),
            };
            return Ok(Reply { status: 200, body: Some(body) });
        }
        if !set.methods.contains(ask.method.as_str()) {
            let problem = format!(
                "'{}' requests for '{}' of EdmType 'Entity' are not allowed within Microsoft Dynamics NAV OData web services.",
                ask.method, set.name
            );
            return Err(Refusal::new(405, "BadRequest_MethodNotAllowed", problem));
        }
        let Some(id) = id else { return self.create(set, above, ask) };
        let found = self.found(set, id)?;
        matched(text(found, "@odata.etag"), ask.if_match.as_deref())?;
        let id = text(found, "id").to_owned();
        if ask.method == Method::DELETE {
            self.delete(set, &id)?;
            return Ok(Reply { status: 204, body: None });
        }
        self.patch(set, &id, body(ask)?)?;
        let shown = self.shown(set, self.found(set, &id)?, &Options::default());
        Ok(Reply { status: 200, body: Some(shown) })
    }

    fn list(&self, set: &'static Set, above: Option<&str>, ask: &Ask) -> Result<Value, Refusal> {
        let options = Options::read(set, &ask.query)?;
        let key = set.above.map_or("", |it| it.1);
        let is_below = |it: &&Record| above.is_none_or(|above| text(it, key) == above);
        let mut found: Vec<&Record> = self.rows(set.name).iter().filter(|it| is_below(it) && options.fits(it)).collect();
        options.sort(set, &mut found);
        let page = options.top.unwrap_or(self.setup.page).min(self.setup.page);
        let more = found.len() > options.skip + page && options.top.is_none_or(|it| it > page);
        let shown: Vec<Value> = found.iter().skip(options.skip).take(page).map(|it| self.shown(set, it, &options)).collect();
        let mut body = json!({ "value": shown });
        if more {
            let rest = ask.query.iter().filter(|(name, _)| name != "$skip");
            let query: String = rest.map(|(name, value)| format!("{name}={value}&")).collect();
            body["@odata.nextLink"] = json!(format!("{}?{query}$skip={}", ask.path, options.skip + page));
        }
        Ok(body)
    }

    fn shown(&self, set: &'static Set, record: &Record, options: &Options) -> Value {
        let mut shown = options.selected(record);
        for name in &options.expand {
            let Ok(lines) = schema::set(name) else { continue };
            let below = lines.above.map_or("", |it| it.1);
            let rows = self.rows(lines.name).iter().filter(|it| text(it, below) == text(record, "id"));
            let rows: Vec<Value> = rows.map(|it| Value::Object(Options::default().selected(it))).collect();
            shown.insert(name.clone(), json!(rows));
        }
        debug_assert!(options.expand.iter().all(|it| set.lines == Some(it.as_str())));
        Value::Object(shown)
    }

    fn create(&mut self, set: &'static Set, above: Option<&str>, ask: &Ask) -> Result<Reply, Refusal> {
        let fields = body(ask)?;
        let id = match (set.name, set.above) {
            ("customers", _) => self.create_customer(set, fields)?,
            ("customerPayments", _) => self.create_payment(above.unwrap_or_default(), fields)?,
            (_, None) => self.create_document(set, fields)?,
            (_, Some((over, _))) => {
                let document = above.unwrap_or_else(|| text(fields, "documentId")).to_owned();
                let id = self.add_line(set, &document, fields)?;
                self.retotal(schema::set(over)?, &document);
                id
            }
        };
        let shown = self.shown(set, self.found(set, &id)?, &Options::default());
        Ok(Reply { status: 201, body: Some(shown) })
    }

    fn create_customer(&mut self, set: &Set, body: &Record) -> Result<String, Refusal> {
        let mut fields = set.checked(body)?;
        customer_is_whole(&fields, true)?;
        let number = format!("C{:05}", self.next("customers", 10));
        fields.insert("number".into(), json!(number));
        fields.entry("type").or_insert(json!("Company"));
        fields.insert("_pricesIncludeTax".into(), json!(self.setup.prices_include_tax));
        Ok(self.insert("customers", Value::Object(fields)))
    }

    fn patch(&mut self, set: &'static Set, id: &str, body: &Record) -> Result<(), Refusal> {
        match set.above {
            Some((over, "documentId")) => {
                self.change_line(set, id, body)?;
                let document = text(self.found(set, id)?, "documentId").to_owned();
                self.retotal(schema::set(over)?, &document);
            }
            _ => {
                let fields = set.checked(body)?;
                if set.name == "customers" {
                    customer_is_whole(&fields, false)?;
                }
                if set.lines.is_some() {
                    self.editable(set, self.found(set, id)?)?;
                }
                self.change(set.name, id, fields);
            }
        }
        Ok(())
    }

    fn delete(&mut self, set: &'static Set, id: &str) -> Result<(), Refusal> {
        let found = self.found(set, id)?.clone();
        let is_moved = |it: &Record| amount(it, "shippedQuantity") != amount(it, "invoicedQuantity");
        let refused = || Refusal::dialog("You cannot delete what is shipped and not invoiced.");
        match set.above {
            Some((over, "documentId")) => {
                let document = text(&found, "documentId");
                self.above(set, document)?;
                if is_moved(&found) {
                    return Err(refused());
                }
                self.remove(set.name, id);
                self.retotal(schema::set(over)?, document);
            }
            None if set.lines.is_some() => {
                if self.lines(set.lines.unwrap_or_default(), id).iter().any(is_moved) {
                    return Err(refused());
                }
                if set.name == "salesCreditMemos" {
                    self.editable(set, &found)?;
                }
                self.remove_document(set, id);
            }
            _ => self.remove(set.name, id),
        }
        Ok(())
    }

    fn act(&mut self, set: &'static Set, id: &str, action: &str, ask: &Ask) -> Result<Reply, Refusal> {
        let id = text(self.found(set, id)?, "id").to_owned();
        match (set.name, action, &ask.method) {
            ("salesOrders", "Microsoft.NAV.shipAndInvoice", &Method::POST) => {
                self.ship(&id, None)?;
                self.invoice(&id)?;
            }
            ("salesCreditMemos", "Microsoft.NAV.post", &Method::POST) => self.post_memo(&id)?,
            _ => return Err(unknown(action)),
        }
        Ok(Reply { status: 204, body: None })
    }
}

fn body(ask: &Ask) -> Result<&Record, Refusal> {
    ask.body.as_ref().ok_or_else(|| Refusal::new(400, "BadRequest", "Invalid Request Body"))
}

fn customer_is_whole(fields: &Record, is_new: bool) -> Result<(), Refusal> {
    if (is_new || fields.contains_key("displayName")) && text(fields, "displayName").trim().is_empty() {
        return Err(Refusal::new(400, "BadRequest_RequiredParamNotProvided", "Field 'displayName' must not be blank or empty."));
    }
    let kind = text(fields, "type");
    if !["", "Company", "Person"].contains(&kind) {
        return Err(Refusal::new(400, "Unknown", format!("'{kind}' is not an option. The existing options are: Company,Person")));
    }
    Ok(())
}

/// With `Isolation: snapshot` all or none. What comes after a failure is left out, unless the caller wants it carried on with.
pub(super) fn batch(state: &mut State, sent: &Value, isolated: bool, go_on: bool) -> Result<Value, Refusal> {
    let invalid = || Refusal::new(400, "BadRequest", "Invalid Request Body");
    let requests = sent["requests"].as_array().ok_or_else(invalid)?;
    if requests.len() > BATCH {
        return Err(Refusal::new(400, "BadRequest", format!("A batch may hold {BATCH} operations at most.")));
    }
    let before = isolated.then(|| state.clone());
    let (mut responses, mut failed) = (Vec::new(), false);
    for request in requests {
        let ask = ask(request).ok_or_else(invalid)?;
        let (status, body) = match answer(state, &ask) {
            Ok(reply) => (reply.status, reply.body),
            Err(refusal) => (refusal.status, Some(refusal.body())),
        };
        let mut response = json!({ "id": request["id"], "status": status, "headers": {} });
        if let Some(body) = body {
            response["headers"] = json!({ "content-type": "application/json; odata.metadata=minimal", "odata-version": "4.0" });
            response["body"] = body;
        }
        responses.push(response);
        failed |= status >= 400;
        if failed && !go_on {
            break;
        }
    }
    if let (true, Some(before)) = (failed, before) {
        *state = before;
    }
    Ok(json!({ "responses": responses }))
}

fn ask(request: &Value) -> Option<Ask> {
    let url = request["url"].as_str()?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let headers = request["headers"].as_object();
    let header = |name: &str| headers?.iter().find(|it| it.0.eq_ignore_ascii_case(name))?.1.as_str();
    Some(Ask {
        method: request["method"].as_str()?.to_uppercase().parse().ok()?,
        path: path.to_owned(),
        query: super::web::pairs(query),
        if_match: header("if-match").map(str::to_owned),
        body: request["body"].as_object().cloned(),
    })
}

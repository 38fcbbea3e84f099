//! Reads a whole config file, section by section, and gathers what is wrong with any of them.

use crate::{
    ConnectionSettings, Env, Flow, FlowTest, Outbound, Problem, Problems, QueueSettings, Server, Settings, StoreSettings,
    connection::{self, ConnectionDraft},
    document::{Document, Field, MAX_BYTES, Node, Value},
    flow, flow_test, keys, map, measure,
    problem::{Findings, Level, Misfit},
    secret,
    section::Section,
};
use base64::Engine as _;
use spindel_connect::{Entry, Secret};
use std::{fmt, io::Read as _, path::Path};
use url::{Host, Url};

/// A valid file.
pub struct Loaded {
    pub settings: Settings,
    /// What somebody should look at; the settings work all the same.
    pub warnings: Vec<Problem>,
    document: Document,
}

/// Reads the file at `path`. Environment variables that secrets name are asked of `env`.
pub fn load(path: &Path, env: Env<'_>) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    match read_capped(path) {
        Ok(text) => parse(&text, &name, env),
        Err(error) => {
            let (document, _, _) = Document::read("", &name);
            let misfit = Misfit::new("unreadable", format!("the config file `{name}` cannot be read: {}", error.kind()))
                .hint("name the file with --config");
            let problem = document.problem(Level::Error, "", &(0..0), misfit);
            Err(Problems::new(&document, vec![problem]))
        }
    }
}

/// One byte more than is accepted, so that a file too large is known as one.
fn read_capped(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads the text of a file; `file_name` is for reports.
pub fn parse(text: &str, file_name: &str, env: Env<'_>) -> Result<Loaded, Problems> {
    parse_with(spindel_catalog::CATALOG, text, file_name, env)
}

/// [`parse`] with connectors of one's own: for tests.
pub fn parse_with(catalog: &[Entry], text: &str, file_name: &str, env: Env<'_>) -> Result<Loaded, Problems> {
    let (document, root, syntax) = Document::read(text, file_name);
    let broken: Vec<usize> = syntax.iter().map(|it| it.line).collect();
    let mut findings = Findings::new(&document);
    findings.list = syntax;
    let settings = settings(&root, catalog, env, &mut findings);
    let mut problems = findings.list;
    if !broken.is_empty() {
        // Keys around a broken line are lost or halved: what is wrong with them is no news.
        let told = |it: &Problem| it.path.is_empty() || !broken.contains(&it.line);
        problems.retain(|it| it.code != "missing_key" && it.level == Level::Error && told(it));
    }
    match settings {
        Some(settings) if problems.iter().all(|it| it.level == Level::Warning) => {
            Ok(Loaded { settings, warnings: Problems::new(&document, problems).list, document })
        }
        _ => Err(Problems::new(&document, problems)),
    }
}

impl Loaded {
    /// The line of `flows.orders.map`, or of the nearest part of it that is in the file.
    pub fn line(&self, path: &str) -> usize {
        self.document.line(self.document.place(path).start)
    }

    /// A problem that was found later, at its place in the file.
    pub fn problem_at(&self, path: &str, message: impl Into<String>) -> Problem {
        self.document.problem(Level::Error, path, &self.document.place(path), Misfit::new("invalid_value", message))
    }

    /// Problems of this file as a report.
    pub fn problems(&self, list: Vec<Problem>) -> Problems {
        Problems::new(&self.document, list)
    }
}

/// Without the settings, which hold secrets.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("file", &self.document.file_name).field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

fn settings(root: &Node, catalog: &[Entry], env: Env<'_>, findings: &mut Findings<'_>) -> Option<Settings> {
    let top = Section::open(root, "", keys::ROOT, findings);
    let nothing = Node { span: 0..0, value: Value::Table(Vec::new()) };
    let part = |name: &str| top.get(name).map_or(&nothing, |field| &field.node);

    let server = server(&Section::open(part("server"), "server", keys::SERVER, findings), findings);
    let store = store(&Section::open(part("store"), "store", keys::STORE, findings), env, findings);
    let queue = queue(&Section::open(part("queue"), "queue", keys::QUEUE, findings), findings);
    let outbound = outbound(&Section::open(part("outbound"), "outbound", keys::OUTBOUND, findings), findings);

    let mut connections: Vec<ConnectionDraft<'_>> =
        part("connections").fields().iter().map(|field| connection::read(field, catalog, env, findings)).collect();
    let flows: Vec<Flow> = part("flows").fields().iter().filter_map(|field| flow::read(field, &connections, findings)).collect();
    let maps = map::read(part("maps"), findings);
    let tests = tests(top.get("tests"), &flow_test::Known { connections: &connections, flows: part("flows") }, findings);
    warn_of_unused(part("flows"), &connections, findings);
    map::warn_of_unused(part("maps"), part("flows"), &connections, findings);

    let connections = connections.iter_mut().filter_map(|it| Some((it.name().to_owned(), it.settings.take()?)));
    let connections: std::collections::BTreeMap<String, ConnectionSettings> = connections.collect();
    Some(Settings { server: server?, store: store?, queue: queue?, outbound, connections, flows, maps, tests })
}

fn server(section: &Section<'_>, findings: &mut Findings<'_>) -> Option<Server> {
    let listen = section.read("listen", findings, |text| {
        text.parse().map_err(|_| {
            Misfit::new("invalid_value", format!("`{}` is not an address with a port", measure::shortened(text)))
                .hint("write an IP address and a port, as in \"127.0.0.1:8400\" or \"0.0.0.0:8400\"")
        })
    });
    let public_url = section.get("public_url").map(|_| section.read("public_url", findings, public_url));
    let drain = section.read("drain", findings, measure::duration_within("0s", "10m"));
    Some(Server { listen: listen?, public_url: public_url.flatten(), drain: drain? })
}

fn public_url(text: &str) -> Result<Url, Misfit> {
    let wrong = |why: &str| Misfit::new("invalid_value", why).hint("write it as in \"https://hooks.example.no\"");
    let url = Url::parse(text).map_err(|error| wrong(&format!("not an address: {error}")))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => return Err(wrong("the address names no host")),
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err(wrong("vendors send webhooks over https only"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("the address must have no user, no query and no fragment"));
    }
    Ok(url)
}

fn store(section: &Section<'_>, env: Env<'_>, findings: &mut Findings<'_>) -> Option<StoreSettings> {
    let path = section.read("url", findings, |text| match text.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() => Ok(path.into()),
        Some(("postgres" | "postgresql", _)) => {
            Err(Misfit::new("unsupported", "this build of Spindel has no PostgreSQL store yet")
                .hint("use \"sqlite://data/spindel.db\""))
        }
        _ => Err(Misfit::new("invalid_value", "not the address of a store").hint("write it as in \"sqlite://data/spindel.db\"")),
    });
    let retention = section.read("retention", findings, measure::duration_within("1d", "3650d"));
    let encryption_key = section.get("encryption_key").map(|field| {
        let at = section.at("encryption_key");
        let key = secret::resolve(&field.node, &at, env, findings)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(key.trim());
        if bytes.is_ok_and(|it| it.len() == 32) {
            return Some(Secret::new(key.trim()));
        }
        let misfit = Misfit::new("invalid_value", "the encryption key is not 32 bytes in base64");
        findings.error(&at, &field.node.span, misfit.hint("make one with: openssl rand -base64 32"));
        None
    });
    Some(StoreSettings { path: path?, retention: retention?, encryption_key: encryption_key.flatten() })
}

fn queue(section: &Section<'_>, findings: &mut Findings<'_>) -> Option<QueueSettings> {
    section.read("url", findings, |text| match text.split_once("://").map_or(text, |(scheme, _)| scheme) {
        "embedded" => Ok(QueueSettings::Embedded),
        "amqp" | "amqps" => {
            Err(Misfit::new("unsupported", "this build of Spindel has no RabbitMQ queue yet").hint("use \"embedded\""))
        }
        _ => Err(Misfit::new("invalid_value", "not the address of a queue").choices(text, ["embedded"])),
    })
}

fn outbound(section: &Section<'_>, findings: &mut Findings<'_>) -> Outbound {
    let mut allow = Vec::new();
    for (at, node, text) in section.texts("allow") {
        match text.parse() {
            Ok(net) => allow.push(net),
            Err(_) => {
                let misfit = Misfit::new("invalid_value", format!("`{}` is not a network", measure::shortened(text)));
                findings.error(&at, &node.span, misfit.hint("write it as in \"10.0.0.0/8\" or \"192.168.1.5/32\""));
            }
        }
    }
    Outbound { allow }
}

fn tests(field: Option<&Field>, known: &flow_test::Known<'_>, findings: &mut Findings<'_>) -> Vec<FlowTest> {
    let Some(Field { node: Node { value: Value::List(items), .. }, .. }) = field else { return Vec::new() };
    items.iter().enumerate().filter_map(|(index, node)| flow_test::read(node, index, known, findings)).collect()
}

fn warn_of_unused(flows: &Node, connections: &[ConnectionDraft<'_>], findings: &mut Findings<'_>) {
    let named: Vec<&str> = flows.fields().iter().flat_map(|field| flow::named_ends(&field.node)).collect();
    for connection in connections.iter().filter(|it| !named.contains(&it.name())) {
        let misfit = Misfit::new("unused", format!("no flow uses connection \"{}\"", connection.name()));
        findings.warning(&connection.path, &connection.field.span, misfit.hint("add a flow, or remove the connection"));
    }
}

//! Reads a whole config file, section by section, and gathers what is wrong with any of them.

use crate::{
    ConnectionSettings, Env, Flow, FlowTest, Outbound, Problem, Problems, Server, Settings, backend,
    connection::{self, ConnectionDraft},
    document::{Document, Field, MAX_BYTES, Node, Value},
    flow, flow_test, keys, map, measure, payments,
    problem::{Findings, Level, Misfit},
    rates,
    section::Section,
};
use spindel_connect::Entry;
use std::{fmt, io::Read as _, net::SocketAddr, path::Path};
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
    load_with(path, Envs { own: env, vendors: env })
}

/// [`load`] for whoever looks into the store and calls no vendor: the vendors' variables need not be set in that shell.
pub fn load_to_look(path: &Path, env: Env<'_>) -> Result<Loaded, Problems> {
    load_with(path, Envs { own: env, vendors: &|name| env(name).or_else(|| Some("unset".into())) })
}

fn load_with(path: &Path, envs: Envs<'_>) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    match read_capped(path) {
        Ok(text) => parse_all(spindel_catalog::CATALOG, &text, &name, envs),
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
    parse_all(catalog, text, file_name, Envs { own: env, vendors: env })
}

/// Who knows the variables of our own secrets, and who those of the connections.
#[derive(Clone, Copy)]
struct Envs<'a> {
    own: Env<'a>,
    vendors: Env<'a>,
}

fn parse_all(catalog: &[Entry], text: &str, file_name: &str, envs: Envs<'_>) -> Result<Loaded, Problems> {
    let (document, root, syntax) = Document::read(text, file_name);
    let broken: Vec<usize> = syntax.iter().map(|it| it.line).collect();
    let mut findings = Findings::new(&document);
    findings.list = syntax;
    let settings = settings(&root, catalog, envs, &mut findings);
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

fn settings(root: &Node, catalog: &[Entry], envs: Envs<'_>, findings: &mut Findings<'_>) -> Option<Settings> {
    let top = Section::open(root, "", keys::ROOT, findings);
    let nothing = Node { span: 0..0, value: Value::Table(Vec::new()) };
    let part = |name: &str| top.get(name).map_or(&nothing, |field| &field.node);

    let server = server(&Section::open(part("server"), "server", keys::SERVER, findings), findings);
    let store = backend::store(&Section::open(part("store"), "store", keys::STORE, findings), envs.own, findings);
    let queue = backend::queue(&Section::open(part("queue"), "queue", keys::QUEUE, findings), envs.own, findings);
    let outbound = outbound(&Section::open(part("outbound"), "outbound", keys::OUTBOUND, findings), findings);

    let mut connections: Vec<ConnectionDraft<'_>> =
        part("connections").fields().iter().map(|field| connection::read(field, catalog, envs.vendors, findings)).collect();
    let flows: Vec<Flow> = part("flows").fields().iter().filter_map(|field| flow::read(field, &connections, findings)).collect();
    let rates = part("rates").fields().iter().filter_map(|field| rates::read(field, &connections, envs.own, findings)).collect();
    let payments = top.get("payments").and_then(|field| payments::read(&field.node, &connections, findings));
    let maps = map::read(part("maps"), findings);
    let tests = tests(top.get("tests"), &flow_test::Known { connections: &connections, flows: part("flows") }, findings);
    warn_of_unused([part("flows"), part("rates"), part("payments")], &connections, findings);
    map::warn_of_unused(part("maps"), part("flows"), &connections, findings);

    let connections = connections.iter_mut().filter_map(|it| Some((it.name().to_owned(), it.settings.take()?)));
    let connections: std::collections::BTreeMap<String, ConnectionSettings> = connections.collect();
    Some(Settings { server: server?, store: store?, queue: queue?, outbound, connections, flows, rates, payments, maps, tests })
}

fn server(section: &Section<'_>, findings: &mut Findings<'_>) -> Option<Server> {
    let listen = section.read("listen", findings, socket_address);
    let admin = section.read("admin", findings, |text| match text {
        "off" => Ok(None),
        address => socket_address(address).map(Some),
    });
    if let (Some(listen), Some(Some(admin))) = (listen, admin)
        && listen.port() == admin.port()
        && listen.port() != 0
        && (listen.ip() == admin.ip() || listen.ip().is_unspecified() || admin.ip().is_unspecified())
    {
        let misfit = Misfit::new("conflict", format!("port {} is that of `listen` already", admin.port()));
        section.error("admin", misfit.hint("give `admin` a port of its own that the internet does not reach"), findings);
    }
    let node = section.get("node").map(|_| section.read("node", findings, node_name));
    let public_url = section.get("public_url").map(|_| section.read("public_url", findings, public_url));
    let drain = section.read("drain", findings, measure::duration_within("0s", "10m"));
    Some(Server { listen: listen?, admin: admin?, node: node.flatten(), public_url: public_url.flatten(), drain: drain? })
}

fn socket_address(text: &str) -> Result<SocketAddr, Misfit> {
    text.parse().map_err(|_| {
        Misfit::new("invalid_value", format!("`{}` is not an address with a port", measure::shortened(text)))
            .hint("write an IP address and a port, as in \"127.0.0.1:8400\" or \"0.0.0.0:8400\"")
    })
}

/// As hosts are called: it stands in logs, in metrics, and beside the work that a node holds.
fn node_name(text: &str) -> Result<String, Misfit> {
    let inner = |it: char| it.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&it);
    match text.chars().all(inner) && (1..=63).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(Misfit::new("invalid_name", format!("`{}` cannot be the name of a node", measure::shortened(text)))
            .hint("letters, digits, `.`, `-` and `_`, at most 63; or leave it out, and the host's name is taken")),
    }
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

fn warn_of_unused([flows, rates, payments]: [&Node; 3], connections: &[ConnectionDraft<'_>], findings: &mut Findings<'_>) {
    let mut named: Vec<&str> = flows.fields().iter().flat_map(|field| flow::named_ends(&field.node)).collect();
    named.extend(rates.fields().iter().flat_map(|field| rates::named(&field.node)));
    named.extend(payments::named(payments));
    for connection in connections.iter().filter(|it| !named.contains(&it.name())) {
        let misfit = Misfit::new("unused", format!("no flow uses connection \"{}\"", connection.name()));
        findings.warning(&connection.path, &connection.field.span, misfit.hint("add a flow, or remove the connection"));
    }
}

//! Addresses of a database or a broker, `scheme://user@host:port,host:port/name?parameter=value`, and what is asked of them.
//! Kept as text for those who connect; no message repeats more of it than a host or a parameter, for it may hold a password.

use crate::{measure::shortened, problem::Misfit};
use std::net::IpAddr;

/// More hosts than any failover has.
const MAX_HOSTS: usize = 8;
const POSTGRES_FORM: &str = "write it as in \"postgres://spindel@db.example.no:5432/spindel?sslmode=verify-full\"";
const AMQP_FORM: &str = "write it as in \"amqps://spindel@broker.example.no:5671/vhost\"";
const TLS_MODES: &str = "`verify-full` encrypts and checks the server's certificate and name, and so does `require`; `disable` sends \
                         all of it readable";

/// An address in its parts, each as it is written.
pub(crate) struct Address<'a> {
    scheme: &'a str,
    user: &'a str,
    password: Option<&'a str>,
    hosts: Vec<&'a str>,
    /// Without its slash; nothing where no slash is.
    name: Option<&'a str>,
    parameters: Vec<(&'a str, &'a str)>,
    /// What comes after the user.
    rest: &'a str,
}

impl<'a> Address<'a> {
    fn parse(text: &'a str, form: &str) -> Result<Self, Misfit> {
        let wrong = |why: &str| Misfit::new("invalid_value", why).hint(form);
        let (scheme, after) = text.split_once("://").ok_or_else(|| wrong("not an address: `://` is missing"))?;
        // The last one: a password may hold others.
        let (credentials, rest) = after.rsplit_once('@').unwrap_or(("", after));
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        if credentials.contains(['/', '?', '#', '@']) {
            return Err(literal_secret("user and password hold characters that an address cannot hold unencoded"));
        }
        if rest.contains(|it: char| it.is_control() || it == ' ' || it == '#') {
            return Err(wrong("the address holds a character that an address cannot hold"));
        }
        let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, name) = match before_query.split_once('/') {
            Some((hosts, name)) => (hosts, Some(name)),
            None => (before_query, None),
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > MAX_HOSTS {
            return Err(wrong("the address names more than eight hosts"));
        }
        for host in &hosts {
            check_host(host).map_err(|why| wrong(&why))?;
        }
        let parameters = query.split('&').filter(|it| !it.is_empty()).map(|it| it.split_once('=').unwrap_or((it, ""))).collect();
        Ok(Self { scheme, user, password, hosts, name, parameters, rest })
    }

    /// Every host is this machine itself.
    fn is_local(&self) -> bool {
        self.hosts.iter().all(|it| {
            let host = host_and_port(it).0;
            host == "localhost" || is_socket(host) || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        })
    }

    /// Whether TLS is used, and the server's certificate checked. A database on another machine is never spoken to in clear
    /// unless that is asked for.
    pub fn is_encrypted(&self) -> bool {
        match (self.scheme, self.parameter("sslmode")) {
            ("postgres" | "postgresql", None) => !self.is_local(),
            (scheme, mode) => scheme == "amqps" || mode.is_some_and(|it| it != "disable"),
        }
    }

    /// RabbitMQ knows this user and its password from the start, on its own machine.
    pub fn is_guest(&self) -> bool {
        self.user.is_empty() || self.user == "guest"
    }

    pub fn without_password(&self) -> String {
        let at = if self.user.is_empty() { "" } else { "@" };
        format!("{}://{}{at}{}", self.scheme, self.user, self.rest)
    }

    /// The password, decoded.
    pub fn password(&self) -> Option<String> {
        self.password.map(percent_decoded)
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(it, _)| *it == name).map(|(_, value)| *value)
    }
}

/// `postgres://` and `postgresql://`
pub(crate) fn postgres(text: &str) -> Result<Address<'_>, Misfit> {
    let address = Address::parse(text, POSTGRES_FORM)?;
    let wrong = |why: &str| Misfit::new("invalid_value", why).hint(POSTGRES_FORM);
    for (index, (name, value)) in address.parameters.iter().enumerate() {
        postgres_parameter(name, value)?;
        // Whoever connects might take the other one.
        if address.parameters[..index].iter().any(|(it, _)| it == name) {
            return Err(wrong(&format!("`{name}` stands twice in the address")));
        }
    }
    if address.user.is_empty() {
        return Err(wrong("the address names no user"));
    }
    if address.name.is_none_or(|it| it.is_empty() || it.contains('/')) {
        return Err(wrong("the address names no database"));
    }
    Ok(address)
}

fn postgres_parameter(name: &str, value: &str) -> Result<(), Misfit> {
    const NAMES: [&str; 5] = ["sslmode", "target_session_attrs", "load_balance_hosts", "application_name", "options"];
    let one_of = |choices: &[&'static str]| match choices.contains(&value) {
        true => Ok(()),
        false => Err(Misfit::new("invalid_value", format!("`{name}` cannot be `{}`", shortened(value)))
            .choices(value, choices.iter().copied())),
    };
    match name {
        "password" | "passfile" | "sslpassword" => Err(literal_secret("a password is written into the address")),
        "sslmode" => one_of(&["disable", "require", "verify-full"]).map_err(|misfit| misfit.hint(TLS_MODES)),
        // As if it were always there: nothing can be kept at a standby.
        "target_session_attrs" => one_of(&["read-write"]),
        "load_balance_hosts" => one_of(&["disable", "random"]),
        "application_name" | "options" => Ok(()),
        _ => {
            let message = format!("`{}` is not a parameter of a PostgreSQL address here", shortened(name));
            Err(Misfit::new("unknown_key", message).choices(name, NAMES))
        }
    }
}

/// `amqp://` and `amqps://`
pub(crate) fn amqp(text: &str) -> Result<Address<'_>, Misfit> {
    let address = Address::parse(text, AMQP_FORM)?;
    let wrong = |why: &str| Misfit::new("invalid_value", why).hint(AMQP_FORM);
    if !address.parameters.is_empty() {
        return Err(wrong("the address of a broker has no parameters; whether TLS is used is said by `amqp` or `amqps`"));
    }
    if address.hosts.len() > 1 {
        return Err(wrong("the address of a broker names one host; put a load balancer or a DNS name before a cluster"));
    }
    if address.hosts.iter().any(|it| is_socket(it)) {
        return Err(wrong("a broker is not reached through a socket of the file system"));
    }
    if address.name.is_some_and(|it| it.contains('/')) {
        return Err(wrong("the name of a vhost holds a slash; write it as %2F"));
    }
    if address.is_guest() && !address.is_local() {
        let message = match address.user {
            "" => "the address names no user",
            _ => "RabbitMQ lets its user `guest` in from its own machine only",
        };
        return Err(
            Misfit::new("invalid_value", message).hint("make a user for Spindel, and name it before the host: amqps://spindel@…")
        );
    }
    Ok(address)
}

/// Whatever else is wrong with the address.
pub(crate) fn holds_password(text: &str) -> bool {
    let credentials = text.split_once("://").and_then(|(_, after)| after.rsplit_once('@'));
    credentials.is_some_and(|(credentials, _)| credentials.contains(':'))
}

/// Whoever reports it hides the address.
pub(crate) const LITERAL_SECRET: &str = "literal_secret";

pub(crate) fn literal_secret(message: &str) -> Misfit {
    Misfit::new(LITERAL_SECRET, format!("{message}; the password must be kept outside"))
        .hint("leave it out of `url`, write `password = { file = \"path\" }` or `{ env = \"NAME\" }`, and change it if the file was shared")
}

fn host_and_port(host: &str) -> (&str, Option<&str>) {
    if let Some((inner, after)) = host.strip_prefix('[').and_then(|it| it.split_once(']')) {
        return (inner, after.strip_prefix(':'));
    }
    host.rsplit_once(':').map_or((host, None), |(host, port)| (host, Some(port)))
}

/// A folder with PostgreSQL's socket in it, as `%2Frun%2Fpostgresql`.
fn is_socket(host: &str) -> bool {
    host.get(..3).is_some_and(|it| it.eq_ignore_ascii_case("%2f"))
}

fn check_host(text: &str) -> Result<(), String> {
    let (host, port) = host_and_port(text);
    let of_a_name = |it: char| it.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&it);
    let valid = match host {
        "" => return Err("the address names no host".into()),
        _ if text.starts_with('[') => host.parse::<std::net::Ipv6Addr>().is_ok(),
        _ if is_socket(host) => true,
        _ => host.chars().all(of_a_name),
    };
    if !valid {
        return Err(format!("`{}` is not a host", shortened(host)));
    }
    match port {
        Some(port) if port.parse::<u16>().map_or(true, |it| it == 0) => {
            Err(format!("host `{}` has no valid port", shortened(host)))
        }
        _ => Ok(()),
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |at: usize| after.get(at).and_then(|it| char::from(*it).to_digit(16)).filter(|_| *first == b'%');
        let (byte, remaining) = match (hex(0), hex(1)) {
            (Some(high), Some(low)) => ((high * 16 + low) as u8, &after[2..]),
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = remaining;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(result: Result<Address<'_>, Misfit>) -> String {
        let misfit = result.err().expect("the address is refused");
        assert!(misfit.hint.is_some() || !misfit.choices.is_empty(), "{}", misfit.message);
        misfit.message
    }

    #[test]
    fn a_postgres_address_says_who_where_which_and_how_it_is_protected() {
        for text in [
            "postgres://spindel@127.0.0.1/spindel",
            "postgresql://spindel@localhost:5432/spindel?application_name=shop",
            "postgres://spindel@[::1]:5432/spindel",
            "postgres://spindel@%2Frun%2Fpostgresql/spindel",
            "postgres://spindel@db:5432/spindel?sslmode=disable",
            "postgres://spindel@127.0.0.1/spindel?sslmode=require",
            "postgres://spindel@db/spindel?options=-c%20search_path%3Dshop",
            "postgres://spindel@localhost,db/spindel",
            "postgres://spindel@a:5432,b/spindel?sslmode=verify-full&target_session_attrs=read-write",
        ] {
            let address = postgres(text).unwrap_or_else(|misfit| panic!("{text}: {}", misfit.message));
            assert_eq!(address.without_password(), text);
            let encrypted = ["require", "verify-full", "@db/", ",db/"].iter().any(|it| text.contains(it));
            assert_eq!(address.is_encrypted(), encrypted, "{text}");
        }
        for (text, wanted) in [
            ("postgres:spindel@db/spindel", "`://` is missing"),
            ("postgres://db/spindel?sslmode=require", "names no user"),
            ("postgres://spindel@db?sslmode=require", "names no database"),
            ("postgres://spindel@db/?sslmode=require", "names no database"),
            ("postgres://spindel@/spindel", "names no host"),
            ("postgres://spindel@d%b/spindel", "`d%b` is not a host"),
            ("postgres://spindel@[::g]/spindel", "`::g` is not a host"),
            ("postgres://spindel@db:0/spindel", "host `db` has no valid port"),
            ("postgres://spindel@db:54321x/spindel", "host `db` has no valid port"),
            ("postgres://spindel@db/spindel?sslmode=prefer", "`sslmode` cannot be `prefer`"),
            ("postgres://spindel@db/spindel?sslmod=require", "`sslmod` is not a parameter"),
            ("postgres://spindel@a/spindel?sslmode=require&target_session_attrs=read-only", "cannot be `read-only`"),
            ("postgres://spindel@db/spindel?sslmode=require&sslmode=disable", "stands twice"),
            ("postgres://spindel@db/spin del", "a character that an address cannot hold"),
            ("postgres://s@a,b,c,d,e,f,g,h,i/spindel?sslmode=require", "more than eight hosts"),
            ("postgres://spindel@db/spindel?sslmode=require&password=hunter2", "kept outside"),
        ] {
            let message = told(postgres(text));
            assert!(message.contains(wanted), "{text}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn an_amqp_address_names_a_user_one_host_and_a_vhost() {
        for text in [
            "amqp://localhost",
            "amqp://guest@127.0.0.1:5672/%2F",
            "amqp://spindel@rabbitmq:5672/",
            "amqps://spindel@broker.example.no/shop",
        ] {
            let address = amqp(text).unwrap_or_else(|misfit| panic!("{text}: {}", misfit.message));
            assert_eq!(address.without_password(), text);
            assert_eq!(address.is_encrypted(), text.starts_with("amqps"), "{text}");
        }
        for (text, wanted) in [
            ("amqp://broker", "names no user"),
            ("amqp://guest@broker", "from its own machine only"),
            ("amqp://spindel@broker/a/b", "%2F"),
            ("amqp://spindel@a,b/shop", "one host"),
            ("amqp://spindel@%2Frun%2Frabbitmq/shop", "not reached through a socket"),
            ("amqp://spindel@broker/shop?heartbeat=5", "no parameters"),
        ] {
            let message = told(amqp(text));
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }

    #[test]
    fn a_password_is_told_from_the_rest_and_never_repeated() {
        let text = "postgres://spindel:hun%40ter2@127.0.0.1:5432/spindel";
        let address = postgres(text).unwrap_or_else(|misfit| panic!("{}", misfit.message));
        assert_eq!(address.password().as_deref(), Some("hun@ter2"));
        assert_eq!(address.without_password(), "postgres://spindel@127.0.0.1:5432/spindel");
        assert_eq!(amqp("amqp://guest:%zz%4@localhost").ok().and_then(|it| it.password()).as_deref(), Some("%zz%4"));
        for odd in ["postgres://spindel:hun/ter2@db/spindel", "postgres://spindel:hun@ter2@db/spindel", "amqp://u:hun#ter2@b"] {
            let misfit = Address::parse(odd, "").err().expect("it is refused");
            assert!(misfit.code == "literal_secret" && !misfit.message.contains("ter2"), "{}", misfit.message);
        }
    }
}

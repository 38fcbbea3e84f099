//! Where the broker is and how it is used. Read from an address; the password is kept apart and never shown.

use std::{fmt, path::PathBuf, time::Duration};

/// What [`RabbitMq::connect`](crate::RabbitMq::connect) needs to know.
#[derive(Clone)]
pub struct Options {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) vhost: String,
    pub(super) user: String,
    password: String,
    pub(super) tls: bool,
    /// Certificates (PEM) that the broker's must come from; the system's roots when there are none. For `amqps` only.
    pub ca: Option<PathBuf>,
    /// All exchanges and queues begin with it and a dot.
    pub prefix: String,
    /// This process consumes too: what the broker does not take is carried inside the process.
    pub hand_over: bool,
    /// A broker that is silent for twice as long is taken for dead. In whole seconds.
    pub heartbeat: Duration,
    /// So often a message may come back unacknowledged before it is set aside. Fixed when a queue is first declared.
    pub delivery_limit: u32,
    /// A message that is held for longer is let go of, the store announces it again. Below the broker's `consumer_timeout`
    /// (half an hour by default), after which it would take the whole channel away.
    pub hold_at_most: Duration,
    /// Who publishes waits this long for a channel, and this long for the confirm. A quorum queue's log may stall for a moment.
    pub answer_within: Duration,
    /// What the broker calls this process's connections.
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker's address {0}; expected amqp://user@host:5672/vhost or amqps://…")]
pub struct BadAddress(&'static str);

impl Options {
    /// Reads `amqp[s]://[user[:password]@]host[:port][/vhost]`; no path or an empty one is the vhost `/`. A password given
    /// apart wins over one in the address.
    pub fn new(address: &str, password: Option<String>) -> Result<Self, BadAddress> {
        let (scheme, rest) = address.split_once("://").ok_or(BadAddress("has no scheme"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "amqp" => false,
            "amqps" => true,
            _ => return Err(BadAddress("has another scheme than amqp and amqps")),
        };
        if rest.contains(['?', '#']) {
            return Err(BadAddress("has parameters, which are not known here"));
        }
        // The path first: an `@` in it is none of the host's, and the password must reach no other host than was meant.
        let (authority, vhost) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password_within) = credentials.split_once(':').unwrap_or((credentials, "guest"));
        let (host, port) = host_and_port(place).ok_or(BadAddress("has no valid host and port"))?;
        Ok(Self {
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 5671 } else { 5672 }),
            vhost: decoded(if vhost.is_empty() { "/" } else { vhost })?,
            user: decoded(if user.is_empty() { "guest" } else { user })?,
            password: password.map_or_else(|| decoded(password_within), Ok)?,
            tls,
            ca: None,
            prefix: "spindel".into(),
            hand_over: false,
            heartbeat: Duration::from_secs(5),
            delivery_limit: 50,
            hold_at_most: Duration::from_secs(600),
            answer_within: Duration::from_secs(10),
            name: "spindel".into(),
        })
    }

    /// For people: where the broker is.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn uri(&self) -> lapin::uri::AMQPUri {
        use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
        let userinfo = AMQPUserInfo { username: self.user.clone(), password: self.password.clone() };
        AMQPUri {
            scheme: if self.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority { userinfo, host: self.host.clone(), port: self.port },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                // The client keeps 64 frames' worth of buffers a connection, and our messages are small.
                frame_max: Some(16 * 1024),
                heartbeat: Some(u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX).max(1)),
                ..AMQPQueryString::default()
            },
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("vhost", &self.vhost)
            .field("user", &self.user)
            .field("tls", &self.tls)
            .field("prefix", &self.prefix)
            .field("hand_over", &self.hand_over)
            .finish_non_exhaustive()
    }
}

fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(str::parse).transpose().ok()?.filter(|port| *port != 0);
    (!host.is_empty()).then_some((host, port))
}

fn decoded(text: &str) -> Result<String, BadAddress> {
    const BAD: BadAddress = BadAddress("has a percent sign that encodes nothing");
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit())).ok_or(BAD)?;
        bytes.push(u8::from_str_radix(code, 16).map_err(|_| BAD)?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| BAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (address, host, port, vhost, user, password) in [
            ("amqp://localhost", "localhost", 5672, "/", "guest", "guest"),
            ("AMQPS://localhost/", "localhost", 5671, "/", "guest", "guest"),
            ("amqp://h:1/%2f", "h", 1, "/", "guest", "guest"),
            ("amqp://u%41:p%40ss@[::1]:7/shop%2F1", "::1", 7, "shop/1", "uA", "p@ss"),
            ("amqps://u:p@broker/shop@1", "broker", 5671, "shop@1", "u", "p"),
        ] {
            let options = Options::new(address, None).unwrap();
            let read = (options.host.as_str(), options.port, options.vhost.as_str(), options.user.as_str());
            assert_eq!(read, (host, port, vhost, user), "{address}");
            assert_eq!(options.password, password, "{address}");
        }
        for address in [
            "localhost",
            "http://h",
            "amqp://",
            "amqp://h:x",
            "amqp://[::1",
            "amqp://h/%zz",
            "amqp://h/%+f",
            "amqp://h?heartbeat=1",
        ] {
            assert!(Options::new(address, None).is_err(), "{address}");
        }
    }

    #[test]
    fn the_password_is_not_shown_and_one_given_apart_wins() {
        let options = Options::new("amqp://u:hunter2@h", Some("hunter3".into())).unwrap();
        assert_eq!(options.password, "hunter3");
        let shown = format!("{options:?} {}", options.place());
        assert!(!shown.contains("hunter"), "{shown}");
        let error = Options::new("amqp://u:hunter2@h:x", None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"));
    }
}

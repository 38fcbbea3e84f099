//! Which addresses may be called: public ones, and what the config allows besides. Against being led into the own network.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use spindel_connect::Failure;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use url::{Host, Url};

/// Not the public internet, by the registries of special addresses (RFC 6890 and its updates).
const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // The metadata service of several clouds is in here.
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // Public by its number, and yet the agent of a cloud's own machines.
    v4(168, 63, 129, 16, 32),
];

/// Everything outside it is refused: loopback, private and link-local, IPv4-mapped, NAT64, multicast.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// Parts of [`GLOBAL_V6`] that lead elsewhere: protocol assignments with Teredo, documentation, 6to4.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), bits)
}

/// Networks that may be called although they are not public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    allow: Arc<[IpNet]>,
}

/// How far a call may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses and allowed networks.
    Public,
    /// Allowed networks only: for plain `http` and for names of this machine.
    Allowed,
}

impl Guard {
    pub(crate) fn new(allow: &[IpNet]) -> Self {
        Self { allow: allow.into() }
    }

    /// Checks what can be seen before the name is looked up; the rest is [`Resolver`]'s.
    pub(crate) fn check(&self, url: &Url) -> Result<Reach, Failure> {
        let refused = |why: &str| Err(Failure::Refused(format!("{} may not be called: {why}", shown(url))));
        let mut reach = match url.scheme() {
            "https" => Reach::Public,
            "http" => Reach::Allowed,
            _ => return refused("only https addresses can be"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refused("it holds a user name; put credentials into the connection's settings");
        }
        let ip = match url.host() {
            None => return refused("it names no host"),
            Some(Host::Domain(name)) if name.ends_with('.') => return refused("its host ends with a dot"),
            Some(Host::Domain(name)) => {
                if name == "localhost" || name.ends_with(".localhost") {
                    reach = Reach::Allowed;
                }
                None
            }
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        };
        match ip {
            Some(ip) if !self.permits(ip, reach) => refused(reach.why()),
            _ if reach == Reach::Allowed && self.allow.is_empty() => refused(reach.why()),
            _ => Ok(reach),
        }
    }

    pub(crate) fn permits(&self, ip: IpAddr, reach: Reach) -> bool {
        self.allow.iter().any(|net| net.contains(&ip)) || (reach == Reach::Public && is_public(ip))
    }
}

impl Reach {
    fn why(self) -> &'static str {
        match self {
            Self::Public => "it is not on the public internet; list its network under the allowed ones if that is meant",
            Self::Allowed => "plain http and names of this machine are for allowed networks only; use https, or list its network",
        }
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !NOT_PUBLIC_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) => GLOBAL_V6.contains(&ip) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&ip)) && !is_isatap(ip),
    }
}

/// Carries an IPv4 address of a site's own network in its last half (RFC 5214).
fn is_isatap(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    matches!(parts[4], 0 | 0x0200) && parts[5] == 0x5efe
}

/// Scheme and host: never the path or the query, which may hold a secret.
pub(crate) fn shown(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", url.scheme()),
        (Some(host), None) => format!("{}://{host}", url.scheme()),
        (None, _) => format!("{}:", url.scheme()),
    }
}

/// Looks names up and keeps only addresses that may be called, so that the address that was checked is the one called.
pub(crate) struct Resolver {
    pub(crate) guard: Guard,
    pub(crate) reach: Reach,
}

/// A name that leads nowhere it may lead.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` may not be called: {}", reach.why())]
pub(crate) struct Blocked {
    name: String,
    reach: Reach,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, reach) = (self.guard.clone(), self.reach);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let kept: Vec<SocketAddr> = found.filter(|address| guard.permits(address.ip(), reach)).collect();
            if kept.is_empty() {
                return Err(Blocked { name: name.as_str().to_owned(), reach }.into());
            }
            let addresses: Addrs = Box::new(kept.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allow: &[&str], url: &str) -> Result<Reach, String> {
        let allow: Vec<IpNet> = allow.iter().map(|net| net.parse().unwrap()).collect();
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        Guard::new(&allow).check(&url).map_err(|failure| failure.to_string())
    }

    #[test]
    fn hostile_addresses_are_refused() {
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://１２７.０.０.１/",
            "https://127.0.0.1:8443/",
            "https://0.0.0.0/",
            "https://0/",
            "https://10.0.0.7/",
            "https://100.64.0.1/",
            "https://100.100.100.200/latest/meta-data",
            "https://169.254.169.254/latest/meta-data",
            "https://172.16.0.1/",
            "https://172.31.255.255/",
            "https://192.0.0.192/",
            "https://192.0.2.1/",
            "https://192.88.99.1/",
            "https://192.168.1.1/",
            "https://198.18.0.1/",
            "https://198.51.100.7/",
            "https://203.0.113.9/",
            "https://168.63.129.16/",
            "https://224.0.0.1/",
            "https://240.0.0.1/",
            "https://255.255.255.255/",
            "https://[::]/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:8.8.8.8]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[64:ff9b:1::a00:1]/",
            "https://[100::1]/",
            "https://[2001::1]/",
            "https://[2001:db8::1]/",
            "https://[2002:7f00:1::]/",
            "https://[2a00:1450::5efe:a00:1]/",
            "https://[2a00:1450::200:5efe:a00:1]/",
            "https://[3fff::1]/",
            "https://[5f00::1]/",
            "https://[fc00::1]/",
            "https://[fd00:ec2::254]/",
            "https://[fe80::1]/",
            "https://[fec0::1]/",
            "https://[ff02::1]/",
            "https://localhost/",
            "https://LOCALHOST/",
            "https://shop.localhost/",
            "https://localhost./",
            "https://example.com./",
            "https://user@example.com/",
            "https://user:secret@example.com/",
            "https://:secret@example.com/",
            "http://example.com/",
            "http://8.8.8.8/",
            "ftp://example.com/",
            "gopher://example.com/",
            "file:///etc/passwd",
            "data:text/plain,hello",
            "https://exa%00mple.com/",
        ] {
            let refused = check(&[], url).expect_err(url);
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn public_addresses_may_be_called() {
        for url in ["https://example.com/a?b=c", "https://8.8.8.8/", "https://172.32.0.1/", "https://[2a00:1450:4010::71]/"] {
            assert_eq!(check(&[], url), Ok(Reach::Public), "{url}");
        }
    }

    #[test]
    fn an_allowed_network_is_allowed_and_no_other() {
        let allow = ["127.0.0.0/8", "10.1.0.0/16"];
        assert_eq!(check(&allow, "http://127.0.0.1:8069/"), Ok(Reach::Allowed));
        assert_eq!(check(&allow, "https://10.1.2.3/"), Ok(Reach::Public));
        assert_eq!(check(&allow, "http://localhost:8069/"), Ok(Reach::Allowed));
        assert!(check(&allow, "https://10.2.0.1/").is_err());
        assert!(check(&allow, "http://8.8.8.8/").is_err());
        assert!(check(&allow, "https://[::ffff:127.0.0.1]/").is_err());
        assert!(check(&allow, "https://[::1]/").is_err());
    }

    #[test]
    fn a_refusal_says_why_and_hides_the_query() {
        let refused = check(&[], "http://shop.example.com/in?token=abc").unwrap_err();
        assert_eq!(
            refused,
            "http://shop.example.com may not be called: plain http and names of this machine are for allowed networks only; \
             use https, or list its network"
        );
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_blocked_when_it_is_looked_up() {
        let resolve = |allow: &[IpNet], reach| Resolver { guard: Guard::new(allow), reach }.resolve("localhost".parse().unwrap());
        let blocked = resolve(&[], Reach::Public).await.err().expect("not public");
        assert!(blocked.downcast_ref::<Blocked>().is_some(), "{blocked}");
        let loopback: [IpNet; 2] = ["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        assert!(resolve(&loopback, Reach::Allowed).await.unwrap().all(|it| it.ip().is_loopback()));
    }
}

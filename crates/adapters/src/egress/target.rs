//! A URL, taken apart and held against the rules.

use std::net::IpAddr;

use platform::egress::EgressError;
use url::{Host, Url};

use super::config::EgressConfig;

/// No receiver needs more, and the database keeps it.
const MAX_URL_CHARS: usize = 2_048;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub tls: bool,
    pub host: TargetHost,
    pub port: u16,
    /// Path and query, as the request line has them.
    pub path_and_query: String,
    /// For the `Host` header: without a port when it is the scheme's own.
    pub authority: String,
    /// The operator named the origin: it may be private and speak plain http.
    pub trusted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TargetHost {
    /// In ASCII, as it is looked up.
    Name(String),
    /// Also from forms such as `0x7f.1` or `2130706433`, which the WHATWG parser reads as the addresses they are.
    Address(IpAddr),
}

impl Target {
    /// `trusted`: origins in ASCII, `scheme://host[:port]`.
    pub fn parse(text: &str, config: &EgressConfig, trusted: &[String]) -> Result<Self, EgressError> {
        if text.len() > MAX_URL_CHARS {
            return Err(EgressError::Url("it is too long"));
        }
        // The parser drops tabs and line ends and trims spaces; what is stored must be what is called.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(EgressError::Url("it holds spaces or control characters"));
        }
        let url = Url::parse(text).map_err(|_| EgressError::Url("it cannot be read"))?;
        let trusted = trusted.contains(&url.origin().ascii_serialization());
        let tls = match url.scheme() {
            "https" => true,
            "http" if config.allow_http || trusted => false,
            "http" => return Err(EgressError::Insecure),
            _ => return Err(EgressError::Url("its scheme is not https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Url("it holds a user name or password"));
        }
        if url.fragment().is_some() {
            return Err(EgressError::Url("it holds a fragment"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => TargetHost::Name(name.to_owned()),
            Some(Host::Ipv4(address)) => TargetHost::Address(address.into()),
            Some(Host::Ipv6(address)) => TargetHost::Address(address.into()),
            None => return Err(EgressError::Url("it names no host")),
        };
        let port = url.port_or_known_default().ok_or(EgressError::Url("it names no port"))?;
        if !trusted && !config.ports.contains(&port) {
            return Err(EgressError::Port(port));
        }
        let name = url.host_str().unwrap_or_default();
        Ok(Self {
            tls,
            host,
            port,
            path_and_query: match url.query() {
                Some(query) => format!("{}?{query}", url.path()),
                None => url.path().to_owned(),
            },
            authority: match url.port() {
                Some(port) => format!("{name}:{port}"),
                None => name.to_owned(),
            },
            trusted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, EgressError> {
        Target::parse(text, &EgressConfig::default(), &[])
    }

    #[test]
    fn the_parts_of_a_url_are_what_is_called() {
        let target = parse("https://Example.com:8443/hook%20s?a=1&b=2").unwrap();
        assert_eq!(target.host, TargetHost::Name("example.com".into()));
        assert_eq!((target.port, target.tls), (8443, true));
        assert_eq!(target.path_and_query, "/hook%20s?a=1&b=2");
        assert_eq!(target.authority, "example.com:8443");
        let plain = parse("https://example.com").unwrap();
        assert_eq!((plain.path_and_query.as_str(), plain.authority.as_str()), ("/", "example.com"));
        assert_eq!(parse("https://[2606:4700::1]/").unwrap().authority, "[2606:4700::1]");
    }

    #[test]
    fn sec_28_every_spelling_of_an_address_is_that_address() {
        for text in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://①②⑦.0.0.1/",
        ] {
            assert_eq!(parse(text).unwrap().host, TargetHost::Address([127, 0, 0, 1].into()), "{text}");
        }
        assert_eq!(
            parse("https://[::ffff:127.0.0.1]/").unwrap().host,
            TargetHost::Address("::ffff:127.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_reason() {
        for (text, code) in [
            ("http://example.com/", "https_required"),
            ("ftp://example.com/", "invalid_url"),
            ("file:///etc/passwd", "invalid_url"),
            ("gopher://example.com/", "invalid_url"),
            ("javascript:alert(1)", "invalid_url"),
            ("https://user@example.com/", "invalid_url"),
            ("https://user:pass@example.com/", "invalid_url"),
            ("https://example.com/#part", "invalid_url"),
            ("https://example.com:22/", "port_not_allowed"),
            ("https://example.com:25/", "port_not_allowed"),
            ("https:///", "invalid_url"),
            ("https://exa mple.com/", "invalid_url"),
            ("https://example.com/\r\nX: y", "invalid_url"),
            (" https://example.com/", "invalid_url"),
            ("example.com/hook", "invalid_url"),
            ("/hook", "invalid_url"),
            ("", "invalid_url"),
        ] {
            assert_eq!(parse(text).unwrap_err().code(), code, "{text:?}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_CHARS));
        assert_eq!(parse(&long).unwrap_err().code(), "invalid_url");
        let plain = EgressConfig {
            allow_http: true,
            ..EgressConfig::default()
        };
        assert!(!Target::parse("http://example.com/", &plain, &[]).unwrap().tls);
    }

    #[test]
    fn sec_28_a_trusted_origin_is_that_origin_and_no_other() {
        let trusted = ["http://127.0.0.1:9000".to_owned(), "https://id.internal".to_owned()];
        let is_trusted = |text: &str| Target::parse(text, &EgressConfig::default(), &trusted).map(|target| target.trusted);
        assert_eq!(is_trusted("http://127.0.0.1:9000/keys?a=b"), Ok(true));
        assert_eq!(is_trusted("https://ID.internal:443/"), Ok(true));
        assert_eq!(is_trusted("https://id.internal:8443/"), Ok(false));
        assert_eq!(is_trusted("https://127.0.0.1:443/"), Ok(false));
        for other in [
            "http://127.0.0.1:9001/",
            "http://127.0.0.1/",
            "http://id.internal/",
            "https://127.0.0.1:9000/",
        ] {
            assert!(is_trusted(other).is_err(), "{other}");
        }
    }
}

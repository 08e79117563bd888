//! Target of the fuzzer for the URLs that users name. See `fuzz/README.md`.

use super::config::EgressConfig;
use super::target::{Target, TargetHost};

/// What is taken apart is what is called: put together again it is the same, and nothing in it ends a line of the request.
pub fn outgoing_url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let config = EgressConfig {
        allow_http: bytes.len().is_multiple_of(2),
        ..EgressConfig::default()
    };
    let trusted = ["http://intern.test:81".to_owned()];
    let Ok(target) = Target::parse(&text, &config, &trusted) else {
        return;
    };
    let odd = |c: char| c.is_control() || c.is_whitespace();
    assert!(!target.authority.is_empty() && !target.authority.contains(odd) && !target.authority.contains(['/', '@', '?', '#']));
    assert!(target.path_and_query.starts_with('/') && !target.path_and_query.contains(odd) && !target.path_and_query.contains('#'));
    assert!(target.trusted || config.ports.contains(&target.port));
    assert!(target.tls || config.allow_http || target.trusted);
    if let TargetHost::Name(name) = &target.host {
        assert!(
            name.is_ascii() && name.parse::<std::net::IpAddr>().is_err(),
            "{name:?} is an address"
        );
    }
    let scheme = if target.tls { "https" } else { "http" };
    let whole = format!("{scheme}://{}{}", target.authority, target.path_and_query);
    // What is percent-encoded grows.
    if whole.len() <= 2_048 {
        assert_eq!(Target::parse(&whole, &config, &trusted), Ok(target), "{whole:?}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_urls_keeps_its_promises() {
        testkit::fuzz::replay("outgoing_url", super::outgoing_url);
    }
}

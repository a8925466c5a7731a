//! Decides whose requests are answered: a foreign page may point its name at 127.0.0.1, or send requests
//! there.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Holds the names and the port of a server.
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    names: Vec<String>,
    port: u16,
}

impl AllowedHosts {
    /// Returns the hosts of a server on this machine; `host` is another name or address of it.
    pub fn new(port: u16, host: Option<&str>) -> Self {
        let mut names = vec!["127.0.0.1".to_string(), "localhost".to_string()];
        names.extend(host.map(|host| match host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => host.to_ascii_lowercase(),
        }));
        Self { names, port }
    }

    /// Returns whether the request's `Host` names this server at its port.
    pub fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = one(headers, &header::HOST) else { return false };
        self.names.iter().any(|name| host.eq_ignore_ascii_case(&format!("{name}:{}", self.port)))
    }

    /// Returns whether the request's `Host` names this server at any port, which a tunnel may have changed.
    pub fn is_own_name(&self, headers: &HeaderMap) -> bool {
        let Some(host) = one(headers, &header::HOST) else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// Returns whether the request comes from a page of another server. Programs other than browsers send no
    /// `Origin`.
    pub fn is_foreign_origin(&self, headers: &HeaderMap) -> bool {
        let own = |origin: &str| {
            self.names.iter().any(|name| origin.eq_ignore_ascii_case(&format!("http://{name}:{}", self.port)))
        };
        headers.contains_key(header::ORIGIN) && !one(headers, &header::ORIGIN).is_some_and(own)
    }
}

/// Returns the value of a header that is there once.
fn one<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn hosts_are_this_machines_or_the_one_that_was_named() {
        let check = |host: &str, own_host: bool, own_name: bool| {
            let hosts = AllowedHosts::new(8000, Some("box.lan"));
            let headers = headers(&[(header::HOST, host)]);
            assert_eq!(
                (hosts.is_own_host(&headers), hosts.is_own_name(&headers)),
                (own_host, own_name),
                "{host}"
            );
        };
        check("127.0.0.1:8000", true, true);
        check("LOCALHOST:8000", true, true);
        check("box.lan:8000", true, true);
        check("localhost:9000", false, true);
        check("localhost", false, true);
        check("127.0.0.1.evil.com:8000", false, false);
        check("evil.com:8000", false, false);
        check("", false, false);
        let hosts = AllowedHosts::new(8000, Some("::1"));
        assert!(hosts.is_own_host(&headers(&[(header::HOST, "[::1]:8000")])));
        assert!(!hosts.is_own_name(&headers(&[])));
        assert!(!hosts.is_own_name(&headers(&[(header::HOST, "localhost"), (header::HOST, "localhost")])));
    }

    #[test]
    fn an_origin_is_foreign_unless_it_is_the_servers() {
        let hosts = AllowedHosts::new(8000, None);
        let check = |origin: &str, foreign: bool| {
            assert_eq!(hosts.is_foreign_origin(&headers(&[(header::ORIGIN, origin)])), foreign, "{origin}");
        };
        check("http://127.0.0.1:8000", false);
        check("http://localhost:8000", false);
        check("http://localhost:3000", true);
        check("https://127.0.0.1:8000", true);
        check("https://evil.com", true);
        check("null", true);
        assert!(!hosts.is_foreign_origin(&HeaderMap::new()));
    }
}

//! Reads the address of an OpenEnv server.

use turnwise_http::address;
use ureq::http::Uri;

/// Holds the address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    /// Path before `/ws` and `/schema`.
    path: String,
    /// Whether it's spoken to over TLS.
    pub(super) tls: bool,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// If it isn't a URL, or needs TLS in a build without it.
    pub(super) fn read(url: &str) -> Result<Self, String> {
        let expected = "expected an address such as \"ws://127.0.0.1:8000\"";
        let wrong = || format!("is {url:?}, {expected}");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            _ => return Err(wrong()),
        };
        address::check(url).map_err(|why| format!("is {url:?}, and {why}"))?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/ws").unwrap_or(path);
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { host: host.into(), port, path: path.into(), tls })
    }

    /// Returns the address of a server of this machine.
    pub(super) fn local(port: u16) -> Self {
        Self { host: "127.0.0.1".into(), port, path: String::new(), tls: false }
    }

    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns the path of sessions.
    pub(super) fn sessions(&self) -> String {
        format!("{}/ws", self.path)
    }

    /// Returns the URL of the schemas.
    pub(super) fn schema(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}/schema", self.authority(), self.path)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_the_server_or_of_its_sessions() {
        for (url, sessions, schema) in [
            ("ws://127.0.0.1:8000", "/ws", "http://127.0.0.1:8000/schema"),
            ("http://a:1/", "/ws", "http://a:1/schema"),
            ("ws://a/x/ws", "/x/ws", "http://a:80/x/schema"),
            ("http://[::1]:2/x/", "/x/ws", "http://[::1]:2/x/schema"),
        ] {
            let address = Address::read(url).unwrap();
            assert_eq!((address.sessions().as_str(), address.schema().as_str()), (sessions, schema), "{url}");
        }
        match Address::read("wss://a/x") {
            Ok(address) => assert_eq!(address.schema(), "https://a:443/x/schema"),
            Err(why) => {
                assert_eq!(why, "is \"wss://a/x\", and wss needs a build with `--features https`");
            }
        }
        for (url, expect) in [
            ("127.0.0.1:8000", "expected an address such as"),
            ("ftp://a", "expected an address such as"),
            ("ws://", "expected an address such as"),
            ("ws://127.0.0.1:99999", "and its port is no number from 0 to 65535"),
            ("ws://127.0.0.1:abc", "and its port is no number from 0 to 65535"),
        ] {
            let error = Address::read(url).unwrap_err();
            assert!(error.starts_with(&format!("is {url:?}, ")) && error.contains(expect), "{error}");
        }
    }
}

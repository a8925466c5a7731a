//! Opens connections with TLS, in builds with the feature `https`.
//!
//! Trusted certificates are those of Mozilla, or those of the file that `SSL_CERT_FILE` names, as in OpenSSL.

use ureq::Agent;

/// Variable with a file of trusted certificates, in PEM.
#[cfg(feature = "https")]
const FILE: &str = "SSL_CERT_FILE";

/// Returns whether an error says that the other side answers TLS with something else, as plain HTTP does.
pub fn is_not_spoken(error: &str) -> bool {
    error.contains("InvalidContentType")
}

/// Returns a client that follows no redirects and gives responses of any status.
///
/// # Errors
/// If the file of certificates can't be read.
pub fn agent() -> Result<Agent, String> {
    let config = Agent::config_builder().max_redirects(0).http_status_as_error(false);
    #[cfg(feature = "https")]
    let config = config.tls_config(ureq::tls::TlsConfig::builder().root_certs(roots()?).build());
    Ok(config.build().into())
}

/// Returns the certificates of the file, if there is one.
#[cfg(feature = "https")]
fn certificates() -> Result<Option<Vec<ureq::tls::Certificate<'static>>>, String> {
    use ureq::tls::{PemItem, parse_pem};
    let Some(file) = std::env::var_os(FILE).filter(|file| !file.is_empty()) else { return Ok(None) };
    let wrong = |why: String| format!("{FILE} = {}: {why}", file.display());
    let text = std::fs::read(&file).map_err(|error| wrong(error.to_string()))?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(error.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(wrong("no certificate in PEM".into())) } else { Ok(Some(found)) }
}

#[cfg(feature = "https")]
fn roots() -> Result<ureq::tls::RootCerts, String> {
    use ureq::tls::RootCerts;
    Ok(certificates()?.map_or(RootCerts::WebPki, |found| RootCerts::new_with_certs(&found)))
}

#[cfg(feature = "https")]
pub use stream::{Tls, connect};

#[cfg(feature = "https")]
mod stream {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    /// Holds a connection with TLS over another one.
    pub type Tls<S> = StreamOwned<ClientConnection, S>;

    /// Begins TLS with `host` on a connection. The first read or write ends the handshake.
    ///
    /// # Errors
    /// If the host is no name, or the file of certificates can't be read.
    pub fn connect<S: Read + Write>(host: &str, stream: S) -> Result<Tls<S>, String> {
        let mut roots = RootCertStore::empty();
        match super::certificates()? {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(found) => {
                for certificate in found {
                    let der = CertificateDer::from(certificate.der().to_vec());
                    roots.add(der).map_err(|error| format!("{}: {error}", super::FILE))?;
                }
            }
        }
        let name = ServerName::try_from(host.to_string()).map_err(|error| format!("{host:?}: {error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots);
        let session = ClientConnection::new(Arc::new(config.with_no_client_auth()), name);
        Ok(StreamOwned::new(session.map_err(|error| error.to_string())?, stream))
    }
}

//! Checks addresses before anybody is asked at them.

use ureq::http::Uri;

/// Checks that a URL is one and that this build has TLS if it asks for it.
///
/// # Errors
/// Otherwise.
pub fn check(url: &str) -> Result<(), String> {
    match url.split_once("://") {
        Some((scheme @ ("https" | "wss"), _)) if !cfg!(feature = "https") => {
            Err(format!("{scheme} needs a build with `--features https`"))
        }
        _ => well_formed(url),
    }
}

/// Checks that a URL and its port are such.
///
/// # Errors
/// Otherwise.
pub fn well_formed(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
    let Some(authority) = uri.authority() else { return Ok(()) };
    // Without a port, an authority ends with its host.
    if authority.port_u16().is_none() && !authority.as_str().ends_with(authority.host()) {
        return Err("its port is no number from 0 to 65535".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_of_16_bits_or_left_out() {
        for url in [
            "http://a",
            "http://a/x:y",
            "http://a:1/x",
            "http://[::1]",
            "http://[::1]:65535/",
            "http://u:p@a",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in ["http://a:99999", "http://a:", "http://[::1]:x/"] {
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_url_with_tls_needs_a_build_with_it() {
        for url in ["http://a", "ws://a"] {
            assert_eq!(check(url), Ok(()));
        }
        for (url, scheme) in [("https://a", "https"), ("wss://a", "wss")] {
            let expect = format!("{scheme} needs a build with `--features https`");
            assert_eq!(check(url), if cfg!(feature = "https") { Ok(()) } else { Err(expect) });
        }
    }
}

//! Reads the schemas that a server gives over HTTP.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use turnwise_http::tls;

use super::address::Address;

/// Maximum of bytes in the schemas.
const MAX_SCHEMA: u64 = 4 << 20;
const HINT: &str = "turnwise speaks the protocol of OpenEnv 0.10, whose servers have /schema and /ws";

/// Returns the schema of the environment's actions.
///
/// # Errors
/// If nothing listens, or another program than a server of OpenEnv.
pub(super) fn action(address: &Address, time: Duration) -> Result<Value, String> {
    let agent = tls::agent()?;
    let url = address.schema();
    let asked = agent.get(&url).config().timeout_global(Some(time)).build().call();
    let mut response = match asked {
        Ok(response) => response,
        Err(ureq::Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            let hint = "start the server before the run, or name its `command`";
            return Err(format!("nothing listens at {address}: {error}\n  hint: {hint}"));
        }
        Err(ureq::Error::Timeout(_)) => {
            return Err(format!("{url}: no answer for {} s\n  hint: {HINT}", time.as_secs_f64()));
        }
        Err(error) => {
            let said = error.to_string();
            let (why, hint) = turnwise_http::explained(&error).unwrap_or((&said, HINT));
            return Err(format!("{url}: {why}\n  hint: {hint}"));
        }
    };
    let wrong =
        |why: String| format!("{address} is no server of OpenEnv: GET /schema gives {why}\n  hint: {HINT}");
    let status = response.status().as_u16();
    if status != 200 {
        return Err(wrong(format!("status {status}")));
    }
    let mut bytes = Vec::new();
    let read = response.body_mut().as_reader().take(MAX_SCHEMA).read_to_end(&mut bytes);
    read.map_err(|error| wrong(format!("a response that breaks off: {error}")))?;
    let mut schemas: Value =
        serde_json::from_slice(&bytes).map_err(|_| wrong("something else than JSON".into()))?;
    match schemas.get_mut("action").map(Value::take) {
        Some(action @ Value::Object(_)) => Ok(action),
        _ => Err(wrong("no schema of an action".into())),
    }
}

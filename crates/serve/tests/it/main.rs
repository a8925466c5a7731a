//! The endpoint over HTTP, with an engine that follows a script. `turnwise serve` with a model is tested
//! through the binary, in crates/cli.

mod allowed_hosts;
mod answers;
mod clients;
mod dialects;
mod hostile;
mod refusals;
mod scene;
mod script;
mod sessions;
mod tools;

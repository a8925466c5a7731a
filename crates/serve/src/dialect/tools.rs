//! Tools on offer: one rule for all dialects, each of which writes them in its form.

use serde_json::{Value, json};
use turnwise_tools::ToolSpec;

use crate::dialect::fields::Fields;
use crate::refusal::Refusal;

/// Most tools on offer.
const MOST: usize = 256;

/// Says how a dialect writes a tool.
pub(super) struct Form {
    /// The type of a tool.
    pub(super) kind: &'static str,
    /// The key of the object that holds the rest, if there is one.
    pub(super) wrapper: Option<&'static str>,
    /// The key of the schema of its arguments.
    pub(super) schema: &'static str,
    /// Keys that change no answer.
    pub(super) inert: &'static [&'static str],
    /// Returns the schema of a tool without one. None refuses it.
    pub(super) absent: fn() -> Option<Value>,
}

/// Reads the tools of a request. `strict` is let through: no call is promised to fit its schema.
pub(super) fn tools(request: &Fields<'_>, form: &Form) -> Result<Vec<ToolSpec>, Refusal> {
    let given = request.list("tools")?.unwrap_or_default();
    if given.len() > MOST {
        return Err(Refusal::at("tools", format!("{} tools; at most {MOST} are read", given.len())));
    }
    let mut read: Vec<ToolSpec> = Vec::with_capacity(given.len());
    for (at, tool) in given.iter().enumerate() {
        let tool = Fields::of(tool, format!("tools[{at}]"))?;
        tool.neutral("type", &[json!(form.kind)])?;
        let function = match form.wrapper {
            None => tool,
            Some(key) => {
                tool.only(&[&["type", key]])?;
                tool.object(key)?.ok_or_else(|| Refusal::at(tool.place(key), "is missing"))?
            }
        };
        let spec = one(&function, form)?;
        if read.iter().any(|other| other.name == spec.name) {
            let short: String = spec.name.chars().take(64).collect();
            return Err(Refusal::at(function.place("name"), format!("{short:?} names an earlier tool")));
        }
        read.push(spec);
    }
    Ok(read)
}

fn one(function: &Fields<'_>, form: &Form) -> Result<ToolSpec, Refusal> {
    // A tool of another type has other keys.
    let typed: &[&str] = if form.wrapper.is_none() { &["type"] } else { &[] };
    function.only(&[&["name", "description", form.schema, "strict"], typed, form.inert])?;
    let schema = match function.object(form.schema)? {
        Some(_) => function.get(form.schema).cloned(),
        None => (form.absent)(),
    };
    let schema = schema.ok_or_else(|| Refusal::at(function.place(form.schema), "is missing"))?;
    let description = function.text("description")?.unwrap_or_default();
    let bare = json!({"name": function.needed("name")?, "description": description, "parameters": schema});
    ToolSpec::try_from(bare).map_err(|error| {
        let error = error.to_string();
        let (place, message) = error.split_once(": ").unwrap_or(("", &error));
        let place =
            place.strip_prefix("parameters").map_or(place.into(), |rest| form.schema.to_string() + rest);
        Refusal::at(function.place(&place), message)
    })
}

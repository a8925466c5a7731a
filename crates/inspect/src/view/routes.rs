//! Maps addresses to answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query as Parameters, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::Site;
use super::answers::{self, Listed};
use super::params::Params;
use crate::error::InspectError;
use crate::query::{Filter, Query, Sort};
use crate::run::Run;

/// Most rows in one answer.
const PAGE: usize = 500;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The page's files.
const FILES: [(&str, &str, &str); 10] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/style.css", STYLE, include_str!("page/style.css")),
    ("/app.js", SCRIPT, include_str!("page/app.js")),
    ("/api.js", SCRIPT, include_str!("page/api.js")),
    ("/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/list.js", SCRIPT, include_str!("page/list.js")),
    ("/reader.js", SCRIPT, include_str!("page/reader.js")),
    ("/colour.js", SCRIPT, include_str!("page/colour.js")),
    ("/curves.js", SCRIPT, include_str!("page/curves.js")),
];

/// Says why a request was refused.
enum Refusal {
    NotFound,
    Bad(String),
    Failed(InspectError),
}

impl From<InspectError> for Refusal {
    fn from(error: InspectError) -> Self {
        Self::Failed(error)
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::Bad(message)
    }
}

/// Allows scripts, styles and connections from this server alone; nothing inline, no frames, no forms, no
/// plug-ins.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(header::HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Answers one address.
type Answer = fn(&Site, &Params) -> Result<Vec<u8>, Refusal>;

/// Returns the page's addresses.
pub(super) fn router(site: Arc<Site>) -> Router {
    let answers: [(&str, Answer); 4] =
        [("/api/runs", runs), ("/api/list", list), ("/api/rollout", rollout), ("/api/task", task)];
    let mut router = Router::new().fallback(|| async { Refusal::NotFound });
    for (path, kind, body) in FILES {
        router = router.route(path, get(move || async move { ([(header::CONTENT_TYPE, kind)], body) }));
    }
    for (path, answer) in answers {
        let handler = move |State(site): State<Arc<Site>>, Parameters(params): Parameters<Params>| {
            off_the_loop(site, params, answer)
        };
        router = router.route(path, get(handler));
    }
    router
        .layer(from_fn_with_state(site.clone(), for_this_machine))
        .layer(from_fn(with_headers))
        .with_state(site)
}

/// Computes an answer outside the event loop. A panic there costs only its request.
async fn off_the_loop(site: Arc<Site>, params: Params, answer: Answer) -> Response {
    let answered = tokio::task::spawn_blocking(move || answer(&site, &params)).await;
    match answered {
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "this record can't be shown\n").into_response(),
    }
}

/// Refuses requests for another host: a foreign page may point its name at 127.0.0.1.
async fn for_this_machine(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    if !site.hosts.is_own_host(request.headers()) {
        return (StatusCode::FORBIDDEN, "this page is served on 127.0.0.1 only\n").into_response();
    }
    next.run(request).await
}

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let same = header::HeaderName::from_static("cross-origin-resource-policy");
    response.headers_mut().insert(same, HeaderValue::from_static("same-origin"));
    response
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "there is nothing here\n".to_string()),
            Self::Bad(message) => (StatusCode::BAD_REQUEST, message),
            Self::Failed(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
        .into_response()
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("an answer holds plain values")
}

fn run<'s>(site: &'s Site, params: &Params) -> Result<(usize, &'s Run), Refusal> {
    let number = params.value("run")?.unwrap_or(0);
    site.runs.get(number).map(|run| (number, run)).ok_or(Refusal::NotFound)
}

/// Returns the runs with their curves. `refresh=1` reads what is new in them.
fn runs(site: &Site, params: &Params) -> Result<Vec<u8>, Refusal> {
    if params.text("refresh") == "1" {
        for run in &site.runs {
            run.refresh(&|_, _| {})?;
        }
        site.forget();
    }
    Ok(json(&answers::runs(&site.runs)))
}

/// Returns a part of a list: `filter`, `sort`, `step`, `task`, `q`; `offset` and `limit`.
fn list(site: &Site, params: &Params) -> Result<Vec<u8>, Refusal> {
    let (number, run) = run(site, params)?;
    let query = Query {
        filter: params.choice("filter", &Filter::ALL)?,
        sort: params.choice("sort", &Sort::ALL)?,
        step: params.value("step")?,
        task: params.value("task")?,
        text: params.text("q").to_string(),
    };
    let ids = site.list(number, query)?;
    let (offset, limit) =
        (params.value("offset")?.unwrap_or(0_usize), params.value("limit")?.unwrap_or(PAGE));
    let index = run.index();
    let part = ids.iter().skip(offset).take(limit.min(PAGE));
    // Finds a rollout's position in the list, for a page that opens with one.
    let find: Option<u32> = params.value("find")?;
    let found = find.and_then(|id| ids.iter().position(|&other| other == id));
    let rows = part.filter_map(|&id| index.rows().get(id as usize)).collect();
    Ok(json(&Listed { total: ids.len(), offset, found, rows }))
}

/// Returns one rollout in full: `id`.
fn rollout(site: &Site, params: &Params) -> Result<Vec<u8>, Refusal> {
    let (_, run) = run(site, params)?;
    let id: u32 = params.value("id")?.ok_or(Refusal::NotFound)?;
    let index = run.index();
    let row = index.rows().get(id as usize).ok_or(Refusal::NotFound)?;
    let group = index.group(row.group)?;
    Ok(json(&answers::rollout(run, &index, row, &group).ok_or(Refusal::NotFound)?))
}

/// Returns the rollouts of a task, `task`: those of the step nearest to `step`.
fn task(site: &Site, params: &Params) -> Result<Vec<u8>, Refusal> {
    let (_, run) = run(site, params)?;
    let near = params.value("step")?.unwrap_or(0_u32);
    let index = run.index();
    let rows: Vec<_> = index.of_task(params.text("task")).collect();
    let mut steps: Vec<u32> = rows.iter().map(|row| row.step).collect();
    steps.dedup();
    let nearest = steps.iter().copied().min_by_key(|step| step.abs_diff(near));
    let rows: Vec<_> = rows.into_iter().filter(|row| Some(row.step) == nearest).collect();
    Ok(json(&serde_json::json!({ "steps": steps, "rows": rows })))
}

//! The server: addresses, who may ask, limits, answers as a whole or as a stream.

mod requests;
mod reward;
pub(crate) mod run_sessions;
mod stream;

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use turnwise_listen::{AllowedHosts, Bounds};

use crate::ask::Delivery;
use crate::call::Call;
use crate::call::arrived::Arrived;
use crate::dialect::{self, Dialect, openai_refusal};
use crate::engine::{Engine, EngineSampling};
use crate::model::Model;
use crate::refusal::Refusal;
use crate::server::run_sessions::RunSessions;
use crate::server_state::{Limits, ServerState};
use crate::session::all::{Counts, Sessions, no_trajectory};
use crate::session::record::Record;
use crate::session::run::Rules;

/// Holds what a server is started with.
pub struct Settings {
    /// The name or address to listen on.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Seed of requests without one.
    pub seed: u64,
    /// The folder of `sessions.jsonl`.
    pub record: Option<PathBuf>,
    /// The limits.
    pub limits: Limits,
    /// The rules of a run, whose sessions alone are answered. Absent, every key is a session.
    pub rules: Option<Rules>,
}

/// Listens for requests and answers them.
pub struct Server {
    listener: TcpListener,
    host: String,
    state: Arc<ServerState>,
}

impl Server {
    /// Listens, and opens the record.
    ///
    /// # Errors
    /// The system's, with the address or the file.
    pub fn bind(
        model: impl Into<Arc<Model>>,
        engine: Arc<dyn Engine>,
        settings: Settings,
    ) -> io::Result<Self> {
        let Settings { host, port, seed, record, limits, rules } = settings;
        let told =
            |place: String| move |error: io::Error| io::Error::new(error.kind(), format!("{place}: {error}"));
        let record = record
            .map(|folder| {
                Record::open(&folder).map_err(told(folder.join("sessions.jsonl").display().to_string()))
            })
            .transpose()?;
        let listener = TcpListener::bind((host.as_str(), port)).map_err(told(format!("{host}:{port}")))?;
        let port = listener.local_addr()?.port();
        let hosts = AllowedHosts::new(port, Some(&host));
        let state =
            ServerState::new(model.into(), engine, Sessions::new(record), seed, (limits, rules), hosts);
        Ok(Self { listener, host, state: Arc::new(state) })
    }

    /// Returns the address for clients.
    pub fn url(&self) -> String {
        let port = self.listener.local_addr().map_or(0, |address| address.port());
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("http://{host}:{port}/v1")
    }

    /// Returns where the sessions of a run are opened and closed.
    pub fn run_sessions(&self) -> RunSessions {
        RunSessions(self.state.clone())
    }

    /// Answers until `until` is ready; then ends all sessions. Returns how many there were.
    ///
    /// # Errors
    /// The system's, or that a session could not be written.
    pub fn serve(self, until: impl Future<Output = ()>) -> io::Result<Counts> {
        let limits = self.state.limits;
        let bounds = Bounds {
            connections: limits.connections,
            head: 32 * 1024,
            head_time: Duration::from_secs(10),
            // A client may read its answer slowly.
            whole_time: limits.body_time + limits.answer_time + Duration::from_mins(1),
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()?;
        let served = runtime.block_on(turnwise_listen::serve(
            self.listener,
            router(self.state.clone()),
            bounds,
            until,
        ));
        // Calls that are being answered are given up.
        drop(runtime);
        let ended = self.state.sessions.end_all().map_err(|refusal| io::Error::other(refusal.line()));
        served?;
        self.state.complaint().map_or(ended, |reason| Err(io::Error::other(reason)))
    }
}

fn router(state: Arc<ServerState>) -> Router {
    let mut router =
        Router::new().route("/v1/models", get(models)).route("/v1/sessions/{id}/reward", post(rewarded));
    for dialect in dialect::all() {
        let answer = move |State(state): State<Arc<ServerState>>, headers: HeaderMap, body: Body| async move {
            answered(state, dialect, headers, body)
                .await
                .unwrap_or_else(|refusal| response(refusal.status, &dialect.refuse(&refusal), refusal.wait))
        };
        router = router.route(dialect.path(), post(answer));
    }
    // The fallback of methods is that of the routes before it.
    let router = router
        .fallback(
            |at: Uri| async move { nowhere(&at, &Refusal::of(404, "there is nothing at this address")) },
        )
        .method_not_allowed_fallback(|at: Uri| async move {
            nowhere(&at, &Refusal::of(405, "this address takes another method"))
        });
    router.layer(from_fn_with_state(state.clone(), for_own_clients)).with_state(state)
}

/// Writes a refusal at an address without an answer, in the form of the dialect that it belongs to.
fn nowhere(at: &Uri, refusal: &Refusal) -> Response {
    match dialect::all().into_iter().find(|dialect| at.path().starts_with(dialect.path())) {
        Some(dialect) => response(refusal.status, &dialect.refuse(refusal), refusal.wait),
        None => plain(refusal),
    }
}

/// Refuses requests for other hosts, and those of foreign pages.
async fn for_own_clients(State(state): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    if !state.hosts.is_own_name(request.headers()) {
        return plain(&Refusal::of(403, "this server has another Host; --host names one"));
    }
    if state.hosts.is_foreign_origin(request.headers()) {
        return plain(&Refusal::of(403, "pages of another Origin may not ask"));
    }
    next.run(request).await
}

async fn models(State(state): State<Arc<ServerState>>) -> Response {
    let model = json!({
        "id": state.model.id(),
        "object": "model",
        "created": 0,
        "owned_by": "turnwise",
        "max_model_len": state.engine.context(),
    });
    response(200, &json!({"object": "list", "data": [model]}), None)
}

async fn rewarded(
    State(state): State<Arc<ServerState>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let given = async {
        // A path that isn't UTF-8 names no session.
        let id = id.ok().map(|Path(id)| id).filter(|id| requests::is_name(id));
        let id = id.ok_or_else(|| Refusal::of(404, "there is no such session"))?;
        if state.rules.is_some_and(|rules| !rules.takes_rewards) {
            return Err(Refusal::of(403, "env.agent.check alone gives rewards in this run"));
        }
        let body = requests::body(&state, &headers, body).await?;
        let state = state.clone();
        off_the_loop(move || reward::give(&state.sessions, &id, &requests::json(&state, &body.bytes)?)).await
    };
    match given.await {
        Ok(answer) => response(200, &answer, None),
        Err(refusal) => plain(&refusal),
    }
}

/// Answers a request of a dialect.
async fn answered(
    state: Arc<ServerState>,
    dialect: &'static dyn Dialect,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let name = requests::session(&state, &headers)?;
    let arrived = Arrived::new(state.clone(), name);
    if state.rules.is_some() && !arrived.is_known() {
        return Err(no_trajectory());
    }
    let held = requests::body(&state, &headers, body).await?;
    let call = begun(&state, dialect, arrived, held).await?;
    if call.head().form.delivery != Delivery::Whole {
        let stream = stream::Told::new(call, dialect, state.limits.answer_time);
        let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
        return Ok(under(state.rules, (headers, Body::new(stream)).into_response()));
    }
    let whole = tokio::time::timeout(state.limits.answer_time, whole(call, dialect)).await;
    whole
        .unwrap_or_else(|_| Err(too_slow(state.limits.answer_time)))
        .map(|answer| under(state.rules, response(200, &answer, None)))
}

/// Says in an answer's head which settings a run has used instead of the request's.
fn under(rules: Option<Rules>, mut response: Response) -> Response {
    if let Some(Rules { sampling: EngineSampling { temperature, top_k, top_p, min_p }, .. }) = rules {
        let used = format!("temperature={temperature}, top_k={top_k}, top_p={top_p}, min_p={min_p}");
        let used = HeaderValue::try_from(used).expect("numbers are letters of a header");
        response.headers_mut().insert("turnwise-sampling", used);
    }
    response
}

/// Begins a call: reads the request, and makes its prompt.
async fn begun(
    state: &Arc<ServerState>,
    dialect: &'static dyn Dialect,
    arrived: Arrived,
    held: requests::Held,
) -> Result<Call, Refusal> {
    let state = state.clone();
    off_the_loop(move || {
        let ask = dialect.read(&requests::json(&state, &held.bytes)?)?;
        Call::begin(&state, &arrived, &ask)
    })
    .await
}

/// Waits for a whole answer.
async fn whole(mut call: Call, dialect: &dyn Dialect) -> Result<Value, Refusal> {
    while !call.is_done() {
        let (choice, event) = poll_fn(|context| call.poll(context)).await;
        call.take(choice, event)?;
    }
    let answer = call.answer();
    // The session is free before the client knows the answer.
    drop(call);
    Ok(dialect.whole(&answer))
}

fn too_slow(time: Duration) -> Refusal {
    Refusal::of(504, format!("the answer took longer than {} s", time.as_secs()))
}

/// Runs work outside the event loop. A panic there costs only its request.
async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Refusal::of(500, "this request can't be answered")))
}

/// Answers in no dialect.
fn plain(refusal: &Refusal) -> Response {
    response(refusal.status, &openai_refusal(refusal), refusal.wait)
}

fn response(status: u16, body: &Value, wait: Option<Duration>) -> Response {
    let status = StatusCode::from_u16(status).expect("statuses are constants");
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

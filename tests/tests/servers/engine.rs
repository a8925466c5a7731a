//! An engine that speaks vLLM's token routes with our own model, and may be wrong on purpose.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use turnwise_model::{Transformer, load as load_model};
use turnwise_sampler::{GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tests::{device, model_folder};
use turnwise_trajectory::{Finish, TokenId};

/// How an engine behaves.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ways {
    /// It answers a reload and keeps its weights.
    pub(crate) keeps_weights: bool,
    /// Its log-probabilities are those at temperature 1.
    pub(crate) unscaled: bool,
    /// Turns after which it has its first weights again, as after a restart; 0 never has.
    pub(crate) restarts_every: usize,
    /// Requests after which one is cut off without an answer, be it a turn, a probe or a push; 0 never.
    pub(crate) breaks_every: usize,
    /// Longest wait before an answer, in milliseconds; each request waits another part of it.
    pub(crate) delay: u64,
}

pub(crate) struct Engine {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    first: Transformer,
    model: Transformer,
    version: String,
    turns: usize,
    requests: usize,
    /// Folders that it was told to load.
    loaded: Vec<String>,
}

impl Engine {
    pub(crate) fn start(ways: Ways) -> Self {
        let first = load_model(&model_folder("tiny"), &device()).expect("the committed model");
        let (model, version) = (first.clone(), "default".to_string());
        let state = State { first, model, version, turns: 0, requests: 0, loaded: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let shared = state.clone();
        // The threads end with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || answer(stream, ways, &state));
            }
        });
        Self { url, state }
    }

    pub(crate) fn loaded(&self) -> Vec<String> {
        self.state.lock().expect("no request panics").loaded.clone()
    }
}

fn answer(mut stream: TcpStream, ways: Ways, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length, mut path) = (String::new(), 0, String::new());
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1)?.split('?').next()?.to_string();
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let number = {
        let mut state = state.lock().ok()?;
        state.requests += 1;
        state.requests
    };
    if ways.breaks_every > 0 && number.is_multiple_of(ways.breaks_every) {
        return None;
    }
    let said = match path.as_str() {
        "/v1/models" => json!({"data": [{"id": "tiny", "max_model_len": 512}]}),
        "/pause" | "/resume" => json!({}),
        "/collective_rpc" => {
            let folder = body["kwargs"]["weights_path"].as_str().expect("a folder").to_string();
            let mut state = state.lock().ok()?;
            if !ways.keeps_weights {
                state.model = load_model(Path::new(&folder), &device()).expect("a whole folder");
            }
            state.loaded.push(folder);
            json!({"results": [null]})
        }
        "/update_weight_version" => {
            state.lock().ok()?.version = body["new_version"].as_str().expect("a version").to_string();
            json!({"success": true})
        }
        "/inference/v1/generate" => {
            let (model, version, number) = {
                let mut state = state.lock().ok()?;
                // Probes have no stop tokens, and aren't turns of a play.
                let stop = &body["sampling_params"]["stop_token_ids"];
                let played = stop.as_array().is_some_and(|stop| !stop.is_empty());
                state.turns += usize::from(played);
                if played && ways.restarts_every > 0 && state.turns.is_multiple_of(ways.restarts_every) {
                    (state.model, state.version) = (state.first.clone(), "default".into());
                }
                (state.model.clone(), state.version.clone(), state.turns as u64)
            };
            if ways.delay > 0 {
                std::thread::sleep(Duration::from_millis(number * 7919 % ways.delay));
            }
            turn(&model, &version, ways, &body)
        }
        _ => return write(&mut stream, 404, "no such route"),
    };
    write(&mut stream, 200, &said.to_string())
}

fn turn(model: &Transformer, version: &str, ways: Ways, body: &Value) -> Value {
    let ids = |value: &Value| -> Vec<TokenId> { serde_json::from_value(value.clone()).expect("token ids") };
    let (tokens, params) = (ids(&body["token_ids"]), &body["sampling_params"]);
    let stop = ids(&params["stop_token_ids"]);
    let temperature = params["temperature"].as_f64().expect("a number");
    let sampling = Sampling { temperature, ..Sampling::default() };
    let seed = params["seed"].as_u64().expect("a seed");
    let rng = SequenceId { seed, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 }.rng();
    let max_new = params["max_tokens"].as_u64().expect("a limit") as usize;
    let rule = StopRule { tokens: &stop, strings: &[], decode: None };
    let request = GenerationRequest { key: 0, tokens: &tokens, max_new, rng };
    let mut sampled = Generator::new(model.clone(), sampling).complete(&[request], &rule).expect("a turn");
    let mut sampled = sampled.remove(0);
    if ways.unscaled {
        let batch = turnwise_model::TokenBatch::new(&[[&tokens[..], &sampled.tokens[..]].concat()]);
        let wanted = vec![true; batch.tokens.len()];
        let all = turnwise_model::token_logprobs(model, &batch, &wanted, 1.0, false).logprobs;
        sampled.logprobs = turnwise_tests::values(all)[tokens.len()..].to_vec();
    }
    let pairs = sampled.tokens.iter().zip(&sampled.logprobs);
    let content: Vec<Value> =
        pairs.map(|(id, logprob)| json!({"token_id": id, "logprob": logprob})).collect();
    let reason = if sampled.finish == Finish::Length { "length" } else { "stop" };
    json!({"choices": [{"index": 0, "finish_reason": reason, "token_ids": sampled.tokens,
        "weight_versions": [{"version": version, "start": 0, "end": sampled.tokens.len()}],
        "logprobs": {"content": content}}]})
}

fn write(stream: &mut TcpStream, status: u16, text: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all((head + text).as_bytes()).ok()
}

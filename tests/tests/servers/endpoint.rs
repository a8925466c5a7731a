//! Playing through the OpenAI chat protocol, against a server that serves our own model: what comes out is
//! what the model plays directly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use turnwise_model::{Transformer, load as load_model};
use turnwise_rollout::Policy;
use turnwise_rollout::chat::{ChatFormat, ChatMl, Moment};
use turnwise_rollout::remote::{Endpoint, RemotePolicy, Transcript, without_tokens};
use turnwise_run::Evaluation;
use turnwise_sampler::{GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tests::{device, model_folder};
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::{CacheBudget, Setup, Trial, evaluate, tokenizer};
use turnwise_trajectory::{Finish, Message, Role, Trajectory};

/// A server on a free port. It is too busy for every fifth request.
struct Server {
    model: Transformer,
    chat: ChatMl,
    requests: AtomicUsize,
}

impl Server {
    fn start() -> (String, Arc<Self>) {
        let folder = model_folder("tiny");
        let chat = ChatMl::new(tokenizer(&folder).expect("a tokenizer")).expect("with chat tokens");
        let model = load_model(&folder, &device()).expect("the shipped model");
        let server = Arc::new(Self { model, chat, requests: AtomicUsize::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = shared.clone();
                std::thread::spawn(move || server.answer(stream.expect("a connection")));
            }
        });
        (url, server)
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("text") > 0, "a whole request");
        }
        let head = head.to_ascii_lowercase();
        let length =
            head.split("content-length: ").nth(1).expect("a length").split("\r\n").next().expect("a line");
        let mut body = vec![0; length.parse().expect("a number")];
        reader.read_exact(&mut body).expect("a body");
        let busy = self.requests.fetch_add(1, Ordering::Relaxed) % 5 == 4;
        let (status, answer) = if !head.starts_with("post /v1/chat/completions ") {
            ("404 Not Found", json!({"error": "no such thing"}))
        } else if busy {
            ("503 Service Unavailable", json!({"error": "busy"}))
        } else if !head.contains("authorization: bearer secret\r\n") {
            ("401 Unauthorized", json!({"error": "who are you"}))
        } else {
            ("200 OK", self.complete(&serde_json::from_slice(&body).expect("JSON")))
        };
        let text = answer.to_string();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
        stream.write_all((head + &text).as_bytes()).expect("somebody listens");
    }

    fn complete(&self, body: &Value) -> Value {
        let message = |value: &Value| {
            let role = match value["role"].as_str().expect("a role") {
                "system" => Role::System,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                other => panic!("a role that chat templates don't know: {other}"),
            };
            Message::new(role, value["content"].as_str().expect("text"))
        };
        let messages: Vec<Message> =
            body["messages"].as_array().expect("messages").iter().map(message).collect();
        let tokens = self.chat.open(&messages).unwrap();
        let sampling =
            Sampling { temperature: body["temperature"].as_f64().expect("a number"), ..Sampling::default() };
        let rng = SequenceId {
            seed: body["seed"].as_u64().expect("a seed"),
            step: 0,
            task: 0,
            occurrence: 0,
            sample: 0,
            turn: 0,
        }
        .rng();
        let max_new = body["max_tokens"].as_u64().expect("a limit") as usize;
        let request = GenerationRequest { key: 0, tokens: &tokens, max_new, rng };
        let rule = StopRule { tokens: self.chat.stop_tokens(), strings: &[], decode: None };
        let turn =
            Generator::new(self.model.clone(), sampling).complete(&[request], &rule).unwrap().remove(0);
        let reason = if turn.finish == Finish::Length { "length" } else { "stop" };
        let message = json!({"role": "assistant", "content": self.chat.text(&turn.tokens)});
        json!({"choices": [{"index": 0, "message": message, "finish_reason": reason}]})
    }
}

fn config() -> RunConfig {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs/tiny.toml");
    let sets = ["eval.tasks=12", "eval.samples=1", "eval.temperature=0"].map(String::from);
    load(Some(&file), &[], &sets).expect("the shipped configuration")
}

fn endpoint(url: &str, key: Option<&str>) -> Endpoint {
    Endpoint {
        url: url.into(),
        model: "tiny".into(),
        key: key.map(String::from),
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
        parallel: 4,
        timeout: Duration::from_mins(1),
        retry: Duration::from_mins(1),
    }
}

/// Plays through an endpoint; the evaluation and every trajectory.
fn play(endpoint: &Endpoint) -> Result<(Evaluation, Vec<Trajectory>), String> {
    let config = config();
    let transcript = Transcript::default();
    let setup = Setup::with_chat(&config.env, &config.rollout, Box::new(transcript.clone()), usize::MAX)
        .expect("setup");
    let game = setup.game();
    let tasks: Vec<_> = setup.env.held_out().iter().take(config.eval.tasks).collect();
    let trial = Trial { game: &game, tasks: &tasks, samples: 1, rewards: &config.reward };
    let policy = RemotePolicy::new(endpoint.clone(), transcript);
    let mut policies = || -> Box<dyn Policy> { Box::new(policy.clone()) };
    let mut played = Vec::new();
    let evaluation = trial
        .run(&mut policies, &mut |_, _| {}, &mut |_, _, trajectory, _| played.push(trajectory.clone()))
        .map_err(|error| error.to_string())?;
    Ok((evaluation, played))
}

#[test]
fn a_server_plays_as_its_model_plays() {
    let (url, server) = Server::start();
    let (remote, played) = play(&endpoint(&url, Some("secret"))).unwrap();
    assert!(server.requests.load(Ordering::Relaxed) > 12, "several turns each, and busy ones tried again");

    let config = config();
    let folder = model_folder("tiny");
    let model = load_model(&folder, &device()).unwrap();
    let context = model.config().context();
    let (text, now) = (tokenizer(&folder).unwrap(), Moment::now());
    let setup = Setup::open(&config.env, &config.rollout, Some(&folder), text, context, now).unwrap();
    let local = evaluate(
        &model,
        &setup.game(),
        &config.eval,
        &config.reward,
        0,
        CacheBudget::new(None, &device()),
        &mut |_, _| {},
    )
    .unwrap();
    assert_eq!(remote, local, "greedy play is the same, turn by turn");
    assert!(local.accuracy > 0.2 && local.turns > 2.0, "{local:?}");

    for trajectory in &played {
        let known = without_tokens(trajectory.clone());
        known.check();
        assert!(known.tokens().is_empty() && !known.turns[0].text.is_empty());
    }
}

#[test]
fn a_server_that_refuses_or_is_gone_is_one_clear_line() {
    let (url, _) = Server::start();
    let refused = play(&endpoint(&url, None)).unwrap_err();
    assert!(
        refused.starts_with(&format!("{url}: status 401: {{\"error\":\"who are you\"}}\n  hint: ")),
        "{refused}"
    );
    let elsewhere = play(&endpoint(&url.replace("/v1", ""), Some("secret"))).unwrap_err();
    assert!(elsewhere.contains("status 404"), "{elsewhere}");
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = Endpoint { retry: Duration::from_secs(1), ..endpoint(&format!("http://{gone}/v1"), None) };
    let gone = play(&gone).unwrap_err();
    assert!(gone.contains(" tries)\n  hint: is the server running?"), "{gone}");
}

/// A process that ends with the value.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `transformers serve`, where it is on the PATH: `pip install "transformers[serving]" torch`.
#[test]
fn transformers_serves_the_same_play() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = model_folder("tiny").canonicalize().unwrap();
    let name = folder.display().to_string();
    let started = std::process::Command::new("transformers")
        .args(["serve", &name, "--host", "127.0.0.1", "--port", &port.to_string()])
        .env("HF_HUB_OFFLINE", "1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let Ok(child) = started else {
        println!(
            "skipped: there is no `transformers` on the PATH (pip install \"transformers[serving]\" torch)"
        );
        return;
    };
    let mut server = Ends(child);
    let clock = std::time::Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.0.try_wait().unwrap().is_none(), "`transformers serve` ended by itself");
        assert!(clock.elapsed() < Duration::from_mins(3), "`transformers serve` doesn't listen");
        std::thread::sleep(Duration::from_millis(200));
    }
    let endpoint =
        Endpoint { model: name, parallel: 2, ..endpoint(&format!("http://127.0.0.1:{port}/v1"), None) };
    let (remote, _) = play(&endpoint).unwrap();
    let (url, _) = Server::start();
    let (ours, _) = play(&self::endpoint(&url, Some("secret"))).unwrap();
    assert_eq!(remote, ours, "greedy play is the same behind another server");
}

//! `turnwise serve`: the model behind the endpoint is the model of `generate` and `logprobs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::binary::{BINARY, arg, root, turnwise};

/// Holds a server that runs.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
}

impl Served {
    /// Serves the tiny model, with more arguments.
    pub(crate) fn tiny(args: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--model", "models/tiny"]).args(args).current_dir(root());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("stdout")).read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        let url = told["url"].as_str().expect("an address").to_string();
        Self { child, url }
    }

    /// Posts to an address of a session; returns the status and the body.
    pub(crate) fn post(&self, session: &str, path: &str, body: &Value) -> (u16, String) {
        let address = self.url.strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap();
        let mut stream = TcpStream::connect(address).expect("it listens");
        let body = body.to_string();
        // Answers of HTTP/1.0 are in one piece.
        let head = format!(
            "POST /v1{path} HTTP/1.0\r\nhost: {address}\r\nauthorization: Bearer {session}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, body.to_string())
    }

    /// Posts and returns the answer's JSON.
    #[track_caller]
    pub(crate) fn ask(&self, session: &str, path: &str, body: &Value) -> Value {
        let (status, text) = self.post(session, path, body);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Returns the process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends the server as a terminal does; returns what it said on stderr.
    pub(crate) fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        let mut stderr = String::new();
        self.child.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("text");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0), "{stderr}");
        stderr
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("token ids")
}

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).expect("numbers")
}

/// Returns the parts of an answer that hold tokens: itself, or the events of its stream.
fn parts(text: &str) -> Vec<Value> {
    let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let all = if data.is_empty() { vec![text] } else { data };
    let parsed = all.into_iter().filter(|data| *data != "[DONE]");
    // The last event of a response holds it.
    let part = |text: &str| -> Value {
        let event: Value = serde_json::from_str(text).expect("JSON");
        if event["response"].is_object() { event["response"].clone() } else { event }
    };
    parsed.map(part).collect()
}

/// Returns the prompt of an answer, whole or streamed, and its tokens with their log-probabilities.
fn told(text: &str) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
    let (mut prompt, mut tokens, mut logprobs) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts(text) {
        if part["prompt_token_ids"].is_array() {
            prompt = ids(&part["prompt_token_ids"]);
        }
        let choice = &part["choices"][0];
        if choice["token_ids"].is_array() {
            tokens.extend(ids(&choice["token_ids"]));
            logprobs.extend(match &choice["logprobs"]["content"] {
                Value::Array(all) => {
                    all.iter().map(|token| token["logprob"].as_f64().unwrap() as f32).collect()
                }
                _ => numbers(&choice["logprobs"]["token_logprobs"]),
            });
        }
    }
    (prompt, tokens, logprobs)
}

#[test]
fn served_tokens_and_log_probabilities_are_those_of_generate_and_logprobs_in_every_dialect() {
    let served = Served::tiny(&[]);
    let messages = json!([{"role": "user", "content": "Compute 12 + 30"}]);
    let requests = [
        ("/chat/completions", json!({"messages": messages, "max_tokens": 24})),
        ("/completions", json!({"prompt": "Compute 12 + 30", "max_tokens": 24})),
        ("/completions", json!({"prompt": [5, 6, 7, 8], "max_tokens": 24})),
        ("/responses", json!({"input": messages, "max_output_tokens": 24})),
        ("/messages", json!({"messages": messages, "max_tokens": 24})),
    ];
    for (path, mut request) in requests {
        request["logprobs"] = true.into();
        request["return_token_ids"] = true.into();
        request["seed"] = 3.into();
        request["temperature"] = 0.7.into();
        let whole = served.post("s", path, &request);
        request["stream"] = true.into();
        let streamed = served.post("s", path, &request);
        assert_eq!((whole.0, streamed.0), (200, 200), "{path}: {} {}", whole.1, streamed.1);
        let (prompt, sampled, logprobs) = told(&whole.1);
        assert_eq!(told(&streamed.1), (prompt.clone(), sampled.clone(), logprobs.clone()), "{path}");

        let given = serde_json::to_string(&prompt).unwrap();
        let args =
            ["--tokens", &given, "--max-tokens", "24", "--seed", "3", "--temperature", "0.7", "--json"];
        let generated: Value =
            turnwise(&[&["generate", "--model", "models/tiny"], &args[..]].concat(), "").json();
        assert_eq!(
            (ids(&generated["tokens"]), numbers(&generated["logprobs"])),
            (sampled, logprobs),
            "{path}"
        );

        // `logprobs` computes at temperature 1.
        request["temperature"] = 1.0.into();
        let (prompt, sampled, logprobs) = told(&served.post("s", path, &request).1);
        assert!(!sampled.is_empty() && sampled.len() == logprobs.len(), "{path}");
        let whole = serde_json::to_string(&[prompt.clone(), sampled].concat()).unwrap();
        let again: Value = turnwise(&["logprobs", "--model", "models/tiny", "--tokens", &whole], "").json();
        for (t, logprob) in logprobs.into_iter().enumerate() {
            let again = again["logprobs"][prompt.len() + t].as_f64().unwrap();
            assert!((f64::from(logprob) - again).abs() <= 1e-4, "{path}, token {t}: {logprob} and {again}");
        }
    }
}

#[test]
fn a_request_is_answered_alike_alone_and_among_64_others() {
    let request = |text: String| {
        let messages = json!([{"role": "user", "content": text}]);
        json!({"messages": messages, "max_tokens": 40, "return_token_ids": true, "logprobs": true})
    };
    let question = request("Compute 7 + 8".into());
    let path = "/chat/completions";
    let choice = |served: &Served| served.ask("the-session", path, &question)["choices"].clone();
    let alone =
        [Served::tiny(&["--seed", "5"]), Served::tiny(&["--seed", "6"])].map(|served| choice(&served));
    assert_ne!(alone[0], alone[1], "the server's seed");
    let served = Served::tiny(&["--seed", "5"]);
    let among = std::thread::scope(|threads| {
        for other in 0..32 {
            let (served, request) = (&served, &request);
            threads.spawn(move || {
                for turn in 0..2 {
                    served.ask(
                        &format!("other-{other}"),
                        path,
                        &request(format!("Compute {other} + {turn}")),
                    );
                }
            });
        }
        choice(&served)
    });
    assert_eq!(among, alone[0]);
}

/// Plays a conversation with a tool, whose calls are what the model happens to write.
fn converse(served: &Served, session: &str) -> Vec<(Vec<u32>, Vec<u32>)> {
    let mut messages = vec![json!({"role": "user", "content": "Compute 12 + 30"})];
    (0..3)
        .map(|turn| {
            let request = json!({"messages": messages, "max_tokens": 30, "return_token_ids": true});
            let answer = served.ask(session, "/chat/completions", &request);
            let choice = &answer["choices"][0];
            messages
                .extend([choice["message"].clone(), json!({"role": "user", "content": format!("{turn}")})]);
            (ids(&answer["prompt_token_ids"]), ids(&choice["token_ids"]))
        })
        .collect()
}

#[test]
fn turns_of_a_session_continue_exact_tokens_and_are_recorded_when_the_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    let served = Served::tiny(&["--record", arg(&record)]);
    let turns = converse(&served, "a");
    for pair in turns.windows(2) {
        let so_far = [pair[0].0.clone(), pair[0].1.clone()].concat();
        assert_eq!(pair[1].0[..so_far.len()], so_far[..]);
    }
    assert_eq!(served.post("a", "/sessions/a/reward", &json!({"rewards": {"acc": 1}, "turn": 1})).0, 200);
    assert_eq!(converse(&served, "b").len(), 3);
    assert_eq!(served.post("b", "/sessions/b/reward", &json!({"done": true})).0, 200);
    let said = served.end();
    assert!(said.contains("2 sessions, 6 calls, 0 of them"), "{said}");
    assert!(!said.contains("Bearer"), "{said}");
    let lines = lines(&record);
    let of = |name: &str| lines.iter().find(|line| line["session"] == name).expect("a line of each session");
    assert_eq!((&of("a")["done"], &of("b")["done"]), (&json!(false), &json!(true)));
    let calls = of("a")["calls"].as_array().unwrap();
    for (call, (prompt, sampled)) in calls.iter().zip(&turns) {
        assert_eq!(
            (ids(&call["prompt_token_ids"]), ids(&call["token_ids"])),
            (prompt.clone(), sampled.clone())
        );
        assert_eq!(numbers(&call["logprobs"]).len(), sampled.len());
    }
    assert_eq!(calls[1]["rewards"], json!({"acc": 1.0}));
    assert_eq!(
        [&calls[0]["parent"], &calls[1]["parent"], &calls[2]["parent"]],
        [&Value::Null, &json!(0), &json!(1)]
    );

    // The same sessions again are the same bytes, after those that are there.
    let served = Served::tiny(&["--record", arg(&record)]);
    assert_eq!(converse(&served, "a"), turns);
    served.end();
    assert_eq!(self::lines(&record).len(), 3);
}

pub(crate) fn lines(record: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(record.join("sessions.jsonl")).expect("a record");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let fails = |args: &[&str], code: i32, parts: &[&str]| {
        turnwise(&[&["serve"], args].concat(), "").fails(code, parts);
    };
    fails(&["--model", "nowhere"], 1, &["nowhere"]);
    fails(&["--model", "models/tiny", "--format", "hermess"], 2, &["unknown call format", "hermes"]);
    fails(&["--model", "models/tiny", "--host", "203.0.113.1"], 1, &["203.0.113.1:0"]);
    fails(&["--model", "models/tiny", "--context", "1"], 2, &["--context"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sessions.jsonl"), "{\"session\":").unwrap();
    fails(&["--model", "models/tiny", "--record", arg(folder.path())], 1, &["sessions.jsonl", "cut off"]);
}

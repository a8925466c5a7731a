//! `turnwise rollout --endpoint`: what is on disk, whatever becomes of the server. Odd answers are played
//! against in `crates/rollout/tests/servers`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{BINARY, Ran, arg, root, turnwise};

/// A server's answer to a conversation: a status and a body, or nothing at all, forever.
pub(crate) type Says = fn(&str) -> Option<(u16, String)>;

pub(crate) fn server(says: Says) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    // The threads end with the process.
    spawn(move || {
        for mut stream in listener.incoming().flatten() {
            spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut line, mut length) = (String::new(), 0);
                while line != "\r\n" {
                    line.clear();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let Some((status, body)) = says(&String::from_utf8(body).unwrap()) else {
                    return sleep(Duration::from_hours(1));
                };
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                // A client that was killed listens no more.
                let _ = stream.write_all((head + &body).as_bytes());
            });
        }
    });
    url
}

pub(crate) fn answer(text: &str) -> (u16, String) {
    let choice = json!({"message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    (200, json!({"choices": [choice]}).to_string())
}

/// Four held-out questions, which the answer of all is 42, and where conversations go.
struct Questions {
    folder: TempDir,
    out: PathBuf,
}

impl Questions {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, questions: &[&str]| {
            let lines =
                questions.iter().map(|q| json!({"question": q, "answer": "#### 42"}).to_string() + "\n");
            std::fs::write(folder.path().join(name), lines.collect::<String>()).unwrap();
        };
        file("train.jsonl", &["six times seven?"]);
        file("test.jsonl", &["first: 40 + 2?", "second: 50 - 8?", "third: 84 / 2?", "fourth: 21 * 2?"]);
        let path = |name: &str| Value::from(arg(&folder.path().join(name))).to_string();
        let env = format!("[env.qa]\ntrain = {}\nheld_out = {}\n", path("train.jsonl"), path("test.jsonl"));
        let rest = "[eval]\ntasks = 4\nsamples = 1\n";
        std::fs::write(folder.path().join("qa.toml"), format!("model = \"models/tiny\"\n{env}{rest}"))
            .unwrap();
        let out = folder.path().join("o.jsonl");
        Self { folder, out }
    }

    fn args(&self, url: &str, more: &[&str]) -> Vec<String> {
        let config = self.folder.path().join("qa.toml");
        let fixed =
            ["rollout", "--config", arg(&config), "--endpoint", url, "--name", "m", "--out", arg(&self.out)];
        fixed.iter().chain(more).map(ToString::to_string).collect()
    }

    fn run(&self, url: &str, more: &[&str]) -> Ran {
        let args = self.args(url, more);
        turnwise(&args.iter().map(String::as_str).collect::<Vec<_>>(), "")
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn tasks(&self) -> Vec<String> {
        self.lines().iter().map(|line| line["group"].as_str().unwrap().to_string()).collect()
    }
}

#[test]
fn lines_stand_in_order_and_what_is_lost_is_counted() {
    let questions = Questions::new();
    let url = server(|body| match body {
        // The first one answers last.
        body if body.contains("first:") => {
            sleep(Duration::from_secs(1));
            Some(answer("Answer: 42"))
        }
        body if body.contains("third:") => Some((400, "no idea".into())),
        _ => Some(answer("Answer: 42")),
    });
    let ran = questions.run(&url, &["--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(questions.tasks(), ["qa/held-out/1", "qa/held-out/2", "qa/held-out/4"]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    let numbers = (&found["trajectories"], &found["rollouts_lost"], &found["accuracy"]);
    assert_eq!(numbers, (&json!(3), &json!(1), &json!(1.0)));
    let note = "1 of 4 rollouts are lost; the first: qa/held-out/3, sample 0: status 400: no idea";
    assert!(ran.stderr.contains(note), "{}", ran.stderr);
}

#[test]
fn a_refusal_leaves_the_file_as_it_was() {
    let questions = Questions::new();
    for precious in [None, Some("precious\n")] {
        if let Some(text) = precious {
            std::fs::write(&questions.out, text).unwrap();
        }
        for (says, words) in [
            ((|_| Some((401, "who are you".into()))) as Says, "status 401: who are you"),
            (|_| Some((404, "no such model".into())), "status 404: no such model"),
            (|_| Some((400, "no idea".into())), "status 400: no idea"),
        ] {
            let ran = questions.run(&server(says), &[]);
            ran.fails(1, &[words, "hint: "]);
            assert_eq!(std::fs::read_to_string(&questions.out).ok().as_deref(), precious, "{words}");
        }
    }
    let none = questions.run("http://127.0.0.1:9/v1", &["--parallel", "0"]);
    assert!(none.code == Some(2) && none.stderr.contains("--parallel"), "{}", none.stderr);
    for wrong in ["localhost:8000/v1", "ftp://a/v1", "http://", "http:///v1", "http://a b/v1"] {
        let ran = questions.run(wrong, &[]);
        assert!(ran.code == Some(2) && ran.stderr.contains("http://127.0.0.1:8000/v1"), "{}", ran.stderr);
    }
}

#[test]
fn what_has_ended_outlives_the_process() {
    let questions = Questions::new();
    let url = server(|body| if body.contains("second:") { None } else { Some(answer("Answer: 42")) });
    let mut child = Command::new(BINARY)
        .args(questions.args(&url, &[]))
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut left = 600;
    while questions.lines().len() < 3 {
        assert!(child.try_wait().unwrap().is_none() && left > 0, "three end, and one never does");
        left -= 1;
        sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut tasks = questions.tasks();
    tasks.sort();
    assert_eq!(tasks, ["qa/held-out/1", "qa/held-out/3", "qa/held-out/4"]);
    assert!(questions.lines().iter().all(|line| line["trajectories"][0]["correct"] == true));
}

//! A server with a script, and a client.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use turnwise_rollout::chat::{ChatName, Moment};
use turnwise_serve::{Counts, Limits, Model, Server, Settings, Style};
use turnwise_tools::FormatName;

use crate::script::{Script, tiny, tokenizer};

/// Holds a server that runs.
pub(crate) struct Scene {
    pub(crate) url: String,
    pub(crate) script: Script,
    folder: TempDir,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<Counts>>>,
}

/// Holds an answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) text: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default(), None)
    }

    pub(crate) fn with(limits: Limits, format: Option<FormatName>) -> Self {
        let script = Script::default();
        let moment = Moment::now();
        let style = Style { chat: ChatName::Auto, format, describe: true };
        let model = Model::open(&tiny(), tokenizer(), vec![2], style, moment).expect("a model");
        let folder = tempfile::tempdir().expect("a folder");
        let record = Some(folder.path().join("record"));
        let settings = Settings { host: "127.0.0.1".into(), port: 0, seed: 7, record, limits, rules: None };
        let server = Server::bind(model, Arc::new(script.clone()), settings).expect("a port");
        let url = server.url();
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = thread::spawn(move || {
            server.serve(async move {
                while !seen.load(Ordering::Relaxed) {
                    turnwise_serve::sleep(Duration::from_millis(5)).await;
                }
            })
        });
        Self { url, script, folder, stop, thread: Some(thread) }
    }

    /// Posts to an address, in a session.
    pub(crate) fn post(&self, session: &str, path: &str, body: &Value) -> Reply {
        self.send(path, &[("authorization", &format!("Bearer {session}"))], &body.to_string())
    }

    /// Posts to an address.
    pub(crate) fn send(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).expect("an answer");
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().into());
        let text = response.body_mut().read_to_string().expect("text");
        Reply { status: response.status().as_u16(), retry_after, text }
    }

    /// Posts to an address and returns the JSON of an answer.
    #[track_caller]
    pub(crate) fn ask(&self, session: &str, path: &str, body: &Value) -> Value {
        self.post(session, path, body).json()
    }

    /// Posts a chat completion.
    #[track_caller]
    pub(crate) fn chat(&self, session: &str, body: &Value) -> Value {
        self.ask(session, "/chat/completions", body)
    }

    /// Returns the file of sessions.
    pub(crate) fn record(&self) -> PathBuf {
        self.folder.path().join("record/sessions.jsonl")
    }

    /// Returns the lines of the record.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.record()).expect("a record");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Ends the server.
    pub(crate) fn end(&mut self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().expect("no panic").expect("a whole end")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.thread.is_some() && !thread::panicking() {
            self.end();
        }
    }
}

impl Reply {
    /// Returns the JSON of an answer with status 200.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// Returns the message of a refusal in OpenAI's form.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        let error: Value = serde_json::from_str(&self.text).expect("JSON");
        error["error"]["message"].as_str().expect("a message").into()
    }

    /// Returns the events of a stream, the last of which is `[DONE]`.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text);
        let mut data: Vec<&str> = self.text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.pop(), Some("[DONE]"));
        data.into_iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
    }
}

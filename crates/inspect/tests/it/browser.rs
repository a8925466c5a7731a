//! A headless browser, driven through WebDriver.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A browser with one empty page.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// None, and one line that says so, where there is no chromedriver. A chromedriver that can't start a
    /// browser is a failure.
    pub(crate) fn start() -> Option<Self> {
        let mut command = Command::new("chromedriver");
        command.args(["--port=0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut driver) = command.spawn() else {
            println!(
                "skipped: there is no chromedriver on the PATH (Debian: apt-get install chromium-driver)"
            );
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        let port = lines
            .find_map(|line| line.expect("text").split("successfully on port ").nth(1).map(str::to_string))
            .expect("chromedriver names its port");
        // Read to the end: a full pipe would stop the driver.
        std::thread::spawn(move || lines.count());
        let base = format!("http://127.0.0.1:{}/session", port.trim_end_matches('.'));
        let profile = tempfile::tempdir().expect("a folder");
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1400,900",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = post(&base, &wanted)["sessionId"].as_str().expect("a session").to_string();
        Some(Self { driver, session: format!("{base}/{session}"), _profile: profile })
    }

    pub(crate) fn open(&self, url: &str) {
        post(&format!("{}/url", self.session), &json!({ "url": url }));
    }

    /// The value of a JavaScript expression. WebDriver's own scripts aren't bound by the page's policy.
    pub(crate) fn eval(&self, expression: &str) -> Value {
        let script = json!({"script": format!("return ({expression})"), "args": []});
        post(&format!("{}/execute/sync", self.session), &script)
    }

    /// Waits for an expression to be true.
    pub(crate) fn wait(&self, expression: &str) {
        let clock = Instant::now();
        while self.eval(&format!("Boolean({expression})")) != true {
            let shown = || self.eval("document.body.innerText.slice(0, 2000)");
            assert!(clock.elapsed() < Duration::from_secs(30), "never true: {expression}\n{}", shown());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses keys, one after the other.
    pub(crate) fn keys(&self, keys: &str) {
        let presses =
            keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})));
        let actions =
            json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses.collect::<Vec<_>>()}]});
        post(&format!("{}/actions", self.session), &actions);
    }

    /// Complaints of the page: scripts that failed or were refused.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let lines = post(&format!("{}/se/log", self.session), &json!({"type": "browser"}));
        let lines = lines.as_array().expect("a list").iter();
        lines.map(|line| line["message"].as_str().unwrap_or_default().to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser; without it the browser would outlive its driver.
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn post(url: &str, body: &Value) -> Value {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.post(url).send(body.to_string()).expect("the driver answers");
    let text = response.body_mut().read_to_string().expect("text");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert!(answer["value"]["error"].is_null(), "{url}: {text}");
    answer["value"].clone()
}

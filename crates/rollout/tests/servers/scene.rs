//! Four questions, usually twice each, played against a server.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use turnwise_envs::{Env, Qa};
use turnwise_rollout::remote::{Endpoint, RemotePolicy, Transcript};
use turnwise_rollout::{Game, Limits, Lost, play_streaming};
use turnwise_tools::FormatName;
use turnwise_tools::executor::Scripted;
use turnwise_trajectory::{CallRecord, Stop, Trajectory};

use crate::odd_server::{ANSWER, Ask, OddServer};

/// Configures how a scene differs from the usual one.
pub(crate) struct Scene {
    pub(crate) parallel: usize,
    pub(crate) timeout: Duration,
    pub(crate) retry: Duration,
    pub(crate) stop_at_call: bool,
    pub(crate) samples: u32,
    pub(crate) path: &'static str,
}

impl Default for Scene {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self { parallel: 3, timeout: minute, retry: minute, stop_at_call: false, samples: 2, path: "" }
    }
}

/// Holds the outcome.
pub(crate) struct Ran {
    pub(crate) whole: Vec<Trajectory>,
    pub(crate) lost: Vec<Lost>,
    /// Why the play failed; then `whole` holds the trajectories that had ended before.
    pub(crate) error: Option<String>,
    pub(crate) asked: Vec<Ask>,
}

impl Scene {
    pub(crate) fn plays(&self, handler: impl Fn(&Ask) -> Vec<u8> + Send + Sync + 'static) -> Ran {
        let server = OddServer::start(Arc::new(handler));
        let endpoint = Endpoint {
            url: format!("{}{}", server.url, self.path),
            model: "m".into(),
            key: Some("secret".into()),
            temperature: 1.0,
            top_p: 1.0,
            seed: 3,
            parallel: self.parallel,
            timeout: self.timeout,
            retry: self.retry,
        };
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, questions: &[&str]| {
            let lines =
                questions.iter().map(|q| json!({"question": q, "answer": "#### 42"}).to_string() + "\n");
            let path = folder.path().join(name);
            std::fs::write(&path, lines.collect::<String>()).unwrap();
            path
        };
        let train = file("train.jsonl", &["What is six times seven?"]);
        let held_out = file("test.jsonl", &["What is odd?", "40 + 2?", "50 - 8?", "84 / 2?"]);
        let config = serde_json::from_value(json!({"train": train, "held_out": held_out})).unwrap();
        let env = Qa::new(&config).unwrap();
        let (transcript, format) = (Transcript::default(), FormatName::Hermes.build());
        let executor = Scripted::new().prints("print(6*7)", "42\n");
        let game = Game {
            env: &env,
            chat: &transcript,
            format: &*format,
            executor: &executor,
            limits: Limits { turns: 4, turn_tokens: 64, tokens: 1000, observation_tokens: 64, turn_calls: 8 },
            describe_tools: true,
            stop_at_call: self.stop_at_call,
            keep_state: false,
        };
        let tasks: Vec<_> = env.held_out().iter().collect();
        let mut policy = RemotePolicy::new(endpoint, transcript.clone());
        let mut told = Vec::new();
        let mut tell = |task: usize, trajectory: &Trajectory| {
            assert_eq!(trajectory.task, tasks[task].id);
            told.push(trajectory.clone());
        };
        let played = play_streaming(&game, &tasks, self.samples, &mut policy, &mut |_, _| {}, &mut tell);
        let asked = server.asked();
        match played {
            Ok(played) => {
                let whole: Vec<Trajectory> = played.groups.into_iter().flatten().collect();
                assert_eq!(whole.len(), told.len());
                assert!(whole.iter().all(|trajectory| told.contains(trajectory)), "each is told as it ended");
                Ran { whole, lost: played.lost, error: None, asked }
            }
            Err(error) => Ran { whole: told, lost: Vec::new(), error: Some(error.to_string()), asked },
        }
    }
}

/// Returns whether a trajectory called, got its output, and answered.
pub(crate) fn is_right(trajectory: &Trajectory) -> bool {
    let [called, answered] = trajectory.turns.as_slice() else { return false };
    let [CallRecord::Executed { output, .. }] = called.calls.as_slice() else { return false };
    output.stdout == "42\n" && answered.text.ends_with(ANSWER) && trajectory.stop == Stop::Answer
}

impl Ran {
    /// Checks that all trajectories are right and none is lost.
    #[track_caller]
    pub(crate) fn is_whole(&self, case: &str) {
        assert_eq!((&self.error, &self.lost[..], self.whole.len()), (&None, &[][..], 8), "{case}");
        let odd = self.whole.iter().find(|trajectory| !is_right(trajectory));
        assert_eq!(odd, None, "{case}");
    }

    /// Returns the trajectories of the odd task, after checking that all others are right.
    #[track_caller]
    pub(crate) fn odd(&self, case: &str) -> Vec<&Trajectory> {
        assert_eq!(self.error, None, "{case}");
        let (odd, others): (Vec<_>, Vec<_>) = self.whole.iter().partition(|t| t.task.ends_with("/1"));
        assert!(others.len() == 6 && others.into_iter().all(is_right), "{case}");
        assert!(self.lost.iter().all(|lost| lost.task.ends_with("/1")), "{case}");
        odd
    }
}

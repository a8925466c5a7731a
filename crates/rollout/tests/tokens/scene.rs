//! Two tasks of arithmetic, twice each, played by the committed model on a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use turnwise_envs::{Arithmetic, ArithmeticConfig, Env};
use turnwise_rollout::chat::{ChatMl, load_tokenizer};
use turnwise_rollout::remote::tokens::{EngineName, Fleet, Pushed, Rule, Servers, Stream, TokenPolicy};
use turnwise_rollout::{Game, Limits, play};
use turnwise_tools::FormatName;
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{Finish, TokenId, Trajectory, Turn};

use crate::exchanges::{Exchange, Lie, Replayed};

/// Number of optimizer updates that turns name.
pub(crate) const UPDATES: u64 = 3;
/// Version that the servers get.
pub(crate) const VERSION: &str = "turnwise-recorded-3";
/// The folder of the weights, as the recorded server saw it.
pub(crate) const FOLDER: &str = "target/tiny-untied";

pub(crate) const LIMITS: Limits =
    Limits { turns: 3, turn_tokens: 32, tokens: 200, observation_tokens: 40, turn_calls: 4 };

/// The outcome of a play on a server.
pub(crate) struct Ran {
    pub(crate) trajectories: Vec<Trajectory>,
    pub(crate) lost: Vec<String>,
    pub(crate) error: Option<String>,
    pub(crate) server: Replayed,
}

pub(crate) fn servers(engine: EngineName, url: &str) -> Servers {
    Servers {
        engine,
        urls: vec![url.into()],
        router: None,
        key: None,
        adapter: false,
        vocabulary: 320,
        parallel: 1,
        timeout: Duration::from_secs(30),
        retry: Duration::from_secs(5),
    }
}

/// Plays on a server whose answers `lie` may change.
pub(crate) fn plays(
    engine: EngineName,
    rule: Rule,
    lie: impl Fn(&Exchange, usize) -> Exchange + Send + Sync + 'static,
) -> Ran {
    let lie: Arc<Lie> = Arc::new(lie);
    let server = Replayed::start(engine.name(), lie);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/tokenizer.json");
    let chat = ChatMl::new(load_tokenizer(&folder).expect("a tokenizer")).expect("with chat tokens");
    let config = ArithmeticConfig { levels: vec![2], max_operand: 50, ..ArithmeticConfig::default() };
    let env = Arithmetic::new(config).expect("tasks");
    let (format, executor) = (FormatName::FencedPython.build(), Echo);
    let game = Game {
        env: &env,
        chat: &chat,
        format: &*format,
        executor: &executor,
        limits: LIMITS,
        describe_tools: false,
        stop_at_call: false,
        keep_state: false,
    };
    let tasks: Vec<_> = env.train().iter().take(2).collect();
    let played =
        Fleet::open(servers(engine, &server.url)).map_err(|error| error.to_string()).and_then(|fleet| {
            let weights = Pushed { folder: FOLDER.into(), version: VERSION.into() };
            fleet.push(weights).map_err(|error| error.to_string())?;
            let mut policy = TokenPolicy::new(&fleet, rule, Stream { seed: 1, step: 2 }, UPDATES);
            play(&game, &tasks, 2, &mut policy, &mut |_, _| {}).map_err(|error| error.to_string())
        });
    match played {
        Ok(played) => {
            let lost = played.lost.iter().map(ToString::to_string).collect();
            let trajectories = played.groups.into_iter().flatten().collect();
            Ran { trajectories, lost, error: None, server }
        }
        Err(error) => Ran { trajectories: Vec::new(), lost: Vec::new(), error: Some(error), server },
    }
}

/// A recorded answer, and the tokens that came before it.
struct Answered {
    context: Vec<TokenId>,
    tokens: Vec<TokenId>,
    logprobs: Vec<f32>,
}

impl Answered {
    /// Reads a request and its answer in the shapes of an engine, by other code than the protocols'.
    fn of((request, answer): &(Value, Value)) -> Self {
        let ids = |ids: &Value| serde_json::from_value(ids.clone()).expect("token ids");
        let number = |logprob: &Value| logprob.as_f64().expect("a number") as f32;
        if request["token_ids"].is_array() {
            let choice = &answer["choices"][0];
            let logprobs = choice["logprobs"]["content"].as_array().expect("a list").iter();
            return Self {
                context: ids(&request["token_ids"]),
                tokens: ids(&choice["token_ids"]),
                logprobs: logprobs.map(|of| number(&of["logprob"])).collect(),
            };
        }
        let logprobs = answer["meta_info"]["output_token_logprobs"].as_array().expect("a list").iter();
        Self {
            context: ids(&request["input_ids"]),
            tokens: ids(&answer["output_ids"]),
            logprobs: logprobs.map(|of| number(&of[0])).collect(),
        }
    }

    /// Whether a turn is the answer, which a stop string of ours may cut.
    fn holds(&self, turn: &Turn) -> bool {
        let length = turn.tokens.len();
        let whole = length == self.tokens.len() || turn.finish == Finish::StopString;
        let bits = |logprobs: &[f32]| logprobs.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        whole
            && self.tokens.starts_with(&turn.tokens)
            && bits(&self.logprobs[..length]) == bits(&turn.logprobs)
    }
}

impl Ran {
    /// Checks that all turns are whole and are exactly those of recorded answers, and that requests are
    /// exactly the tokens of their trajectories.
    pub(crate) fn is_whole(&self) {
        assert_eq!((&self.error, &self.lost), (&None, &Vec::new()));
        assert_eq!(self.trajectories.len(), 4);
        let answered: Vec<Answered> = self.server.turns().iter().map(Answered::of).collect();
        for trajectory in &self.trajectories {
            let tokens = trajectory.tokens();
            for (turn, span) in trajectory.turns.iter().zip(trajectory.turn_spans()) {
                let same = |answered: &&Answered| answered.context == tokens[..span.start];
                let mut here = answered.iter().filter(same).peekable();
                assert!(here.peek().is_some(), "a turn's context was retokenised");
                assert!(here.any(|answered| answered.holds(turn)), "no answer has {:?}", turn.tokens);
                assert_eq!(turn.version, UPDATES);
                assert!(turn.logprobs.iter().all(|logprob| logprob.is_finite() && *logprob <= 0.0));
                assert!(
                    turn.finish != Finish::Length
                        || turn.tokens.len() == LIMITS.turn_tokens
                        || trajectory.len() >= LIMITS.tokens
                );
            }
        }
        let turns: usize = self.trajectories.iter().map(|trajectory| trajectory.turns.len()).sum();
        assert!(turns > 4, "no trajectory has a second turn");
    }

    /// Checks that nothing was played, and that the message says what to change.
    pub(crate) fn is_refused(&self, told: &str, hint: &str) {
        let error = self.error.as_deref().unwrap_or_default();
        assert!(error.contains(told), "{told:?} is not in {error:?}");
        let (_, advice) = error.split_once("\n  hint: ").unwrap_or_default();
        assert!(advice.contains(hint), "{hint:?} is no advice of {error:?}");
    }
}

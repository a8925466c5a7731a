//! Checks servers before a run: what they sample, how they count it, and what new weights do to them.

use turnwise_model::Transformer;
use turnwise_rollout::remote::tokens::{Gap, Probe, Rule, SampledTurn, TurnAsk};
use turnwise_trajectory::TokenId;

use crate::config::RunConfig;
use crate::error::TrainError;
use crate::play::servers::{RunServers, rule};
use crate::play::setup::{Setup, tokenizer};
use crate::resume::first_model;
use crate::run_site::RunSite;

/// Holds the outcome of one check.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerCheck {
    /// Its name.
    pub name: &'static str,
    /// Whether it passed. None is a warning: results are right, but slower or not reproducible.
    pub ok: Option<bool>,
    /// The finding. A second line holds advice.
    pub found: String,
}

/// Temperatures that log-probabilities are compared at.
const TEMPERATURES: [f64; 3] = [1.0, 0.7, 1.3];
/// Most seconds for further tries of a request.
const PATIENCE: f64 = 15.0;
/// Requests at once that must not change each other.
const AT_ONCE: usize = 8;

/// Checks the servers of a run file with its model, one after the other, and tells each outcome at once. They
/// hold the model's weights afterwards.
///
/// Checks that need an earlier one are left out if it fails.
///
/// # Errors
/// If the model or the environment can't be opened, or no server is named.
pub fn check_servers(
    config: &RunConfig,
    site: &RunSite,
    tell: &mut dyn FnMut(ServerCheck),
) -> Result<(), TrainError> {
    let model = first_model(config, site)?;
    let (text, context) = (tokenizer(&config.model)?, model.config().context());
    let setup = Setup::open(config.offer(), &config.rollout, Some(&config.model), text, context, site.now)?;
    // A fault that passes is no finding, and one that doesn't is told before long.
    let mut hurried = config.clone();
    if let Some(server) = &mut hurried.rollout.server {
        server.retry_seconds = server.retry_seconds.min(PATIENCE);
    }
    let servers = match RunServers::open(&hurried, &setup, site.server_key.clone()) {
        Ok(Some(servers)) => servers,
        Ok(None) => return Err(TrainError::Input("rollout.server is missing in the run file".into())),
        Err(error) => {
            tell(ServerCheck { name: "reached", ok: Some(false), found: error.to_string() });
            return Ok(());
        }
    };
    let fleet = servers.fleet();
    let context = fleet.context().map_or("unknown".into(), |context| context.to_string());
    let urls = fleet.servers().urls.join(", ");
    tell(ServerCheck {
        name: "reached",
        ok: Some(true),
        found: format!("{} at {urls}, context {context}", fleet.servers().engine),
    });
    let checks = Checks { config, servers: &servers, model: &model, waved: &servers.waved(&model) };
    let all: [(&'static str, &dyn Fn() -> Outcome); 7] = [
        ("versions", &|| checks.versions()),
        ("log-probabilities", &|| checks.logprobs()),
        ("truncation", &|| checks.truncation()),
        ("stop tokens", &|| checks.stops()),
        ("seeds", &|| checks.seeds()),
        ("weight update", &|| checks.update()),
        ("prefix cache", &|| checks.caches()),
    ];
    for (name, check) in all {
        let (ok, found) = match check() {
            Ok(Found(ok, found)) => (ok, found),
            Err(error) => (Some(false), error.to_string()),
        };
        tell(ServerCheck { name, ok, found });
        if name == "versions" && ok == Some(false) {
            break;
        }
    }
    Ok(())
}

struct Checks<'a> {
    config: &'a RunConfig,
    servers: &'a RunServers,
    model: &'a Transformer,
    /// The model with other weights.
    waved: &'a Transformer,
}

/// Holds whether a check passed, and what it found.
struct Found(Option<bool>, String);

type Outcome = Result<Found, TrainError>;

impl Checks<'_> {
    fn tied(&self) -> bool {
        self.model.config().tied_embeddings
    }

    fn judge(&self, gap: &Gap) -> Result<(), TrainError> {
        self.servers.verdict(gap, self.tied())
    }

    /// Pushes the model, and reads its version in answers.
    fn versions(&self) -> Outcome {
        let before = self.servers.fleet().pushes();
        self.servers.try_push(self.model, self.servers.probe())?;
        if self.servers.fleet().pushes() > before + 1 {
            return Ok(Found(None, LATE.into()));
        }
        Ok(Found(Some(true), "every answer names the version that was pushed".into()))
    }

    fn logprobs(&self) -> Outcome {
        let probe = self.servers.probe();
        let mut found = Vec::new();
        for temperature in TEMPERATURES {
            let probe = Probe { rule: Rule::of(temperature), ..probe.clone() };
            let gap = self.servers.gap(self.model, &probe)?;
            let scaled = temperature != 1.0;
            if scaled && gap.nats > self.servers.limit() && gap.unscaled <= self.servers.limit() {
                return Ok(Found(Some(false), RAW.into()));
            }
            self.judge(&gap)?;
            found.push(format!("{:.0e} at temperature {temperature}", gap.nats));
        }
        Ok(Found(Some(true), format!("largest differences in nats: {}", found.join(", "))))
    }

    fn truncation(&self) -> Outcome {
        let rule = rule(&self.config.rollout.sampling);
        if !rule.truncates() {
            return Ok(Found(Some(true), "the run samples from all tokens".into()));
        }
        let probe = Probe { rule, ..self.servers.probe().clone() };
        let gap = self.servers.gap(self.model, &probe)?;
        self.judge(&gap)?;
        Ok(Found(Some(true), format!("{:.0e} nats under the run's top_p, top_k and min_p", gap.nats)))
    }

    fn ask(&self, seed: u64, stop: &[TokenId]) -> Result<SampledTurn, TrainError> {
        let probe = self.servers.probe();
        let (tokens, rule) = (&probe.contexts[0], probe.rule);
        Ok(self.servers.fleet().ask(0, &TurnAsk { tokens, max_new: probe.tokens, rule, seed, stop })?)
    }

    /// Makes a sampled token a stop token.
    fn stops(&self) -> Outcome {
        let free = self.ask(1, &[])?;
        let stop = free.tokens[free.tokens.len() / 2];
        let stopped = self.ask(1, &[stop])?;
        if stopped.cut {
            let found = if stopped.tokens.contains(&stop) {
                Found(Some(false), "a stop token didn't end its turn".into())
            } else {
                Found(None, "a sampled token didn't come again with the same seed".into())
            };
            return Ok(found);
        }
        Ok(Found(Some(true), "a stop token is the last of its turn".into()))
    }

    /// Asks for the same turn alone and among others.
    fn seeds(&self) -> Outcome {
        let alone = self.ask(1, &[])?;
        let many: Vec<Result<SampledTurn, TrainError>> = std::thread::scope(|scope| {
            let ask = |number: usize| scope.spawn(move || self.ask(if number == 0 { 1 } else { 100 }, &[]));
            let asked: Vec<_> = (0..AT_ONCE).map(ask).collect();
            asked.into_iter().map(|thread| thread.join().expect("a request doesn't panic")).collect()
        });
        let among = many.into_iter().next().expect("several were asked")?;
        if among == alone {
            return Ok(Found(Some(true), "the same turn alone and among others".into()));
        }
        Ok(Found(None, UNSEEDED.into()))
    }

    /// Pushes weights that differ everywhere, and the model's again, whatever the first push leaves.
    fn there_and_back(&self, probe: &Probe) -> Result<[Gap; 2], TrainError> {
        let there = self.servers.try_push(self.waved, probe);
        let back = self.servers.try_push(self.model, probe);
        let (there, back) = (there?, back?);
        self.judge(&there)?;
        self.judge(&back)?;
        Ok([there, back])
    }

    /// Makes servers take other weights and the model's again.
    fn update(&self) -> Outcome {
        let probe = self.servers.probe();
        let [there, back] = self.there_and_back(probe)?;
        Ok(Found(Some(true), format!("{:.0e} and {:.0e} nats, there and back", there.nats, back.nats)))
    }

    /// Reads a long prompt before and after an update.
    fn caches(&self) -> Outcome {
        let rollout = &self.config.rollout;
        let probe = self.servers.probe();
        let room = self.servers.fleet().context().unwrap_or(rollout.max_tokens).min(rollout.max_tokens);
        let length = room.saturating_sub(probe.tokens).clamp(1, 320);
        let long = probe.contexts[0].iter().cycle().take(length).copied().collect();
        let long = Probe { contexts: vec![long], ..probe.clone() };
        self.judge(&self.servers.gap(self.model, &long)?)?;
        let [there, back] = self.there_and_back(&long)?;
        let nats = there.nats.max(back.nats);
        Ok(Found(Some(true), format!("{nats:.0e} nats behind {length} tokens that were cached before")))
    }
}

const RAW: &str = "log-probabilities ignore the temperature\n  \
                   hint: start vLLM with --logprobs-mode processed_logprobs";
const LATE: &str = "the first answers came from other weights, and the push had to be repeated\n  \
                    hint: a router needs all of its servers in rollout.server.urls";
const UNSEEDED: &str = "equal requests are answered differently, so a run can't be repeated\n  \
                        hint: VLLM_BATCH_INVARIANT=1, or SGLang's --enable-deterministic-inference";

//! Checks keys whose values don't fit together, though each is in its range.

use std::collections::BTreeMap;

use turnwise_envs::EnvConfig;
use turnwise_mcp::McpConfig;
use turnwise_runfile::{Conflict, Consistent};

use super::load::wrong_names;
use super::optimizer::{OptimizerConfig, Precision};
use super::rollout::RolloutConfig;
use super::run::RunConfig;
use super::sft::{ScratchConfig, SftConfig, StartConfig};

/// Most trajectories of a step, over all groups.
const TRAJECTORIES: usize = 1 << 20;

impl Consistent for RunConfig {
    fn conflict(&self) -> Option<Conflict> {
        let of_env = self.env.conflict().map(|conflict| conflict.under("env"));
        let of_env = of_env.or_else(|| of_tools(&self.tools, Some(&self.env)));
        let of_rollout = || self.rollout.conflict().map(|conflict| conflict.under("rollout"));
        let of_optimizer = || self.optimizer.conflict().map(|conflict| conflict.under("optimizer"));
        let of_loss = || self.loss.conflict().map(|conflict| conflict.under("loss"));
        let of_adapter = || {
            let adapter = self.rollout.server.as_ref().is_some_and(|server| server.adapter);
            let message = "is true, and the run trains no adapter: optimizer.lora is missing";
            (adapter && self.optimizer.lora.is_none())
                .then(|| Conflict::new("rollout.server.adapter", message))
        };
        // The model that serves an agent is the one that learns, at the same version.
        let of_agent = || {
            let is_agent = matches!(self.env, EnvConfig::Agent(_));
            let served = self.rollout.server.is_some();
            let message = "is of no use beside env.agent: the model in this process answers its programs";
            let server = (is_agent && served).then(|| Conflict::new("rollout.server", message));
            let lag = self.rollout.lag;
            let message = format!("is {lag} beside env.agent: no update happens while its programs run");
            server.or_else(|| (is_agent && lag > 0).then(|| Conflict::new("rollout.lag", message)))
        };
        let of_precision = || self.precision_conflict();
        let of_reward = || {
            let wrong = wrong_names(&self.reward.weights, &self.reward.normalise);
            wrong.map(|conflict| conflict.under("reward"))
        };
        let of_loss = || of_reward().or_else(of_loss);
        let of_rest = || of_loss().or_else(of_adapter).or_else(of_agent).or_else(of_precision);
        of_env.or_else(of_rollout).or_else(of_optimizer).or_else(of_rest)
    }
}

impl RunConfig {
    /// Returns the environment, if it is an agent's program, as a conflict with a play of a policy alone.
    pub fn play_of_others(&self) -> Option<Conflict> {
        let message = "is a program that plays by itself; hint: `turnwise train` and `turnwise eval` play \
                       agents, and nothing else does";
        matches!(self.env, EnvConfig::Agent(_)).then(|| Conflict::new("env.agent", message))
    }

    /// Returns the servers as a conflict, if there are none to check.
    pub fn no_servers(&self) -> Option<Conflict> {
        let message = "is missing, and there is nothing else to check; hint: `turnwise doctor --config` checks \
                       a run that samples in this process";
        self.rollout.server.is_none().then(|| Conflict::new("rollout.server", message))
    }

    /// Returns what doesn't go together with a sampler that rounds weights.
    fn precision_conflict(&self) -> Option<Conflict> {
        if !self.rollout.rounds() {
            return None;
        }
        let precision = self.rollout.precision.name();
        let wrong = |message: String| Some(Conflict::new("rollout.precision", message));
        if self.rollout.server.is_some() {
            return wrong(format!(
                "is \"{precision}\" beside rollout.server: the servers' own settings choose the type of their \
                 weights"
            ));
        }
        if self.optimizer.precision != Precision::F32 {
            let trained = self.optimizer.precision.name();
            return wrong(format!(
                "is \"{precision}\" beside optimizer.precision = \"{trained}\": only f32 is rounded to it"
            ));
        }
        // The ratio is to the policy before the update, so nothing else tells how old the rollouts are.
        let lag = self.rollout.lag;
        if lag > 0 && !self.loss.loss().terms().correction.is_on() {
            let loss = self.loss.name();
            return wrong(format!(
                "is \"{precision}\" beside rollout.lag = {lag}: set loss.{loss}.tis_cap, for example to 2"
            ));
        }
        None
    }
}

impl Consistent for SftConfig {
    fn conflict(&self) -> Option<Conflict> {
        let of_model = match &self.model {
            StartConfig::Scratch(shape) => shape.conflict().map(|conflict| conflict.under("model.scratch")),
            StartConfig::Folder(_) => None,
        };
        let of_env = || match (&self.env, &self.data) {
            (Some(env), data) => {
                let unfit = || unfit_for_tuning(env, data.is_some());
                env.conflict().or_else(unfit).map(|conflict| conflict.under("env"))
            }
            (None, Some(_)) => None,
            (None, None) => {
                Some(Conflict::new("env", "is missing, and so is `data`: there is nothing to learn from"))
            }
        };
        let of_data = || {
            let columns = &self.data.as_ref()?.columns;
            let unknown = turnwise_datasets::conflict(columns, &turnwise_demonstrations::COLUMNS);
            unknown.map(|conflict| conflict.under("data"))
        };
        let of_tools = || of_data().or_else(|| of_tools(&self.tools, self.env.as_ref()));
        let of_rollout = || self.rollout.conflict().map(|conflict| conflict.under("rollout"));
        let of_optimizer = || self.optimizer.conflict().map(|conflict| conflict.under("optimizer"));
        let of_server = || {
            let message = "is of no use here: fine-tuning is evaluated by the model in this process";
            self.rollout.server.is_some().then(|| Conflict::new("rollout.server", message))
        };
        let of_precision = || {
            let message = format!(
                "is \"{}\", and fine-tuning is evaluated in f32: leave it out",
                self.rollout.precision.name()
            );
            self.rollout.rounds().then(|| Conflict::new("rollout.precision", message))
        };
        let of_rest = || of_rollout().or_else(of_server).or_else(of_precision).or_else(of_optimizer);
        of_model.or_else(of_env).or_else(of_tools).or_else(of_rest)
    }
}

/// Returns the environment that fine-tuning can't learn from or be evaluated on.
fn unfit_for_tuning(env: &EnvConfig, has_data: bool) -> Option<Conflict> {
    if has_data {
        let message = "is a program that plays by itself, and fine-tuning is evaluated without one; hint: \
                       leave it out, and evaluate the new folder by `turnwise eval`";
        return matches!(env, EnvConfig::Agent(_)).then(|| Conflict::new(env.name(), message));
    }
    let message = "writes no demonstrations; hint: env.arithmetic, env.lookup and env.programs do; or name \
                   conversations by data.file";
    (!env.demonstrates()).then(|| Conflict::new(env.name(), message))
}

fn of_tools(tools: &BTreeMap<String, McpConfig>, env: Option<&EnvConfig>) -> Option<Conflict> {
    let of_agent = || {
        let (name, _) = tools.first_key_value().filter(|_| matches!(env, Some(EnvConfig::Agent(_))))?;
        Some(Conflict::new(name, AGENT_HAS_TOOLS))
    };
    turnwise_mcp::conflict(tools).or_else(of_agent).map(|conflict| conflict.under("tools"))
}

/// Says why a run of agents offers no tools of servers.
pub(crate) const AGENT_HAS_TOOLS: &str = "stands beside env.agent, whose programs offer their tools in their \
                                          requests; hint: leave it out, and let the program of env.agent use \
                                          that server";

impl RolloutConfig {
    fn conflict(&self) -> Option<Conflict> {
        let (groups, samples) = (self.groups, self.samples);
        let message =
            format!("is {samples} beside groups = {groups}: a step has at most {TRAJECTORIES} trajectories");
        let too_many =
            (groups.saturating_mul(samples) > TRAJECTORIES).then(|| Conflict::new("samples", message));
        too_many.or_else(|| self.server.as_ref()?.conflict(&self.sampling))
    }
}

impl OptimizerConfig {
    fn conflict(&self) -> Option<Conflict> {
        let shards = self.shards.filter(|shards| !shards.is_power_of_two())?;
        Some(Conflict::new("shards", format!("is {shards}, expected a power of two")))
    }
}

impl ScratchConfig {
    pub(crate) fn conflict(&self) -> Option<Conflict> {
        let Self { hidden_size: hidden, heads, kv_heads, .. } = *self;
        let multiple = |of: &str, number| format!("expected a multiple of {of} = {number}");
        if !heads.is_multiple_of(kv_heads) {
            let message = format!("is {heads}, {}", multiple("kv_heads", kv_heads));
            return Some(Conflict::new("heads", message));
        }
        // The rotary embedding needs pairs.
        let doubled = heads.saturating_mul(2);
        let message = format!("is {hidden}, {}", multiple("2 · heads", doubled));
        (!hidden.is_multiple_of(doubled)).then(|| Conflict::new("hidden_size", message))
    }
}

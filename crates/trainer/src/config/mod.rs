//! The run file: one TOML describes one run. Unknown keys are refused, with their line.

mod consistent;
mod eval;
mod guards;
mod load;
mod optimizer;
mod preset;
mod rollout;
mod run;
mod sampling;
mod server;
mod sft;
mod sinks;
mod train;

pub(crate) use consistent::AGENT_HAS_TOOLS;
pub use eval::EvalConfig;
pub use guards::{Action, GuardsConfig, LimitsConfig};
pub use load::{ScoreConfig, ScoreRewardConfig, load, load_score};
pub use optimizer::{OptimizerConfig, Precision};
pub use rollout::RolloutConfig;
pub use run::RunConfig;
pub use sampling::SamplingConfig;
pub use server::ServerConfig;
pub use sft::{ScratchConfig, SftConfig, StartConfig};
pub use sinks::SinksConfig;
pub use train::TrainConfig;
pub use turnwise_runfile::{ConfigError, Consistent, to_toml};

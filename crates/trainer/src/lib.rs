//! The training step and everything around it: run config, run directory, metrics, supervised fine-tuning, evaluation.

pub mod backend;

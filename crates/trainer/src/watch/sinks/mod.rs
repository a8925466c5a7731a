//! Writes metrics for other programs, chosen in `[sinks]`, besides `metrics.jsonl`. A resumed run rewrites
//! each sink from its metrics, so it never holds a step twice or one that was cut off.

mod openmetrics;
mod series;
mod tensorboard;

use turnwise_run::{RunDir, RunDirError, StepMetrics};

use self::tensorboard::EventFile;
use crate::config::SinksConfig;

/// Holds the sinks of a run.
pub(crate) struct Sinks {
    tensorboard: Option<EventFile>,
    openmetrics: bool,
}

impl Sinks {
    /// Opens the sinks and writes the steps so far.
    pub(crate) fn open(
        config: &SinksConfig,
        run: &RunDir,
        records: &[StepMetrics],
    ) -> Result<Self, RunDirError> {
        let tensorboard = if config.tensorboard {
            let mut file = EventFile::create(&run.path().join("tensorboard"))?;
            for record in records {
                file.add(record)?;
            }
            Some(file)
        } else {
            None
        };
        Ok(Self { tensorboard, openmetrics: config.openmetrics })
    }

    /// Writes a step to all sinks.
    pub(crate) fn add(&mut self, run: &RunDir, record: &StepMetrics) -> Result<(), RunDirError> {
        if let Some(file) = &mut self.tensorboard {
            file.add(record)?;
        }
        if self.openmetrics {
            let name = run.path().file_name().unwrap_or_default().to_string_lossy();
            run.write_file("metrics.prom", openmetrics::text(&name, record).as_bytes())?;
        }
        Ok(())
    }
}

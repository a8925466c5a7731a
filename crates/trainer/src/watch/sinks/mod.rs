//! Metrics for other programs' eyes, beside `metrics.jsonl`: chosen in `[sinks]`. A sink can be made anew from the metrics
//! at any time, and is, whenever a run goes on: it never holds a step twice, or one that was cut.

mod openmetrics;
mod series;
mod tensorboard;

use turnwise_run::{RunDir, RunDirError, StepMetrics};

use self::tensorboard::EventFile;
use crate::config::SinksConfig;

/// The sinks of a run.
pub(crate) struct Sinks {
    tensorboard: Option<EventFile>,
    openmetrics: bool,
}

impl Sinks {
    /// Opens the sinks and gives them the steps that are there already.
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

    /// Takes in a step.
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

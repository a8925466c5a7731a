//! Progress on stderr: bars on a terminal that can draw them, plain lines elsewhere.

use std::path::Path;

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use turnwise_trainer::progress::Progress;

use crate::terminal;
use crate::tui::Tui;

/// Returns the form of progress that this stderr can show.
pub(crate) fn on_stderr() -> Box<dyn Progress> {
    if terminal::draws() { Box::new(Bars::default()) } else { Box::new(Lines) }
}

/// Returns the progress of a run: the live view if `tui` asks for it.
pub(crate) fn of_run(run: &Path, tui: bool) -> Result<Box<dyn Progress>> {
    if tui { Ok(Box::new(Tui::open(run)?)) } else { Ok(on_stderr()) }
}

/// Writes one line per finished step.
struct Lines;

impl Progress for Lines {
    fn phase(&mut self, _name: &str, _total: u64) {}

    fn advance(&mut self, _done: u64) {}

    fn line(&mut self, text: &str) {
        terminal::log(text);
    }
}

/// Draws one bar per phase: steps of the run on top, phases of the step below.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    phases: Vec<(String, ProgressBar)>,
    current: usize,
}

impl Progress for Bars {
    fn phase(&mut self, name: &str, total: u64) {
        if let Some(known) = self.phases.iter().position(|(known, _)| known == name) {
            self.current = known;
            self.phases[known].1.set_length(total);
            return;
        }
        let style = ProgressStyle::with_template("{prefix:>12} [{bar:32}] {pos}/{len} {elapsed} left {eta}")
            .expect("the template is fixed")
            .progress_chars("=> ");
        let bar = self.all.add(ProgressBar::new(total)).with_style(style).with_prefix(name.to_string());
        self.current = self.phases.len();
        self.phases.push((name.to_string(), bar));
    }

    fn advance(&mut self, done: u64) {
        let Some((_, bar)) = self.phases.get(self.current) else { return };
        if done < bar.position() {
            // The phase starts over, and its clock too.
            bar.reset();
        }
        bar.set_position(done);
    }

    fn line(&mut self, text: &str) {
        // Fails only if stderr is gone.
        let _ = self.all.println(terminal::visible(text));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for (_, bar) in &self.phases {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;

    #[test]
    fn bars_keep_their_places_and_start_over() {
        let mut bars = Bars::default();
        bars.all.set_draw_target(ProgressDrawTarget::hidden());
        let seen = |bars: &Bars| -> Vec<(String, u64, Option<u64>)> {
            bars.phases.iter().map(|(name, bar)| (name.clone(), bar.position(), bar.length())).collect()
        };
        bars.phase("steps", 60);
        bars.advance(1);
        bars.phase("rollouts", 128);
        bars.advance(128);
        bars.phase("steps", 60);
        bars.advance(2);
        bars.phase("rollouts", 64);
        bars.advance(3);
        let expect = [("steps".to_string(), 2, Some(60)), ("rollouts".to_string(), 3, Some(64))];
        assert_eq!(seen(&bars), expect);
    }
}

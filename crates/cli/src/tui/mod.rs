//! A live view of a run on the terminal: curves, turns, a rollout, messages of guards.

mod curves;
mod draw;
pub(crate) mod screen;
mod state;
mod terminal;
mod turns;

use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use ratatui::Terminal;
use turnwise_run::StepMetrics;
use turnwise_trainer::progress::Progress;

use crate::failure::Usage;
use crate::stop;
use state::State;
use terminal::Ansi;

/// Shares the state of a run with the drawing thread.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    over: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the live view. Dropping it restores the terminal.
pub(crate) struct Tui {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Tui {
    /// Switches the terminal to the view of a run.
    pub(crate) fn open(run: &Path) -> Result<Self> {
        if !screen::is_there() {
            bail!(Usage(
                "--tui needs a terminal on stdin and stdout, and not TERM=dumb\n  hint: leave it out for plain lines"
                    .into()
            ));
        }
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            screen::give_back();
            before(panic);
        }));
        screen::take().context("--tui: cannot set the terminal up")?;
        let shared = Arc::new(Shared::default());
        shared.state().run = run.display().to_string();
        let seen = shared.clone();
        let thread = std::thread::Builder::new().name("tui".into()).spawn(move || show(&seen))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

/// Draws and reads keys until the run is over.
fn show(shared: &Shared) {
    let mut terminal = Terminal::new(Ansi::default()).expect("memory takes everything");
    while !shared.over.load(Ordering::Relaxed) {
        {
            let mut state = shared.state();
            state.stopping = stop::asked();
            terminal.draw(|frame| draw::draw(frame, &state)).expect("memory takes everything");
        }
        if !screen::show(&terminal.backend_mut().take()) {
            return;
        }
        // Reading waits a tenth of a second for a key, which sets the rate of drawing.
        let mut keys = [0; 16];
        let read = io::stdin().lock().read(&mut keys).unwrap_or(0);
        if keys[..read].contains(&b'q') {
            stop::ask();
        }
    }
}

impl Progress for Tui {
    fn phase(&mut self, name: &str, total: u64) {
        self.shared.state().phase(name, total);
    }

    fn advance(&mut self, done: u64) {
        self.shared.state().advance(done);
    }

    fn line(&mut self, text: &str) {
        self.shared.state().say(text);
    }

    fn metrics(&mut self, line: &StepMetrics) {
        self.shared.state().metrics.push(line.clone());
    }

    fn rollout(&mut self, text: &str) {
        self.shared.state().rollout = text.into();
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the view was reported before.
            let _ = thread.join();
        }
        screen::give_back();
        // The messages would disappear with the view.
        for line in &self.shared.state().messages {
            crate::terminal::log(line);
        }
    }
}

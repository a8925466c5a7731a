//! A run on the terminal while it goes on: curves, turns, a rollout, what guards said.

mod curves;
mod draw;
mod screen;
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
use turnwise_trainer::json_lines::Record;
use turnwise_trainer::progress::Progress;

use crate::failure::Usage;
use crate::stop;
use state::State;
use terminal::Ansi;

pub(crate) use screen::give_back;

/// What the run tells and the drawing thread shows.
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

/// The live view. It ends, and the terminal is what it was, when this is dropped.
pub(crate) struct Tui {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Tui {
    /// Takes the terminal for a run.
    pub(crate) fn open(run: &Path) -> Result<Self> {
        if !screen::is_there() {
            bail!(Usage(
                "--tui needs a terminal on stdin and stdout, and not TERM=dumb\n  hint: leave it out for plain lines"
                    .into()
            ));
        }
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
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

/// Draws and listens to keys until the run is over.
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
        // Waits a tenth of a second for a key; so often is everything drawn anew.
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

    fn metrics(&mut self, line: &Record) {
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
            // A panic of the view has been told by then.
            let _ = thread.join();
        }
        give_back();
        // What was said would be gone with the picture.
        for line in &self.shared.state().messages {
            crate::terminal::log(line);
        }
    }
}

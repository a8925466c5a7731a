//! The thread that holds the trajectories of a play and advances each of them.
//!
//! ```text
//! Opened ─▶ turn offered ─▶ Sampled ─▶ Answered (tools) ─▶ Stepped (session) ─▶ turn offered … or Closed
//! ```

use std::collections::BTreeSet;
use std::sync::mpsc::Receiver;

use turnwise_envs::{Again, Opened};
use turnwise_tools::Fault;
use turnwise_trajectory::{Completion, TokenId, Trajectory};

use crate::event::Event;
use crate::game::Game;
use crate::in_flight::InFlight;
use crate::tool_threads::{Job, ToolThreads};
use crate::turns::Turns;

/// Holds the tokens of a prompt, or why the chat template refused it.
type Prompt = Result<Vec<TokenId>, String>;

/// Sends turns to the policy, calls to tools and turns to sessions, and receives their results.
pub(crate) struct Leader<'s, 'env, 'p> {
    pub(crate) game: &'p Game<'p>,
    pub(crate) all: Vec<InFlight<'p>>,
    /// Prompts of the tasks, by group. A session may bring a different one.
    pub(crate) prompts: Vec<Option<Prompt>>,
    pub(crate) turns: &'s Turns<'p>,
    pub(crate) tools: ToolThreads<'s, 'env, 'p>,
    pub(crate) progress: &'s mut (dyn FnMut(usize, usize) + Send),
    pub(crate) tell: &'s mut (dyn FnMut(usize, &Trajectory) + Send),
    /// Trajectories whose session was opened, in their order.
    pub(crate) begun: usize,
    pub(crate) ended: usize,
    /// Trajectories that play once all others have ended, each in a process without others, by sample and
    /// index.
    pub(crate) alone: BTreeSet<(u32, usize)>,
    /// Those of them that play now.
    pub(crate) playing_alone: usize,
    pub(crate) env_faults: u64,
}

impl<'s, 'p: 's> Leader<'s, '_, 'p> {
    /// Plays until all trajectories have ended, or the policy has left. Returns the trajectories and the
    /// number of faults of sessions.
    pub(crate) fn lead(mut self, events: &Receiver<Event<'p>>) -> (Vec<InFlight<'p>>, u64) {
        self.report();
        while self.ended < self.all.len() {
            self.open_some();
            if self.ended == self.all.len() {
                break;
            }
            match events.recv().expect("the policy says when it leaves") {
                Event::PolicyLeft => break,
                Event::ToolsBroke => panic!("a tool thread panicked"),
                event => self.hear(event),
            }
        }
        (self.all, self.env_faults)
    }

    fn hear(&mut self, event: Event<'p>) {
        match event {
            Event::Opened(at, opened) => self.opened(at, opened),
            Event::Sampled(at, completion) => self.sampled(at, completion),
            Event::Lost(at, reason) => self.lose(at, reason),
            Event::Full(at) => {
                self.all[at].fill();
                self.go_on(at);
            }
            Event::Answered(at, outputs) => {
                if self.all[at].receive_outputs(outputs) {
                    match self.all[at].take_fault() {
                        Some(fault) => self.fault(at, &fault),
                        None => self.step(at),
                    }
                }
            }
            Event::Stepped(at, session, Ok(step)) => {
                self.all[at].receive_step(session, step, self.game);
                self.go_on(at);
            }
            Event::Closed(at, Ok(closing)) => match self.all[at].receive_closing(&closing) {
                Some(why) => self.fault(at, &Fault::new(self.game.env.name(), why)),
                None => self.finished(at),
            },
            Event::Stepped(at, _, Err(fault)) | Event::Closed(at, Err(fault)) => self.fault(at, &fault),
            Event::PolicyLeft | Event::ToolsBroke => unreachable!("these end the play"),
        }
    }

    /// Runs a session's job: in a thread if it may wait, else at once.
    fn run(&mut self, job: Job<'p>) {
        if self.game.env.waiting_at_once() > 0 {
            self.tools.run(job);
        } else {
            self.hear(job());
        }
    }

    /// Opens as many sessions as there may be at a time. Those that play alone come last.
    fn open_some(&mut self) {
        let at_once = self.game.env.sessions_at_once();
        while self.begun < self.all.len() && self.in_play() < at_once {
            self.begun += 1;
            self.open(self.begun - 1);
        }
        while self.begun == self.all.len()
            && self.in_play() == self.playing_alone
            && self.playing_alone < self.game.env.alone_at_once()
            && let Some((_, at)) = self.alone.pop_first()
        {
            self.playing_alone += 1;
            self.open(at);
        }
    }

    /// Returns how many trajectories have a session.
    fn in_play(&self) -> usize {
        self.begun - self.ended - self.alone.len()
    }

    fn open(&mut self, at: usize) {
        let (game, start) = (self.game, self.all[at].start(self.game));
        self.run(Box::new(move || Event::Opened(at, game.env.session(start))));
    }

    fn opened(&mut self, at: usize, opened: Result<Opened<'p>, Fault>) {
        let opened = match opened {
            Ok(opened) => opened,
            Err(fault) => return self.fault(at, &fault),
        };
        let (game, in_flight) = (self.game, &mut self.all[at]);
        if let Some(messages) = &opened.messages {
            let prompt = game.prompt(messages.clone());
            in_flight.open(opened, &prompt, game);
        } else {
            let (prompt, task) = (&mut self.prompts[in_flight.place.group], in_flight.task);
            let prompt = prompt.get_or_insert_with(|| game.prompt(task.messages.clone()));
            in_flight.open(opened, prompt, game);
        }
        self.go_on(at);
    }

    /// Sends the next turn of a trajectory to the policy, or ends the trajectory.
    fn go_on(&mut self, at: usize) {
        if !self.all[at].done {
            return self.turns.offer(self.all[at].context(at, self.game));
        }
        match self.all[at].take_session() {
            Some(mut session) => {
                let env = self.game.env;
                self.run(Box::new(move || {
                    let closing = session.close().and_then(|closing| closing.checked(env.name()));
                    Event::Closed(at, closing)
                }));
            }
            None => self.finished(at),
        }
    }

    fn sampled(&mut self, at: usize, completion: Completion) {
        let routed = self.all[at].take(completion, self.game);
        if routed.is_empty() {
            return self.step(at);
        }
        for calls in routed {
            self.tools.run(Box::new(move || Event::Answered(at, calls.answer())));
        }
    }

    /// Sends the turn to the session.
    fn step(&mut self, at: usize) {
        let env = self.game.env;
        let (mut session, turn, own) = self.all[at].lend_session();
        self.run(Box::new(move || {
            let step = session.step(&turn, &own).and_then(|step| step.checked(env.name(), own.len()));
            Event::Stepped(at, session, step)
        }));
    }

    /// Restarts a trajectory after a fault of its session, or loses it.
    fn fault(&mut self, at: usize, fault: &Fault) {
        self.env_faults += 1;
        let was_alone = self.all[at].is_alone();
        let again = self.all[at].restart(fault.cause);
        if again == Again::Never {
            return self.lose(at, fault.to_string());
        }
        // The cache holds the turns of the failed session.
        self.turns.end(at);
        if again == Again::Alone && !was_alone {
            self.alone.insert((self.all[at].trajectory.sample, at));
        } else {
            self.open(at);
        }
    }

    fn lose(&mut self, at: usize, reason: String) {
        self.all[at].lose(reason);
        self.finished(at);
    }

    fn finished(&mut self, at: usize) {
        let in_flight = &self.all[at];
        if let Some(trajectory) = in_flight.whole() {
            (self.tell)(in_flight.place.group, trajectory);
        }
        self.playing_alone -= usize::from(in_flight.is_alone());
        self.ended += 1;
        self.turns.end(at);
        self.report();
    }

    fn report(&mut self) {
        (self.progress)(self.ended, self.all.len());
    }
}

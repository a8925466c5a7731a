//! `turnwise chat`: a conversation on the terminal, or over a pipe, with a model that can run Python and the
//! tools of a run file's servers.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use turnwise_model::load;
use turnwise_rollout::chat::{self, Calls, ChatFormat, ChatName, Moment};
use turnwise_rollout::{offer, outputs};
use turnwise_runfile::{OrAuto, Seed, Within};
use turnwise_sampler::{GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::format::FormatName;
use turnwise_tools::{CallContext, CallFormat, Executor, PythonTool, Sandbox, Tool, ToolSpec};
use turnwise_trainer::config::{RunConfig, load as load_run};
use turnwise_trainer::{backend, generator};
use turnwise_trajectory::{CallRecord, Finish, Message, Role, ToolCall, ToolOutput};

use crate::failure::Usage;
use crate::run_file::Changes;
use crate::{model_folder, output, terminal};

#[derive(Args)]
pub(crate) struct Chat {
    /// A Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The system message
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The chat format: auto is the folder's template; template, chatml and qwen3 name one
    #[arg(long = "chat", value_name = "NAME", default_value = "auto")]
    spelling: String,
    /// The format of tool calls: auto is the one that the folder's template or tokenizer shows
    #[arg(long, value_name = "NAME", default_value = "auto")]
    format: String,
    /// A run file whose `[tools.NAME]` are offered besides Python
    #[arg(long, value_name = "FILE", conflicts_with = "no_tools")]
    config: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Offer no tool, and run nothing
    #[arg(long)]
    no_tools: bool,
    /// Do not describe the tools in the prompt: for a model that was trained without a description
    #[arg(long)]
    no_description: bool,
    /// Most tokens per turn
    #[arg(long, value_name = "N", default_value_t = 512, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 16_777_216>::parse::<usize>)]
    max_tokens: usize,
    /// Most turns with calls for each of your messages
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 65_536>::parse::<usize>)]
    max_turns: usize,
    /// Divides the logits; 0 takes the likeliest token
    #[arg(long, value_name = "T", default_value_t = 0.7, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<0, 100>::parse::<f64>)]
    temperature: f64,
    /// Seed of the sampling
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    #[arg(value_parser = Seed::parse::<u64>)]
    seed: u64,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

/// Most tokens of a tool output in the context.
const OUTPUT_TOKENS: usize = 512;

/// Holds a conversation in progress.
struct Talk {
    generator: Generator,
    chat: Box<dyn ChatFormat>,
    format: Box<dyn CallFormat>,
    tools: Vec<ToolSpec>,
    executor: Option<Box<dyn Executor>>,
    /// Tools of servers, whose session is this conversation.
    served: Vec<Box<dyn Tool>>,
    /// All tokens so far; none before the first message.
    tokens: Vec<u32>,
    /// Whether the last turn ended with its end token.
    closed: bool,
    context: usize,
    /// Turns so far: each has separate random numbers.
    turns: u32,
}

impl Chat {
    pub(crate) fn run(self) -> Result<()> {
        let format = self.format.parse::<OrAuto<FormatName>>().map_err(|error| Usage(error.to_string()))?;
        let name = self.spelling.parse::<ChatName>().map_err(|error| Usage(error.to_string()))?;
        let mut talk = self.begin(name, format)?;
        let terminal = std::io::stdin().is_terminal();
        let mut lines = std::io::stdin().lock().lines();
        loop {
            if terminal {
                // A closed stderr needs no prompt.
                let _ = write!(std::io::stderr(), "> ");
            }
            let Some(line) = lines.next() else { return Ok(()) };
            let line = line.context("stdin")?;
            if line.trim().is_empty() {
                continue;
            }
            talk.say(&self, &line)?;
        }
    }

    fn begin(&self, name: ChatName, format: OrAuto<FormatName>) -> Result<Talk> {
        let device = backend::device(self.device.as_deref())?;
        let served = self.served()?;
        let mut tools = if self.no_tools { Vec::new() } else { vec![ToolSpec::python()] };
        tools.extend(served.iter().map(|tool| tool.spec().clone()));
        let tokenizer = model_folder::tokenizer(&self.model)?;
        let format = match format {
            OrAuto::Named(format) => format,
            OrAuto::Auto => chat::call_format(Some(&self.model), &tokenizer)?,
        };
        let format = format.build();
        let calls = Calls { format: &*format, tools: &tools, describe: !self.no_description };
        let chat = chat::open(name, Some(&self.model), tokenizer, calls, Moment::now())?;
        let executor = if self.no_tools { None } else { Some(ExecutorConfig::default().build()?) };
        let model = load(&self.model, &device)?;
        let context = model.config().context();
        let sampling = Sampling { temperature: self.temperature, ..Sampling::default() };
        let generator = generator(&model, sampling);
        Ok(Talk {
            generator,
            chat,
            format,
            tools,
            executor,
            served,
            tokens: Vec::new(),
            closed: true,
            context,
            turns: 0,
        })
    }
}

impl Chat {
    /// Starts the servers of the run file.
    fn served(&self) -> Result<Vec<Box<dyn Tool>>> {
        let Some(path) = &self.config else { return Ok(Vec::new()) };
        let config: RunConfig = load_run(Some(path), &self.changes.overlay, &self.changes.set)?;
        if config.tools.is_empty() {
            terminal::log(&format!("{}: no [tools.NAME], so Python is the only tool", path.display()));
        }
        let servers = turnwise_mcp::open(&config.tools)?;
        for server in &servers {
            server.refuse(std::slice::from_ref(&ToolSpec::python()), "`turnwise chat`")?;
        }
        Ok(servers.iter().flat_map(turnwise_mcp::Server::tools).collect())
    }
}

impl Talk {
    /// Answers a message of the user by turns, until one has no calls.
    fn say(&mut self, options: &Chat, line: &str) -> Result<()> {
        let message = Message::new(Role::User, line);
        if self.tokens.is_empty() {
            let system = options.system.iter().map(|text| Message::new(Role::System, text));
            let mut opening: Vec<Message> = system.chain([message]).collect();
            if !options.no_description && !self.chat.shows_tools() {
                opening = offer(opening, &*self.format, &self.tools);
            }
            self.tokens = self.chat.open(&opening)?;
        } else {
            let next = self.chat.follow(&[message], self.closed)?;
            self.tokens.extend(next);
        }
        for _ in 0..options.max_turns {
            let text = self.turn(options)?;
            let calls = self.execute(&text)?;
            if calls.is_empty() {
                break;
            }
            let messages = outputs(&*self.chat, &*self.format, &calls, OUTPUT_TOKENS);
            for message in &messages {
                let lines: Vec<String> =
                    message.content.lines().map(|line| format!("  | {line}\n")).collect();
                let shown = lines.concat();
                terminal::foreign(&shown)?;
            }
            let next = self.chat.follow(&messages, self.closed)?;
            self.tokens.extend(next);
            self.closed = false;
        }
        Ok(())
    }

    /// Samples a turn and prints its text while it grows.
    fn turn(&mut self, options: &Chat) -> Result<String> {
        let Some(room) = self.context.checked_sub(self.tokens.len()).filter(|&room| room > 0) else {
            bail!("the conversation fills the model's context of {} tokens", self.context);
        };
        let id =
            SequenceId { seed: options.seed, step: 0, task: 0, occurrence: 0, sample: 0, turn: self.turns };
        self.turns += 1;
        let request = GenerationRequest {
            key: 0,
            tokens: &self.tokens,
            max_new: options.max_tokens.min(room),
            rng: id.rng(),
        };
        let rule = StopRule { tokens: self.chat.stop_tokens(), strings: &[], decode: None };
        let mut stream = Stream::default();
        let chat = &*self.chat;
        let mut shown = Ok(());
        let turn = self
            .generator
            .complete_watched(&[request], &rule, &mut |_, token| {
                if shown.is_ok() {
                    shown = stream.show(chat, token);
                }
                false
            })?
            .remove(0);
        shown?;
        output::text(b"\n")?;
        self.closed = turn.finish == Finish::EndOfTurn;
        self.tokens.extend_from_slice(&turn.tokens);
        Ok(self.chat.text(&turn.tokens))
    }

    /// Runs the calls of a turn.
    fn execute(&self, text: &str) -> Result<Vec<CallRecord>> {
        let Some(executor) = &self.executor else { return Ok(Vec::new()) };
        self.format
            .parse_checked_from(self.chat.opening(), text, &self.tools)
            .into_iter()
            .map(|call| match call {
                Ok(call) => {
                    let output = self.answer(&**executor, &call)?;
                    Ok(CallRecord::Executed { call, output })
                }
                Err(malformed) => Ok(CallRecord::Malformed(malformed)),
            })
            .collect()
    }

    fn answer(&self, executor: &dyn Executor, call: &ToolCall) -> Result<ToolOutput> {
        let python = PythonTool::new(Sandbox { executor, keep_state: false });
        let served = self.served.iter().find(|tool| tool.spec().name == call.name);
        let tool: &dyn Tool = served.map_or(&python, |tool| &**tool);
        Ok(tool.call(&call.arguments, CallContext::default())?)
    }
}

/// Prints text token by token.
#[derive(Default)]
struct Stream {
    tokens: Vec<u32>,
    shown: usize,
}

impl Stream {
    fn show(&mut self, chat: &dyn ChatFormat, token: u32) -> std::io::Result<()> {
        self.tokens.push(token);
        let text = chat.text(&self.tokens);
        // A letter may take several tokens; before the last of them its bytes decode to a replacement
        // character.
        if text.ends_with('\u{fffd}') {
            return Ok(());
        }
        if let Some(new) = text.get(self.shown..) {
            terminal::foreign(new)?;
            self.shown = text.len();
        }
        Ok(())
    }
}

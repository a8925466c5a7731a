//! Measures steps through one process of an environment (`env.process`): a Python class that echoes, served
//! by `python/turnwise_env.py`, with as many sessions as wait for a worker at a time.
//!
//! `taskset -c 0` gives one core to this program and to the process together.

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use turnwise_envs::{Env, Process, ProcessConfig, Session, Start, TaskSplit};
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{CallRecord, OutputStatus, ToolCall, ToolOutput, Turn};

/// Steps of each session between two measurements.
const STEPS: u64 = 200;

const ENVIRONMENT: &str = r#"
import turnwise_env
from turnwise_env import Step, Task, tool
class Echo(turnwise_env.Env):
    train = held_out = 100
    tools = [tool("echo", "Says it again.", text="string")]
    def reset(self, split, index, seed):
        return Task(f"{split}/{index}", "Say it.")
    def step(self, text, calls, malformed):
        return Step([call["arguments"]["text"] for call in calls], {"progress": 0.5})
turnwise_env.serve(Echo)
"#;

/// A turn with one call, as long as those of models/tiny.
fn turn() -> Turn {
    let arguments = serde_json::json!({"text": "print(26 - 25 + (10 + 38))"});
    let arguments = arguments.as_object().expect("an object").clone();
    let call = ToolCall { name: "echo".into(), arguments, span: 0..0 };
    let output = ToolOutput::of(OutputStatus::Rejected);
    let text = "I add the two numbers in brackets first, and the others then.".into();
    Turn { text, calls: vec![CallRecord::Executed { call, output }], ..Turn::default() }
}

fn environment(c: &mut Criterion) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python");
    let program =
        format!("import sys\nsys.path.insert(0, {:?})\n{ENVIRONMENT}", python.display().to_string());
    let command = vec!["python3".into(), "-c".into(), program];
    let config = ProcessConfig::of(command);
    let env = Process::new(&config).expect("python3 is installed");
    let task = env.task(TaskSplit::Train, 0).expect("the environment has tasks");
    let turn = turn();
    let mut group = c.benchmark_group("environment");
    for sessions in [1, env.waiting_at_once()] {
        let open = |_| env.session(Start::first(&task, &Echo)).expect("no fault").session;
        let mut sessions: Vec<Box<dyn Session + '_>> = (0..sessions).map(open).collect();
        group.throughput(Throughput::Elements(STEPS * sessions.len() as u64));
        group.bench_function(format!("steps through one process, {} sessions", sessions.len()), |bencher| {
            bencher.iter(|| {
                std::thread::scope(|scope| {
                    for session in &mut sessions {
                        let turn = &turn;
                        scope.spawn(move || {
                            for _ in 0..STEPS {
                                session.step(turn, &[0]).expect("no fault");
                            }
                        });
                    }
                });
            });
        });
    }
}

criterion_group!(benches, environment);
criterion_main!(benches);

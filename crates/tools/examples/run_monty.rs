//! Runs Python without an installed Python: the embedded interpreter, in a worker that is this program
//! itself.
//!
//! ```text
//! cargo run -p turnwise-tools --features monty --example run_monty
//! ```

use turnwise_tools::executor::{MontyConfig, MontyExecutor, serve_monty_if_asked};
use turnwise_tools::{Executor, observation};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Started as a worker, the program ends here.
    serve_monty_if_asked();
    let monty = MontyExecutor::new(MontyConfig { cpu_seconds: 0.5, ..MontyConfig::default() })?;
    println!("{:?}", monty.describe());
    for code in ["sum(range(101))", "print(1 / 0)", "while True: pass", "open('/etc/passwd').read()"] {
        let output = monty.run(code)?;
        println!("\n>>> {code}\n{}\n({:.3} ms of CPU time)", observation(&output), output.cpu_ms);
    }
    Ok(())
}

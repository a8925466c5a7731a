//! Runs Python in the sandbox: plain executions, a session, and a hostile program.
//!
//! ```text
//! cargo run -p turnwise-tools --example run_python
//! ```

use turnwise_tools::executor::{PythonConfig, PythonExecutor};
use turnwise_tools::{Executor, observation};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let python = PythonExecutor::new(PythonConfig::default().with_timeout(0.5))?;
    let info = python.describe();
    println!("Python {} behind {}", info.python_version.unwrap_or_default(), info.isolation.join(", "));
    for missing in &info.missing {
        println!("missing: {missing}");
    }

    for code in ["sum(range(101))", "print(1 / 0)", "x = 1", "while True: pass", "import os; os.fork()"] {
        let output = python.run(code)?;
        println!("\n>>> {code}\n{}\n({:.1} ms of CPU time)", observation(&output), output.cpu_ms);
    }

    let mut session = python.session()?;
    for code in ["primes = [n for n in range(2, 50) if all(n % p for p in range(2, n))]", "primes[-1]"] {
        println!("\nsession >>> {code}\n{}", observation(&session.run(code)?));
    }
    Ok(())
}

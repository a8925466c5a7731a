//! Runs a worker of the executor `monty`, for programs that can't be one themselves, such as test harnesses.

fn main() {
    turnwise_tools::executor::serve_monty_if_asked();
}

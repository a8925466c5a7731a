//! Serves as a worker of the executor `monty`, for programs that can't do so themselves, such as test
//! harnesses.

fn main() {
    turnwise_tools::executor::serve_monty_if_asked();
}

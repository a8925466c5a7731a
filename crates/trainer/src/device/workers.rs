//! Runs one worker per core. Burn's CPU backend spends most of a step on one core, so workers take whole
//! micro-batches and whole groups of sequences, each in a single-threaded pool.

use std::num::NonZeroUsize;

use burn::tensor::Device;

use super::kind::on_host;

/// Returns the number of workers for a device: the cores of a CPU backend, one for a GPU.
pub(crate) fn count(device: &Device) -> usize {
    if on_host(device) { std::thread::available_parallelism().map_or(1, NonZeroUsize::get) } else { 1 }
}

/// Runs `work` on all inputs at once and returns the results in the order of the inputs. A single input has
/// the threads of the caller.
///
/// # Panics
/// If a worker panics.
pub(crate) fn run<I: Send, O: Send>(inputs: Vec<I>, work: impl Fn(I) -> O + Sync) -> Vec<O> {
    if inputs.len() <= 1 {
        return inputs.into_iter().map(work).collect();
    }
    run_alone(inputs, work)
}

/// Runs `work` in a pool of one thread.
pub(crate) fn on_one_thread<O: Send>(work: impl FnOnce() -> O + Send) -> O {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    pool.install(work)
}

/// Runs `work` on all inputs at once, as [`run`]. Each input has one thread, even a single input.
///
/// # Panics
/// If a worker panics.
pub(crate) fn run_alone<I: Send, O: Send>(inputs: Vec<I>, work: impl Fn(I) -> O + Sync) -> Vec<O> {
    let work = &work;
    std::thread::scope(|scope| {
        let alone = |input| on_one_thread(|| work(input));
        let handles: Vec<_> = inputs.into_iter().map(|input| scope.spawn(move || alone(input))).collect();
        handles.into_iter().map(|handle| handle.join().expect("a worker panicked")).collect()
    })
}

//! Chooses the tasks that a training step plays. It knows numbers of tasks and outcomes, and nothing else.
//!
//! [`TaskDraw`] gives each step an endless row of task numbers. A step plays the first `groups` of them. Each
//! group that it replaces takes the next one of the row. The row depends on the seed, the step and the
//! [`DrawState`] only, so a run that goes on from a checkpoint draws what it would have drawn.
//!
//! | curriculum | row of a step | file |
//! |---|---|---|
//! | [`Uniform`] | goes on where the last step ended; every task once per epoch | `uniform.rs` |
//! | [`Success`] | a new draw by weight: tasks that are right half of the time come first | `success.rs` |
//!
//! ```
//! use turnwise_curriculum::{CurriculumConfig, Outcome, TaskDraw};
//!
//! let curriculum = CurriculumConfig::named("success").expect("a name");
//! let mut draw = TaskDraw::new(curriculum, 7, 100);
//! let first: Vec<usize> = draw.of_step(0, 4).take(4).collect();
//! let outcome = |&task: &usize| Outcome { task: Some(task), right: 8, played: 8 };
//! draw.learn(first.iter().map(outcome), 0);
//! assert_eq!(draw.shares().expect("a curriculum by success").easy, 0.04);
//! ```

mod attempts;
mod draw;
mod success;
mod uniform;

use turnwise_runfile::choice;

pub use attempts::{Attempts, Outcome, Shares};
pub use draw::{DrawState, TaskDraw};

choice! {
    /// Chooses the tasks that a step plays.
    pub enum CurriculumConfig {
        /// Every task once per epoch, each epoch in another order.
        "uniform" => Uniform(uniform::Uniform),
        /// Draws by recent success: tasks that are right half of the time are drawn most often.
        "success" => Success(success::Success),
    }
}

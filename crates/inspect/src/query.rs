//! Selects and sorts the rollouts of a list.

use crate::error::InspectError;
use crate::index::{Index, Row};
use crate::run::Run;
use crate::search;

/// Selects rollouts by a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Filter {
    /// All of them.
    #[default]
    All,
    /// The final answer is right.
    Right,
    /// It is wrong, or there is none.
    Wrong,
    /// Some turn broke the format.
    Violations,
    /// Some call ran and failed.
    ToolErrors,
    /// A limit ended it.
    Cut,
    /// A filter of the run removed it from the loss.
    Dropped,
    /// Its group has right and wrong ones, so it has a learning signal.
    Mixed,
}

impl Filter {
    /// Lists every filter with its name.
    pub const ALL: [(&'static str, Self); 8] = [
        ("all", Self::All),
        ("right", Self::Right),
        ("wrong", Self::Wrong),
        ("violations", Self::Violations),
        ("tool_errors", Self::ToolErrors),
        ("cut", Self::Cut),
        ("dropped", Self::Dropped),
        ("mixed", Self::Mixed),
    ];

    fn takes(self, index: &Index, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Right => row.correct,
            Self::Wrong => !row.correct,
            Self::Violations => row.violations > 0,
            Self::ToolErrors => row.tool_errors > 0,
            Self::Cut => row.cut,
            Self::Dropped => row.dropped.is_some(),
            Self::Mixed => index.siblings(row).iter().any(|sibling| sibling.correct != row.correct),
        }
    }
}

/// Orders a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sort {
    /// By step, group and sample.
    #[default]
    Played,
    /// The latest step first.
    Latest,
    /// Most tokens first.
    Longest,
    /// Largest |advantage| first.
    Advantage,
    /// Smallest reward first.
    Reward,
}

impl Sort {
    /// Lists every order with its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("played", Self::Played),
        ("latest", Self::Latest),
        ("longest", Self::Longest),
        ("advantage", Self::Advantage),
        ("reward", Self::Reward),
    ];

    fn apply(self, rows: &[Row], ids: &mut [u32]) {
        let row = |id: &u32| &rows[*id as usize];
        // The sort is stable: equal rollouts stay in the order of play.
        match self {
            Self::Played => {}
            Self::Latest => ids.sort_by_key(|id| std::cmp::Reverse(row(id).step)),
            Self::Longest => ids.sort_by_key(|id| std::cmp::Reverse(row(id).tokens)),
            Self::Advantage => {
                ids.sort_by(|a, b| row(b).advantage.abs().total_cmp(&row(a).advantage.abs()));
            }
            Self::Reward => ids.sort_by(|a, b| row(a).reward.total_cmp(&row(b).reward)),
        }
    }
}

/// Describes a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Query {
    /// The property of its rollouts.
    pub filter: Filter,
    /// Their order.
    pub sort: Sort,
    /// Only rollouts of this step.
    pub step: Option<u32>,
    /// Only rollouts of this task.
    pub task: Option<String>,
    /// A text in task, prompt, turns or tool output; letters match in either case.
    pub text: String,
}

impl Query {
    /// Returns the ids of the rollouts in the order of the list.
    pub fn run(&self, run: &Run) -> Result<Vec<u32>, InspectError> {
        let index = run.index();
        let takes = |row: &&Row| {
            self.step.is_none_or(|step| row.step == step)
                && self.task.as_deref().is_none_or(|task| &*row.task == task)
                && self.filter.takes(&index, row)
        };
        let mut ids: Vec<u32> = index.rows().iter().filter(takes).map(|row| row.id).collect();
        if !self.text.is_empty() {
            ids = search::matching(&index, run.pieces(), &ids, &self.text)?;
        }
        self.sort.apply(index.rows(), &mut ids);
        Ok(ids)
    }
}

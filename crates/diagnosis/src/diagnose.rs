//! Puts the measures together: every estimator sees the same subgroups.

use turnwise_credit::{Group, ScoredGroup, Scorer};
use turnwise_similarity::SimilarityError;

use crate::batches::Batch;
use crate::density::matters;
use crate::fidelity::{Moments, correlation};
use crate::noise::{Gradients, Sketches, alignment, signal_to_noise};
use crate::notes::notes;
use crate::over_tasks::ratio;
use crate::reference::{Prospects, Reference};
use crate::report::{Diagnosis, EstimatorReport, ReferenceReport};
use crate::states::States;
use crate::task::Task;
use crate::weight::{Weights, shares};

/// Holds the settings of a diagnosis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Number of trajectories in a subgroup.
    pub subgroup: usize,
    /// Fewest trajectories outside of the subgroup in a state with a success rate.
    pub others: usize,
    /// The equality of states.
    pub states: States,
    /// The accuracy from which a trajectory is right.
    pub correct_at: f64,
}

/// Holds an estimator with its settings.
pub struct Named {
    /// The name in the report.
    pub name: String,
    /// Rewards to advantages.
    pub scorer: Scorer,
}

/// Holds one subgroup with what the other trajectories of its task say.
struct Subgroup<'a> {
    task: usize,
    members: &'a [usize],
    /// `[member][turn]`
    references: Vec<Vec<Option<Reference>>>,
    right: usize,
}

impl<'a> Subgroup<'a> {
    fn of((task, members): &'a (usize, Vec<usize>), prospects: &[Prospects], others: usize) -> Self {
        let outcomes = prospects[*task].outcomes();
        Self {
            task: *task,
            members,
            references: prospects[*task].references(members, others),
            right: members.iter().filter(|i| outcomes[**i]).count(),
        }
    }

    fn group(&self, tasks: &[Task]) -> Group {
        tasks[self.task].subgroup(self.members)
    }
}

/// Diagnoses estimators on the subgroups of [`crate::batches`].
///
/// `draws` are the subgroups. `sketched` are those whose trajectories all have `sketches`, none without a
/// model.
///
/// # Errors
/// If a similarity that leaves the process fails.
///
/// # Panics
/// If a batch has a task or a member that `tasks` lacks.
pub fn diagnose(
    tasks: &[Task],
    draws: &[Vec<Batch>],
    estimators: &[Named],
    settings: Settings,
    sketches: &Sketches,
    sketched: &[Batch],
) -> Result<Diagnosis, SimilarityError> {
    let prospects: Vec<Prospects> =
        tasks.iter().map(|task| Prospects::of(task, settings.states, settings.correct_at)).collect();
    let batches: Vec<Vec<Subgroup>> =
        draws.iter().flatten().map(|batch| subgroups(batch, &prospects, settings.others)).collect();
    let with_model: Vec<Vec<Subgroup>> =
        sketched.iter().map(|batch| subgroups(batch, &prospects, settings.others)).collect();
    let mut success = Gradients::default();
    for group in with_model.iter().flatten() {
        success.add_success(sketches, group.task, group.members, prospects[group.task].outcomes());
    }
    let mut reports = Vec::new();
    for Named { name, scorer } in estimators {
        let mut report = on_subgroups(tasks, &batches, name, scorer)?;
        let mut gradients = Gradients::default();
        for batch in &with_model {
            for (group, scored) in batch.iter().zip(score(tasks, batch, scorer)?) {
                gradients.add(sketches, group.task, group.members, &scored);
            }
        }
        report.signal_to_noise = signal_to_noise(&gradients);
        report.alignment = alignment(&gradients, &success);
        reports.push(report);
    }
    let all: Vec<&Subgroup> = batches.iter().flatten().collect();
    let mut found = of_rollouts(tasks, &prospects, &all, settings);
    found.sketched = sketched.iter().flatten().map(|(_, members)| members.len()).sum();
    found.estimators = reports;
    found.notes =
        notes(&found, settings.subgroup, prospects.iter().map(Prospects::busiest).max().unwrap_or(0));
    Ok(found)
}

fn subgroups<'a>(batch: &'a Batch, prospects: &[Prospects], others: usize) -> Vec<Subgroup<'a>> {
    batch.iter().map(|chosen| Subgroup::of(chosen, prospects, others)).collect()
}

fn score(tasks: &[Task], batch: &[Subgroup], scorer: &Scorer) -> Result<Vec<ScoredGroup>, SimilarityError> {
    let groups: Vec<Group> = batch.iter().map(|group| group.group(tasks)).collect();
    scorer.score(&groups, 0)
}

/// Returns fidelity and weights of one estimator.
fn on_subgroups(
    tasks: &[Task],
    batches: &[Vec<Subgroup>],
    name: &str,
    scorer: &Scorer,
) -> Result<EstimatorReport, SimilarityError> {
    let (mut estimator, mut norm_scope) = (String::new(), String::new());
    let none = vec![Moments::default(); tasks.len()];
    let (mut all, mut before_last, mut by_turn) = (none.clone(), none.clone(), Vec::<Vec<Moments>>::new());
    let mut weights = vec![Weights::default(); tasks.len()];
    for batch in batches {
        for (group, scored) in batch.iter().zip(score(tasks, batch, scorer)?) {
            for (at, member) in group.members.iter().enumerate() {
                let turns = &scored.advantages[at];
                by_turn.resize(by_turn.len().max(turns.len()), none.clone());
                for (j, credit) in turns.iter().enumerate() {
                    if let Some(reference) = group.references[at][j] {
                        all[group.task].add(*credit, reference.value);
                        by_turn[j][group.task].add(*credit, reference.value);
                        if j + 1 < turns.len() {
                            before_last[group.task].add(*credit, reference.value);
                        }
                    }
                    let size = credit.abs() * tasks[group.task].weight(*member, j);
                    let trained = if scored.dropped[at].is_none() { size } else { 0.0 };
                    weights[group.task].add(j, trained, group.right, group.members.len());
                }
            }
            (estimator, norm_scope) = (scored.estimator, scored.norm_scope);
        }
    }
    Ok(EstimatorReport {
        name: name.into(),
        estimator,
        norm_scope,
        fidelity: correlation(&all),
        fidelity_before_last: correlation(&before_last),
        fidelity_by_turn: by_turn.iter().map(|tasks| correlation(tasks)).collect(),
        weight: shares(&weights),
        signal_to_noise: None,
        alignment: None,
    })
}

/// Returns what doesn't depend on an estimator.
fn of_rollouts(tasks: &[Task], prospects: &[Prospects], all: &[&Subgroup], settings: Settings) -> Diagnosis {
    let mut sums = vec![[(0.0, 0.0); 5]; tasks.len()];
    let (mut turns, mut with_reference, mut before_last) = (0, 0, 0);
    let share = |yes: bool| (f64::from(u8::from(yes)), 1.0);
    for group in all {
        let met = prospects[group.task].shared(group.members);
        let outcome = [share(group.right == group.members.len()), share(group.right == 0), met];
        for (sum, (part, whole)) in sums[group.task].iter_mut().zip(outcome) {
            *sum = (sum.0 + part, sum.1 + whole);
        }
        for references in &group.references {
            turns += references.len();
            for (j, reference) in references.iter().enumerate() {
                let Some(reference) = reference else { continue };
                with_reference += 1;
                before_last += usize::from(j + 1 < references.len());
                let density = &mut sums[group.task][3];
                *density = (density.0 + share(matters(reference)).0, density.1 + 1.0);
            }
        }
    }
    for (sum, task) in sums.iter_mut().zip(prospects) {
        let right = task.outcomes().iter().filter(|right| **right).count();
        sum[4] = (right as f64, task.outcomes().len() as f64);
    }
    let ratio_of = |at: usize| ratio(&sums.iter().map(|sums| sums[at]).collect::<Vec<_>>());
    let trajectories = tasks.iter().map(|task| task.group.trajectories.len());
    let sizes = || all.iter().map(|group| group.members.len());
    Diagnosis {
        tasks: tasks.len(),
        trajectories: trajectories.clone().sum(),
        turns: tasks.iter().flat_map(|task| &task.group.trajectories).map(|t| t.turns.len()).sum(),
        right: ratio_of(4),
        smallest_subgroup: sizes().min().unwrap_or(0),
        subgroup: sizes().max().unwrap_or(0),
        subgroups: all.len(),
        states: settings.states.name(),
        solved: ratio_of(0),
        hopeless: ratio_of(1),
        shared_states: ratio_of(2),
        reference: ReferenceReport { others: settings.others, turns, with_reference, before_last },
        decision_density: ratio_of(3),
        sketched: 0,
        estimators: Vec::new(),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests;

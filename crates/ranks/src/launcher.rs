//! What a launcher says in the environment of the processes that it starts.

/// Names the variables of a launcher: the number of processes, and the number of this one.
struct Variables {
    size: &'static str,
    rank: &'static str,
}

/// Open MPI, then MPICH and Intel MPI, then PMIx and Slurm. Slurm's are those of a step that `srun` has
/// started: in a batch script alone there is one process, whatever `SLURM_NTASKS` says.
const LAUNCHERS: [Variables; 3] = [
    Variables { size: "OMPI_COMM_WORLD_SIZE", rank: "OMPI_COMM_WORLD_RANK" },
    Variables { size: "PMI_SIZE", rank: "PMI_RANK" },
    Variables { size: "SLURM_STEP_NUM_TASKS", rank: "SLURM_PROCID" },
];

/// Variables with the number of a process among those of its machine.
const LOCAL: [&str; 4] =
    ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PALS_LOCAL_RANKID", "SLURM_LOCALID"];

/// Says what a launcher has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The number of processes.
    pub size: usize,
    /// The number of this one, from 0.
    pub rank: usize,
    /// The variable that says so.
    pub variable: &'static str,
}

/// Says why a process can't be one of several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The binary has no MPI.
    #[error(
        "{} = {}: this is one of several processes, and this binary was built without MPI\n  hint: build it where it runs, by `cargo install --path crates/cli --features mpi`; or start one process",
        .0.variable,
        .0.size
    )]
    WithoutMpi(Launched),
    /// The launcher and MPI don't know each other.
    #[error(
        "{} = {}, but MPI counts {found}: the launcher isn't that of this MPI\n  hint: `srun --mpi=pmix`, or the mpirun beside the mpicc that the binary was built with",
        launched.variable,
        launched.size
    )]
    Strangers {
        /// What the launcher says.
        launched: Launched,
        /// The number of processes that MPI sees.
        found: usize,
    },
    /// MPI doesn't begin.
    #[error("MPI doesn't begin in this process: it has begun before")]
    Begun,
}

/// Returns what the launcher says, if it has started several processes.
pub fn launched() -> Option<Launched> {
    launched_by(&|name| std::env::var(name).ok())
}

/// Returns the number of this process among those of its machine, from 0.
pub fn local_rank() -> usize {
    local_by(&|name| std::env::var(name).ok())
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

fn number(read: Lookup<'_>, name: &str) -> Option<usize> {
    read(name)?.trim().parse().ok()
}

fn launched_by(read: Lookup<'_>) -> Option<Launched> {
    let several = |names: &Variables| {
        let size = number(read, names.size).filter(|size| *size > 1)?;
        Some(Launched { size, rank: number(read, names.rank).unwrap_or(0), variable: names.size })
    };
    LAUNCHERS.iter().find_map(several)
}

fn local_by(read: Lookup<'_>) -> usize {
    LOCAL.iter().find_map(|name| number(read, name)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_told_from_batch_scripts() {
        let check = |variables: &[(&str, &str)], expect: Option<(usize, usize)>, local: usize| {
            let read = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
            };
            let found = launched_by(&read).map(|launched| (launched.size, launched.rank));
            assert_eq!((found, local_by(&read)), (expect, local), "{variables:?}");
        };
        check(&[], None, 0);
        check(&[("OMPI_COMM_WORLD_SIZE", "1"), ("OMPI_COMM_WORLD_RANK", "0")], None, 0);
        let open_mpi = [("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "3")];
        check(&[&open_mpi[..], &[("OMPI_COMM_WORLD_LOCAL_RANK", "1")]].concat(), Some((4, 3)), 1);
        check(&[("PMI_SIZE", "2"), ("PMI_RANK", "1"), ("MPI_LOCALRANKID", "1")], Some((2, 1)), 1);
        let batch = [("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0"), ("SLURM_LOCALID", "0")];
        check(&batch, None, 0);
        let step = [("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_PROCID", "5"), ("SLURM_LOCALID", "2")];
        check(&step, Some((8, 5)), 2);
        check(&[("OMPI_COMM_WORLD_SIZE", "many")], None, 0);
    }

    #[test]
    fn a_refusal_is_a_line_and_a_hint() {
        let launched = Launched { size: 4, rank: 1, variable: "OMPI_COMM_WORLD_SIZE" };
        for refused in
            [LaunchError::WithoutMpi(launched.clone()), LaunchError::Strangers { launched, found: 1 }]
        {
            let text = refused.to_string();
            assert!(text.starts_with("OMPI_COMM_WORLD_SIZE = 4") && text.matches("\n  hint: ").count() == 1);
        }
    }
}

#!/bin/bash
# One rank for each GPU of two nodes with four: `sbatch docs/ranks/slurm.sh`. Without GPUs: one rank for each
# node, and no --device.
#SBATCH --job-name=turnwise
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=12
# Five minutes before the end the run writes a checkpoint and stops. The next job goes on from there.
#SBATCH --signal=USR1@300
#SBATCH --requeue
set -euo pipefail

srun --mpi=pmix turnwise train run.toml --run /shared/runs/mine --device cuda --set optimizer.shards=8

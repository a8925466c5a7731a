#!/usr/bin/env bash
# Every size on an NVIDIA GPU, in f32 and bf16, beside PyTorch and TRL where python3 has them. Lies beside
# turnwise-bench.gz, serve.py, trl_step.py and nvvm (`just dist-cuda`) and needs the driver, glibc 2.35 and
# libstdc++, no toolkit. Results: backends.{json,md,svg} in the folder `cuda`.
# usage: bench-cuda.sh [further arguments of `turnwise-bench backends`]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
arguments=(--devices cuda --sizes "8.4M,135M,0.5B,1.5B" --dtypes f32,bf16 --out cuda)
if python3 -c "import torch, transformers, sys; sys.exit(not torch.cuda.is_available())" 2>/dev/null; then
    arguments+=(--python python3 --python-device cuda --script "$here/serve.py")
else
    echo "python3 has no torch with CUDA and transformers: ours alone" >&2
fi
if [ ! "$here/turnwise-bench" -nt "$here/turnwise-bench.gz" ]; then
    gzip -dc "$here/turnwise-bench.gz" > "$here/turnwise-bench.part"
    chmod +x "$here/turnwise-bench.part"
    mv "$here/turnwise-bench.part" "$here/turnwise-bench"
fi
# Burn finds nvvm/libdevice/libdevice.10.bc here, with or without a toolkit.
export CUDA_PATH=$here
exec "$here/turnwise-bench" backends "${arguments[@]}" "$@"

#!/usr/bin/env bash
# Checks that the kernels of `cuda` are made, and that NVIDIA's assembler takes them, without a GPU.
# The measuring program runs on a driver that computes nothing (tests/cuda/driver.c) and writes down every
# kernel it gets; ptxas, from PyPI, assembles them. Says nothing about results. Fails if a decoding step takes
# more than six launches a layer and ten beside them. Times in its table are the
# host's share, which no GPU makes shorter. With fusion they take a core for each of three threads: Burn's
# spin while they wait for each other.
# usage: check-cuda.sh PROGRAM SIZES [ARCHITECTURE...]
set -euo pipefail

program=$1 sizes=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$here/target/ptxas
if [ ! -x "$tools/nvidia/cu13/bin/ptxas" ]; then
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" download --no-deps --only-binary=:all: --quiet --dest "$tools" nvidia-cuda-nvcc==13.5.37
    python3 -m zipfile -e "$tools"/nvidia_cuda_nvcc-*.whl "$tools"
    chmod +x "$tools/nvidia/cu13/bin/ptxas"
fi
"$here/scripts/libdevice.sh" "$tools"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/ptx"
cc -O1 -w -shared -fPIC -o "$work/libcuda.so" "$here/tests/cuda/driver.c"
for arch in "${@:-90}"; do
    echo "== compute capability $arch"
    LD_LIBRARY_PATH=$work HOLLOW_PTX=$work/ptx HOLLOW_ARCH=$arch CUDA_PATH=$tools "$program" backends \
        --devices cuda --sizes "$sizes" --dtypes f32,bf16 --rounds 1 --out "$work/out"
    if grep '"refused": *"' "$work/out/backends.json"; then exit 1; fi
    LD_LIBRARY_PATH=$work HOLLOW_PTX=$work/ptx HOLLOW_ARCH=$arch CUDA_PATH=$tools "$program" launches \
        --device cuda --sizes "$sizes" --dtypes f32,bf16 --most 6 10
done
assemble() {
    "$tools/nvidia/cu13/bin/ptxas" -arch="$(sed -n 's/^\.target \([^, ]*\).*/\1/p' "$1")" "$1" -o /dev/null
}
export -f assemble
export tools
find "$work/ptx" -name '*.ptx' -print0 | xargs -0 -P"$(nproc)" -I{} bash -c 'assemble {}'
echo "ptxas takes all $(find "$work/ptx" -name '*.ptx' | wc -l) kernels"

#!/usr/bin/env bash
# libdevice.10.bc, NVIDIA's math functions, which Burn links into the kernels of `cuda`: a CUDA toolkit has
# it, a driver doesn't. It is part of the package nvidia-cuda-nvcc-cu12 on PyPI (41 MB; the CUDA EULA,
# Attachment A, lets it be passed on). Afterwards: CUDA_PATH=FOLDER turnwise … --device cuda
# usage: libdevice.sh FOLDER
set -euo pipefail

folder=$1/nvvm/libdevice
[ -e "$folder/libdevice.10.bc" ] && exit 0
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT

python3 -m venv "$aside/venv"
"$aside/venv/bin/pip" download --no-deps --only-binary=:all: --quiet --dest "$aside" nvidia-cuda-nvcc-cu12==12.9.86
python3 -m zipfile -e "$aside"/nvidia_cuda_nvcc_cu12-*.whl "$aside/wheel"
mkdir -p "$folder"
cp "$aside/wheel/nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc" "$folder/"

#!/usr/bin/env bash
# Runs a command, such as a cargo build, that links against libtorch from its PyPI wheel; what it compiles
# goes to target/tch. The wheel is installed into target/libtorch first, about 7 GB: the binding wants this
# version of torch and no other. PYTHON is a python3 that this version has a wheel for.
# usage: tch.sh COMMAND [ARGUMENT...]
set -euo pipefail

cd "$(dirname "$0")/.."
folder=$PWD/target/libtorch
version=2.9.0
has_torch() { "$folder/bin/python" -c "import torch; assert torch.__version__.startswith('$version')" 2>/dev/null; }
if ! has_torch; then
    "${PYTHON:-python3}" -m venv "$folder"
    "$folder/bin/pip" install --quiet "torch==$version" numpy
fi
libraries=$("$folder/bin/python" -c "import torch, os; print(os.path.join(os.path.dirname(torch.__file__), 'lib'))")
# torch-sys asks the first python3 on the path where libtorch is; the binary finds it again without help.
export PATH="$folder/bin:$PATH" LIBTORCH_USE_PYTORCH=1 CARGO_TARGET_DIR=target/tch
export RUSTFLAGS="${RUSTFLAGS:-} -C link-arg=-Wl,-rpath,$libraries"
exec "$@"

#!/usr/bin/env bash
# libtorch from the PyPI wheel, in a folder of its own, and the release binary with the feature `tch` linked against it.
# The binding wants this version of torch and no other. About 6 GB of disk.
# usage: setup-tch.sh FOLDER
set -euo pipefail

folder=$1
version=2.9.0
if [ ! -x "$folder/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$folder"
fi
"$folder/bin/python" -c "import torch; assert torch.__version__.startswith('$version')" 2> /dev/null ||
    "$folder/bin/pip" install --quiet "torch==$version" numpy
libraries=$("$folder/bin/python" -c "import torch, os; print(os.path.join(os.path.dirname(torch.__file__), 'lib'))")
# torch-sys asks the first python3 on the path where libtorch is; the binary finds it again without help.
PATH="$(cd "$folder" && pwd)/bin:$PATH" LIBTORCH_USE_PYTORCH=1 \
    RUSTFLAGS="${RUSTFLAGS:-} -C link-arg=-Wl,-rpath,$libraries" \
    cargo build --release --locked -p turnwise-cli --features tch --target-dir target/tch
target/tch/release/turnwise doctor

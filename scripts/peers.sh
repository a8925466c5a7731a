#!/usr/bin/env bash
# Our sampler, llama.cpp and vLLM in turns on the folder of a Llama, or on a size that turnwise-bench saves
# with random weights. Installs llama.cpp from npm into target/llama.cpp (it needs npm, git and a C compiler)
# and vLLM from PyPI into target/vllm (6 GB). THREADS is the number of threads of each.
# usage: peers.sh FOLDER|tiny|8.4M|135M [OPTION of turnwise-bench engines]...
set -euo pipefail
cd "$(dirname "$0")/.."

here=target/llama.cpp
version=3.22.1
threads=${THREADS:-$(nproc)}
bench=${TURNWISE_BENCH:-target/release/turnwise-bench}

# The library that node-llama-cpp ships, and the headers of the same release.
install_llamacpp() {
    [ -d "$here/source/include" ] && return
    rm -rf "$here"
    mkdir -p "$here/node" "$here/library"
    (cd "$here" && npm pack --silent "node-llama-cpp@$version" "@node-llama-cpp/linux-x64@$version" >/dev/null)
    tar -xzf "$here/node-llama-cpp-linux-x64-$version.tgz" -C "$here/library" --strip-components 3 package/bins/linux-x64
    tar -xzf "$here/node-llama-cpp-$version.tgz" -C "$here/node" --strip-components 2 package/llama/gitRelease.bundle
    git clone --quiet "$here/node/gitRelease.bundle" "$here/source" 2>/dev/null
    rm -r "$here"/*.tgz "$here/node"
}

build_llamacpp() {
    [ "$here/program" -nt benches/peers/llamacpp.c ] && return
    cc -std=c11 -D_GNU_SOURCE -O2 -Wall -I "$here/source/include" -I "$here/source/ggml/include" \
        benches/peers/llamacpp.c "$here"/library/libllama.v*.so "$here"/library/libggml.v*.so \
        "$here/library/libggml-base.so" -Wl,-rpath,"$PWD/$here/library" -o "$here/program"
}

# vLLM is faster with this allocator, which Debian has and PyPI doesn't. It works without.
install_tcmalloc() {
    [ -e target/vllm/lib/libtcmalloc_minimal.so.4 ] && return
    local aside
    aside=$(mktemp -d)
    if (cd "$aside" && apt-get download -qq libtcmalloc-minimal4 && dpkg -x ./*.deb .) >/dev/null 2>&1; then
        cp -L "$aside"/usr/lib/*/libtcmalloc_minimal.so.4 target/vllm/lib/
    else
        echo "vLLM runs without tcmalloc: apt-get download libtcmalloc-minimal4 fails" >&2
    fi
    rm -r "$aside"
}

[ $# -gt 0 ] || { sed -n '5s/^# //p' "$0" >&2; exit 2; }
model=$1
shift
case $model in
tiny | 8.4M | 135M)
    "$bench" save "$model" "target/engines/$model"
    model=target/engines/$model
    ;;
esac
install_llamacpp
build_llamacpp
python=${TURNWISE_VLLM:-target/vllm/bin/python}
if [ -z "${TURNWISE_VLLM:-}" ]; then
    scripts/vllm.sh install
    install_tcmalloc
fi

files=$here/models/$(basename "$model")
if ! [ "$files/Q8_0.gguf" -nt "$model/model.safetensors" ]; then
    PYTHONPATH=$here/source/gguf-py "$python" benches/peers/gguf_files.py "$model" "$files"
fi
llamacpp="$here/program $here/library $files"
vllm="$python benches/peers/vllm_engine.py $model"
RAYON_NUM_THREADS=$threads exec "$bench" engines "$model" \
    --peer "llama.cpp F32=$llamacpp/F32.gguf $threads f32" \
    --peer "llama.cpp BF16=$llamacpp/BF16.gguf $threads" \
    --peer "llama.cpp Q8_0=$llamacpp/Q8_0.gguf $threads" \
    --peer "vLLM f32=$vllm float32 $threads" \
    --peer "vLLM bf16=$vllm bfloat16 $threads" \
    "$@"

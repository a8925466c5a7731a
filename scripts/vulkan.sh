#!/usr/bin/env bash
# Makes sure that a Vulkan driver is there for the wgpu tests. Exit code 1, and one line why, if there is
# none.
set -euo pipefail

[ "$(uname -s)" = Darwin ] && exit 0 # wgpu uses Metal

has_driver() {
    ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' || [ -e /usr/lib/libvulkan.so.1 ] || return 1
    [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && return 0
    compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null || compgen -G '/etc/vulkan/icd.d/*.json' >/dev/null
}

install_driver() {
    local root=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        root=(sudo -n)
    fi
    echo "Installing a software Vulkan driver (mesa-vulkan-drivers) for the wgpu tests." >&2
    "${root[@]}" apt-get update -qq >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
        mesa-vulkan-drivers libvulkan1 >/dev/null 2>&1
}

has_driver && exit 0
install_driver && has_driver && exit 0
echo "No Vulkan driver and no right to install one: the wgpu tests are left out (on Debian: apt-get install mesa-vulkan-drivers libvulkan1)." >&2
exit 1

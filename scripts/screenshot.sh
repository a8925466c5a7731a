#!/usr/bin/env bash
# Makes docs/turnwise.png: the learning curve of configs/tiny.toml beside the page of `turnwise view`.
# Trains first, unless target/screenshot/tiny holds that run.
# Needs chromium and pngquant (Debian: apt-get install chromium pngquant).
# usage: screenshot.sh TURNWISE
set -euo pipefail

turnwise=$(realpath "$1")
cd "$(dirname "$0")/.."
run=target/screenshot/tiny
# A right answer after a failed call, in a group with wrong answers. The run is the same to the byte each
# time.
rollout='id=7075&filter=mixed&step=55&colour=advantage'

mkdir -p "$(dirname "$run")"
server=
aside=$(mktemp -d)
trap 'rm -rf "$aside"; [ -z "$server" ] || kill "$server"' EXIT

# shoot URL WIDTH,HEIGHT FILE
shoot() {
    chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$aside/profile" \
        --allow-file-access-from-files --virtual-time-budget=10000 --force-device-scale-factor=1.5 \
        --window-size="$2" --screenshot="$3" "$1" 2> /dev/null
}

"$turnwise" train configs/tiny.toml --run "$run"
"$turnwise" view "$run" > "$aside/address" &
server=$!
until [ -s "$aside/address" ]; do kill -0 "$server"; sleep 0.1; done
shoot "$(cat "$aside/address")#$rollout" 920,800 "$aside/view.png"

cp "$run/curve.svg" "$aside/curve.svg"
cat > "$aside/both.html" << 'END'
<!doctype html>
<body style="margin: 0; background: #fff; font: 16px sans-serif; color: #222; display: flex; gap: 16px; padding: 12px">
<div style="width: 430px; align-self: center">
<p style="margin: 0 12px 16px"><b>turnwise train configs/tiny.toml</b><br>
60 steps of 128 rollouts on two CPU cores, with held-out accuracy before and after.</p>
<img src="curve.svg" style="width: 430px">
<p style="margin: 16px 12px 0"><b>turnwise view runs/tiny</b> →<br>
One rollout and its group, with an advantage for every turn. Orange turns become less likely, blue ones more.</p>
</div>
<img src="view.png" style="width: 920px; border: 1px solid #ccc; border-radius: 6px">
</body>
END
shoot "file://$aside/both.html" 1394,826 "$aside/both.png"
pngquant --force --strip --speed 1 --output docs/turnwise.png 64 "$aside/both.png"
size=$(stat -c %s docs/turnwise.png)
[ "$size" -le $((250 << 10)) ] || { echo "docs/turnwise.png: $((size >> 10)) KiB, more than 250" >&2; exit 1; }

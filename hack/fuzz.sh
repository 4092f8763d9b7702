#!/usr/bin/env bash
# Feeds broken messages to what reads the cloud's messages. usage: fuzz.sh [SECONDS]
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
# shellcheck source=hack/lib/packages.sh
. hack/lib/packages.sh
need_swift
install_packages "${build_packages[@]}"
swift build --product fuzz >&2
exec "$(swift build --show-bin-path)/fuzz" --seconds "${1:-60}" Tests/CloudSimulatorTests/Recordings/session.jsonl

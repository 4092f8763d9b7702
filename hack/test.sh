#!/usr/bin/env bash
# Sets everything up on a fresh Debian or Ubuntu and runs all tests; with arguments, those are passed to `swift test`.
# The integration tests start engines of their own below temporary folders; they need root and are skipped without.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
# shellcheck source=hack/lib/packages.sh
. hack/lib/packages.sh
need_swift
install_packages "${build_packages[@]}" "${containerd_packages[@]}" "${docker_packages[@]}"

swift build --build-tests
swift test --skip-build "$@"

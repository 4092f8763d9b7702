#!/usr/bin/env bash
# Sets everything up on a fresh Debian or Ubuntu and runs all tests; with arguments, those are passed to `swift test`.
# The integration tests start engines of their own below temporary folders; they need root and are skipped without.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
# shellcheck source=hack/lib/packages.sh
. hack/lib/packages.sh
need_swift
install_packages "${build_packages[@]}" "${containerd_packages[@]}" "${docker_packages[@]}" "${test_packages[@]}"

swift build --build-tests
if [ $# -gt 0 ]; then exec swift test --skip-build "$@"; fi

# Each target in a process of its own: what one does to signals, descriptors or load is no other's trouble. The limit only ends what hangs.
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
failed=()
for target in \
  YAML SQLite KubernetesAPI SPDY HTTPServer Curl GRPC Core CloudSimulator WebSocket EdgeHub EdgeStream MQTT EventBus DeviceTwin ServiceBus TestModule MetaManager \
  Runtime Edged Integration; do
  echo "== ${target}Tests"
  timeout --kill-after=10 1500 swift test --skip-build --filter "^${target}Tests\\." 2>&1 | tee "$output/$target" || failed+=("$target")
done
for target in ${failed[@]+"${failed[@]}"}; do
  echo "== ${target}Tests failed:"
  # What failed, and what had begun without an end.
  grep -E '✘|error:|Fatal' "$output/$target" || tail -n 20 "$output/$target"
done >&2
[ ${#failed[@]} -eq 0 ]

#!/usr/bin/env bash
# Feeds broken input to parts of the agent: messages of a cloud to MetaManager, or MQTT messages and Device objects to DeviceTwin.
# usage: fuzz.sh [cloud|devices] [SECONDS]
set -euo pipefail
what=cloud
case ${1:-} in
cloud | devices) what=$1; shift ;;
"" | [0-9]*) ;;
*) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
esac
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
# shellcheck source=hack/lib/packages.sh
. hack/lib/packages.sh
need_swift
install_packages "${build_packages[@]}"
swift build --product fuzz >&2
recording=()
[ "$what" = cloud ] && recording=(Tests/CloudSimulatorTests/Recordings/session.jsonl)
exec "$(swift build --show-bin-path)/fuzz" "$what" --seconds "${1:-60}" "${recording[@]}"

#!/usr/bin/env bash
# Feeds broken input to parts of the agent: a cloud's messages to MetaManager (cloud), messages of devices and Device objects to DeviceTwin
# (devices), or MQTT messages and a cloud's rules to EventBus and a broker of its own (mqtt).
# usage: fuzz.sh [cloud|devices|mqtt] [SECONDS]
set -euo pipefail
what=cloud
case ${1:-} in
cloud | devices | mqtt) what=$1; shift ;;
"" | [0-9]*) ;;
*) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
esac
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
# shellcheck source=hack/lib/packages.sh
. hack/lib/packages.sh
need_swift
install_packages "${build_packages[@]}"
[ "$what" != mqtt ] || install_packages mosquitto
swift build --product fuzz >&2
recording=()
[ "$what" = cloud ] && recording=(Tests/CloudSimulatorTests/Recordings/session.jsonl)
exec "$(swift build --show-bin-path)/fuzz" "$what" --seconds "${1:-60}" "${recording[@]}"

#!/usr/bin/env bash
# A cloud on this machine for one or more nodes, without a cluster: certificates, connections, and an API server's part.
#
# usage: cloud.sh up [--host ADDRESS]          builds and starts it in the background, and says how a node joins
#        cloud.sh apply FILE|-                 creates or updates the objects of a YAML file
#        cloud.sh get KIND [NAME] [-o json]    pods, nodes, configmaps, events …
#        cloud.sh delete KIND NAME             --grace-period 0 takes a pod away at once
#        cloud.sh cut | restore                closes all connections and stops listening; listens again
#        cloud.sh token | messages | unacknowledged
#        cloud.sh down                         ends it and removes its folder
#
# Everything is below one folder, CLOUD_DIR (default /var/lib/edgecore-cloud). The cloud keeps its authority, objects and ports there,
# so that it is the same cloud when it is started again after it was killed.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
dir=${CLOUD_DIR:-/var/lib/edgecore-cloud}
fail() { echo "cloud.sh: $*" >&2; exit 1; }

[ $# -gt 0 ] || { sed -n '4,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
command=$1
shift

# The process in DIR/pid, if it is alive and still ours: its command line names the folder.
alive() {
  local pid
  [ -s "$dir/pid" ] || return 1
  pid=$(cat "$dir/pid")
  [ -r "/proc/$pid/cmdline" ] && tr "\0" "\n" <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "$dir" || return 1
  echo "$pid"
}

case $command in
  -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
  up)
    host=127.0.0.1
    while [ $# -gt 0 ]; do
      case $1 in
        --host) host=${2:?--host needs an address}; shift 2 ;;
        *) fail "unknown option $1" ;;
      esac
    done
    # shellcheck source=hack/lib/packages.sh
    . "$top/hack/lib/packages.sh"
    need_swift
    install_packages "${build_packages[@]}"
    cd "$top"
    swift build --product cloudsim >&2
    mkdir -p "$dir"
    chmod 700 "$dir"
    dir=$(cd "$dir" && pwd -P)
    # A copy, so that the cloud can be asked while the sources are built anew.
    if ! alive >/dev/null; then
      install -m 755 "$(swift build --show-bin-path)/cloudsim" "$dir/cloudsim"
      touch "$dir/made-by-cloud.sh"
      setsid "$dir/cloudsim" serve --dir "$dir" --host "$host" >"$dir/log" 2>&1 </dev/null &
      echo $! >"$dir/pid"
      end=$((SECONDS + 30))
      until [ -s "$dir/log" ]; do
        alive >/dev/null || { cat "$dir/log" >&2; fail "the cloud did not start"; }
        [ $SECONDS -lt $end ] || fail "the cloud does not answer, see $dir/log"
        sleep 0.1
      done
    fi
    read -r https websocket <"$dir/log"
    cat <<T
The cloud runs (process $(cat "$dir/pid"), folder $dir). A node joins with this in its edgecore.yaml
(the token serves for a day; hack/cloud.sh token prints a new one):

modules:
  edgeHub:
    enable: true
    httpServer: $https
    token: "$("$dir/cloudsim" token --dir "$dir")"
    websocket:
      enable: true
      server: $websocket
  metaManager:
    enable: true

Try: hack/cloud.sh get nodes; hack/cloud.sh apply conf/examples/hello.yaml; hack/cloud.sh get pods
T
    case $host in 127.*) echo "Nodes of other machines reach a cloud that was started with --host and an address of this one." ;; esac
    ;;
  down)
    [ -d "$dir" ] || exit 0
    [ -e "$dir/made-by-cloud.sh" ] || fail "$dir was not made by cloud.sh"
    dir=$(cd "$dir" && pwd -P)
    if pid=$(alive); then
      kill "$pid" 2>/dev/null || true
      end=$((SECONDS + 10))
      while alive >/dev/null; do
        [ $SECONDS -lt $end ] || { kill -KILL "$pid" 2>/dev/null || true; break; }
        sleep 0.1
      done
    fi
    rm -rf "$dir"
    ;;
  apply | get | delete | cut | restore | token | messages | unacknowledged | nodes)
    [ -x "$dir/cloudsim" ] || fail "there is no cloud in $dir; start one with: hack/cloud.sh up"
    exec "$dir/cloudsim" "$command" --dir "$(cd "$dir" && pwd -P)" "$@"
    ;;
  *) fail "unknown command $command; see cloud.sh --help" ;;
esac

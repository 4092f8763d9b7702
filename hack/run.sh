#!/usr/bin/env bash
# Sets everything up on a fresh Debian or Ubuntu and runs the agent with an example pod, in the foreground.
#
# usage: run.sh [--engine containerd|docker] [--dir DIR] [--socket PATH]
#        run.sh --down [--dir DIR]       ends the pods and the engine, and removes everything this script made
#
# The agent gets an engine of its own below DIR (default /var/lib/edgecore-try); no other engine of the machine is touched.
# Ctrl-C ends the agent; its pods run on, and the next run finds them as they are.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
engine=containerd dir=/var/lib/edgecore-try socket=/run/edgecore/edgecore.sock action=run
while [ $# -gt 0 ]; do
  case $1 in
    --engine) engine=${2:?--engine needs containerd or docker}; shift 2 ;;
    --dir) dir=${2:?--dir needs a folder}; shift 2 ;;
    --socket) socket=${2:?--socket needs a path}; shift 2 ;;
    --down) action=down; shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run.sh: unknown option $1; see run.sh --help" >&2; exit 2 ;;
  esac
done
case $engine in containerd | docker) ;; *) echo "run.sh: --engine is containerd or docker, not $engine" >&2; exit 2 ;; esac
[ "$(id -u)" = 0 ] || { echo "run.sh: needs root: it runs containers" >&2; exit 1; }

# Each engine has its own state, so that both can be tried on one machine.
state=$dir/$engine

if [ $action = down ]; then
  for state in "$dir"/containerd "$dir"/docker; do
    [ -d "$state" ] || continue
    "$top/hack/engine.sh" down "$state/engine"
    "$top/hack/clean-node.sh" --root "$state/kubelet" --logs "$state/log" --container-logs "$state/containers" --cgroup "$state/cgroup"
    rm -rf "$state"
  done
  rmdir "$dir" 2>/dev/null || true
  echo "everything below $dir is gone"
  exit 0
fi

# shellcheck source=hack/lib/packages.sh
. "$top/hack/lib/packages.sh"
need_swift
packages=("${build_packages[@]}")
if [ "$engine" = docker ]; then packages+=("${docker_packages[@]}"); else packages+=("${containerd_packages[@]}"); fi
install_packages "${packages[@]}"

echo "building (the first time takes some minutes)" >&2
cd "$top"
swift build "${release_flags[@]}" --product edgecore >&2
swift build "${release_flags[@]}" --product edgectl >&2
bin=$(swift build "${release_flags[@]}" --show-bin-path)

mkdir -p "$state"/{manifests,kubelet,log,containers}
endpoint=$("$top/hack/engine.sh" up "$engine" "$state/engine")
# A cgroup of our own beside those of other agents on the machine.
cgroup=edgecore-try-$engine
echo "/$cgroup" >"$state/cgroup"
cat >"$state/edgecore.yaml" <<C
# Written by hack/run.sh.
apiVersion: edgecore.config.kubeedge.io/v1alpha2
kind: EdgeCore
apiSocket: $socket
database:
  dataSource: $state/edgecore.db
modules:
  # No cloud: the agent runs static pods alone.
  edgeHub:
    enable: false
  edged:
    hostnameOverride: $(hostname | tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9.\n' '-')
    rootDirectory: $state/kubelet
    containerLogsDir: $state/containers
    podSandboxImage: docker.io/kubeedge/pause:3.6
    tailoredKubeletConfig:
      staticPodPath: $state/manifests
      podLogsDir: $state/log
      containerRuntimeEndpoint: $endpoint
      imageServiceEndpoint: $endpoint
      cgroupRoot: /$cgroup
  # No broker: the machine's own is none of ours. docs/mqtt.md says how to have one.
  eventBus:
    enable: false
  deviceTwin:
    dmiSockPath: $state
C
[ -e "$state/started" ] || cp "$top/conf/examples/hello.yaml" "$state/manifests/"
touch "$state/started"

cat >&2 <<T

The agent runs now, with $engine and the pods described in $state/manifests.
Try in another shell:

  alias edgectl=$bin/edgectl
  edgectl pods
  edgectl describe pod hello-$(hostname | tr '[:upper:]' '[:lower:]')
  edgectl logs -f hello-$(hostname | tr '[:upper:]' '[:lower:]') -c clock
  edgectl exec -it hello-$(hostname | tr '[:upper:]' '[:lower:]') -c web -- sh
  rm $state/manifests/hello.yaml        # removes the pod
  cp conf/examples/hello.yaml $state/manifests/

Ctrl-C ends the agent and leaves the pods running; hack/run.sh --down removes everything.

T
mkdir -p "$(dirname "$socket")"
exec "$bin/edgecore" --config "$state/edgecore.yaml"

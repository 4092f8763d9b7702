#!/usr/bin/env bash
# A private container engine below one folder, beside whatever else runs on the machine: for tests, benchmarks and for trying things.
#
# usage: engine.sh up containerd DIR      socket DIR/containerd.sock
#        engine.sh up docker DIR          socket DIR/docker.sock
#        engine.sh down DIR               ends the engine and all its containers, and removes what it left
#
# Root, state, logs, CNI configuration, a bridge and a 10.x subnet are the folder's own. The images docker.io/library/busybox:1.36 and
# docker.io/kubeedge/pause:3.6 are packed here and loaded, so that no registry is needed. `up` prints the endpoint, and says so when
# the engine runs already. With ENGINE_OWNER=<pid> the engine goes down by itself when that process has ended, and the folder goes
# with all that is in it.
#
# The only things outside the folder: the bridge, iptables rules that carry its name, and the shims' sockets, whose folder
# /run/containerd/s is compiled into containerd; their names are unique and `down` removes them.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "engine.sh: $*" >&2; exit 1; }
usage() { sed -n '4,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# --- one folder ------------------------------------------------------------------------------------------------------------------------

open_folder() {
  mkdir -p "$1"
  dir=$(cd "$1" && pwd -P)
  # A Unix socket's path has 107 characters; containerd adds .ttrpc to its own, Docker's containerd sits three folders down.
  [ ${#dir} -le 60 ] || fail "the path is too long for the sockets below it (at most 60 characters): $dir"
  bridge=ec$(printf %s "$dir" | sha256sum | cut -c1-10)
  socket_containerd=$dir/containerd.sock
  socket_docker=$dir/docker.sock
  log=$dir/engine.log
}

# The process in DIR/<name>.pid, if it is alive and still ours: its command line names the folder.
alive() {
  local file=$dir/$1.pid pid
  [ -s "$file" ] || return 1
  pid=$(cat "$file")
  [ -r "/proc/$pid/cmdline" ] && { tr "\0" "\n" <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "$dir/" || return 1
  # A zombie has an empty command line, so it never gets here.
  echo "$pid"
}

# wait_until SECONDS COMMAND...: until the command succeeds.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}

gone() { [ ! -r "/proc/$1/stat" ] || [ "$(sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f1)" = Z ]; }

# end_process PID SECONDS: SIGTERM, then SIGKILL.
end_process() {
  kill "$1" 2>/dev/null || return 0
  wait_until "$2" gone "$1" && return 0
  kill -KILL "$1" 2>/dev/null || return 0
  wait_until 10 gone "$1" || fail "process $1 does not end"
}

# A /24 that no route of this machine uses, the first one to try being the folder's own.
choose_subnet() {
  local start octets candidate=0
  start=$((16#$(printf %s "$bridge" | sha256sum | cut -c1-4)))
  while [ $candidate -lt 1000 ]; do
    octets=10.$((128 + (start + candidate) / 250 % 100)).$((1 + (start + candidate) % 250))
    if ! ip -4 route show table all | grep -qE "(^| )${octets//./\\.}\."; then
      echo "$octets"
      return
    fi
    candidate=$((candidate + 1))
  done
  fail "no free 10.x subnet"
}

# daemonize OUTPUT COMMAND...: prints nothing and holds nothing of its caller's: neither the terminal nor descriptors, by whose end a
# caller may notice ours. $! is its process.
daemonize() {
  local output=$1 descriptor
  shift
  (
    for descriptor in /proc/self/fd/*; do
      descriptor=${descriptor##*/}
      if [ "$descriptor" -gt 2 ] && [ "$descriptor" != 255 ]; then eval "exec $descriptor>&-" 2>/dev/null || true; fi
    done
    exec setsid nohup "$@" >>"$output" 2>&1 </dev/null
  ) &
}

start_daemon() { # name command...
  local name=$1
  shift
  daemonize "$log" "$@"
  echo $! >"$dir/$name.pid"
}

give_up() {
  echo "--- $log" >&2
  tail -n 20 "$log" >&2 || true
  down
  fail "$*"
}

# --- containerd ------------------------------------------------------------------------------------------------------------------------

containerd_config() {
  mkdir -p "$dir"/{cni,ipam,opt}
  cat >"$dir/cni/10-bridge.conflist" <<C
{
  "cniVersion": "1.0.0",
  "name": "$bridge",
  "plugins": [
    {
      "type": "bridge", "bridge": "$bridge", "isGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {
        "type": "host-local", "dataDir": "$dir/ipam",
        "ranges": [[{"subnet": "$subnet.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
C
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc can't lower a sandbox's score to -998, and fails with
  # "can't get final child's PID from pipe".
  cat >"$dir/config.toml" <<C
version = 2
root = "$dir/root"
state = "$dir/state"
required_plugins = ["io.containerd.grpc.v1.cri"]
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "$socket_containerd"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/kubeedge/pause:3.6"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "$dir/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
C
}

ctr_here() { ctr -a "$socket_containerd" -n k8s.io "$@"; }

# CRI learns of an import by an event: it marks the image as its own when it has taken it in.
images_taken_in() {
  local list
  list=$(ctr_here images ls 2>/dev/null)
  [ "$(grep -cE '^docker\.io/(library/busybox|kubeedge/pause):.*io\.cri-containerd\.image=managed' <<<"$list")" = 2 ] &&
    [ "$(grep -c '^sha256:' <<<"$list")" -ge 2 ]
}

up_containerd() {
  local tool pid
  for tool in containerd ctr runc; do command -v $tool >/dev/null || fail "$tool is not installed"; done
  [ -x /usr/lib/cni/bridge ] || fail "no CNI plugins in /usr/lib/cni; install the package containernetworking-plugins"
  if pid=$(alive containerd); then
    echo "containerd runs already (process $pid)" >&2
    echo "unix://$socket_containerd"
    return
  fi
  down
  mkdir -p "$dir/images"
  subnet=$(choose_subnet)
  containerd_config
  start_daemon containerd containerd -c "$dir/config.toml"
  pid=$(cat "$dir/containerd.pid")
  "$here/image.sh" busybox "$dir/images/busybox.tar"
  "$here/image.sh" pause "$dir/images/pause.tar"
  wait_until 60 bash -c "[ ! -d /proc/$pid ] || ctr -a '$socket_containerd' version" || give_up "containerd does not answer"
  alive containerd >/dev/null || give_up "containerd ended"
  local image
  for image in busybox pause; do ctr_here images import "$dir/images/$image.tar" >/dev/null || give_up "import of $image failed"; done
  wait_until 30 images_taken_in || give_up "containerd's CRI plugin does not see the images"
  rm -rf "$dir/images"
  own
  echo "unix://$socket_containerd"
}

# --- Docker ----------------------------------------------------------------------------------------------------------------------------

docker_answers() {
  if command -v curl >/dev/null; then
    curl -fsS --unix-socket "$socket_docker" http://localhost/_ping
  else
    docker -H "unix://$socket_docker" version
  fi
}

docker_load() {
  if command -v docker >/dev/null; then
    docker -H "unix://$socket_docker" load -q -i "$1"
  else
    curl -fsS --unix-socket "$socket_docker" -H 'Content-Type: application/x-tar' -X POST --data-binary "@$1" \
      'http://localhost/images/load?quiet=1'
  fi
}

up_docker() {
  local pid
  command -v dockerd >/dev/null || fail "dockerd is not installed"
  command -v docker >/dev/null || command -v curl >/dev/null || fail "neither docker nor curl is installed, to load images"
  if pid=$(alive docker); then
    echo "dockerd runs already (process $pid)" >&2
    echo "unix://$socket_docker"
    return
  fi
  down
  mkdir -p "$dir/images"
  subnet=$(choose_subnet)
  ip link add "$bridge" type bridge
  ip addr add "$subnet.1/24" dev "$bridge"
  ip link set "$bridge" up
  # Docker's own chains are one set for the whole machine: two engines would flush each other's. Published ports go through
  # docker-proxy, and one rule with our name lets containers out.
  iptables -w -t nat -A POSTROUTING -s "$subnet.0/24" ! -o "$bridge" -m comment --comment "name: \"$bridge\"" -j MASQUERADE ||
    echo "engine.sh: no iptables: containers do not reach beyond this machine" >&2
  printf '{"shutdown-timeout": 2}\n' >"$dir/daemon.json"
  start_daemon docker dockerd --config-file "$dir/daemon.json" --data-root "$dir/root" --exec-root "$dir/exec" \
    --pidfile "$dir/dockerd.pid" --host "unix://$socket_docker" --bridge "$bridge" --iptables=false --ip6tables=false \
    --storage-driver overlay2 --oom-score-adjust 0 --exec-opt native.cgroupdriver=cgroupfs
  pid=$(cat "$dir/docker.pid")
  "$here/image.sh" busybox "$dir/images/busybox.tar"
  "$here/image.sh" pause "$dir/images/pause.tar"
  wait_until 60 docker_up_or_ended "$pid" || give_up "dockerd does not answer"
  alive docker >/dev/null || give_up "dockerd ended"
  local image
  for image in busybox pause; do docker_load "$dir/images/$image.tar" >/dev/null || give_up "load of $image failed"; done
  rm -rf "$dir/images"
  own
  echo "unix://$socket_docker"
}

docker_up_or_ended() { gone "$1" || docker_answers; }

# --- down ------------------------------------------------------------------------------------------------------------------------------

# Ends a container and its shim; `bundle` is its folder in a containerd's state.
end_bundle() {
  local bundle=$1 runc_root=$2 id namespace init='' cgroups='' pid root group path address
  id=$(basename "$bundle")
  namespace=$(basename "$(dirname "$bundle")")
  if [ -s "$bundle/init.pid" ]; then
    init=$(cat "$bundle/init.pid")
    # Only while it is in a control group of that container: process ids are used again.
    cgroups=$(cut -d: -f3 "/proc/$init/cgroup" 2>/dev/null | grep -F "$id" | sort -u || true)
    [ -n "$cgroups" ] || init=''
  fi
  # The second root is the one that `ctr run` uses.
  for root in "$runc_root" /run/containerd/runc; do
    if grep -qsF "$dir/" "$root/$namespace/$id/state.json"; then
      runc --root "$root/$namespace" delete --force "$id" >/dev/null 2>&1 || true
    fi
  done
  for pid in $init $(shims "$id"); do kill -KILL "$pid" 2>/dev/null || true; done
  [ -z "$init" ] || wait_until 10 gone "$init" || true
  for group in $cgroups; do
    for path in /sys/fs/cgroup"$group" /sys/fs/cgroup/*"$group"; do rmdir "$path" 2>/dev/null || true; done
  done
  # What libcni remembers of the sandbox's loopback; its name is the sandbox's alone.
  rm -f /var/lib/cni/results/cni-loopback-"$id"-lo
  if [ -s "$bundle/address" ]; then
    address=$(cat "$bundle/address")
    case $address in unix:///run/containerd/s/*) rm -f "${address#unix://}" ;; esac
  fi
}

# Processes with a shim's command line that names a socket below this folder, and the id when one is given.
shims() {
  local file line
  for file in /proc/[0-9]*/cmdline; do
    line=$({ tr '\0' ' ' <"$file"; } 2>/dev/null) || continue
    case $line in
      *containerd-shim*"$dir/"*) ;;
      *) continue ;;
    esac
    if [ $# -gt 0 ]; then case $line in *"$1"*) ;; *) continue ;; esac; fi
    file=${file#/proc/}
    echo "${file%/cmdline}"
  done
}

# What is mounted below the folder, the innermost last mount first.
mounts_below() { awk -v p="$dir/" 'index($5, p) == 1 { print $5 }' /proc/self/mountinfo | sort -r; }

remove_rules() {
  command -v iptables >/dev/null || return 0
  local tool rules chains chain
  for tool in iptables ip6tables; do
    rules=$("$tool-save" -t nat 2>/dev/null | grep -F "\"$bridge\\\"" || true)
    [ -n "$rules" ] || continue
    chains=$(grep -oE '(-j|-A) CNI-(DN-)?[0-9a-f]{16,}' <<<"$rules" | cut -d' ' -f2 | sort -u || true)
    # The rules that lead into the chains first, then the chains themselves.
    grep -E '^-A (POSTROUTING|CNI-HOSTPORT-)' <<<"$rules" | sed 's/^-A/-D/' | while read -r rule; do
      eval "set -- $rule"
      "$tool" -w -t nat "$@" 2>/dev/null || true
    done
    for chain in $chains; do
      "$tool" -w -t nat -F "$chain" 2>/dev/null || true
      "$tool" -w -t nat -X "$chain" 2>/dev/null || true
    done
  done
}

down() {
  local pid bundle path name
  # Whoever watches over the owner has nothing more to do, unless it is the one that runs this.
  if pid=$(alive owner) && [ "$pid" != $$ ] && [ "$pid" != $PPID ]; then kill -- "-$pid" 2>/dev/null || true; fi
  if pid=$(alive docker); then end_process "$pid" 20; fi
  if pid=$(alive containerd); then end_process "$pid" 10; fi
  # Docker's own containerd, if Docker was killed.
  for path in "$dir"/exec/containerd/containerd.pid; do
    [ -s "$path" ] || continue
    pid=$(cat "$path")
    if { tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$dir/"; then end_process "$pid" 10; fi
  done
  for bundle in "$dir"/state/io.containerd.runtime.v2.task/*/*/; do
    if [ -d "$bundle" ]; then end_bundle "${bundle%/}" "$dir/runc"; fi
  done
  for bundle in "$dir"/exec/containerd/daemon/io.containerd.runtime.v2.task/*/*/; do
    if [ -d "$bundle" ]; then end_bundle "${bundle%/}" "$dir/exec/runtime-runc"; fi
  done
  for pid in $(shims); do kill -KILL "$pid" 2>/dev/null || true; done
  for pid in $(shims); do wait_until 10 gone "$pid" || true; done
  while read -r path; do
    # mountinfo writes blanks and the like in octal.
    [ -z "$path" ] || umount -l "$(printf '%b' "${path//\\/\\0}")" 2>/dev/null || true
  done <<<"$(mounts_below)"
  remove_rules
  if [ -d "/sys/class/net/$bridge" ]; then ip link del "$bridge" || true; fi
  # libcni remembers a result for every attached sandbox, under our network's name.
  rm -f /var/lib/cni/results/"$bridge"-* /var/lib/cni/cache/results/"$bridge"-*
  for name in root state runc exec cni ipam opt images config.toml daemon.json engine.log \
    containerd.sock containerd.sock.ttrpc docker.sock containerd.pid docker.pid dockerd.pid owner.pid; do
    rm -rf "${dir:?}/$name"
  done
}

# Ties the engine to ENGINE_OWNER's life.
own() {
  [ -n "${ENGINE_OWNER:-}" ] || return 0
  daemonize /dev/null bash -c 'tail --pid="$1" -f /dev/null; "$2" down "$3"; rm -rf --one-file-system "$3"' _ "$ENGINE_OWNER" "$here/engine.sh" "$dir/"
  echo $! >"$dir/owner.pid"
}

# --- main ------------------------------------------------------------------------------------------------------------------------------

[ $# -ge 2 ] || usage
[ "$(id -u)" = 0 ] || fail "needs root"
command=$1
case $command in
  up)
    [ $# = 3 ] || usage
    case $2 in containerd | docker) ;; *) usage ;; esac
    open_folder "$3" ;;
  down)
    [ -d "$2" ] || exit 0
    open_folder "$2" ;;
  *) usage ;;
esac
# One at a time for a folder; the daemons don't inherit the lock.
exec 9<"$dir"
flock 9
case $command in
  up) "up_$2" ;;
  down)
    down
    rmdir "$dir" 2>/dev/null || true ;;
esac

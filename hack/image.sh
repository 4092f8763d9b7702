#!/usr/bin/env bash
# Packs container images without a registry, a build tool or Python: the archive that `ctr images import` and `docker load` read.
#
# usage: image.sh busybox OUT.tar                docker.io/library/busybox:1.36 from the machine's static busybox, all applets in /bin
#        image.sh pause OUT.tar                  docker.io/kubeedge/pause:3.6, the first process of a sandbox
#        image.sh pack [-e ENTRYPOINT] [-u USER] ROOT NAME:TAG OUT.tar [CMD...]
#                                                a folder as an image of one layer
set -euo pipefail

fail() { echo "image.sh: $*" >&2; exit 1; }

architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    armv7l | armv6l) echo arm ;;
    *) uname -m ;;
  esac
}

json_string() { local s=${1//\\/\\\\}; s=${s//\"/\\\"}; s=${s//$'\n'/\\n}; s=${s//$'\t'/\\t}; printf '"%s"' "$s"; }

json_array() {
  local separator='' element
  printf '['
  for element in "$@"; do printf '%s' "$separator"; json_string "$element"; separator=','; done
  printf ']'
}

pack() {
  local entrypoint='' user='' option OPTIND=1
  while getopts e:u: option; do
    case $option in
      e) entrypoint=$OPTARG ;;
      u) user=$OPTARG ;;
      *) exit 2 ;;
    esac
  done
  shift $((OPTIND - 1))
  [ $# -ge 3 ] || fail "pack wants ROOT NAME:TAG OUT.tar [CMD...]"
  local root=$1 name=$2 out=$3 scratch layer config digest more=''
  shift 3
  [ -d "$root" ] || fail "no such folder: $root"
  scratch=$(mktemp -d)
  # The same content gives the same digests, whoever packs it and when.
  tar -C "$root" --sort=name --numeric-owner --owner=0 --group=0 --mtime=@0 --format=gnu -cf "$scratch/layer.tar" .
  layer=$(sha256sum "$scratch/layer.tar" | cut -d' ' -f1)
  mkdir "$scratch/$layer"
  mv "$scratch/layer.tar" "$scratch/$layer/layer.tar"
  if [ -n "$entrypoint" ]; then more+=",\"Entrypoint\":$(json_array "$entrypoint")"; fi
  if [ -n "$user" ]; then more+=",\"User\":$(json_string "$user")"; fi
  if [ $# -gt 0 ]; then more+=",\"Cmd\":$(json_array "$@")"; fi
  config='{"architecture":"'$(architecture)'","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Env":["PATH='
  config+='/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]'$more'},'
  config+='"rootfs":{"type":"layers","diff_ids":["sha256:'$layer'"]}}'
  digest=$(printf '%s' "$config" | sha256sum | cut -d' ' -f1)
  printf '%s' "$config" >"$scratch/$digest.json"
  printf '[{"Config":"%s.json","RepoTags":[%s],"Layers":["%s/layer.tar"]}]' "$digest" "$(json_string "$name")" "$layer" \
    >"$scratch/manifest.json"
  tar -C "$scratch" --numeric-owner --owner=0 --group=0 -cf "$out.$$" manifest.json "$digest.json" "$layer/layer.tar"
  mv "$out.$$" "$out"
  rm -rf "$scratch"
}

busybox() {
  local binary root
  for binary in "${BUSYBOX:-/bin/busybox}" /usr/bin/busybox ''; do [ -x "$binary" ] && break; done
  [ -n "$binary" ] || fail "no busybox on this machine; install the package busybox-static"
  # A dynamic one would miss its libraries in an empty image.
  ! grep -aq '/lib[0-9]*/ld-\(linux\|musl\)' "$binary" || fail "$binary needs shared libraries; install the package busybox-static"
  echo "$binary"
}

busybox_root() {
  local binary=$1 root=$2 applet
  mkdir -p "$root"/{bin,etc,proc,sys,dev,root,tmp,var/tmp,home}
  chmod 1777 "$root/tmp" "$root/var/tmp"
  chmod 0700 "$root/root"
  cp "$binary" "$root/bin/busybox"
  chmod 0755 "$root/bin/busybox"
  for applet in $("$binary" --list); do [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"; done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
}

pause_root() {
  local root=$1
  mkdir -p "$root"
  if command -v gcc >/dev/null && gcc -static -Os -s -o "$root/pause" -x c - 2>/dev/null <<'C'
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

/* First process of a pod that shares its process namespace: reaps what its other processes leave behind, ends on request. */
int main(void) {
  sigset_t set;
  int received;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (;;) {
    if (sigwait(&set, &received) != 0) continue;
    if (received != SIGCHLD) return 0;
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
  }
}
C
  then
    return
  fi
  # Without a compiler: a shell, which reaps whatever its `wait` sees.
  local binary
  binary=$(busybox)
  mkdir -p "$root/bin" "$root/dev" "$root/proc"
  cp "$binary" "$root/bin/busybox"
  ln -sf busybox "$root/bin/sh"
  cat >"$root/pause" <<'SH'
#!/bin/sh
trap 'exit 0' TERM INT
while :; do /bin/busybox sleep 86400 & wait $!; done
SH
  chmod 0755 "$root/pause"
}

[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
what=$1
shift
case $what in
  pack) pack "$@" ;;
  busybox | pause)
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    chmod 0755 "$folder"
    if [ "$what" = busybox ]; then
      binary=$(busybox)
      busybox_root "$binary" "$folder"
      pack "$folder" docker.io/library/busybox:1.36 "$1" sh
    else
      pause_root "$folder"
      pack -e /pause "$folder" docker.io/kubeedge/pause:3.6 "$1"
    fi ;;
  *) fail "unknown: $what" ;;
esac

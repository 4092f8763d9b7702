#!/usr/bin/env bash
# Removes what an agent left on a node: mounts, pod directories, logs and cgroups. Containers are ended with their engine or by the agent
# before (`hack/drain-node.sh`); this refuses to run while a process of a pod is alive.
#
# usage: clean-node.sh --root DIR --logs DIR [--container-logs DIR] [--cgroup FILE|/GROUP]
set -euo pipefail

root='' logs='' container_logs='' cgroup=''
while [ $# -gt 0 ]; do
  case $1 in
    --root) root=$2 ;;
    --logs) logs=$2 ;;
    --container-logs) container_logs=$2 ;;
    --cgroup) cgroup=$2 ;;
    *) sed -n '5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
[ -n "$root" ] && [ -n "$logs" ] || { sed -n '5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
if [ -f "$cgroup" ]; then cgroup=$(cat "$cgroup"); fi

if [ -n "$cgroup" ]; then
  mapfile -t groups < <(find /sys/fs/cgroup -maxdepth 2 -type d -path "/sys/fs/cgroup*$cgroup" 2>/dev/null)
  for group in "${groups[@]}"; do
    if [ -n "$(find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | head -n 1)" ]; then
      echo "clean-node.sh: processes of pods are still alive in $group; end them first (hack/drain-node.sh)" >&2
      exit 1
    fi
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
fi
# The root itself is mounted on itself, for mount propagation.
awk -v root="${root%/}" '$5 == root || index($5, root "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r path; do
  umount "$(printf '%b' "${path//\\/\\0}")"
done
rm -rf --one-file-system "${root:?}/pods" "${logs:?}"/*
[ -z "$container_logs" ] || find "$container_logs" -maxdepth 1 -type l -delete

#!/usr/bin/env bash
# Collects what helps to find out what is wrong with a node, in one archive. Secrets are left out: configuration is taken as the agent
# prints it, with tokens masked, and no key or certificate file is read.
#
# usage: support-bundle.sh [--socket PATH] [--config FILE] [OUT.tar.gz]
set -euo pipefail

socket=/run/edgecore/edgecore.sock config= out=edgecore-support-$(hostname)-$(date -u +%Y%m%dT%H%M%SZ).tar.gz
while [ $# -gt 0 ]; do
  case $1 in
    --socket) socket=$2; shift 2 ;;
    --config) config=$2; shift 2 ;;
    -*) sed -n '5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) out=$1; shift ;;
  esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/edgecore-support
mkdir "$bundle"

# take NAME COMMAND...: its output, or why there is none.
take() {
  local name=$1
  shift
  timeout 20 "$@" >"$bundle/$name" 2>&1 || echo "[$* ended with $?]" >>"$bundle/$name"
}

take date.txt date -u
take uname.txt uname -a
take os-release.txt cat /etc/os-release
take uptime.txt cat /proc/uptime /proc/loadavg
take meminfo.txt cat /proc/meminfo
take disks.txt df -h
take inodes.txt df -i
take cgroups.txt sh -c 'grep cgroup /proc/self/mountinfo; cat /proc/cgroups; find /sys/fs/cgroup -type d -name "*kubepods*" 2>/dev/null | head -n 200'
take mounts.txt grep -E 'kubelet|containerd|docker' /proc/self/mountinfo
take addresses.txt ip addr
take routes.txt ip route
take kernel.txt sh -c 'dmesg -T 2>/dev/null | tail -n 500'
for pid in $(pgrep -x edgecore || true); do
  take "agent-$pid.txt" sh -c "cat /proc/$pid/status; ls /proc/$pid/fd | wc -l; ls /proc/$pid/task | wc -l"
done
if command -v edgecore >/dev/null; then
  take version.txt edgecore --version
  # shellcheck disable=SC2086
  take config.txt edgecore config check ${config:+--config "$config"}
fi
if command -v edgectl >/dev/null; then
  for what in pods events images top modules; do take "$what.json" edgectl "$what" --socket "$socket" -o json; done
fi
if command -v curl >/dev/null; then
  take metrics.txt curl -sS --max-time 10 --unix-socket "$socket" http://edgecore/metrics
fi
if command -v journalctl >/dev/null; then take journal.txt journalctl -u edgecore --no-pager -n 5000; fi
tar -czf "$out" -C "$work" edgecore-support
chmod 600 "$out"
echo "$out"

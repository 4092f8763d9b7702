#!/usr/bin/env bash
# Shows a pod's processes, cgroups and namespaces on this node, and how to get into them.
#
# usage: pod-info.sh UID|NAME [CGROUP_ROOT]      CGROUP_ROOT defaults to /
set -euo pipefail

[ $# -ge 1 ] || { sed -n '4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
wanted=$1 root=${2:-/}
root=${root%/}

# Groups of a pod are called pod<uid>, below kubepods; a name is looked up with edgectl.
if [[ ! $wanted =~ ^[0-9a-f-]{32,36}$ ]]; then
  uid=$(edgectl describe pod "$wanted" | awk '$1 == "UID:" { print $2; exit }') && [ -n "$uid" ] ||
    { echo "pod-info.sh: no pod is called $wanted; give its UID, or put edgectl on the PATH" >&2; exit 1; }
  wanted=$uid
fi
mapfile -t groups < <(find /sys/fs/cgroup -type d \( -name "pod$wanted" -o -name "*pod${wanted//-/_}.slice" \) -path "*$root/kubepods*" 2>/dev/null)
[ ${#groups[@]} -gt 0 ] || { echo "pod-info.sh: no cgroup of pod $wanted below $root/kubepods" >&2; exit 1; }

echo "cgroups:"
printf '  %s\n' "${groups[@]}"
for group in "${groups[@]}"; do
  for file in cpu.shares cpu.cfs_quota_us cpu.weight cpu.max memory.limit_in_bytes memory.usage_in_bytes memory.max memory.current pids.max pids.current; do
    [ -r "$group/$file" ] && printf '  %-24s %s\n' "$file" "$(tr '\n' ' ' <"$group/$file")"
  done
done

echo "processes:"
seen=
while read -r pid; do
  [[ " $seen " == *" $pid "* ]] && continue
  seen="$seen $pid"
  printf '  %-8s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
  for kind in net ipc uts pid mnt user; do
    printf '           %-5s %s\n' "$kind" "$(readlink "/proc/$pid/ns/$kind" 2>/dev/null)"
  done
  echo "           nsenter -t $pid -n -m -u -i -p"
done < <(find "${groups[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un)

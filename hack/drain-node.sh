#!/usr/bin/env bash
# Empties a node: moves the manifests aside and waits until the agent has ended every pod.
#
# usage: drain-node.sh [--manifests DIR] [--socket PATH] [--timeout SECONDS]
#        drain-node.sh --undo [--manifests DIR]     moves the manifests back
set -euo pipefail

manifests=/etc/kubeedge/manifests socket=/run/edgecore/edgecore.sock timeout=120 undo=
while [ $# -gt 0 ]; do
  case $1 in
    --manifests) manifests=$2; shift 2 ;;
    --socket) socket=$2; shift 2 ;;
    --timeout) timeout=$2; shift 2 ;;
    --undo) undo=yes; shift ;;
    *) sed -n '4,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
aside=$manifests.drained
if [ -n "$undo" ]; then
  [ -d "$aside" ] || { echo "drain-node.sh: nothing was drained from $manifests" >&2; exit 1; }
  find "$aside" -maxdepth 1 -type f -exec mv -t "$manifests" {} +
  rmdir "$aside"
  exit 0
fi
mkdir -p "$aside"
find "$manifests" -maxdepth 1 -type f -exec mv -t "$aside" {} +
end=$((SECONDS + timeout))
until [ "$(edgectl pods --socket "$socket")" = "No pods." ]; do
  [ $SECONDS -lt $end ] || { echo "drain-node.sh: pods are left after $timeout s:" >&2; edgectl pods --socket "$socket" >&2; exit 1; }
  sleep 1
done
echo "the node is empty; the manifests are in $aside"

#!/usr/bin/env bash
# Puts objects into a node without a cloud, through the agent's test module (modules.dbTest.enable: true).
#
# usage: inject.sh [update|delete] pod|configmap|secret|device FILE.json     FILE - is the standard input
#        inject.sh pods                                                      shows the node's pods
set -euo pipefail

usage() { sed -n '4,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
address=http://127.0.0.1:12345

# ask METHOD PATH [FILE]: shows what the agent says; fails unless it says 200.
ask() {
  local answer status
  answer=$(curl -sS --max-time 60 --noproxy '*' -X "$1" -w '\n%{http_code}' ${3:+-H 'Content-Type: application/json' --data-binary "@$3"} "$address$2") ||
    { echo "inject.sh: nothing answers on $address: is modules.dbTest.enable true?" >&2; exit 1; }
  status=${answer##*$'\n'} answer=${answer%$'\n'*}
  [ "$status" = 200 ] || { echo "inject.sh: the agent says $status: $answer" >&2; exit 1; }
  [ -z "$answer" ] || printf '%s\n' "$answer"
}

method=POST
case ${1-} in
  pods) [ $# -eq 1 ] || usage; ask GET /pods; exit ;;
  update) method=PUT; shift ;;
  delete) method=DELETE; shift ;;
esac
[ $# -eq 2 ] || usage
case $1 in
  pod) path=/pods ;;
  configmap | secret) path=/$1 ;;
  device) path=/devices ;;
  *) usage ;;
esac
[ "$2" = - ] || [ -r "$2" ] || { echo "inject.sh: can't read $2" >&2; exit 1; }
ask $method $path "$2"

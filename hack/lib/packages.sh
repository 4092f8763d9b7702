# shellcheck shell=bash
# Installs what building and running needs on Debian and Ubuntu; nothing when it is there already.

build_packages=(libcurl4-openssl-dev libmosquitto-dev libseccomp-dev libsqlite3-dev libyaml-dev pkg-config)
containerd_packages=(containerd runc containernetworking-plugins iptables iproute2 busybox-static)
docker_packages=(docker.io iptables iproute2 busybox-static curl)
# The registry that image tests pull from, and its password file; the MQTT broker.
test_packages=(docker-registry apache2-utils mosquitto openssl)

# install_packages NAME...
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || { echo "please install: ${missing[*]}" >&2; return 1; }
  [ "$(id -u)" = 0 ] || { echo "needs root to install: ${missing[*]}" >&2; return 1; }
  echo "installing ${missing[*]}" >&2
  # Packages that bring a service must not start it: the machine's engines are not ours to run.
  local policy=/usr/sbin/policy-rc.d made=''
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    made=yes
  fi
  local status=0
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
    >/tmp/edgecore-packages.log 2>&1 || status=$?
  [ -z "$made" ] || rm -f $policy
  [ $status = 0 ] || { tail -n 20 /tmp/edgecore-packages.log >&2; return $status; }
}

need_swift() {
  command -v swift >/dev/null || { echo "Swift 6.2 or newer is needed (https://www.swift.org/install/linux)" >&2; return 1; }
}

# How programs are built for use: one small static binary each, functions that are the same only once in it.
release_flags=(
  -c release --static-swift-stdlib -Xswiftc -Osize -Xswiftc -use-ld=lld -Xlinker --icf=all
  -Xlinker --no-eh-frame-hdr -Xlinker -T -Xlinker "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/no-unwind-tables.ld"
)
# Relocations in their short form, 2.5 MB less, where the system's loader knows it.
if glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) && [ "$(printf '%s\nglibc 2.36\n' "$glibc" | sort -V | head -n 1)" = "glibc 2.36" ]; then
  release_flags+=(-Xlinker -z -Xlinker pack-relative-relocs)
fi

#!/bin/sh
# Every Debian package that the tests and benchmarks use; the product itself needs none of them.
set -u
packages="gcc qemu-utils nbdkit libnbd-bin fio g++ libc6-dev nasm acpica-tools e2fsprogs qemu-system-x86 seabios memtest86+ socat gdb mandoc fish zsh libxml2-utils resource-agents slurmctld slurmd slurm-client munge iproute2"
missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing="$missing $package"
done
[ -z "$missing" ] && exit 0
apt-get update -qq || exit 1
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null

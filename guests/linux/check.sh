#!/bin/busybox sh
# The check of `npm start -- --check`: what is written must come back from the disk after the
# cache is gone. Its last line carries the caller's nonce and a sum that only the guest computed.
# usage: check.sh NONCE

nonce=$1
file=/mnt/check-$nonce
bytes=262144

fail() {
  echo "tsbhyve-check: FAIL $nonce $*"
  exit 1
}

grep -q ' /mnt ext4 ' /proc/mounts || fail "no disk is mounted"
yes "$nonce" | head -c $bytes >"$file" || fail "writing"
written=$(sha256sum <"$file" | cut -d ' ' -f 1)
sync
umount /mnt || fail "unmounting"
blockdev --flushbufs /dev/vda
echo 3 >/proc/sys/vm/drop_caches
mount -t ext4 /dev/vda /mnt || fail "mounting again"
read_back=$(sha256sum <"$file" | cut -d ' ' -f 1)
[ "$written" = "$read_back" ] || fail "wrote $written, read back $read_back"
echo "tsbhyve-check: PASS $nonce $read_back"

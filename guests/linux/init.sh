#!/bin/busybox sh
# The first process of the Linux guest: prepares it, then runs a shell, or the check that
# `npm start -- --check` asks for on the kernel's command line.

/bin/busybox mkdir -p /proc /sys /dev /mnt /tmp /root /etc
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
export PATH=/bin HOME=/root TERM=linux

say() { echo "init: $*" >/dev/console; }

# The guest ends here, whoever asked: the disk is clean before the power goes.
finish() {
  cd /
  kill -TERM -1 2>/dev/null
  sync
  umount /mnt 2>/dev/null
  sync
  "$1" -f
  sleep 3600
}

# `poweroff`, `halt` and `reboot` without -f send these signals to the first process.
trap 'finish poweroff' USR2
trap 'finish halt' USR1
trap 'finish reboot' TERM

for module in $(cat /modules/order); do
  insmod "/modules/$module" || say "module $module was refused"
done

# The driver names the disk a moment after its module is loaded.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ -b /dev/vda ] && break
  usleep 100000
done
if mount -t ext4 /dev/vda /mnt; then
  say "the disk /dev/vda is mounted on /mnt"
else
  say "the disk /dev/vda could not be mounted"
fi

nonce=$(sed -n 's/.*tsbhyve\.check=\([0-9a-f]*\).*/\1/p' /proc/cmdline)
if [ -n "$nonce" ]; then
  sh /check.sh "$nonce" >/dev/console 2>&1
  finish poweroff
fi

echo "Linux $(uname -r) is up. The disk is on /mnt; poweroff ends the machine." >/dev/console
# The shell gets a session and a controlling terminal of its own, or Ctrl-C and jobs do not work.
# It runs in the background because a trap waits for a foreground command to end.
cd /root || cd /
setsid cttyhack sh &
wait $!
say "the shell has ended"
finish poweroff

#!/bin/busybox sh
# The first process of the Linux guest. It prepares the guest and then either runs the check
# that `npm start -- --check` asks for on the kernel's command line, or becomes busybox init.

/bin/busybox mkdir -p /proc /sys /dev /mnt /tmp /root /etc
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts

say() { echo "init: $*" >/dev/console; }

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
  sync
  umount /mnt
  poweroff -f
  sleep 3600
fi

# Init, not this script, runs the shell: it gives it a session and a terminal of its own with
# Ctrl-C and jobs, and hears `poweroff`, `halt` and `reboot` meanwhile.
cat >/etc/inittab <<'TABLE'
ttyS0::respawn:/session.sh
::shutdown:/bin/umount /mnt
::ctrlaltdel:/bin/reboot
TABLE
exec init

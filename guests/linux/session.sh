#!/bin/busybox sh
# What the serial console runs: one interactive shell. When it ends, the machine does.

export HOME=/root TERM=linux
cd "$HOME" || cd /
# A serial line cannot say how large the terminal is; the command line does.
size=$(sed -n 's/.*tsbhyve\.terminal=\([0-9]*x[0-9]*\).*/\1/p' /proc/cmdline)
[ -n "$size" ] && stty rows "${size%x*}" cols "${size#*x}"
echo
echo "Linux $(uname -r). The disk is on /mnt. The command poweroff ends the machine."
sh -i
poweroff
# Init is told by a signal; this process must not end first, or a new shell would start.
sleep 60

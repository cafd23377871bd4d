# A server with a kernel of its own.
qemu-system-x86_64 -enable-kvm -machine q35 -cpu host -name server,process=srv -m 2G \
  -smp 4,sockets=2,cores=2,threads=1 -nographic -nodefaults \
  -kernel /boot/vmlinuz -initrd /boot/initrd.img -append 'console=ttyS0 root=/dev/vda1' \
  -drive file=/vm/a.img,if=none,id=d0,format=raw -device virtio-blk-pci,drive=d0,addr=0x5 \
  -drive file=/vm/b,,c.img,if=virtio,format=raw,readonly=on \
  -cdrom /iso/x.iso \
  -netdev user,id=n0,hostfwd=tcp::2222-:22 -device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56 \
  -netdev tap,id=n1,ifname=tap1,script=no -device e1000,netdev=n1 \
  -device virtio-rng-pci -serial mon:stdio -serial unix:/run/s.sock,server=on,wait=off \
  -vnc 127.0.0.1:2 -device qemu-xhci -device usb-tablet -device vfio-pci,host=03:00.0 \
  -rtc base=localtime -gdb tcp::1234 -boot menu=on

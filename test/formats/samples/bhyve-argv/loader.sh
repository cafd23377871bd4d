# A guest that bhyveload has loaded.
/usr/sbin/bhyve -c 2 -m 1024M -A -H -P \
  -s 0:0,hostbridge -s 1:0,lpc \
  -s 2:0,virtio-net,tap0 \
  -s 3:0,virtio-blk,/vm/disk0.img,nocache \
  -s 31:0,ahci-cd,/iso/release.iso \
  -l com1,stdio guest0

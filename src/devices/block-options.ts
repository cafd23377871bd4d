/** The keys of every disk (bhyve_config(5), block devices); the machine opens the back end. */
import { flag, group, integer, options, size, text } from "../config/options.ts";

const faultHint = "eio, enospc or torn, and after a colon how likely, from 0 to 1";
const fault = (what: string) => text({
  pattern: /^(eio|enospc|torn)(:(0|1|0?\.[0-9]+|1\.0*))?$/, hint: faultHint,
  help: `Makes ${what} fail on purpose: ${faultHint} (0.01).`,
});
const iopsMax = 10_000_000;
const delayMaxMs = 60_000;

export const blockOptions = options({
  path: text({
    required: true, help: "Image file, block device, nbd:// address, or ram: and a size.",
  }),
  backend: text({
    oneOf: ["auto", "raw", "qcow2", "vmdk", "vhd", "vhdx", "nbd", "ram", "module"],
    default: "auto",
    help: "What the path is; auto goes by its suffix or scheme, never by the content.",
  }),
  noCache: flag({ key: "nocache", default: false, help: "Go past the host's cache (O_DIRECT)." }),
  sync: flag({ default: false, help: "Every write is stable before it completes (O_SYNC)." }),
  direct: flag({ default: false, help: "The same as sync." }),
  readOnly: flag({ key: "ro", default: false, help: "Refuse guest writes." }),
  noDelete: flag({ key: "nodelete", default: false, help: "Offer no discard (TRIM)." }),
  noDelay: flag({ key: "nodelay", default: false, help: "Accepted for compatibility." }),
  sectorSize: text({
    key: "sectorsize", help: "Sector size in bytes: logical or logical/physical.",
  }),
  bootIndex: integer({ key: "bootindex", help: "Place in the firmware's boot order." }),
  overlay: text({
    help: "File that takes the writes (qcow2, made when missing), or ram: the disk stays as it is.",
  }),
  fault: group({
    read: fault("reads"), write: fault("writes"), flush: fault("flushes"),
    seed: integer({
      min: 0, max: 0xffff_ffff, default: 1, help: "The same seed, the same faults.",
    }),
  }, { help: "Faults on purpose." }),
  delay: text({
    pattern: /^(0|[1-9][0-9]{0,4})(ms)?$/, hint: `milliseconds, up to ${delayMaxMs}, as 5ms`,
    help: "How much longer every request takes.",
  }),
  iops: integer({ min: 0, max: iopsMax, default: 0, help: "Requests a second at most; 0: any." }),
  bandwidth: size({ default: 0, help: "Bytes a second at most; 0: any." }),
  onError: text({
    key: "onerror", oneOf: ["report", "stop"], default: "report",
    help: "A host that fails: report it as an I/O error, or let requests wait until it is over.",
  }),
  thread: flag({
    default: false, help: "Serve the disk in a thread of its own; some back ends always have one.",
  }),
});

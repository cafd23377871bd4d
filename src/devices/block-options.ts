/** The keys of every disk (bhyve_config(5), block devices); the machine opens the back end. */
import { flag, integer, options, text } from "../config/options.ts";

export const blockOptions = options({
  path: text({ required: true, help: "Image file or block device." }),
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
});

// npm run test:vmm: Debian's kernel through a fake of each version of FreeBSD's /dev/vmm.
import { runWithAddon } from "./build.mjs";

runWithAddon("vmm", "freebsd", "fake", "debian.js");

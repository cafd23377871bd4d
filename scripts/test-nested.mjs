// npm run test:nested: KVM in a Debian guest that QEMU emulates, with this program inside.
import { runWithAddon } from "./build.mjs";

runWithAddon("machine", "nested", "run.js");

/** Firecracker's configuration file (its API's bodies in one JSON object). */
import { anyBool, readRows, sizeIn, writeRows } from "./codec.ts";
import type { Row } from "./codec.ts";
import { MiB } from "../base/units.ts";
import { Draft } from "./draft.ts";
import type { Entries } from "./entries.ts";
import { entriesOfValue, finishReading } from "./foreign.ts";
import type { Format } from "./format.ts";
import { functionsOf } from "./functions.ts";
import { readJson } from "./json-text.ts";
import { drivesOf, takeBoard, takeDrive } from "./parts.ts";

const trueFalse = anyBool("true", "false");

const rows: readonly Row[] = [
  ["boot.kernel", "boot-source.kernel_image_path"],
  ["boot.initrd", "boot-source.initrd_path"],
  ["boot.cmdline", "boot-source.boot_args"],
  ["memory.size", "machine-config.mem_size_mib", sizeIn(MiB)],
  ["cpus", "machine-config.vcpu_count"],
];

export const firecracker: Format = {
  name: "firecracker-json",
  help: "a configuration file of Firecracker",
  endings: [],
  keepsReferences: false,
  read(source, options) {
    const theirs = entriesOfValue(readJson(source));
    const draft = new Draft();
    readRows(rows, theirs, draft);
    if (theirs.peek("machine-config.smt") === "false") {
      theirs.take("machine-config.smt");
    }
    readDrives(theirs.under("drives."), draft);
    readCards(theirs.under("network-interfaces."), draft);
    if (theirs.names().includes("entropy")) {
      const { at } = { at: theirs.under("entropy").at() };
      draft.add({ device: "virtio-rnd", at, keys: [] });
    }
    return finishReading(draft, theirs, source, options);
  },
  write(ours) {
    const views = functionsOf(ours);
    takeBoard(ours, views);
    const scalars = new Map(writeRows(rows, ours));
    const section = (name: string) => Object.fromEntries([...scalars]
      .filter(([key]) => key.startsWith(`${name}.`))
      .map(([key, value]) => [key.slice(name.length + 1),
        name === "machine-config" ? Number(value) : value]));
    const drives = views.flatMap(drivesOf).filter(({ bus }) => bus === "virtio")
      .map((drive, index) => {
        const readOnly = drive.keys.take("ro");
        return {
          drive_id: `drive${index}`, path_on_host: takeDrive(drive), is_root_device: index === 0,
          is_read_only: trueFalse.toTheirs(readOnly ?? "false") === "true",
        };
      });
    const cards = views.filter(({ device }) => device === "virtio-net").map(({ keys }, index) => {
      keys.take("device");
      const mac = keys.take("mac");
      return { iface_id: `eth${index}`, ...(mac !== undefined && { guest_mac: mac }),
        host_dev_name: keys.take("backend") ?? "" };
    });
    const whole = {
      "boot-source": section("boot-source"), "machine-config": section("machine-config"),
      drives, "network-interfaces": cards,
    };
    return { text: `${JSON.stringify(whole, undefined, 2)}\n`, losses: [] };
  },
};

function readDrives(drives: Entries, draft: Draft): void {
  for (const number of drives.names()) {
    const drive = drives.under(`${number}.`);
    const at = drive.at();
    const path = drive.take("path_on_host");
    drive.pass("drive_id", "is_root_device");
    draft.add({ device: "virtio-blk", at, keys: [["path", path],
      ["ro", drive.take("is_read_only") === "true" ? "true" : undefined]] });
  }
}

function readCards(cards: Entries, draft: Draft): void {
  for (const number of cards.names()) {
    const card = cards.under(`${number}.`);
    const at = card.at();
    card.take("iface_id");
    draft.add({ device: "virtio-net", at,
      keys: [["backend", card.take("host_dev_name")], ["mac", card.take("guest_mac")]] });
  }
}

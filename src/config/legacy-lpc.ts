/** The grammar of bhyve's `-l device[,conf]`, after lpc_device_parse of bhyve 15.1 (pci_lpc.c). */
import { ConfigError } from "../base/errors.ts";
import { genericGrammar, targetOf } from "./legacy.ts";
import type { Tree } from "./tree.ts";
import { asciiLower } from "./values.ts";

/** What `-l help` lists. */
export const lpcDevices = ["bootrom", "com1", "com2", "com3", "com4", "tpm", "pc-testdev"] as const;

/** Sets the keys of one `-l` option; false if there is no such device. */
export function setLpcDevice(tree: Tree, option: string): boolean {
  const [name = "", ...fields] = option.split(",");
  const device = lpcDevices.find((each) => each === asciiLower(name));
  switch (device) {
    case "bootrom":
      setBootRom(tree, option, fields);
      return true;
    case "tpm":
      setTpm(tree, option, fields);
      return true;
    case "pc-testdev":
      tree.set("lpc.pc-testdev", "true");
      return true;
    case undefined:
      return false;
    default:
      setSerialPort(tree, device, fields);
      return true;
  }
}

/** `bootrom,ROM[,VARIABLES][,key=value…]`: a second field without `=` names the variables. */
function setBootRom(tree: Tree, option: string, fields: readonly string[]): void {
  const [rom, second, ...rest] = fields;
  if (rom === undefined) {
    throw new ConfigError({
      key: "-l", value: option, message: "no ROM is named; allowed: bootrom,ROM[,VARIABLES]",
    });
  }
  tree.set("bootrom", rom);
  if (second === undefined) {
    return;
  }
  const others = second.includes("=") ? fields.slice(1) : rest;
  if (!second.includes("=")) {
    tree.set("bootvars", second);
  }
  setGeneric(tree, "lpc", others);
}

function setTpm(tree: Tree, option: string, fields: readonly string[]): void {
  const node = tree.root.create("tpm") ?? tree.root;
  const [type, path, ...rest] = fields;
  if (type === undefined || path === undefined) {
    throw new ConfigError({
      key: "-l", value: option,
      message: `${type === undefined ? "type" : "path"} of the TPM is missing; allowed: `
        + "tpm,TYPE,PATH[,version=2.0]",
    });
  }
  node.set("type", type);
  node.set("path", path);
  setGeneric(tree, "tpm", rest);
  if (node.raw("version") === undefined) {
    node.set("version", "2.0");
  }
}

/** Looks the node up once more: bhyve does, and warns again if a value is in its place. */
function setGeneric(tree: Tree, path: string, fields: readonly string[]): void {
  const node = tree.root.node(path) ?? tree.root;
  if (fields.length > 0) {
    genericGrammar(fields.join(","), targetOf(node));
  }
}

/** `comN,TTY`: all of the rest, commas included. Without it bhyve 15.1 aborts at start. */
function setSerialPort(tree: Tree, name: string, fields: readonly string[]): void {
  const node = tree.root.create(`lpc.${name}`);
  if (!node) {
    throw new ConfigError({ key: `lpc.${name}`, message: "a value stands where a node must be" });
  }
  if (fields.length > 0) {
    node.set("path", fields.join(","));
  }
}

/** bhyve's `-f`: a file for the guest's firmware interface (fw_cfg), given as text or by path. */
import { ConfigError, HostError, exitStatus } from "../base/errors.ts";

export interface FirmwareFile {
  readonly name: string;
  readonly content: { readonly text: string } | { readonly path: string };
}

/** QEMU's fw_cfg directory has room for names of 55 bytes and a NUL. */
const nameBytesMax = 55;

/** Adds the file that `[name=]NAME,string=TEXT` or `[name=]NAME,file=PATH` stands for. */
export function setFirmwareFile(argument: string, to: {
  readonly say: (line: string) => void;
  readonly readFile: (path: string) => string;
  readonly files: FirmwareFile[];
}): void {
  const [, name, kind, value] = /^(?:name=)?([^,]*),(string|file)=([^]*)$/.exec(argument) ?? [];
  const refuse = () => new ConfigError({
    key: "-f", value: argument, message: "invalid fw_cfg item; allowed: [name=]NAME,string=TEXT "
      + `or [name=]NAME,file=PATH, NAME of up to ${nameBytesMax} bytes`,
  }, exitStatus.usage);
  if (name === undefined || value === undefined || Buffer.byteLength(name) > nameBytesMax) {
    to.say(`tsbhyve: Invalid fw_cfg option "${argument}"`);
    to.say("tsbhyve: -f [name=]<name>,(string|file)=<value>");
    throw refuse();
  }
  if (kind === "string") {
    to.files.push({ name, content: { text: value } });
    return;
  }
  try {
    to.readFile(value);
  } catch (error) {
    if (!(error instanceof HostError)) {
      throw error;
    }
    to.say(`tsbhyve: fw_cfg file: ${error.message}`);
    throw refuse();
  }
  to.files.push({ name, content: { path: value } });
}

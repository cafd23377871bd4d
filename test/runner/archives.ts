/** Small archives for tests: what `ar` and `tar` would write. */

export interface TarSource {
  readonly path: string;
  readonly content?: string;
  /** Type flag of the header. */
  readonly type?: string;
  readonly target?: string;
  readonly prefix?: string;
}

export function tarOf(sources: readonly TarSource[]): Uint8Array {
  const parts = sources.map((source) => {
    const content = Buffer.from(source.content ?? "", "utf8");
    const padding = Buffer.alloc((512 - content.length % 512) % 512);
    return Buffer.concat([tarHeader(source, content.length), content, padding]);
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function tarHeader(source: TarSource, size: number): Uint8Array {
  const header = Buffer.alloc(512);
  header.write(source.path, 0, 100, "utf8");
  header.write("0000644\0", 100, "latin1");
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  header.write("        ", 148, "latin1");
  header.write(source.type ?? "0", 156, "latin1");
  header.write(source.target ?? "", 157, 100, "utf8");
  header.write("ustar\0" + "00", 257, "latin1");
  header.write(source.prefix ?? "", 345, 155, "utf8");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

type Member = readonly [name: string, content: Uint8Array];

export function arOf(members: readonly Member[]): Uint8Array {
  const parts = members.flatMap(([name, content]) => {
    const fields = [
      name.padEnd(16), "0".padEnd(12), "0".padEnd(6), "0".padEnd(6), "100644".padEnd(8),
      String(content.length).padEnd(10), "`\n",
    ];
    const padding = Buffer.alloc(content.length % 2, "\n");
    return [Buffer.from(fields.join(""), "latin1"), content, padding];
  });
  return Buffer.concat([Buffer.from("!<arch>\n", "latin1"), ...parts]);
}

export function packageOf(payloadName: string, payload: Uint8Array): Uint8Array {
  return arOf([
    ["debian-binary", Buffer.from("2.0\n")],
    ["control.tar", tarOf([])],
    [payloadName, payload],
  ]);
}

/** A kernel module as far as its dependencies go. */
export function moduleOf(depends: string): string {
  return `\x7fELF\0license=GPL\0depends=${depends}\0name=x\0`;
}

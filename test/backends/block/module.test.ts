/** Back ends that users write, beginning with the one in the documentation. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { ConfigError } from "../../../src/base/errors.ts";
import { silentLog } from "../../../src/base/log.ts";
import { openImage } from "../../../src/backends/block/open.ts";
import { nodeOf } from "../../../src/config/options.ts";
import { readBlockSpec } from "../../../src/machine/block.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, test } from "../../support/harness.ts";
import { repositoryRoot } from "../../support/paths.ts";

const folder = testFolder();
const open = (path: string, more: Readonly<Record<string, string>> = {}) => openImage(
  readBlockSpec(nodeOf({ path, backend: "module", ...more }, "pci.0.3.0")), silentLog);

test("the documented example serves a disk over HTTP, and takes writes in an overlay", async () => {
  const text = readFileSync(join(repositoryRoot, "docs", "block-backends.md"), "utf8");
  const [, example = ""] = /```js\n(.*?)```/s.exec(text) ?? [];
  assert.ok(example.split("\n").length <= 20, "it has twenty lines at most");
  const module = folder.put("http.mjs", example);
  const content = new Uint8Array(1024 * 1024).map((_zero, at) => at >>> 7);
  const server = createServer((request, response) => {
    const [, from = "0", to = ""] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
    if (request.url !== "/disk.img") {
      response.writeHead(404).end();
    } else if (request.method === "HEAD") {
      response.writeHead(200, { "content-length": content.length }).end();
    } else {
      response.writeHead(206).end(content.subarray(Number(from), Number(to) + 1));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  const port = bound !== null && typeof bound === "object" ? bound.port : 0;
  try {
    const image = await open(`${module}?http://127.0.0.1:${port}/disk.img`, { overlay: "ram" });
    assert.equal(image.sizeBytes, content.length);
    const mirror = content.slice();
    mirror.fill(0xee, 300 * 512, 303 * 512);
    await image.write?.(300 * 512, new Uint8Array(3 * 512).fill(0xee));
    const whole = new Uint8Array(content.length);
    await image.read(0, whole);
    assert.equal(Buffer.compare(whole, mirror), 0);
    await assert.rejects(open(`${module}?http://127.0.0.1:${port}/none`), /404/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("what a module lacks is said with the key", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["export const x = 1;", /default export is no function/],
    ["export default () => ({ sizeBytes: 512, readOnly: true });", /no method `read`/],
    ["export default () => ({ sizeBytes: 512, readOnly: false, read() {} });", /no method `write`/],
    ["export default () => ({ sizeBytes: -1, readOnly: true, read() {} });", /positive integer/],
    ["export default () => { throw new Error('no luck'); };", /no luck/],
    ["this is no JavaScript", /Unexpected/],
  ];
  for (const [index, [code, message]] of cases.entries()) {
    const module = folder.put(`case${index}.mjs`, code);
    await assert.rejects(open(module), (error) => error instanceof ConfigError
      && error.problems[0]?.key === "pci.0.3.0.path" && message.test(error.message), code);
  }
  await assert.rejects(open("/no/such/module.mjs"), ConfigError);
});

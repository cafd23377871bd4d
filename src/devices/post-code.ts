/** Port 0x80: firmware writes its progress here, and kernels write to it to wait a microsecond. */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import { registerMap } from "../fabric/register-map.ts";

export class PostCode implements BoardDevice {
  readonly #claims = new ClaimList();
  /** The last code: where a firmware that hangs has come to. */
  readonly state = { code: 0 };

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "POST code", base: 0x80 }, registers, this);
  }

  reset(): void {
    this.state.code = 0;
  }

  sync(): void {}

  detach(): void {
    this.#claims.release();
  }
}

const registers = registerMap<PostCode>({
  size: 1,
  rows: [[0, "POST", "rw", { field: "code" }]],
});

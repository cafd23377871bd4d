/**
 * A boot ROM that talks: it prints a star, then sends back what it gets on the first serial line.
 * `R` resets the machine. Sixteen-bit code at the ROM's offset 0, as in the recordings of bhyve.
 */
const code = [
  0xba, 0xf8, 0x03, 0xb0, 0x2a, 0xee, // mov dx,3F8h; mov al,'*'; out dx,al
  0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, // wait for the line status's data ready
  0xba, 0xf8, 0x03, 0xec, 0x3c, 0x52, 0x74, 0x03, // mov dx,3F8h; in al,dx; cmp al,'R'; je reset
  0xee, 0xeb, 0xed, // out dx,al; back to the wait
  0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xeb, 0xfe, // reset: mov dx,CF9h; mov al,6; out dx,al
];

export function echoRom(): Uint8Array {
  const bytes = new Uint8Array(4096).fill(0xf4);
  bytes.set(code);
  bytes.set([0xe9, 0x0d, 0xf0], 0xff0); // jmp to offset 0
  bytes.fill(0, 0xff8);
  return bytes;
}

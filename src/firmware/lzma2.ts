/**
 * LZMA2, the compression inside XZ files (.xz File Format 1.2.0 §5.3.1 and the LZMA
 * specification of its SDK): chunks, each stored or a run of literals and matches whose choices
 * are bits of an adaptive binary range coder.
 */

/** The packed bytes are wrong. */
export class XzError extends Error {
  override readonly name = "XzError";
}

const probabilityBits = 11;
const probabilityStart = 1 << (probabilityBits - 1);
const adaptionShift = 5;
const rangeMin = 2 ** 24;

const stateCount = 12;
const positionStatesMax = 16;
const literalCoderSize = 0x300;
/** LZMA2 allows no more literal context bits and position bits than these together. */
const literalBitsMax = 4;
const matchLengthMin = 2;
const slotBits = 6;
const alignBits = 4;
/** Distance slots below this one name the distance, from the other on its low bits are aligned. */
const firstSpecialSlot = 4;
const firstAlignedSlot = 14;

/** A length coder: two choices, eight short lengths and eight middle ones by position, 256 long. */
const lengthCoder = { choice: 0, choice2: 1, low: 2, mid: 130, high: 258, size: 514 } as const;

/** Where each group of probabilities begins. */
const at = (() => {
  let next = 0;
  const take = (count: number) => {
    const start = next;
    next += count;
    return start;
  };
  return {
    isMatch: take(stateCount * positionStatesMax), isRep: take(stateCount),
    isRep0: take(stateCount), isRep1: take(stateCount), isRep2: take(stateCount),
    isRep0Long: take(stateCount * positionStatesMax),
    slot: take(4 << slotBits), special: take(128), align: take(1 << alignBits),
    matchLength: take(lengthCoder.size), repLength: take(lengthCoder.size),
    literal: take(literalCoderSize << literalBitsMax),
  } as const;
})();
const probabilityCount = at.literal + (literalCoderSize << literalBitsMax);

const coderPart = { range: 0, code: 1 } as const;

export class Lzma2Decoder {
  readonly #packed: Uint8Array;
  readonly #sizeMax: number;
  #from: number;
  #end = 0;
  #out: Uint8Array;
  #to = 0;
  /** Where matches may reach back to. */
  #dictionaryStart = 0;
  readonly #probabilities = new Uint16Array(probabilityCount);
  /** Range and code of the coder, in an array so that 32-bit values stay unboxed. */
  readonly #coder = new Uint32Array(2);
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  #needs: "dictionary" | "properties" | "nothing" = "dictionary";

  /** Starts at byte `from` of `packed`; `sizeHint` is the likely size of the result. */
  constructor(packed: Uint8Array, from: number, sizeMax: number, sizeHint: number) {
    this.#packed = packed;
    this.#from = from;
    this.#sizeMax = sizeMax;
    this.#out = new Uint8Array(Math.min(sizeHint, sizeMax));
  }

  /** Unpacks all chunks; `end` is where they end in the packed bytes. */
  run(): { readonly bytes: Uint8Array; readonly end: number } {
    for (let control = this.#byte(); control !== 0; control = this.#byte()) {
      if (control >= 0x80) {
        this.#packedChunk(control);
      } else if (control <= 2) {
        this.#storedChunk(control === 1);
      } else {
        throw new XzError("an unknown kind of chunk");
      }
    }
    return { bytes: this.#out.subarray(0, this.#to), end: this.#from };
  }

  #storedChunk(resetsDictionary: boolean): void {
    this.#resetDictionary(resetsDictionary);
    const size = this.#word() + 1;
    this.#reserve(size);
    if (this.#from + size > this.#packed.length) {
      throw new XzError("a stored chunk is truncated");
    }
    this.#out.set(this.#packed.subarray(this.#from, this.#from + size), this.#to);
    this.#from += size;
    this.#to += size;
  }

  #packedChunk(control: number): void {
    const unpackedBytes = (control & 0x1f) * 2 ** 16 + this.#word() + 1;
    const packedBytes = this.#word() + 1;
    const reset = (control >>> 5) & 3;
    this.#resetDictionary(reset === 3);
    if (reset >= 2) {
      this.#setProperties(this.#byte());
    } else if (this.#needs !== "nothing") {
      throw new XzError("a chunk without properties");
    }
    if (reset >= 1) {
      this.#resetState();
    }
    this.#reserve(unpackedBytes);
    this.#end = this.#from + packedBytes;
    if (this.#end > this.#packed.length) {
      throw new XzError("a chunk is truncated");
    }
    this.#startCoder();
    this.#decode(this.#to + unpackedBytes);
    this.#from = this.#end;
  }

  #resetDictionary(wanted: boolean): void {
    if (wanted) {
      this.#dictionaryStart = this.#to;
      this.#needs = "properties";
    } else if (this.#needs === "dictionary") {
      throw new XzError("the first chunk does not start a dictionary");
    }
  }

  #setProperties(byte: number): void {
    const literalContextBits = byte % 9;
    const literalPositionBits = Math.floor(byte / 9) % 5;
    const positionBits = Math.floor(byte / 45);
    if (positionBits > 4 || literalContextBits + literalPositionBits > literalBitsMax) {
      throw new XzError("properties that LZMA2 does not allow");
    }
    this.#literalContextBits = literalContextBits;
    this.#literalPositionMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << positionBits) - 1;
    this.#needs = "nothing";
  }

  #resetState(): void {
    this.#probabilities.fill(probabilityStart);
    this.#state = 0;
    this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  /** Makes room for `size` more bytes. */
  #reserve(size: number): void {
    const needed = this.#to + size;
    if (needed > this.#sizeMax) {
      throw new XzError("it unpacks to too much");
    }
    if (needed > this.#out.length) {
      const room = Math.max(needed, 2 * this.#out.length);
      const larger = new Uint8Array(Math.min(room, this.#sizeMax));
      larger.set(this.#out.subarray(0, this.#to));
      this.#out = larger;
    }
  }

  #byte(): number {
    const byte = this.#packed[this.#from];
    if (byte === undefined) {
      throw new XzError("the data is truncated");
    }
    this.#from += 1;
    return byte;
  }

  #word(): number {
    return (this.#byte() << 8) | this.#byte();
  }

  #startCoder(): void {
    this.#byte(); // Always zero.
    this.#coder[coderPart.range] = 0xffff_ffff;
    this.#coder[coderPart.code] = this.#word() * 2 ** 16 + this.#word();
  }

  /** Literals and matches up to byte `end` of the result. */
  #decode(end: number): void {
    while (this.#to < end) {
      const position = this.#to & this.#positionMask;
      const state = this.#state;
      if (this.#bit(at.isMatch + state * positionStatesMax + position) === 0) {
        this.#literal();
      } else if (this.#bit(at.isRep + state) === 0) {
        this.#match(position, end);
      } else {
        this.#repeatedMatch(position, end);
      }
    }
  }

  /** A byte; after a match, the byte that the match would have gone on with steers the choice. */
  #literal(): void {
    const to = this.#to - this.#dictionaryStart;
    const before = to === 0 ? 0 : this.#out[this.#to - 1] ?? 0;
    const context = ((this.#to & this.#literalPositionMask) << this.#literalContextBits)
      | (before >>> (8 - this.#literalContextBits));
    const coder = at.literal + context * literalCoderSize;
    let symbol = 1;
    if (this.#state >= 7) {
      let matched = this.#out[this.#to - this.#rep0 - 1] ?? 0;
      let offset = 0x100;
      while (symbol < 0x100) {
        matched <<= 1;
        const expected = matched & offset;
        const bit = this.#bit(coder + offset + expected + symbol);
        symbol = (symbol << 1) | bit;
        offset &= bit === 0 ? ~expected : expected;
      }
    } else {
      while (symbol < 0x100) {
        symbol = (symbol << 1) | this.#bit(coder + symbol);
      }
    }
    this.#out[this.#to] = symbol & 0xff;
    this.#to += 1;
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  #match(position: number, end: number): void {
    this.#rep3 = this.#rep2;
    this.#rep2 = this.#rep1;
    this.#rep1 = this.#rep0;
    const length = this.#length(at.matchLength, position);
    this.#state = this.#state < 7 ? 7 : 10;
    this.#rep0 = this.#distance(length);
    this.#copy(length, end);
  }

  #repeatedMatch(position: number, end: number): void {
    const state = this.#state;
    const isLiteralState = state < 7;
    if (this.#bit(at.isRep0 + state) === 0) {
      if (this.#bit(at.isRep0Long + state * positionStatesMax + position) === 0) {
        this.#state = isLiteralState ? 9 : 11;
        this.#copy(1, end);
        return;
      }
    } else {
      this.#rotate(state);
    }
    const length = this.#length(at.repLength, position);
    this.#state = isLiteralState ? 8 : 11;
    this.#copy(length, end);
  }

  /** Takes one of the three older distances to the front. */
  #rotate(state: number): void {
    let distance = this.#rep1;
    if (this.#bit(at.isRep1 + state) !== 0) {
      distance = this.#rep2;
      if (this.#bit(at.isRep2 + state) !== 0) {
        distance = this.#rep3;
        this.#rep3 = this.#rep2;
      }
      this.#rep2 = this.#rep1;
    }
    this.#rep1 = this.#rep0;
    this.#rep0 = distance;
  }

  #length(coder: number, position: number): number {
    if (this.#bit(coder + lengthCoder.choice) === 0) {
      return matchLengthMin + this.#tree(coder + lengthCoder.low + position * 8, 3);
    }
    if (this.#bit(coder + lengthCoder.choice2) === 0) {
      return matchLengthMin + 8 + this.#tree(coder + lengthCoder.mid + position * 8, 3);
    }
    return matchLengthMin + 16 + this.#tree(coder + lengthCoder.high, 8);
  }

  #distance(length: number): number {
    const group = Math.min(length - matchLengthMin, 3);
    const slot = this.#tree(at.slot + (group << slotBits), slotBits);
    if (slot < firstSpecialSlot) {
      return slot;
    }
    const lowBits = (slot >>> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** lowBits;
    if (slot < firstAlignedSlot) {
      return base + this.#reverseTree(at.special + base - slot, lowBits);
    }
    const direct = this.#directBits(lowBits - alignBits);
    return base + direct * 2 ** alignBits + this.#reverseTree(at.align, alignBits);
  }

  #copy(length: number, end: number): void {
    const out = this.#out;
    const distance = this.#rep0 + 1;
    const to = this.#to;
    if (to - distance < this.#dictionaryStart || to + length > end) {
      throw new XzError("a match lies outside the data");
    }
    if (distance >= length) {
      out.copyWithin(to, to - distance, to - distance + length);
    } else {
      for (let index = to; index < to + length; index += 1) {
        out[index] = out[index - distance] ?? 0;
      }
    }
    this.#to = to + length;
  }

  #tree(base: number, bits: number): number {
    let symbol = 1;
    for (let count = 0; count < bits; count += 1) {
      symbol = (symbol << 1) | this.#bit(base + symbol);
    }
    return symbol - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let count = 0; count < bits; count += 1) {
      const bit = this.#bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << count;
    }
    return value;
  }

  /** Bits of equal odds. */
  #directBits(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      this.#normalize();
      const half = (this.#coder[coderPart.range] ?? 0) >>> 1;
      const code = this.#coder[coderPart.code] ?? 0;
      this.#coder[coderPart.range] = half;
      const bit = code >= half ? 1 : 0;
      this.#coder[coderPart.code] = bit === 0 ? code : code - half;
      value = value * 2 + bit;
    }
    return value;
  }

  /** One adaptive bit: the hot path of all of this. */
  #bit(index: number): number {
    this.#normalize();
    const range = this.#coder[coderPart.range] ?? 0;
    const code = this.#coder[coderPart.code] ?? 0;
    const probability = this.#probabilities[index] ?? probabilityStart;
    const bound = (range >>> probabilityBits) * probability;
    if (code < bound) {
      this.#coder[coderPart.range] = bound;
      this.#probabilities[index] =
        probability + (((1 << probabilityBits) - probability) >>> adaptionShift);
      return 0;
    }
    this.#coder[coderPart.range] = range - bound;
    this.#coder[coderPart.code] = code - bound;
    this.#probabilities[index] = probability - (probability >>> adaptionShift);
    return 1;
  }

  #normalize(): void {
    const range = this.#coder[coderPart.range] ?? 0;
    if (range < rangeMin) {
      if (this.#from >= this.#end) {
        throw new XzError("a chunk ends too early");
      }
      this.#coder[coderPart.range] = range * 256;
      this.#coder[coderPart.code] =
        (((this.#coder[coderPart.code] ?? 0) << 8) | (this.#packed[this.#from] ?? 0)) >>> 0;
      this.#from += 1;
    }
  }
}

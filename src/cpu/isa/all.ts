/** Loads every part of the instruction set into the tables. */
import "./arithmetic.ts";
import "./moves.ts";
import "./control.ts";
import "./bits.ts";
import "./bmi.ts";
import "./strings.ts";
import "./system.ts";
import "./sse-moves.ts";
import "./sse-integer.ts";
import "./sse-shuffle.ts";
import "./sse-float.ts";
import "./sse-convert.ts";
import "./sse-strings.ts";
import "./vector-tests.ts";
import "./avx.ts";
import "./fma.ts";
import "./f16c.ts";

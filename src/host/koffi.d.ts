/** The part of the optional package koffi that is used here (docs/decisions/0009-ffi.md). */
declare module "koffi" {
  interface Library {
    func(definition: string): (...parameters: (number | string)[]) => number | string | null;
  }
  const koffi: {
    load(path: string): Library;
    errno(): number;
  };
  export default koffi;
}

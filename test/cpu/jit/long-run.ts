/** Started by scripts/test-oracle.mjs: the tests of regions, with 50,000 of them. */
process.env["TSBHYVE_REGIONS"] ??= "50000";
await import("./regions.test.ts");

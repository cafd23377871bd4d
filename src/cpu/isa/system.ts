/** System instructions: rows only; the system room has a named helper for each (SDM 2, 3A). */
import { define, defineHelpers, row } from "./table.ts";

defineHelpers(
  "in", "out", "cpuid", "rdtsc", "rdtscp", "rdpmc", "rdmsr", "wrmsr", "mov.from.control",
  "mov.to.control", "mov.from.debug", "mov.to.debug", "clts", "lmsw", "smsw", "invlpg",
  "invpcid", "wbinvd", "swapgs", "syscall", "sysret", "sysenter", "sysexit", "lgdt", "lidt",
  "sgdt", "sidt", "lldt", "sldt", "ltr", "str", "lar", "lsl", "verr", "verw", "arpl", "xgetbv",
  "xsetbv", "stac", "clac", "rdrand", "rdseed", "monitor", "mwait", "rdfsbase", "rdgsbase",
  "wrfsbase", "wrgsbase", "fxsave", "fxrstor", "xsave", "xrstor", "xsaveopt", "ldmxcsr",
  "stmxcsr", "vmcall", "x87", "fwait", "clzero",
);
row("in", "AL,Ib", "E4");
row("in", "eAX,Ib", "E5");
row("in", "AL,DX", "EC");
row("in", "eAX,DX", "ED");
row("out", "Ib,AL", "E6");
row("out", "Ib,eAX", "E7");
row("out", "DX,AL", "EE");
row("out", "DX,eAX", "EF");
row("cpuid", "", "0F A2");
row("rdtsc", "", "0F 31");
row("rdtscp", "", "0F 01 rm1 /7");
row("rdpmc", "", "0F 33");
row("rdmsr", "", "0F 32");
row("wrmsr", "", "0F 30");
row("mov.from.control", "Ry,Cd", "0F 20", { size64: "forced" });
row("mov.to.control", "Cd,Ry", "0F 22", { size64: "forced" });
row("mov.from.debug", "Ry,Dd", "0F 21", { size64: "forced" });
row("mov.to.debug", "Dd,Ry", "0F 23", { size64: "forced" });
row("clts", "", "0F 06");
row("smsw", "Ev", "0F 01 /4");
row("lmsw", "Ew", "0F 01 /6");
row("invlpg", "M", "0F 01 /7");
row("invpcid", "Gy,Mo", "66 0F 38 82", { size64: "forced", feature: "invpcid" });
row("wbinvd", "", "0F 09");
row("wbinvd", "", "0F 08"); // INVD: our caches hold nothing to lose.
row("swapgs", "", "0F 01 rm0 /7", { modes: "long" });
row("syscall", "", "0F 05");
row("sysret", "", "0F 07");
row("sysenter", "", "0F 34");
row("sysexit", "", "0F 35");
row("sgdt", "M", "0F 01 /0 mem", { size64: "forced" });
row("sidt", "M", "0F 01 /1 mem", { size64: "forced" });
row("lgdt", "M", "0F 01 /2 mem", { size64: "forced" });
row("lidt", "M", "0F 01 /3 mem", { size64: "forced" });
row("sldt", "Ev", "0F 00 /0");
row("str", "Ev", "0F 00 /1");
row("lldt", "Ew", "0F 00 /2");
row("ltr", "Ew", "0F 00 /3");
row("verr", "Ew", "0F 00 /4");
row("verw", "Ew", "0F 00 /5");
row("lar", "Gv,Ew", "0F 02 /r");
row("lsl", "Gv,Ew", "0F 03 /r");
row("arpl", "Ew,Gw", "63", { modes: "legacy" });
row("xgetbv", "", "np 0F 01 rm0 /2");
define("serialize", () => {}); // All that comes before is done anyway.
row("serialize", "", "np 0F 01 rm0 /5 reg", { feature: "serialize" });
row("xsetbv", "", "np 0F 01 rm1 /2");
row("clac", "", "np 0F 01 rm2 /1", { feature: "smap" });
row("stac", "", "np 0F 01 rm3 /1", { feature: "smap" });
row("monitor", "", "np 0F 01 rm0 /1", { feature: "monitor" });
row("mwait", "", "np 0F 01 rm1 /1", { feature: "monitor" });
row("vmcall", "", "np 0F 01 rm1 /3"); // VMMCALL
row("vmcall", "", "np 0F 01 rm1 /0"); // VMCALL
row("rdrand", "Rv", "nfx 0F C7 /6 reg", { feature: "rdrand" });
row("rdseed", "Rv", "nfx 0F C7 /7 reg", { feature: "rdseed" });
row("rdfsbase", "Ry", "F3 0F AE /0 reg", { modes: "long", feature: "fsgsbase" });
row("rdgsbase", "Ry", "F3 0F AE /1 reg", { modes: "long", feature: "fsgsbase" });
row("wrfsbase", "Ry", "F3 0F AE /2 reg", { modes: "long", feature: "fsgsbase" });
row("wrgsbase", "Ry", "F3 0F AE /3 reg", { modes: "long", feature: "fsgsbase" });
row("fxsave", "M", "np 0F AE /0 mem");
row("fxrstor", "M", "np 0F AE /1 mem");
row("ldmxcsr", "Md", "np 0F AE /2 mem");
row("stmxcsr", "Md", "np 0F AE /3 mem");
defineHelpers("vldmxcsr", "vstmxcsr");
row("vldmxcsr", "Md", "VEX L0 np 0F AE /2 mem", { feature: "avx" });
row("vstmxcsr", "Md", "VEX L0 np 0F AE /3 mem", { feature: "avx" });
row("xsave", "M", "np 0F AE /4 mem", { feature: "xsave" });
row("xrstor", "M", "np 0F AE /5 mem", { feature: "xsave" });
defineHelpers("xsavec");
row("xsavec", "M", "np 0F C7 /4 mem", { feature: "xsavec" });
row("xsaveopt", "M", "np 0F AE /6 mem", { feature: "xsaveopt" });
define("fence", () => {}); // One vCPU sees its own accesses in order.
row("fence", "", "np 0F AE /5 reg");
row("fence", "", "np 0F AE /6 reg");
row("fence", "", "np 0F AE /7 reg");
define("clflush", (x, line) => {
  x.load(x.address(line), 8); // Faults as a load does.
}, { cold: true });
row("clflush", "Mb", "np 0F AE /7 mem");
define("pause", () => {});
row("pause", "", "F3 90");
for (let escape = 0xd8; escape <= 0xdf; escape += 1) {
  row("x87", "M", `${escape.toString(16).toUpperCase()} mem`);
  row("x87", "", `${escape.toString(16).toUpperCase()} reg`);
}
row("fwait", "", "9B");

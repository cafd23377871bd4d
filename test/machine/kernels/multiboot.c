/* A multiboot-1 kernel that says on COM1 what its loader has told it, then powers off. */
#include <stdint.h>

struct header { uint32_t magic, flags, checksum; };
/* Modules on page boundaries, and memory sizes. */
__attribute__((section(".multiboot"), used))
const struct header header = { 0x1badb002, 3, -(0x1badb002u + 3) };

struct module { uint32_t start, end, text, reserved; };
struct range { uint32_t size; uint64_t base, length; uint32_t type; } __attribute__((packed));
struct information {
  uint32_t flags, lower, upper, device, command_line, module_count, modules, symbols[4],
    map_bytes, map, drives[2], config, loader;
};

static volatile uint8_t bss[70000]; /* What follows the file's bytes must be clear. */

static void out8(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void out16(uint16_t port, uint16_t value) {
  __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void say(const char *text) {
  for (; *text; text++) out8(0x3f8, *text);
}

static void number(uint32_t value) {
  char digits[11], *at = digits + 10;
  *at = 0;
  do *--at = '0' + value % 10; while (value /= 10);
  say(at);
}

static void line(const char *name, const char *text) {
  say(name); say("="); say(text); say("\n");
}

static void value(const char *name, uint32_t which) {
  say(name); say("="); number(which); say("\n");
}

void begin(uint32_t magic, const struct information *info) {
  uint32_t dirty = 0, mode;
  for (uint32_t at = 0; at < sizeof bss; at++) dirty |= bss[at];
  __asm__ volatile("mov %%cr0, %0" : "=r"(mode));
  line("magic", magic == 0x2badb002 ? "right" : "wrong");
  value("bss", dirty);
  value("paging", mode >> 31);
  value("flags", info->flags & 0x4d);
  value("lower", info->lower);
  value("upper", info->upper);
  line("command", (const char *)info->command_line);
  line("loader", (const char *)info->loader);
  const struct module *modules = (const void *)info->modules;
  for (uint32_t index = 0; index < info->module_count; index++) {
    const struct module *each = modules + index;
    line("module", (const char *)each->text);
    value("aligned", (each->start & 4095) == 0);
    value("bytes", each->end - each->start);
    say("content=");
    for (uint32_t at = each->start; at < each->end; at++) out8(0x3f8, *(const char *)at);
    say("\n");
  }
  uint64_t ram = 0;
  for (uint32_t at = info->map; at < info->map + info->map_bytes;) {
    const struct range *range = (const void *)at;
    if (range->type == 1) ram += range->length;
    at += range->size + 4;
  }
  value("ram", (uint32_t)(ram >> 10));
  out16(0x404, 0x3400);
}

static uint8_t stack[16384] __attribute__((aligned(16)));
uint8_t *const stack_end = stack + sizeof stack;

__asm__(
  ".globl _start\n"
  "_start: mov stack_end, %esp\n"
  "push %ebx\n push %eax\n call begin\n"
  "stop: hlt\n jmp stop\n");

/*
 * Runs single user-mode instructions on the processor of this machine, for comparison.
 *
 * Standard input carries batches: a header, then records that say what the registers, the flags
 * and some memory hold and which bytes to run. Each record is answered with the same record, as
 * the instruction left things, with the exception it raised if any. The layout of both is known
 * to layout.ts beside this file.
 *
 * After set-up the process may only read, write and exit (seccomp), whatever the bytes do.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	code_base = 0x4d3b7000, /* no bit string that starts in the data reaches it */
	code_bytes = 0x11000,
	data_base = 0x20001000, /* two pages; none before and after */
	data_bytes = 0x2000,
	gs_base = 0x1000,
	edge = 64, /* bytes compared at either end */
	middle = 512, /* bytes compared around the border of the two pages */
	batch_max = 4096,
	no_vector = 0xffff,
	with_float = 1, /* the record has an FXSAVE image */
	stop_at_once = 2, /* what follows the instruction is HLT */
	compatible = 4, /* 32-bit code, or 16-bit code */
	narrow = 8, /* 16-bit code: segments of the local descriptor table */
	narrow_base = 0x20000000,
	narrow_limit = 0x2fff,
	flat_data = 0x2b,
	narrow_code = 0x07,
	narrow_data = 0x0f,
	xsave_header = 512,
	avx_state = 4,
	avx_offset = 576,
	selector32 = 0x23,
	selector64 = 0x33,
};

struct record {
	uint64_t gpr[16];
	uint64_t rflags;
	uint64_t rip;
	uint32_t vector, error;
	uint64_t address;
	uint32_t options;
	uint32_t code_length;
	uint8_t code[24];
	uint8_t memory[edge + middle + edge];
	uint8_t fx[512];
	uint8_t upper[16][16]; /* bits 255:128 of the vector registers */
};

_Static_assert(offsetof(struct record, memory) == 192, "layout known to the tests");
_Static_assert(offsetof(struct record, fx) == 832, "layout known to the tests");
_Static_assert(offsetof(struct record, upper) == 1344, "layout known to the tests");
_Static_assert(sizeof(struct record) == 1600, "layout known to the tests");

/* The record at work; in low memory, so that the stub reaches it without a register. */
static struct record now __attribute__((aligned(64), used));
/* Where 32-bit code starts, for a far jump. */
static struct { uint32_t offset; uint16_t selector; } far_target __attribute__((used));
/* What DS and ES hold; 64-bit code does not look at them. */
static uint32_t data_selector __attribute__((used));
static uint64_t host_rsp __attribute__((used));
static const uint32_t default_mxcsr __attribute__((used)) = 0x1f80;
/* Whether the processor and its kernel have AVX. */
static uint32_t has_avx __attribute__((used));

void enter(void);
void leave(void);
void resume(void);
void enter32(void);

/* The code of the record, or enter32. */
static uint64_t entry __attribute__((used));

#define LOAD(n) "  vinsertf128 $1, now+1344+16*" #n ", %ymm" #n ", %ymm" #n "\n"
#define STORE(n) "  vextractf128 $1, %ymm" #n ", now+1344+16*" #n "\n"

__asm__(
	".pushsection .text\n"
	".globl enter, enter32, leave, resume\n"
	"enter:\n"
	"  pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"  movq %rsp, host_rsp\n"
	"  testl $1, now+160\n"
	"  jz 1f\n"
	"  fxrstor64 now+832\n"
	"  testl $1, has_avx\n"
	"  jz 1f\n"
	LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) LOAD(6) LOAD(7)
	LOAD(8) LOAD(9) LOAD(10) LOAD(11) LOAD(12) LOAD(13) LOAD(14) LOAD(15)
	"1:\n"
	"  movl data_selector, %eax\n"
	"  movl %eax, %ds\n"
	"  movl %eax, %es\n"
	"  pushq now+128\n"
	"  popfq\n"
	"  movq now+0, %rax; movq now+8, %rcx; movq now+16, %rdx; movq now+24, %rbx\n"
	"  movq now+32, %rsp; movq now+40, %rbp; movq now+48, %rsi; movq now+56, %rdi\n"
	"  movq now+64, %r8; movq now+72, %r9; movq now+80, %r10; movq now+88, %r11\n"
	"  movq now+96, %r12; movq now+104, %r13; movq now+112, %r14; movq now+120, %r15\n"
	"  jmp *entry\n"
	"enter32:\n"
	"  ljmp *far_target\n"
	"leave:\n"
	"  movq %rax, now+0; movq %rcx, now+8; movq %rdx, now+16; movq %rbx, now+24\n"
	"  movq %rsp, now+32; movq %rbp, now+40; movq %rsi, now+48; movq %rdi, now+56\n"
	"  movq %r8, now+64; movq %r9, now+72; movq %r10, now+80; movq %r11, now+88\n"
	"  movq %r12, now+96; movq %r13, now+104; movq %r14, now+112; movq %r15, now+120\n"
	"  movq host_rsp, %rsp\n"
	"  pushfq\n"
	"  popq now+128\n"
	"  pushq $2\n"
	"  popfq\n"
	"  testl $1, now+160\n"
	"  jz resume\n"
	"  fxsave64 now+832\n"
	"  testl $1, has_avx\n"
	"  jz resume\n"
	STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5) STORE(6) STORE(7)
	STORE(8) STORE(9) STORE(10) STORE(11) STORE(12) STORE(13) STORE(14) STORE(15)
	"  vzeroupper\n"
	"resume:\n"
	"  fninit\n"
	"  ldmxcsr default_mxcsr\n"
	"  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
	"  ret\n"
	".popsection\n");

static uint8_t *const code = (uint8_t *)code_base;
static uint8_t *const data = (uint8_t *)data_base;

static void on_exception(int number, siginfo_t *info, void *context)
{
	/* In the order of the record: rax rcx rdx rbx rsp rbp rsi rdi r8 to r15. */
	static const uint8_t order[16] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	ucontext_t *uc = context;
	greg_t *gregs = uc->uc_mcontext.gregs;
	(void)number;
	(void)info;
	for (int i = 0; i < 16; i++)
		now.gpr[i] = (uint64_t)gregs[order[i]];
	now.rflags = (uint64_t)gregs[REG_EFL];
	now.rip = (uint64_t)gregs[REG_RIP];
	now.vector = (uint32_t)gregs[REG_TRAPNO];
	now.error = (uint32_t)gregs[REG_ERR];
	now.address = (uint64_t)gregs[REG_CR2];
	if (now.options & with_float) {
		const uint8_t *image = (const uint8_t *)uc->uc_mcontext.fpregs;
		memcpy(now.fx, image, sizeof now.fx);
		/* The header of the XSAVE area says whether the upper halves are there or zero. */
		if (has_avx && (image[xsave_header] & avx_state))
			memcpy(now.upper, image + avx_offset, sizeof now.upper);
		else if (has_avx)
			memset(now.upper, 0, sizeof now.upper);
	}
	gregs[REG_RSP] = (greg_t)host_rsp;
	gregs[REG_RIP] = (greg_t)resume;
	gregs[REG_EFL] = 2;
	gregs[REG_CSGSFS] = (gregs[REG_CSGSFS] & ~0xffff) | selector64;
}

static int read_all(void *into, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(0, (char *)into + done, size - done);
		if (n <= 0)
			return 0;
		done += (size_t)n;
	}
	return 1;
}

static int write_all(const void *from, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(1, (const char *)from + done, size - done);
		if (n <= 0)
			return 0;
		done += (size_t)n;
	}
	return 1;
}

static uint8_t *const middle_at = (uint8_t *)data_base + data_bytes / 2 - middle / 2;
static uint8_t *const end_at = (uint8_t *)data_base + data_bytes - edge;

/* Places the instruction, and behind it a jump back or, for branches, nothing but HLT. */
static void place(uint8_t *at, const struct record *r)
{
	uint32_t length = r->code_length > sizeof r->code ? sizeof r->code : r->code_length;
	memset(at - 24, 0xf4, 64);
	memcpy(at, r->code, length);
	if (r->options & stop_at_once)
		return;
	if (r->options & narrow)
		at[length++] = 0x66;
	if (r->options & compatible) {
		uint32_t target = (uint32_t)(uintptr_t)leave;
		uint16_t selector = selector64;
		at[length] = 0xea;
		memcpy(at + length + 1, &target, 4);
		memcpy(at + length + 5, &selector, 2);
	} else {
		int32_t distance = (int32_t)((uintptr_t)leave - (uintptr_t)(at + length + 5));
		at[length] = 0xe9;
		memcpy(at + length + 1, &distance, 4);
	}
}

static void run(struct record *r, size_t size)
{
	uint8_t *at = (uint8_t *)r->rip;
	if (at < code + 24 || at > code + code_bytes - 64)
		_exit(3);
	place(at, r);
	memset(data, 0, data_bytes);
	memcpy(data, r->memory, edge);
	memcpy(middle_at, r->memory + edge, middle);
	memcpy(end_at, r->memory + edge + middle, edge);
	memcpy(&now, r, size);
	now.vector = no_vector;
	now.rip = (uint64_t)at;
	int is_narrow = (now.options & narrow) != 0;
	uint64_t start = is_narrow ? (uint64_t)(at - code) : (uint64_t)at;
	far_target.offset = (uint32_t)start;
	far_target.selector = is_narrow ? narrow_code : selector32;
	data_selector = is_narrow ? narrow_data : flat_data;
	entry = now.options & compatible ? (uint64_t)enter32 : now.rip;
	enter();
	if (now.options & compatible)
		for (int i = 0; i < 8; i++)
			now.gpr[i] = (uint32_t)now.gpr[i];
	if (now.vector == no_vector)
		now.rip = start + r->code_length;
	memcpy(now.memory, data, edge);
	memcpy(now.memory + edge, middle_at, middle);
	memcpy(now.memory + edge + middle, end_at, edge);
	memset(at - 24, 0xf4, 64);
	memcpy(r, &now, size);
}

/* Without these two segments (some kernels have no LDT) 16-bit code faults at its start. */
static void make_segments(void)
{
	struct user_desc code16 = {
		.entry_number = narrow_code >> 3, .base_addr = code_base, .limit = 0xffff,
		.contents = MODIFY_LDT_CONTENTS_CODE,
	};
	struct user_desc data16 = {
		.entry_number = narrow_data >> 3, .base_addr = narrow_base, .limit = narrow_limit,
		.contents = MODIFY_LDT_CONTENTS_DATA,
	};
	syscall(SYS_modify_ldt, 1, &code16, sizeof code16);
	syscall(SYS_modify_ldt, 1, &data16, sizeof data16);
}

static int set_up(void)
{
	static uint8_t stack[65536] __attribute__((aligned(64)));
	static const int signals[] = { SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS };
	stack_t alternative = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = {
		.sa_sigaction = on_exception, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	if (mmap(code, code_bytes, PROT_READ | PROT_WRITE | PROT_EXEC, fixed, -1, 0) != code ||
	    mmap(data, data_bytes, PROT_READ | PROT_WRITE, fixed, -1, 0) != data)
		return 0;
	memset(code, 0xf4, code_bytes);
	if (sigaltstack(&alternative, 0))
		return 0;
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		if (sigaction(signals[i], &action, 0))
			return 0;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, (unsigned long)gs_base))
		return 0;
	make_segments();
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0;
}

int main(void)
{
	static uint8_t records[batch_max * sizeof(struct record)] __attribute__((aligned(64)));
	uint32_t header[2]; /* count, and whether the records have FXSAVE images */
	has_avx = __builtin_cpu_supports("avx") != 0;
	if (!set_up())
		return 2;
	while (read_all(header, sizeof header)) {
		size_t size = header[1] ? sizeof(struct record) : offsetof(struct record, fx);
		if (header[0] > batch_max || !read_all(records, header[0] * size))
			break;
		for (uint32_t i = 0; i < header[0]; i++)
			run((struct record *)(records + i * size), size);
		if (!write_all(records, header[0] * size))
			break;
	}
	syscall(SYS_exit, 0);
	return 0;
}

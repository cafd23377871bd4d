/*
 * Runs single x87 and SSE instructions on the processor of this machine, for comparison.
 * Reads fixed-size records from standard input and answers each with the same record, updated.
 * A trap taken by the instruction is reported in the record; the program goes on.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

struct record {
	uint8_t code_length;
	uint8_t pad[3];
	uint32_t mxcsr;
	uint64_t rflags;
	uint8_t code[16];
	uint8_t xmm[3][16];
	uint64_t rax;
	uint32_t signal;
	uint32_t signal_code;
	uint8_t fsave[112]; /* FNSAVE image, 32-bit protected-mode layout */
	uint8_t memory[160]; /* what RDI points to */
};

_Static_assert(offsetof(struct record, xmm) == 32, "layout known to the tests");
_Static_assert(offsetof(struct record, fsave) == 96, "layout known to the tests");
_Static_assert(sizeof(struct record) == 368, "layout known to the tests");

/* rdi: operand memory, rsi: record. The tested bytes are written over the nops. */
__asm__(
	".pushsection .text\n"
	"stub_begin:\n"
	"  pushq %rbx\n"
	"  ldmxcsr 4(%rsi)\n"
	"  movups 32(%rsi), %xmm0\n"
	"  movups 48(%rsi), %xmm1\n"
	"  movups 64(%rsi), %xmm2\n"
	"  frstor 96(%rsi)\n"
	"  movq 80(%rsi), %rax\n"
	"  pushq 8(%rsi)\n"
	"  popfq\n"
	"stub_code:\n"
	"  .fill 16, 1, 0x90\n"
	"stub_after:\n"
	"  pushfq\n"
	"  popq 8(%rsi)\n"
	"  stmxcsr 4(%rsi)\n"
	"  fnsave 96(%rsi)\n"
	"  movq %rax, 80(%rsi)\n"
	"  movups %xmm0, 32(%rsi)\n"
	"  fninit\n"
	"  pushq $0x1f80\n"
	"  ldmxcsr (%rsp)\n"
	"  popq %rbx\n"
	"  popq %rbx\n"
	"  ret\n"
	"stub_end:\n"
	".popsection\n");

extern const uint8_t stub_begin[], stub_code[], stub_after[], stub_end[];

static uint8_t *page;
static volatile uint32_t trap_signal, trap_code;

static void on_trap(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	trap_signal = (uint32_t)number;
	trap_code = (uint32_t)info->si_code;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(page + (stub_after - stub_begin));
}

static int read_all(void *into, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t n = read(0, (char *)into + done, size - done);
		if (n <= 0)
			return 0;
		done += (size_t)n;
	}
	return 1;
}

static int write_all(const void *from, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t n = write(1, (const char *)from + done, size - done);
		if (n <= 0)
			return 0;
		done += (size_t)n;
	}
	return 1;
}

static void run(struct record *r)
{
	static uint8_t operand[512] __attribute__((aligned(64)));
	uint8_t *code = page + (stub_code - stub_begin);
	memset(operand, 0, sizeof operand);
	memcpy(operand, r->memory, sizeof r->memory);
	memset(code, 0x90, 16);
	memcpy(code, r->code, r->code_length > 15 ? 15 : r->code_length);
	trap_signal = trap_code = 0;
	((void (*)(void *, void *))page)(operand, r);
	memcpy(r->memory, operand, sizeof r->memory);
	r->signal = trap_signal;
	r->signal_code = trap_code;
}

int main(void)
{
	enum { batch_max = 256 };
	static struct record batch[batch_max];
	uint32_t count;
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	sigaction(SIGFPE, &action, 0);
	sigaction(SIGILL, &action, 0);
	sigaction(SIGSEGV, &action, 0);
	page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 1;
	memcpy(page, stub_begin, (size_t)(stub_end - stub_begin));
	while (read_all(&count, 4)) {
		for (uint32_t left = count; left > 0;) {
			uint32_t n = left < batch_max ? left : batch_max;
			if (!read_all(batch, n * sizeof batch[0]))
				return 1;
			for (uint32_t i = 0; i < n; i++)
				run(&batch[i]);
			if (!write_all(batch, n * sizeof batch[0]))
				return 1;
			left -= n;
		}
	}
	return 0;
}

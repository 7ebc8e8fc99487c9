/* Functions are found in whatever file it is, and little of it is in memory at once. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/symbols.h"

#define CODE_ADDRESS 0x401000
#define CODE_OFFSET 0x1000
#define CODE_SIZE 0x1000
#define STRINGS_OFFSET 0x2000
#define N_SYMBOLS 8

enum { NONE, CODE, MORE, SYMBOLS, STRINGS, N_SECTIONS };

/* A program, as much of it as matters: its strings follow at STRINGS_OFFSET. */
struct program {
	Elf64_Ehdr head;
	Elf64_Shdr sections[N_SECTIONS];
	Elf64_Sym symbols[N_SYMBOLS], more[2]; /* more: what is not exported, where the others are */
};

static struct program program_with(uint32_t type, uint64_t strings_size)
{
	struct program program = {
		.head = {.e_shoff = offsetof(struct program, sections), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = N_SECTIONS},
		.sections = {[CODE] = {.sh_type = SHT_PROGBITS, .sh_addr = CODE_ADDRESS, .sh_offset = CODE_OFFSET, .sh_size = CODE_SIZE},
			     [SYMBOLS] = {.sh_type = type, .sh_offset = offsetof(struct program, symbols),
					  .sh_size = sizeof(program.symbols), .sh_link = STRINGS, .sh_entsize = sizeof(Elf64_Sym)},
			     [MORE] = {.sh_type = SHT_SYMTAB, .sh_offset = offsetof(struct program, more),
				       .sh_size = sizeof(program.more), .sh_link = STRINGS, .sh_entsize = sizeof(Elf64_Sym)},
			     [STRINGS] = {.sh_type = SHT_STRTAB, .sh_offset = STRINGS_OFFSET, .sh_size = strings_size}}};

	memcpy(program.head.e_ident, ELFMAG, SELFMAG);
	program.head.e_ident[EI_CLASS] = ELFCLASS64;
	program.head.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	return program;
}

static Elf64_Sym function_at(uint32_t name, uint64_t place)
{
	return (Elf64_Sym){.st_name = name, .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC), .st_shndx = CODE, .st_value = CODE_ADDRESS + place};
}

static int file_of(const struct program *program, const char *strings, size_t len, uint64_t strings_at)
{
	int fd = memfd_create("program", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, program, sizeof(*program), 0), sizeof(*program));
	assert_int_equal(pwrite(fd, strings, len, (off_t)(STRINGS_OFFSET + strings_at)), len);
	return fd;
}

static uint64_t find(int fd, const char *name)
{
	struct fp_symbol symbol = {.name = name, .offset = 1};

	assert_int_equal(fp_symbols_find(fd, &symbol, 1), 0);
	return symbol.offset;
}

static void is_found_in_a_real_program(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct fp_symbol symbols[] = {{.name = "fp_symbols_find"}, {.name = "is_found_in_a_real_program"}, {.name = "no_such_function"}};
	char code[16];

	assert_true(fd >= 0);
	assert_int_equal(fp_symbols_find(fd, symbols, 3), 0);
	assert_int_not_equal(symbols[0].offset, 0);
	assert_int_equal(pread(fd, code, sizeof(code), (off_t)symbols[0].offset), sizeof(code));
	assert_memory_equal(code, (const void *)(uintptr_t)fp_symbols_find, sizeof(code));
	assert_int_not_equal(symbols[1].offset, 0);
	assert_int_equal(pread(fd, code, sizeof(code), (off_t)symbols[1].offset), sizeof(code));
	assert_memory_equal(code, (const void *)(uintptr_t)is_found_in_a_real_program, sizeof(code));
	assert_int_equal(symbols[2].offset, 0);
	close(fd);
}

static void a_name_may_be_the_end_of_another(void **state)
{
	static const char strings[] = "\0my_write\0read";
	struct program program = program_with(SHT_SYMTAB, sizeof(strings));
	int fd;

	program.symbols[1] = function_at(1, 0x100);
	program.symbols[2] = function_at(4, 0x200);
	program.symbols[3] = function_at(10, 0x300);
	fd = file_of(&program, strings, sizeof(strings), 0);
	assert_int_equal(find(fd, "my_write"), CODE_OFFSET + 0x100);
	assert_int_equal(find(fd, "write"), CODE_OFFSET + 0x200);
	assert_int_equal(find(fd, "read"), CODE_OFFSET + 0x300);
	assert_int_equal(find(fd, "rite"), 0);
	assert_int_equal(find(fd, "my"), 0);
	close(fd);
}

static void only_a_function_that_is_there_once_is_found(void **state)
{
	static const char strings[] = "\0imported\0data\0twice\0alias\0outside";
	struct program program = program_with(SHT_DYNSYM, sizeof(strings));
	int fd;

	program.symbols[0] = function_at(1, 0x100);
	program.symbols[0].st_shndx = SHN_UNDEF;
	program.symbols[1] = function_at(10, 0x100);
	program.symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
	program.symbols[2] = function_at(15, 0x100);
	program.symbols[3] = function_at(15, 0x200);
	program.symbols[4] = function_at(21, 0x100);
	program.symbols[5] = function_at(21, 0x100);
	program.symbols[6] = function_at(27, CODE_SIZE);
	fd = file_of(&program, strings, sizeof(strings), 0);
	assert_int_equal(find(fd, "imported"), 0);
	assert_int_equal(find(fd, "data"), 0);
	assert_int_equal(find(fd, "twice"), 0);
	assert_int_equal(find(fd, "alias"), CODE_OFFSET + 0x100);
	assert_int_equal(find(fd, "outside"), 0);
	close(fd);
}

static void what_is_exported_comes_first(void **state)
{
	static const char strings[] = "\0both\0inner";
	struct program program = program_with(SHT_DYNSYM, sizeof(strings));
	int fd;

	program.symbols[1] = function_at(1, 0x100);
	program.more[0] = function_at(1, 0x200);
	program.more[1] = function_at(6, 0x300);
	fd = file_of(&program, strings, sizeof(strings), 0);
	assert_int_equal(find(fd, "both"), CODE_OFFSET + 0x100);
	assert_int_equal(find(fd, "inner"), CODE_OFFSET + 0x300);
	close(fd);
}

static void a_name_may_lie_in_two_pieces(void **state)
{
	static const char name[] = "\0uv__getaddrinfo_work";
	size_t size = 4 * FP_SYMBOLS_PIECE;
	char *strings = malloc(size);

	for (size_t at = FP_SYMBOLS_PIECE - 2 * FP_SYMBOLS_NAME_MAX; at < FP_SYMBOLS_PIECE + 2 * FP_SYMBOLS_NAME_MAX; at++) {
		struct program program = program_with(SHT_SYMTAB, size);
		int fd;

		memset(strings, 'x', size);
		memcpy(strings + at, name, sizeof(name));
		program.symbols[N_SYMBOLS - 1] = function_at((uint32_t)at + 1, 0x80);
		fd = file_of(&program, strings, size, 0);
		assert_int_equal(find(fd, name + 1), CODE_OFFSET + 0x80);
		close(fd);
	}
	free(strings);
}

/* In KiB, at most so far. */
static long resident(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long peak = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) && sscanf(line, "VmHWM: %ld", &peak) != 1)
		;
	fclose(file);
	assert_true(peak > 0);
	return peak;
}

static void a_big_table_takes_little_memory(void **state)
{
	static const char name[] = "\0far";
	uint64_t at = FP_SYMBOLS_READ_MAX / 4;
	struct program program = program_with(SHT_SYMTAB, at + sizeof(name));
	long before;
	int fd;

	program.symbols[1] = function_at((uint32_t)at + 1, 0x80);
	fd = file_of(&program, name, sizeof(name), at);
	before = resident();
	assert_int_equal(find(fd, "far"), CODE_OFFSET + 0x80);
	assert_in_range(resident() - before, 0, 1024);
	close(fd);
}

static void reading_has_an_end(void **state)
{
	static const char name[] = "\0beyond";
	uint64_t at = FP_SYMBOLS_READ_MAX;
	struct program program = program_with(SHT_SYMTAB, UINT64_MAX);
	int fd;

	program.symbols[1] = function_at((uint32_t)at + 1, 0x80);
	fd = file_of(&program, name, sizeof(name), at);
	assert_int_equal(find(fd, "beyond"), 0);
	close(fd);
}

/* Of the strings' section the last byte is missing, which nobody needs: it is not taken for whole. */
static void a_section_that_is_cut_off_is_none(void **state)
{
	static const char strings[] = "\0write";
	const uint64_t end = STRINGS_OFFSET + sizeof(strings);
	struct program program = program_with(SHT_SYMTAB, sizeof(strings));
	int fd;

	program.symbols[1] = function_at(1, 0x100);
	program.head.e_shoff = end;
	fd = file_of(&program, strings, sizeof(strings), 0);
	assert_int_equal(pwrite(fd, program.sections, sizeof(program.sections), (off_t)end), sizeof(program.sections));
	assert_int_equal(find(fd, "write"), CODE_OFFSET + 0x100);
	assert_int_equal(ftruncate(fd, (off_t)(end + sizeof(program.sections) - 1)), 0);
	assert_int_equal(find(fd, "write"), 0);
	close(fd);
}

static void what_is_no_program_is_said(void **state)
{
	struct program program = program_with(SHT_SYMTAB, 1);
	struct fp_symbol symbol = {.name = "main"};
	int fd = memfd_create("empty", MFD_CLOEXEC), folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(fp_symbols_find(fd, &symbol, 1), -ENOEXEC);
	assert_int_equal(fp_symbols_find(folder, &symbol, 1), -EISDIR);
	close(folder);
	close(fd);
	program.head.e_ident[EI_CLASS] = ELFCLASS32;
	fd = file_of(&program, "", 1, 0);
	assert_int_equal(fp_symbols_find(fd, &symbol, 1), -ENOEXEC);
	close(fd);
}

/* Each byte of what describes the file made something else, and the file cut there. */
static void damage_does_no_harm(void **state)
{
	static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff};
	static const char strings[] = "\0name";
	struct program whole = program_with(SHT_SYMTAB, sizeof(strings)), damaged;
	struct fp_symbol symbol = {.name = "name"};
	int fd;

	whole.symbols[1] = function_at(1, 0x80);
	fd = file_of(&whole, strings, sizeof(strings), 0);
	assert_int_equal(find(fd, "name"), CODE_OFFSET + 0x80);
	for (size_t i = 0; i < sizeof(whole) * sizeof(bytes); i++) {
		damaged = whole;
		((uint8_t *)&damaged)[i / sizeof(bytes)] = bytes[i % sizeof(bytes)];
		assert_int_equal(pwrite(fd, &damaged, sizeof(damaged), 0), sizeof(damaged));
		fp_symbols_find(fd, &symbol, 1);
	}
	assert_int_equal(pwrite(fd, &whole, sizeof(whole), 0), sizeof(whole));
	for (size_t len = STRINGS_OFFSET + sizeof(strings); len-- > 0;) {
		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		fp_symbols_find(fd, &symbol, 1);
		assert_int_equal(symbol.offset, 0);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_big_table_takes_little_memory), /* first: what the others take is at most so far, too */
		cmocka_unit_test(is_found_in_a_real_program),
		cmocka_unit_test(a_name_may_be_the_end_of_another),
		cmocka_unit_test(only_a_function_that_is_there_once_is_found),
		cmocka_unit_test(what_is_exported_comes_first),
		cmocka_unit_test(a_name_may_lie_in_two_pieces),
		cmocka_unit_test(reading_has_an_end),
		cmocka_unit_test(a_section_that_is_cut_off_is_none),
		cmocka_unit_test(what_is_no_program_is_said),
		cmocka_unit_test(damage_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

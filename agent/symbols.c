#include "agent/symbols.h"

#include <assert.h>
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#if __BYTE_ORDER == __LITTLE_ENDIAN
#define OUR_ORDER ELFDATA2LSB
#else
#define OUR_ORDER ELFDATA2MSB
#endif

/* A table of strings has each of them once; one that ends like another one may be there once more. */
#define PLACES_MAX (4 * FP_SYMBOLS_MAX)

struct function {
	struct fp_symbol *symbol;
	size_t len;
	uint64_t value; /* as the table at hand says */
	uint16_t section;
	unsigned found; /* different ones */
};

/* In the table of strings at hand: the name of one of the functions. */
struct place {
	uint64_t at;
	struct function *function;
};

struct search {
	int fd;
	Elf64_Ehdr head;
	struct function functions[FP_SYMBOLS_MAX];
	size_t n;
	bool is_last[256]; /* the names end with these bytes */
	struct place places[PLACES_MAX];
	size_t n_places;
	uint64_t left; /* to be read */
	char piece[FP_SYMBOLS_PIECE];
};

/* --- reading -------------------------------------------------------------------------- */

/* How much there is, which is less at the file's end, or negative errno. */
static ssize_t read_at(struct search *search, uint64_t at, void *ret, size_t len)
{
	ssize_t got;

	if (at > INT64_MAX || len > search->left)
		return 0;
	search->left -= len;
	got = pread(search->fd, ret, len, (off_t)at);
	return got < 0 ? -errno : got;
}

/* The next piece of a section. */
static ssize_t read_piece(struct search *search, const Elf64_Shdr *section, uint64_t at)
{
	uint64_t rest = at < section->sh_size ? section->sh_size - at : 0;

	if (section->sh_offset > INT64_MAX - at)
		return 0;
	return read_at(search, section->sh_offset + at, search->piece, rest < FP_SYMBOLS_PIECE ? (size_t)rest : FP_SYMBOLS_PIECE);
}

/* 1; 0 there is none. */
static int read_section(struct search *search, uint64_t number, Elf64_Shdr *ret_section)
{
	ssize_t got;

	if (number >= search->head.e_shnum || search->head.e_shoff > INT64_MAX)
		return 0;
	got = read_at(search, search->head.e_shoff + number * sizeof(*ret_section), ret_section, sizeof(*ret_section));
	return got < 0 ? (int)got : got == sizeof(*ret_section);
}

static int read_head(struct search *search)
{
	Elf64_Ehdr *head = &search->head;
	ssize_t got = read_at(search, 0, head, sizeof(*head));

	if (got < 0)
		return (int)got;
	if (got < (ssize_t)sizeof(*head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64 ||
	    head->e_ident[EI_DATA] != OUR_ORDER || head->e_shentsize != sizeof(Elf64_Shdr))
		return -ENOEXEC;
	return 0;
}

/* --- names ---------------------------------------------------------------------------- */

/* A string ends at `zero`, of which up to `have` bytes are there; linkers let names be the end of longer ones. */
static void note_string(struct search *search, const char *zero, size_t have, uint64_t at)
{
	/* most are none, and there can be as many as bytes */
	if (have == 0 || !search->is_last[(uint8_t)zero[-1]])
		return;
	for (size_t i = 0; i < search->n; i++) {
		struct function *function = &search->functions[i];

		if (function->symbol->offset || have < function->len || memcmp(zero - function->len, function->symbol->name, function->len) != 0)
			continue;
		if (search->n_places < PLACES_MAX)
			search->places[search->n_places++] = (struct place){at - function->len, function};
	}
}

/* Of each piece the last bytes are in the next one, too: of a name that lies in both. */
static int find_names(struct search *search, const Elf64_Shdr *strings)
{
	size_t seen = 0;
	uint64_t at = 0;
	ssize_t got;

	search->n_places = 0;
	while ((got = read_piece(search, strings, at)) > (ssize_t)seen) {
		const char *end = search->piece + got;

		for (const char *zero = search->piece + seen; (zero = memchr(zero, 0, (size_t)(end - zero))); zero++)
			note_string(search, zero, (size_t)(zero - search->piece), at + (uint64_t)(zero - search->piece));
		if (got <= FP_SYMBOLS_NAME_MAX)
			break;
		seen = FP_SYMBOLS_NAME_MAX;
		at += (uint64_t)got - seen;
	}
	return got < 0 ? (int)got : 0;
}

/* --- symbols -------------------------------------------------------------------------- */

static void note_symbol(struct search *search, const Elf64_Sym *symbol)
{
	if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC)
		return;
	for (size_t i = 0; i < search->n_places; i++) {
		struct function *function = search->places[i].function;

		if (search->places[i].at != symbol->st_name || (function->found && function->value == symbol->st_value))
			continue;
		function->value = symbol->st_value;
		function->section = symbol->st_shndx;
		function->found++;
	}
}

static int note_symbols(struct search *search, const Elf64_Shdr *table)
{
	Elf64_Sym symbol;
	ssize_t got;

	for (uint64_t at = 0; (got = read_piece(search, table, at)) >= (ssize_t)sizeof(symbol); at += (uint64_t)got) {
		got -= got % (ssize_t)sizeof(symbol);
		for (ssize_t i = 0; i < got; i += sizeof(symbol)) {
			memcpy(&symbol, search->piece + i, sizeof(symbol));
			note_symbol(search, &symbol);
		}
	}
	return got < 0 ? (int)got : 0;
}

/* Where a probe is set: values are addresses, as the function's section is loaded.  What is imported lies in none. */
static int settle(struct search *search, struct function *function)
{
	Elf64_Shdr section;
	int r = 0;

	if (function->found == 1)
		r = read_section(search, function->section, &section);
	if (r > 0 && function->value >= section.sh_addr && function->value - section.sh_addr < section.sh_size)
		function->symbol->offset = function->value - section.sh_addr + section.sh_offset;
	function->found = 0;
	return r < 0 ? r : 0;
}

static int look_at_table(struct search *search, const Elf64_Shdr *table)
{
	Elf64_Shdr strings;
	int r = table->sh_entsize == sizeof(Elf64_Sym) ? read_section(search, table->sh_link, &strings) : 0;

	if (r <= 0)
		return r;
	r = find_names(search, &strings);
	if (r == 0 && search->n_places)
		r = note_symbols(search, table);
	for (size_t i = 0; i < search->n && r == 0; i++)
		r = settle(search, &search->functions[i]);
	return r;
}

static bool is_complete(const struct search *search)
{
	for (size_t i = 0; i < search->n; i++)
		if (!search->functions[i].symbol->offset)
			return false;
	return true;
}

static int look_at_tables(struct search *search, uint32_t type)
{
	Elf64_Shdr section;
	int r = 1;

	for (uint64_t i = 0; i < search->head.e_shnum && !is_complete(search); i++) {
		r = read_section(search, i, &section);
		if (r > 0 && section.sh_type == type)
			r = look_at_table(search, &section);
		if (r < 0)
			return r;
	}
	return 0;
}

int fp_symbols_find(int fd, struct fp_symbol *symbols, size_t n)
{
	fp_cleanup(fp_freep) struct search *search = calloc(1, sizeof(*search));
	int r;

	assert(n <= FP_SYMBOLS_MAX);
	if (!search)
		return -ENOMEM;
	search->fd = fd;
	search->n = n;
	search->left = FP_SYMBOLS_READ_MAX;
	for (size_t i = 0; i < n; i++) {
		symbols[i].offset = 0;
		search->functions[i] = (struct function){.symbol = &symbols[i], .len = strlen(symbols[i].name)};
		assert(search->functions[i].len > 0 && search->functions[i].len <= FP_SYMBOLS_NAME_MAX);
		search->is_last[(uint8_t)symbols[i].name[search->functions[i].len - 1]] = true;
	}
	r = read_head(search);
	if (r == 0)
		r = look_at_tables(search, SHT_DYNSYM);
	return r < 0 ? r : look_at_tables(search, SHT_SYMTAB);
}

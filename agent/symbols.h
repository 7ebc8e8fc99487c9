/*
 * Where in a program or library are functions that are to be probed?  Reads the tables of an ELF file
 * piece by piece: those of a program with all its symbols (Node's) are tens of MiB, and the file
 * is its container's, which can make it anything, and shorter while it is read, so that it is not mapped either.
 */
#ifndef FP_AGENT_SYMBOLS_H
#define FP_AGENT_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#define FP_SYMBOLS_MAX 16
#define FP_SYMBOLS_NAME_MAX 63
/* Read of the file at once. */
#define FP_SYMBOLS_PIECE (64u << 10)
/* Read of the file at most, twice what Node has; what is in the rest is not found. */
#define FP_SYMBOLS_READ_MAX (32u << 20)

struct fp_symbol {
	const char *name;
	uint64_t offset; /* in the file; 0: it has no such function, or several */
};

/*
 * Fills in the offsets of `n` functions, at most FP_SYMBOLS_MAX, of names of 1 to FP_SYMBOLS_NAME_MAX bytes: of each in what
 * the file exports, else in what else it has.  0; -ENOEXEC it is no ELF file of this machine's kind, -ENOMEM, or why
 * it cannot be read.
 */
int fp_symbols_find(int fd, struct fp_symbol *symbols, size_t n);

#endif

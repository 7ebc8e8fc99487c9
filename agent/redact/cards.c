#include "agent/redact/mask.h"

enum { DIGITS_MIN = 13, DIGITS_MAX = 19, GROUPS_MAX = 8 };

/* Issuers by the first six digits, and the lengths (bit n: n digits) of their numbers. */
static const struct {
	uint32_t first, last;
	uint32_t lengths;
} issuers[] = {
	{220000, 220499, 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19}, /* Mir */
	{222100, 272099, 1 << 16}, /* Mastercard */
	{300000, 305999, 1 << 14 | 1 << 16}, /* Diners Club */
	{340000, 349999, 1 << 15}, /* American Express */
	{352800, 358999, 1 << 16 | 1 << 19}, /* JCB */
	{360000, 369999, 1 << 14 | 1 << 16 | 1 << 19}, /* Diners Club */
	{370000, 379999, 1 << 15}, /* American Express */
	{380000, 399999, 1 << 14 | 1 << 16 | 1 << 19}, /* Diners Club */
	{400000, 499999, 1 << 13 | 1 << 16 | 1 << 19}, /* Visa */
	{500000, 509999, 1 << 16 | 1 << 18 | 1 << 19}, /* Maestro, Verve, Elo */
	{510000, 559999, 1 << 16}, /* Mastercard */
	{560000, 699999, 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19}, /* Maestro, Discover, UnionPay, RuPay */
};

static bool is_card(const uint8_t *digits, unsigned n)
{
	uint32_t prefix = 0;
	unsigned sum = 0;
	bool known = false;

	for (unsigned i = 0; i < 6; i++)
		prefix = prefix * 10 + digits[i];
	for (size_t i = 0; i < sizeof(issuers) / sizeof(issuers[0]) && !known; i++)
		known = prefix >= issuers[i].first && prefix <= issuers[i].last && issuers[i].lengths >> n & 1;
	if (!known)
		return false;
	/* the check digit by Luhn's rule */
	for (unsigned i = 0; i < n; i++) {
		unsigned digit = digits[n - 1 - i];

		if (i % 2)
			digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
		sum += digit;
	}
	return sum % 10 == 0;
}

/* Between groups of digits: one blank or dash, also as URLs write them.  Its length, 0 when there is none. */
static size_t separator(const struct fp_mask *mask, size_t at)
{
	static const char *const texts[] = {" ", "-", "+", "%20", "%2D", "%2d"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t len = strlen(texts[i]);

		if (mask->len - at >= len && memcmp(mask->text + at, texts[i], len) == 0)
			return len;
	}
	return 0;
}

static bool is_digit(const struct fp_mask *mask, size_t at)
{
	return at < mask->len && isdigit((unsigned char)mask->text[at]);
}

/* Can a number begin here: not within a word, nor behind a decimal point? */
static bool begins(const struct fp_mask *mask, size_t at)
{
	char before = at > 0 ? mask->text[at - 1] : ' ';

	/* behind %20 and its like a word ends */
	if (at >= 3 && mask->text[at - 3] == '%' && isxdigit((unsigned char)mask->text[at - 2]) && isxdigit((unsigned char)before))
		return true;
	return !isalnum((unsigned char)before) && !(before == '.' && at > 1 && is_digit(mask, at - 2));
}

/*
 * Reads digits in groups from `at` on, and masks the longest card number that
 * ends with a group.  Groups of one number are of three to seven digits, but for
 * the last: so dates and times do not grow together into one.
 */
static size_t mask_number(struct fp_mask *mask, size_t at)
{
	uint8_t digits[DIGITS_MAX];
	size_t end = 0, from = at, group = 0;
	unsigned n = 0, groups = 1;

	while (is_digit(mask, at) && n < DIGITS_MAX) {
		size_t gap;

		digits[n++] = (uint8_t)(mask->text[at++] - '0');
		group++;
		if (is_digit(mask, at))
			continue;
		if (n >= DIGITS_MIN && !(at < mask->len && isalnum((unsigned char)mask->text[at])) && is_card(digits, n))
			end = at;
		gap = at < mask->len ? separator(mask, at) : 0;
		if (gap == 0 || group < 3 || group > 7 || ++groups > GROUPS_MAX)
			break;
		at += gap;
		group = 0;
	}
	fp_mask_range(mask, from, end);
	return end;
}

void fp_mask_cards(struct fp_mask *mask)
{
	for (size_t at = 0; at < mask->len; at++) {
		if (!is_digit(mask, at) || !begins(mask, at))
			continue;
		size_t end = mask_number(mask, at);

		if (end)
			at = end - 1;
	}
}

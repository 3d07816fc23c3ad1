/*
 * What the readers of lines share. They read whole lines: a newline, which is no digit and no
 * letter, stops each of these.
 */
#ifndef RTOSHEAP_LEX_H
#define RTOSHEAP_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum rh_scan {
    RH_SCAN_END,     /* all lines were read */
    RH_SCAN_UNUSUAL, /* the next line is another's to read */
    RH_SCAN_FAILED,  /* no memory, or a callback failed */
};

/* Lines that are read, the last of them with its newline. */
struct rh_lines {
    const uint8_t *data;
    size_t length;
    size_t at;    /* where the next line begins */
    int64_t line; /* its number */
};

enum { RH_MOST_DIGITS = 18, RH_MOST_HEX = 16 }; /* no more than 64 bits hold */

/* The number that stands at `at`, and where it ends; NULL if none does, or one of too many digits.
 */
static inline const uint8_t *rh_number(const uint8_t *at, uint64_t *value) {
    const uint8_t *const start = at;
    uint64_t found = 0; /* wraps round where there are too many */
    for (unsigned digit; (digit = (unsigned)*at - '0') <= 9; at++)
        found = 10 * found + digit;
    *value = found;
    return (size_t)(at - start) - 1 < RH_MOST_DIGITS ? at : NULL;
}

/* Of a digit, lower-case or not, its value and 1 more. */
static const uint8_t rh_digit[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* The same of a hexadecimal number without a mark. */
static inline const uint8_t *rh_hex(const uint8_t *at, uint64_t *value) {
    const uint8_t *const start = at;
    uint64_t found = 0;
    for (unsigned digit; (digit = rh_digit[*at]) != 0; at++)
        found = found << 4 | (digit - 1);
    *value = found;
    return (size_t)(at - start) - 1 < RH_MOST_HEX ? at : NULL;
}

/* The same of one without capitals. */
static inline const uint8_t *rh_low_hex(const uint8_t *at, uint64_t *value) {
    const uint8_t *const start = at;
    uint64_t found = 0;
    for (unsigned digit; (digit = rh_digit[*at]) != 0 && (*at & 0xE0) != 0x40; at++)
        found = found << 4 | (digit - 1);
    *value = found;
    return (size_t)(at - start) - 1 < RH_MOST_HEX ? at : NULL;
}

/* The same of a hexadecimal number with 0x before it. */
static inline const uint8_t *rh_address(const uint8_t *at, uint64_t *value) {
    return at[0] == '0' && (at[1] | 0x20) == 'x' ? rh_hex(at + 2, value) : NULL;
}

/* Where the next line begins if a line ends at `at`; NULL if it does not. */
static inline const uint8_t *rh_line_end(const uint8_t *at) {
    if (*at == '\r') at++;
    return *at == '\n' ? at + 1 : NULL;
}

/* Where the next line begins. */
static inline const uint8_t *rh_skip_line(const uint8_t *at, const uint8_t *end) {
    return (const uint8_t *)memchr(at, '\n', (size_t)(end - at)) + 1;
}

/* Whether the lines end as lines do. */
static inline bool rh_whole_lines(const struct rh_lines *lines) {
    return lines->length > 0 && lines->data[lines->length - 1] == '\n';
}

#endif

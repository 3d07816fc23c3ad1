/* One record of rtosheap's own recorder. */
#ifndef RTOSHEAP_RECORD_H
#define RTOSHEAP_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rh_record {
    char kind;       /* m, f, r, x (failed); s(ync), t(ick), n(ame), c(aller) */
    unsigned number; /* of the event, modulo 64; for what is none, of the one that follows */
    size_t length;   /* bytes */
    bool narrow;     /* a short record: the tick is modulo 16, the address relative to the base */
    uint32_t task, tick;
    uint64_t size, address, old; /* a sync's: the event's number, the base, its parameters */
    const uint8_t *name;         /* of a task, `size` bytes */
};

/* Whether a whole record stands at a place, and what it says. */
bool rh_record_at(const uint8_t *data, size_t length, size_t at, struct rh_record *record);

/* The number of the event that must follow. */
static inline unsigned rh_record_after(const struct rh_record *record) {
    const char kind = record->kind;
    const bool event = kind == 'm' || kind == 'f' || kind == 'r' || kind == 'x';
    return (record->number + event) & 63;
}

/* Where, from `at` on, a record begins that can be believed; `length` if none does. `expected` is
 * the number of the next event, < 0 if it is not known. */
size_t rh_record_resume(const uint8_t *data, size_t length, size_t at, int expected);

#endif

#include "rh_record.h"

#include <string.h>

enum { MALLOC, FREE, LONG, OTHER };
enum { SYNC, TICK, NAME, CALLER };
enum { SHORTEST = 7, SYNC_BYTES = 28, AHEAD = 40 }; /* events that may miss before one alone */

static uint64_t word(const uint8_t *bytes, size_t size) {
    uint64_t value = 0;
    while (size-- > 0)
        value = value << 8 | bytes[size];
    return value;
}

static inline uint32_t word32(const uint8_t *bytes) { /* one load */
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline uint32_t mix(uint32_t mixed, uint32_t word) {
    mixed = (mixed ^ word) * 0x9E3779B1u;
    return mixed ^ mixed >> 15;
}

/* The words of a record, the last filled up with zeros, mixed one by one. */
static uint32_t check(const uint8_t *bytes, size_t length) {
    uint32_t mixed = mix(0x52480000u + (uint32_t)length, word32(bytes) & 0xFFFF);
    size_t at = 4;
    for (; at + 4 <= length; at += 4)
        mixed = mix(mixed, word32(bytes + at));
    if (at < length) mixed = mix(mixed, (uint32_t)word(bytes + at, length - at));
    return mixed & 0xFFFF;
}

/* Bytes of a record that begins so, of which `left` are there; 0 if none does. */
static size_t length_of(const uint8_t *bytes, size_t left) {
    const unsigned kind = bytes[0] & 3, detail = bytes[1];
    const size_t wide = detail & 8 ? 8 : 4;
    if (kind == MALLOC) return 8;
    if (kind == FREE) return 7;
    if (kind == LONG) return detail & 0xF4 ? 0 : 12 + wide * ((detail & 7) == 2 ? 3 : 2);
    switch (detail & 3) {
    case SYNC:
        return detail == 0 && left >= 8 && memcmp(bytes + 4, "RHE1", 4) == 0 ? SYNC_BYTES : 0;
    case TICK: return detail == TICK ? 8 : 0;
    case NAME: return 4 + (1 + (detail >> 2) + 3) / 4 * 4;
    default: return detail & 0xF4 ? 0 : 4 + wide;
    }
}

static void read_long(const uint8_t *bytes, struct rh_record *record) {
    const size_t wide = bytes[1] & 8 ? 8 : 4;
    record->kind = "mfrx"[bytes[1] & 3];
    record->task = word32(bytes + 4);
    record->tick = word32(bytes + 8);
    record->size = word(bytes + 12, wide);
    record->address = word(bytes + 12 + wide, wide);
    if (record->kind == 'r') record->old = word(bytes + 12 + 2 * wide, wide);
}

static void read_other(const uint8_t *bytes, struct rh_record *record) {
    switch (bytes[1] & 3) {
    case SYNC:
        record->kind = 's';
        record->size = word32(bytes + 8);
        record->tick = word32(bytes + 12);
        record->address = word(bytes + 16, 8);
        record->old = word32(bytes + 24);
        break;
    case TICK:
        record->kind = 't';
        record->tick = word32(bytes + 4);
        break;
    case NAME:
        record->kind = 'n';
        record->task = bytes[4];
        record->name = bytes + 5;
        record->size = bytes[1] >> 2;
        break;
    default: record->kind = 'c'; record->address = word(bytes + 4, record->length - 4);
    }
}

bool rh_record_at(const uint8_t *data, size_t length, size_t at, struct rh_record *record) {
    if (length - at < SHORTEST) return false;
    const uint8_t *const bytes = data + at;
    const size_t size = length_of(bytes, length - at);
    if (size == 0 || size > length - at || check(bytes, size) != word32(bytes) >> 16) return false;
    *record = (struct rh_record){.number = bytes[0] >> 2, .length = size};
    const unsigned kind = bytes[0] & 3;
    if (kind == LONG) {
        read_long(bytes, record);
    } else if (kind == OTHER) {
        read_other(bytes, record);
    } else {
        const uint32_t packed = size == 8 ? word32(bytes + 4) : (uint32_t)word(bytes + 4, 3);
        record->kind = kind == MALLOC ? 'm' : 'f';
        record->narrow = true;
        record->task = bytes[1] & 15;
        record->tick = bytes[1] >> 4;
        record->size = kind == MALLOC ? packed >> 20 : 0;
        record->address = packed & 0xFFFFF;
    }
    return true;
}

/* Whether the record that must follow another does, directly. */
static bool follows(const uint8_t *data, size_t length, size_t at, const struct rh_record *record) {
    struct rh_record after;
    return rh_record_at(data, length, at, &after) && after.number == rh_record_after(record);
}

/* Whether a record that another follows begins inside a doubtful one. */
static bool hides_better(const uint8_t *data, size_t length, size_t start, size_t end) {
    struct rh_record record;
    for (size_t at = start + 1; at < end; at++)
        if (rh_record_at(data, length, at, &record) &&
            follows(data, length, at + record.length, &record))
            return true;
    return false;
}

/* By chance one place in 65,536 looks like a record. One is believed if another follows it directly
 * with the right number, or if it stands alone but its own number is a likely one and no better
 * record begins inside it. */
size_t rh_record_resume(const uint8_t *data, size_t length, size_t at, int expected) {
    struct rh_record record;
    for (; at < length; at++) {
        if (!rh_record_at(data, length, at, &record)) continue;
        const size_t end = at + record.length;
        if (record.kind == 's' || end == length || follows(data, length, end, &record)) return at;
        const bool near = expected < 0 || ((record.number - (unsigned)expected) & 63) <= AHEAD;
        if (near && !hides_better(data, length, at, end)) return at;
    }
    return length;
}

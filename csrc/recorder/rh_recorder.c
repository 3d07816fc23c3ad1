#include "rh_recorder.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "records are little-endian, and so must the target be"
#endif
#if RHR_SYNC_EVENTS < 1 || RHR_SYNC_EVENTS > 64
#error "RHR_SYNC_EVENTS must be from 1 to 64: a number is known modulo 64"
#endif
#if RHR_TASKS < 1 || RHR_TASKS > 254 || RHR_NAME_BYTES > 32 || RHR_NAME_BYTES % 4 != 0
#error "RHR_TASKS must be from 1 to 254, RHR_NAME_BYTES a multiple of 4 up to 32"
#endif

enum { KIND_MALLOC, KIND_FREE, KIND_LONG, KIND_OTHER };
enum { LONG_MALLOC, LONG_FREE, LONG_REALLOC, LONG_FAILED };
enum { OTHER_SYNC, OTHER_TICK, OTHER_NAME, OTHER_CALLER };

#define WIDE ((uint32_t)(sizeof(uintptr_t) > 4 ? 8 : 0)) /* bit 3 of byte 1 */
#define HIGH(value) ((uint32_t)((uint64_t)(value) >> 32))
#define SHORT_TASKS 15u
#define SHORT_ADDRESSES ((uintptr_t)1 << 20)
#define SHORT_SIZES ((size_t)1 << 12)
#define MOST_WORDS 9u
#define SYNC_MARK 0x31454852u /* "RHE1" */

/* The check of a record: its words are mixed one by one, the check itself taken as zero. What it
 * begins with is no possible first word, so that a run of zeros is no record. */
#define CHECK_START 0x52480000u
#define MIXED_IN(mixed, word) (((mixed) ^ (word)) * 0x9E3779B1u)

static uint32_t rhr_check(const uint32_t *words, uint32_t length) {
    uint32_t mixed = CHECK_START + length;
    for (uint32_t i = 0; i < (length + 3) / 4; i++) {
        mixed = MIXED_IN(mixed, words[i]);
        mixed ^= mixed >> 15;
    }
    return mixed & 0xFFFFu;
}

/* Completes words[0] and hands the record on. What is past `length` in the last word is zero. */
static void rhr_send(struct rh_recorder *r, uint32_t *words, uint32_t kind, uint32_t detail,
                     uint32_t length) {
    words[0] = kind | (r->events & 63u) << 2 | detail << 8;
    words[0] |= rhr_check(words, length) << 16;
    r->put(r->context, (const uint8_t *)words, length);
}

/* The same for the records that matter: two words, without a loop. */
static void rhr_send_short(struct rh_recorder *r, uint32_t kind, uint32_t detail, uint32_t word,
                           uint32_t length) {
    uint32_t words[2];
    const uint32_t first = kind | (r->events & 63u) << 2 | detail << 8;
    uint32_t mixed = MIXED_IN(CHECK_START + length, first);
    mixed = MIXED_IN(mixed ^ mixed >> 15, word);
    words[0] = first | (mixed ^ mixed >> 15) << 16;
    words[1] = word;
    r->put(r->context, (const uint8_t *)words, length);
}

/* The bytes are put together word by word, lest a compiler calls memset or memcpy. */
static void rhr_send_name(struct rh_recorder *r, uint32_t index) {
    uint32_t words[2 + RHR_NAME_BYTES / 4];
    uint32_t length = 0;
    const char *name = r->names[index - 1];
    while (length < RHR_NAME_BYTES && name[length] != '\0')
        length++;
    const uint32_t count = (1 + length + 3) / 4;
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t word = 0;
        for (uint32_t shift = i == 0 ? 8 : 0; shift < 32 && next < length; shift += 8)
            word |= (uint32_t)(uint8_t)name[next++] << shift;
        words[1 + i] = word;
    }
    words[1] |= index;
    rhr_send(r, words, KIND_OTHER, OTHER_NAME | length << 2, 4 + count * 4);
}

static void rhr_send_sync(struct rh_recorder *r, uint32_t tick) {
    uint32_t words[7];
    words[1] = SYNC_MARK;
    words[2] = r->events;
    words[3] = tick;
    words[4] = (uint32_t)r->base;
    words[5] = HIGH(r->base);
    words[6] = (uint32_t)RHR_SHIFT | (uint32_t)sizeof(uintptr_t) << 8 |
               (uint32_t)r->overhead << 16 | (uint32_t)r->meaning << 24;
    rhr_send(r, words, KIND_OTHER, OTHER_SYNC, sizeof words);
    r->tick = tick;
    if (r->task_count != 0) {
        r->task_named = (uint8_t)(r->task_named >= r->task_count ? 1 : r->task_named + 1);
        rhr_send_name(r, r->task_named);
    }
}

/* The index of a task that was not the last one: 0 for none, and where the table is full. */
static uint32_t rhr_find_task(struct rh_recorder *r, const void *task) {
    uint32_t index = 0, empty = 0;
    for (uint32_t i = 0; task != NULL && i < r->task_count && index == 0; i++) {
        if (r->tasks[i] == task) index = i + 1;
        if (r->tasks[i] == NULL && empty == 0) empty = i + 1;
    }
    if (task != NULL && index == 0 && empty == 0 && r->task_count < RHR_TASKS)
        empty = ++r->task_count;
    if (task != NULL && index == 0 && empty != 0) {
        const char *name = RHR_TASK_NAME(task);
        uint32_t length = 0;
        for (; length < RHR_NAME_BYTES && name[length] != '\0'; length++)
            r->names[empty - 1][length] = name[length];
        if (length < RHR_NAME_BYTES) r->names[empty - 1][length] = '\0';
        r->tasks[empty - 1] = task;
        rhr_send_name(r, empty);
        index = empty;
    }
    r->task = task;
    r->task_index = (uint8_t)index;
    return index;
}

/* What comes before an event's own record. Returns its task; *tick is the time. */
static uint32_t rhr_begin(struct rh_recorder *r, uint32_t *tick) {
    const void *task = RHR_TASK();
    *tick = (uint32_t)RHR_TICK();
    if (r->events % RHR_SYNC_EVENTS == 0) rhr_send_sync(r, *tick);
    uint32_t index = task == r->task ? r->task_index : rhr_find_task(r, task);
#if RHR_CALLERS
    uint32_t words[3];
    words[1] = (uint32_t)r->caller;
    words[2] = HIGH(r->caller);
    rhr_send(r, words, KIND_OTHER, OTHER_CALLER | WIDE, 4 + sizeof(uintptr_t));
#endif
    return index;
}

/* A reader knows the time modulo 16; where more went by it is told. */
static void rhr_pass_time(struct rh_recorder *r, uint32_t tick) {
    if (tick - r->tick >= 16) {
        uint32_t words[2];
        words[1] = tick;
        rhr_send(r, words, KIND_OTHER, OTHER_TICK, sizeof words);
    }
    r->tick = tick;
}

static uint32_t *rhr_append(uint32_t *words, uintptr_t value) {
    *words++ = (uint32_t)value;
    if (WIDE) *words++ = HIGH(value);
    return words;
}

static void rhr_send_long(struct rh_recorder *r, uint32_t task, uint32_t tick, uint32_t what,
                          size_t size, uintptr_t address, uintptr_t old) {
    uint32_t words[MOST_WORDS];
    words[1] = task;
    words[2] = tick;
    uint32_t *end = rhr_append(rhr_append(words + 3, size), address);
    if (what == LONG_REALLOC) end = rhr_append(end, old);
    rhr_send(r, words, KIND_LONG, what | WIDE, (uint32_t)(end - words) * 4);
    r->tick = tick;
}

/* Can the address stand in a short record? */
static int rhr_is_short(const struct rh_recorder *r, uintptr_t address, uint32_t task) {
    const uintptr_t offset = address - r->base;
    return offset >> RHR_SHIFT < SHORT_ADDRESSES &&
           (offset & (((uintptr_t)1 << RHR_SHIFT) - 1)) == 0 && task < SHORT_TASKS;
}

void rhr_malloc(struct rh_recorder *r, uintptr_t address, size_t size) {
    uint32_t tick;
    RHR_ENTER();
    const uint32_t task = rhr_begin(r, &tick);
    if (address != 0 && size < SHORT_SIZES && rhr_is_short(r, address, task)) {
        const uint32_t place = (uint32_t)((address - r->base) >> RHR_SHIFT);
        rhr_pass_time(r, tick);
        rhr_send_short(r, KIND_MALLOC, task | (tick & 15u) << 4, place | (uint32_t)size << 20, 8);
    } else {
        rhr_send_long(r, task, tick, address == 0 ? LONG_FAILED : LONG_MALLOC, size, address, 0);
    }
    r->events++;
    RHR_LEAVE();
}

void rhr_free(struct rh_recorder *r, uintptr_t address) {
    uint32_t tick;
    if (address == 0) return;
    RHR_ENTER();
    const uint32_t task = rhr_begin(r, &tick);
    if (rhr_is_short(r, address, task)) {
        const uint32_t place = (uint32_t)((address - r->base) >> RHR_SHIFT);
        rhr_pass_time(r, tick);
        rhr_send_short(r, KIND_FREE, task | (tick & 15u) << 4, place, 7);
    } else {
        rhr_send_long(r, task, tick, LONG_FREE, 0, address, 0);
    }
    r->events++;
    RHR_LEAVE();
}

void rhr_realloc(struct rh_recorder *r, uintptr_t old, uintptr_t address, size_t size) {
    uint32_t tick;
    if (old == 0) {
        rhr_malloc(r, address, size);
        return;
    }
    RHR_ENTER();
    const uint32_t task = rhr_begin(r, &tick);
    rhr_send_long(r, task, tick, LONG_REALLOC, size, address, old);
    r->events++;
    RHR_LEAVE();
}

void rhr_forget_task(struct rh_recorder *r, const void *task) {
    RHR_ENTER();
    for (uint32_t i = 0; i < r->task_count; i++)
        if (r->tasks[i] == task) r->tasks[i] = NULL;
    if (r->task == task) r->task = NULL, r->task_index = 0;
    RHR_LEAVE();
}

void rhr_start(struct rh_recorder *r, rhr_sink put, void *context, uintptr_t base,
               enum rhr_meaning meaning, uint8_t overhead) {
    RHR_ENTER(); /* what sees the sink sees all that it needs */
    r->put = put;
    r->context = context;
    r->base = base;
    r->events = 0;
    r->tick = 0;
    r->task = NULL;
    r->task_index = 0;
    r->task_count = 0;
    r->task_named = 0;
    r->meaning = (uint8_t)meaning;
    r->overhead = overhead;
#if RHR_CALLERS
    r->caller = 0;
#endif
    RHR_LEAVE();
}

bool rhr_ring_start(struct rhr_ring *ring, void *memory, size_t size) {
    static const char mark[8] = "RHRING1";
    uint8_t *bytes = memory;
    ring->size = ring->at = 0;
    ring->bytes = memory;
    if (size <= RHR_RING_HEADER || size - RHR_RING_HEADER > UINT32_MAX ||
        (uintptr_t)memory % sizeof(uint32_t) != 0)
        return false;
    for (unsigned i = 0; i < sizeof mark; i++)
        bytes[i] = (uint8_t)mark[i];
    ring->header = (uint32_t *)(void *)(bytes + sizeof mark);
    ring->bytes = bytes + RHR_RING_HEADER;
    ring->size = (uint32_t)(size - RHR_RING_HEADER);
    ring->at = 0;
    ring->header[0] = ring->size;
    ring->header[1] = 0;
    ring->header[2] = 0;
    return true;
}

void rhr_ring_put(void *context, const uint8_t *bytes, size_t count) {
    struct rhr_ring *ring = context;
    const uint8_t *end = bytes + count;
    uint8_t *to = ring->bytes + ring->at;
    if (ring->size - ring->at > count) { /* as nearly always */
        ring->header[1] = ring->at += (uint32_t)count;
        do
            *to++ = *bytes++;
        while (bytes != end);
        return;
    }
    if (ring->size == 0) return; /* it could not be started */
    do {
        *to++ = *bytes++;
        if (to == ring->bytes + ring->size) {
            to = ring->bytes;
            ring->header[2]++;
        }
    } while (bytes != end);
    ring->header[1] = ring->at = (uint32_t)(to - ring->bytes);
}

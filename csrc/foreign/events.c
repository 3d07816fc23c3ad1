#include "events.h"

#include <string.h>

/* What one event did, as the columns have it. */
struct outcome {
    uint64_t address, block_size;
    enum rh_foreign_failure failure;
};

/* What is counted lies on the stack until the last event is done. */
struct tally {
    uint64_t failures, zero_size, skipped, live_bytes, first_failure;
    uint64_t sums[RH_COLUMN_COUNT];
};

struct columns {
#define COLUMN_MEMBER(type, name) type *name;
    RH_FOREIGN_COLUMNS(COLUMN_MEMBER)
#undef COLUMN_MEMBER
};

struct run {
    struct rh_trial *trial;
    struct columns columns;
    struct tally tally;
    uint64_t event; /* number since the allocator was made */
};

#define MARGIN_BYTE 0xE7

/* Their functions run between the two. */
#define CALLING(trial, which) ((trial)->told->call = (which))
#define CALLED(trial) ((trial)->told->call = RH_CALL_NONE)

/* ------------------------------------------------------------------ complaints */

static bool sound(const struct rh_trial *trial) {
    return trial->told->complaint == RH_COMPLAINT_NONE;
}

static void complain(struct rh_trial *trial, enum rh_complaint complaint, uint64_t address,
                     uint64_t size) {
    if (!sound(trial)) return;
    trial->told->complaint = complaint;
    trial->told->address = address;
    trial->told->size = size;
}

/* ... about a block that is live. */
static void complain_of(struct rh_trial *trial, enum rh_complaint complaint, uint64_t byte,
                        const struct rh_slot *slot) {
    struct rh_told *told = trial->told;
    told->other = trial->base + slot->offset;
    told->other_size = slot->size;
    told->other_event = slot->event;
    told->byte = byte;
    told->complaint = complaint;
}

/* The address on the target; what is far from the arena keeps its distance. */
static uint64_t target(const struct rh_trial *trial, const void *memory) {
    return trial->base + ((uint64_t)(uintptr_t)memory - (uint64_t)(uintptr_t)trial->memory);
}

/* ------------------------------------------------------------------ payloads and margins */

static uint64_t pattern(uint64_t event, uint64_t word) {
    return (event + 1) * 0x9E3779B97F4A7C15u + word * 0xD1B54A32D192ED03u;
}

static void fill(unsigned char *payload, uint64_t size, uint64_t event) {
    uint64_t word = 0;
    for (; size >= 8; size -= 8, payload += 8) {
        const uint64_t value = pattern(event, word++);
        memcpy(payload, &value, 8);
    }
    const uint64_t value = pattern(event, word);
    memcpy(payload, &value, (size_t)size);
}

/* The first byte of these that is not as filled; `size` if none is. */
static uint64_t altered(const unsigned char *payload, uint64_t size, uint64_t event) {
    uint64_t at = 0, value, wanted;
    for (; size - at >= 8; at += 8) {
        memcpy(&value, payload + at, 8);
        if (value != pattern(event, at / 8)) break;
    }
    wanted = pattern(event, at / 8);
    for (unsigned i = 0; i < 8 && at < size; i++, at++)
        if (payload[at] != ((const unsigned char *)&wanted)[i]) return at;
    return size;
}

static void fill_margin(unsigned char *from, const unsigned char *to) {
    while (from < to)
        *from++ = MARGIN_BYTE;
}

static void check_margin(struct rh_trial *trial, const unsigned char *from,
                         const unsigned char *to) {
    for (; from < to; from++)
        if (*from != MARGIN_BYTE) {
            complain(trial, RH_COMPLAINT_MARGIN, target(trial, from), 1);
            return;
        }
}

static void check_margins(struct rh_trial *trial) {
    if (trial->checks != RH_CHECK_PAYLOADS) return;
    check_margin(trial, trial->before, trial->memory);
    check_margin(trial, trial->memory + trial->size, trial->end);
}

/* ------------------------------------------------------------------ slots */

static uint64_t seal_of(const struct rh_slot *slot) {
    return pattern(slot->offset ^ slot->event, slot->size ^ (slot->state << 60)) | 1;
}

/* Was it overwritten? A slot that was never used is all zero. */
static bool is_sealed(struct rh_trial *trial, const struct rh_slot *slot) {
    const bool fresh = (slot->offset | slot->size | slot->event | slot->state | slot->check) == 0;
    if (!fresh && slot->check != seal_of(slot)) complain(trial, RH_COMPLAINT_HARNESS, 0, 0);
    return sound(trial);
}

static void set(struct rh_slot *slot, enum rh_slot_state state, uint64_t offset, uint64_t size,
                uint64_t event) {
    slot->state = state;
    slot->offset = offset;
    slot->size = size;
    slot->event = event;
    slot->check = seal_of(slot);
}

/* A slot of the table. */
static void check_payload(struct rh_trial *trial, const struct rh_slot *slot) {
    if (trial->checks != RH_CHECK_PAYLOADS || slot->state != RH_SLOT_LIVE) return;
    const uint64_t at = altered(trial->memory + slot->offset, slot->size, slot->event);
    if (at == slot->size || !sound(trial)) return;
    complain_of(trial, RH_COMPLAINT_PAYLOAD, at, slot);
    trial->told->other_slot = (uint64_t)(slot - trial->slots);
}

/* ------------------------------------------------------------------ what is taken */

/* The bits of a block: of each `alignment` bytes that it has a part in, from the first aligned
 * place at or below the arena's begin on. A block of no bytes takes one. */
struct bits {
    uint64_t first, last;
};

static struct bits bits_of(const struct rh_trial *trial, uint64_t offset, uint64_t size) {
    const uint64_t start = trial->base % trial->alignment + offset;
    const uint64_t end = start + (size != 0 ? size : 1);
    return (struct bits){start / trial->alignment, (end - 1) / trial->alignment};
}

/* Of the bits from `bit` to `last`, those in the same word; the first in the next word in *next. */
static uint64_t mask_of(uint64_t bit, uint64_t last, uint64_t *next) {
    const uint64_t end = (bit | 63) < last ? (bit | 63) : last;
    *next = end + 1;
    return (UINT64_MAX >> (63 - (end & 63))) & (UINT64_MAX << (bit & 63));
}

static bool is_any_taken(const struct rh_trial *trial, struct bits bits) {
    uint64_t next;
    for (uint64_t bit = bits.first; bit <= bits.last; bit = next)
        if (trial->taken[bit / 64] & mask_of(bit, bits.last, &next)) return true;
    return false;
}

static void mark(struct rh_trial *trial, struct bits bits, bool taken) {
    uint64_t next;
    for (uint64_t bit = bits.first; bit <= bits.last; bit = next) {
        uint64_t *word = &trial->taken[bit / 64];
        const uint64_t mask = mask_of(bit, bits.last, &next);
        *word = taken ? *word | mask : *word & ~mask;
    }
}

static uint64_t least_one(uint64_t size) {
    return size != 0 ? size : 1;
}

static void complain_of_overlap(struct rh_trial *trial, uint64_t address, uint64_t size) {
    const uint64_t start = address - trial->base;
    for (uint64_t i = 0; i < trial->asked->slots; i++) {
        const struct rh_slot *slot = &trial->slots[i];
        if (slot->state != RH_SLOT_LIVE || slot->offset >= start + least_one(size) ||
            start >= slot->offset + least_one(slot->size))
            continue;
        complain(trial, RH_COMPLAINT_OVERLAPS, address, size);
        complain_of(trial, RH_COMPLAINT_OVERLAPS, 0, slot);
        return;
    }
    complain(trial, RH_COMPLAINT_HARNESS, 0, 0); /* the bits are wrong */
}

/* Is what an allocation gave a block that can be lived in? */
static bool accept(struct rh_trial *trial, const void *memory, uint64_t size) {
    const uint64_t address = target(trial, memory), offset = address - trial->base;
    if (trial->checks == RH_CHECK_NOTHING) return true;
    if (offset > trial->size || size > trial->size - offset)
        complain(trial, RH_COMPLAINT_OUTSIDE, address, size);
    else if (address % trial->alignment != 0)
        complain(trial, RH_COMPLAINT_MISALIGNED, address, size);
    else if (offset < trial->size && is_any_taken(trial, bits_of(trial, offset, size)))
        complain_of_overlap(trial, address, size);
    return sound(trial);
}

static void occupy(struct rh_trial *trial, const struct rh_slot *slot, bool taken) {
    if (trial->checks != RH_CHECK_NOTHING && slot->offset < trial->size)
        mark(trial, bits_of(trial, slot->offset, slot->size), taken);
}

/* ------------------------------------------------------------------ what the library tells */

static uint64_t free_size(struct rh_trial *trial) {
    CALLING(trial, RH_CALL_FREE_SIZE);
    const uint64_t bytes = trial->functions.free_size();
    CALLED(trial);
    if (bytes > trial->size && trial->checks != RH_CHECK_NOTHING)
        complain(trial, RH_COMPLAINT_FREE_SIZE, 0, bytes);
    return bytes;
}

struct walk {
    struct rh_trial *trial;
    uint64_t total, largest, count;
    uint64_t *list, room; /* where to put address and size, or NULL */
};

static void visit(void *memory, size_t size, int used, void *context) {
    struct walk *walk = context;
    struct rh_trial *trial = walk->trial;
    const uint64_t address = target(trial, memory), offset = address - trial->base;
    if (used) return;
    if ((offset > trial->size || size > trial->size - offset) && trial->checks != RH_CHECK_NOTHING)
        complain(trial, RH_COMPLAINT_WALK, address, size);
    if (walk->list != NULL && walk->count < walk->room) {
        walk->list[2 * walk->count] = address;
        walk->list[2 * walk->count + 1] = size;
    }
    walk->total += size;
    if (size > walk->largest) walk->largest = size;
    walk->count++;
}

static struct walk walk(struct rh_trial *trial, uint64_t *list, uint64_t room) {
    struct walk walk = {.trial = trial, .list = list, .room = room};
    CALLING(trial, RH_CALL_WALK);
    trial->functions.walk(visit, &walk);
    CALLED(trial);
    return walk;
}

/* Why nothing was had of `size` bytes: no more than is known. */
static enum rh_foreign_failure why(struct rh_trial *trial, uint64_t size) {
    const bool walks = trial->functions.walk != NULL;
    struct walk blocks = {0};
    uint64_t total = UINT64_MAX;
    if (walks) blocks = walk(trial, NULL, 0);
    if (walks) total = blocks.total;
    if (trial->functions.free_size != NULL) total = free_size(trial);
    if (total < size) return RH_FOREIGN_EXHAUSTION;
    const bool has_pieces = walks && blocks.largest < size && blocks.total >= size;
    return has_pieces ? RH_FOREIGN_FRAGMENTATION : RH_FOREIGN_UNKNOWN;
}

static uint64_t usable(struct run *run, const struct rh_slot *slot) {
    struct rh_trial *trial = run->trial;
    if (run->columns.block_size == NULL) return 0;
    CALLING(trial, RH_CALL_USABLE_SIZE);
    const uint64_t bytes = trial->functions.usable_size(trial->memory + slot->offset);
    CALLED(trial);
    if (trial->checks == RH_CHECK_NOTHING) return bytes;
    if (bytes < slot->size || bytes > trial->size - slot->offset) {
        complain(trial, RH_COMPLAINT_USABLE_SIZE, trial->base + slot->offset, slot->size);
        trial->told->other_size = bytes;
    }
    return bytes;
}

/* ------------------------------------------------------------------ the events */

static size_t askable(uint64_t size) {
    return size < SIZE_MAX ? (size_t)size : SIZE_MAX;
}

/* `memory` is the slot's from now on. */
static void settle(struct run *run, struct rh_slot *slot, void *memory, uint64_t size,
                   struct outcome *outcome) {
    struct rh_trial *trial = run->trial;
    const uint64_t offset = target(trial, memory) - trial->base;
    set(slot, RH_SLOT_LIVE, offset, size, run->event);
    occupy(trial, slot, true);
    if (trial->checks == RH_CHECK_PAYLOADS) fill(trial->memory + offset, size, run->event);
    outcome->address = trial->base + offset;
    outcome->block_size = usable(run, slot);
    run->tally.live_bytes += size;
    if (size == 0) run->tally.zero_size++;
}

static void allocate(struct run *run, struct rh_slot *slot, uint8_t op, uint64_t size,
                     struct outcome *outcome) {
    struct rh_trial *trial = run->trial;
    void *memory;
    if (op & RH_OP_ALIGNED) {
        const uint64_t alignment = (uint64_t)1 << (op & ~RH_OP_ALIGNED);
        CALLING(trial, RH_CALL_ALIGNED);
        memory = trial->functions.aligned(askable(alignment), askable(size));
        CALLED(trial);
        if (target(trial, memory) % alignment != 0 && memory != NULL)
            complain(trial, RH_COMPLAINT_MISALIGNED, target(trial, memory), size);
    } else {
        CALLING(trial, RH_CALL_MALLOC);
        memory = trial->functions.malloc(askable(size));
        CALLED(trial);
    }
    if (memory != NULL) {
        if (accept(trial, memory, size)) settle(run, slot, memory, size, outcome);
    } else if (size == 0) {
        set(slot, RH_SLOT_ZERO, 0, 0, run->event);
        run->tally.zero_size++;
    } else {
        set(slot, RH_SLOT_FAILED, 0, 0, run->event);
        outcome->failure = why(trial, size);
    }
}

/* Gives a live block back. */
static void release(struct run *run, const struct rh_slot *slot) {
    struct rh_trial *trial = run->trial;
    check_payload(trial, slot);
    if (!sound(trial)) return;
    CALLING(trial, RH_CALL_FREE);
    trial->functions.free(trial->memory + slot->offset);
    CALLED(trial);
    occupy(trial, slot, false);
    run->tally.live_bytes -= slot->size;
}

/* The library's own. The old block is no longer taken, but where it fails. */
static void reallocate_by_call(struct run *run, struct rh_slot *slot, uint64_t size,
                               struct outcome *outcome) {
    struct rh_trial *trial = run->trial;
    const struct rh_slot old = *slot;
    const uint64_t kept = size < old.size ? size : old.size;
    CALLING(trial, RH_CALL_REALLOC);
    void *memory = trial->functions.realloc(trial->memory + old.offset, askable(size));
    CALLED(trial);
    if (memory == NULL) {
        outcome->failure = why(trial, size);
        check_payload(trial, slot);
        return;
    }
    occupy(trial, &old, false);
    set(slot, RH_SLOT_ABSENT, 0, 0, run->event); /* it overlaps none */
    run->tally.live_bytes -= old.size;
    if (!accept(trial, memory, size)) return;
    const bool looks = trial->checks == RH_CHECK_PAYLOADS;
    const uint64_t at = looks ? altered(memory, kept, old.event) : kept;
    if (at < kept) {
        complain(trial, RH_COMPLAINT_LOST, target(trial, memory), size);
        complain_of(trial, RH_COMPLAINT_LOST, at, &old);
        return;
    }
    settle(run, slot, memory, size, outcome);
}

/* malloc, copy, free where there is no realloc. The old block stays where malloc fails. */
static void reallocate(struct run *run, struct rh_slot *slot, uint64_t size,
                       struct outcome *outcome) {
    struct rh_trial *trial = run->trial;
    struct rh_slot fresh = {0};
    check_payload(trial, slot);
    if (!sound(trial)) return;
    if (trial->functions.realloc != NULL && size != 0) {
        reallocate_by_call(run, slot, size, outcome);
        return;
    }
    allocate(run, &fresh, 'm', size, outcome);
    if (fresh.state == RH_SLOT_FAILED || !sound(trial)) return;
    if (fresh.state == RH_SLOT_LIVE && trial->checks != RH_CHECK_PAYLOADS) /* else: filled */
        memmove(trial->memory + fresh.offset, trial->memory + slot->offset,
                (size_t)(size < slot->size ? size : slot->size));
    release(run, slot);
    *slot = fresh;
}

static void run_event(struct run *run, uint8_t op, struct rh_slot *slot, uint64_t size,
                      struct outcome *outcome) {
    if (!is_sealed(run->trial, slot)) return;
    if (op == 'u') {
        if (slot->state == RH_SLOT_LIVE) outcome->block_size = usable(run, slot);
    } else if (op == 'f') {
        if (slot->state == RH_SLOT_LIVE) {
            outcome->address = run->trial->base + slot->offset;
            outcome->block_size = usable(run, slot);
            release(run, slot);
        }
        if (slot->state == RH_SLOT_FAILED) run->tally.skipped++;
        if (sound(run->trial)) set(slot, RH_SLOT_ABSENT, 0, 0, run->event);
    } else if (op != 'r' || slot->state == RH_SLOT_ZERO) {
        allocate(run, slot, op == 'r' ? 'm' : op, size, outcome);
    } else if (slot->state == RH_SLOT_LIVE) {
        reallocate(run, slot, size, outcome);
    } else {
        run->tally.skipped++;
    }
}

static void record(struct run *run, uint64_t at, const struct outcome *outcome) {
    struct rh_trial *trial = run->trial;
    const struct columns *c = &run->columns;
    struct walk blocks = {0};
    if (c->largest_free_block != NULL || c->free_block_count != NULL) blocks = walk(trial, NULL, 0);
#define ENTER(name, value)                                                                         \
    if (c->name != NULL) {                                                                         \
        const uint64_t entry = (value);                                                            \
        run->tally.sums[RH_COLUMN_##name] += entry * (2 * at + 1);                                 \
        memcpy(&c->name[at], &entry, sizeof c->name[at]); /* little-endian */                      \
    }
    ENTER(address, outcome->address);
    ENTER(block_size, outcome->block_size);
    ENTER(free_size, free_size(trial));
    ENTER(largest_free_block, blocks.largest);
    ENTER(live_bytes, run->tally.live_bytes);
    ENTER(free_block_count, blocks.count < UINT32_MAX ? blocks.count : UINT32_MAX);
    ENTER(failed, outcome->failure != RH_FOREIGN_SERVED);
    ENTER(failure, outcome->failure);
#undef ENTER
}

static void watch(struct rh_trial *trial) {
    if (trial->asked->watch == RH_WATCH_MARGINS)
        check_margins(trial);
    else if (trial->asked->watch < trial->asked->slots)
        check_payload(trial, &trial->slots[trial->asked->watch]);
}

static struct columns columns_of(const struct rh_trial *trial) {
    struct columns columns = {0};
    unsigned char *at = (unsigned char *)trial->told + RH_ARRAYS_AT;
#define PLACE(type, name)                                                                          \
    if (trial->asked->columns >> RH_COLUMN_##name & 1) {                                           \
        columns.name = (type *)(void *)at;                                                         \
        at += (trial->asked->events * sizeof(type) + 7) / 8 * 8;                                   \
    }
    RH_FOREIGN_COLUMNS(PLACE)
#undef PLACE
    return columns;
}

static void tell(struct rh_told *told, const struct tally *tally) {
    told->failures = tally->failures;
    told->zero_size = tally->zero_size;
    told->skipped = tally->skipped;
    told->live_bytes = tally->live_bytes;
    told->first_failure = tally->first_failure;
    memcpy(told->sums, tally->sums, sizeof told->sums);
}

void rh_trial_begin(struct rh_trial *trial) {
    if (trial->checks != RH_CHECK_PAYLOADS) return;
    fill_margin(trial->before, trial->memory);
    fill_margin(trial->memory + trial->size, trial->end);
}

void rh_trial_run(struct rh_trial *trial) {
    const struct rh_asked *asked = trial->asked;
    const uint64_t events = asked->events;
    const uint8_t *op = (const uint8_t *)asked + RH_ARRAYS_AT;
    const int32_t *slot = (const int32_t *)(const void *)(op + (events + 7) / 8 * 8);
    const uint64_t *size =
        (const uint64_t *)(const void *)((const uint8_t *)slot + (4 * events + 7) / 8 * 8);
    struct run run = {.trial = trial, .columns = columns_of(trial)};
    run.tally.live_bytes = asked->live_bytes;
    run.tally.first_failure = UINT64_MAX;
    for (uint64_t at = 0; at < events && *(const volatile uint64_t *)&asked->stop == 0; at++) {
        struct outcome outcome = {0, 0, RH_FOREIGN_SERVED};
        run.event = asked->first + at;
        run_event(&run, op[at], &trial->slots[slot[at]], size[at], &outcome);
        if (outcome.failure != RH_FOREIGN_SERVED && run.tally.failures++ == 0)
            run.tally.first_failure = at;
        if (sound(trial)) record(&run, at, &outcome);
        if (sound(trial)) watch(trial);
        if (!sound(trial)) return;
        *(volatile uint64_t *)&trial->told->done = at + 1;
        if (outcome.failure != RH_FOREIGN_SERVED && asked->stop_at_failure) break;
    }
    tell(trial->told, &run.tally);
}

void rh_trial_check(struct rh_trial *trial) {
    for (uint64_t i = 0; i < trial->asked->slots && sound(trial); i++)
        if (is_sealed(trial, &trial->slots[i])) check_payload(trial, &trial->slots[i]);
    if (sound(trial)) check_margins(trial);
}

void rh_trial_ask(struct rh_trial *trial) {
    struct rh_told *told = trial->told;
    if (trial->functions.free_size != NULL) told->free_size = free_size(trial);
    if (trial->functions.walk == NULL) return;
    const struct walk blocks = walk(trial, NULL, 0);
    told->largest_free_block = blocks.largest;
    told->free_block_count = blocks.count;
}

void rh_trial_list(struct rh_trial *trial, uint64_t room) {
    uint64_t *list = (uint64_t *)(void *)((unsigned char *)trial->told + RH_ARRAYS_AT);
    trial->told->free_block_count = walk(trial, list, room).count;
}

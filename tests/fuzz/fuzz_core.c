/*
 * A libFuzzer target: the input is a heap's configuration, the arena's bytes and a list of
 * operations, some of which scribble over the arena. Checks are on.
 *
 * Held to, besides what the sanitizers see: no access outside the regions, a bounded number of
 * accesses in a call, a call that fails changes no byte (heap_3's sbrk apart), live blocks never
 * overlap, and while nobody scribbled no header is found to be overwritten.
 *
 * Input: kind, layout, flags, base, regions, fill, then the regions' sizes, 16 bytes of arena that
 * repeat, and operations: a byte each, with the arguments that it needs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { REGIONS = 4, LIVE = 64, STEPS = 100000, LISTED = 96 };

struct input {
    const uint8_t *data;
    size_t left;
};

struct fuzz {
    const struct rh_ops *ops;
    void *state;
    struct rh_setup setup;
    struct rh_setup_region regions[REGIONS];
    unsigned char *before[REGIONS]; /* the arena before a call */
    uint64_t live[LIVE];
    size_t live_count;
    bool scribbled;
    bool untracked; /* some live block is not in `live` */
};

/* What fuzz_trap() needs to know. */
static const struct rh_setup *watched;
static uint64_t steps;

void fuzz_trap(const struct rh_region *region, uint64_t address, uint64_t bytes, bool writes) {
    (void)region;
    (void)writes;
    REQUIRE(++steps < STEPS);
    if (watched == NULL) return;
    for (size_t i = 0; i < watched->region_count; i++) {
        const struct rh_setup_region *r = &watched->regions[i];
        if (address >= r->base && address - r->base <= r->size &&
            bytes <= r->size - (address - r->base))
            return;
    }
    fprintf(stderr, "an access outside the regions: %#llx\n", (unsigned long long)address);
    abort();
}

static uint8_t byte(struct input *in) {
    if (in->left == 0) return 0;
    in->left--;
    return *in->data++;
}

static uint64_t number(struct input *in, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)byte(in) << (8 * i);
    return value;
}

static bool set_up(struct fuzz *f, struct input *in) {
    static const uint64_t bases[4] = {0x20000000, 0x1F0, 0xFFFFF000, 0};
    const int kind = byte(in) % 5 + 1;
    const unsigned layout = byte(in), flags = byte(in), low = byte(in);
    f->ops = rh_ops_find(kind, (layout & 1) != 0 ? 8 : 4);
    if (f->ops == NULL) return false;
    f->setup.alignment = kind == 3 ? 8 : (uint64_t)4 << (layout >> 1 & 3);
    f->setup.canary = (flags & 2) != 0 ? (0xC0DEC0DEC0DEC0DEu & f->ops->word_max) : 0;
    f->setup.clear_on_free = (flags & 1) != 0;
    f->setup.region_count = kind == 5 ? 1u + (flags >> 2 & 3) : 1u;
    f->setup.regions = f->regions;
    uint64_t base = bases[flags >> 4 & 3] + (low & 63);
    for (size_t i = 0; i < f->setup.region_count; i++) {
        f->regions[i].base = base;
        f->regions[i].size = number(in, 2) % 700;
        base += f->regions[i].size + (low >> 6) * 4u;
    }
    f->setup.end_marker = (f->regions[0].base - 16) & ~(uint64_t)7 & f->ops->word_max;
    f->state = calloc(1, f->ops->state_bytes(f->setup.region_count));
    uint8_t pattern[16];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = byte(in);
    for (size_t i = 0; i < f->setup.region_count; i++) {
        struct rh_setup_region *r = &f->regions[i];
        /* The host's buffer is misaligned as often as not, its end is guarded. */
        const size_t shift = layout >> 4 & 7, size = (size_t)r->size;
        unsigned char *memory = malloc(size + shift);
        f->before[i] = malloc(size);
        r->memory = memory + shift;
        for (size_t k = 0; k < size; k++)
            r->memory[k] = pattern[k % sizeof pattern];
        r->shadow = calloc(1, f->ops->shadow_bytes(r->size, f->setup.alignment));
    }
    size_t wrong;
    watched = &f->setup;
    steps = 0;
    return f->ops->init(f->state, &f->setup, &wrong) == RH_OK;
}

static void remember(struct fuzz *f) {
    for (size_t i = 0; i < f->setup.region_count; i++)
        memcpy(f->before[i], f->regions[i].memory, (size_t)f->regions[i].size);
}

static bool unchanged(const struct fuzz *f) {
    for (size_t i = 0; i < f->setup.region_count; i++)
        if (memcmp(f->before[i], f->regions[i].memory, (size_t)f->regions[i].size) != 0)
            return false;
    return true;
}

static uint64_t payload_end(const struct fuzz *f, uint64_t payload) {
    const struct rh_block block = f->ops->block(f->state, payload);
    return block.address + block.size;
}

static void take(struct fuzz *f, uint64_t payload, uint64_t size) {
    const uint64_t end = payload_end(f, payload);
    REQUIRE(payload % f->setup.alignment == 0 && end - payload >= size);
    bool inside = false;
    for (size_t i = 0; i < f->setup.region_count; i++)
        inside |= payload >= f->regions[i].base && end <= f->regions[i].base + f->regions[i].size;
    REQUIRE(inside);
    for (size_t i = 0; i < f->live_count; i++) {
        const uint64_t other = f->ops->block(f->state, f->live[i]).address;
        REQUIRE(end <= other || payload >= payload_end(f, f->live[i]));
    }
    if (f->live_count < LIVE)
        f->live[f->live_count++] = payload;
    else
        f->untracked = true;
}

static void do_malloc(struct fuzz *f, uint64_t size) {
    uint64_t payload;
    const uint64_t free_size = f->ops->free_size(f->state);
    remember(f);
    enum rh_status status = f->ops->malloc(f->state, size, &payload);
    REQUIRE(status <= RH_FRAGMENTED || (status == RH_CORRUPT && f->scribbled));
    if (status == RH_OK) {
        take(f, payload, size);
    } else {
        REQUIRE(unchanged(f));
        REQUIRE(f->ops->kind == 3 || free_size == f->ops->free_size(f->state));
    }
}

static void do_free(struct fuzz *f, uint64_t payload) {
    const uint64_t free_size = f->ops->free_size(f->state);
    size_t i = 0;
    while (i < f->live_count && f->live[i] != payload)
        i++;
    const bool known = i < f->live_count || f->untracked;
    remember(f);
    enum rh_status status = f->ops->free(f->state, payload);
    if (status == RH_OK) {
        REQUIRE(known && f->ops->kind != 1);
        if (i < f->live_count) f->live[i] = f->live[--f->live_count];
        return;
    }
    REQUIRE(i == f->live_count || f->scribbled || f->ops->kind == 1);
    REQUIRE(unchanged(f) && free_size == f->ops->free_size(f->state));
}

static void scribble(struct fuzz *f, uint64_t where, uint8_t value, bool flip) {
    const struct rh_setup_region *r = &f->regions[where % f->setup.region_count];
    const uint64_t offset = where / f->setup.region_count;
    if (r->size == 0) return;
    unsigned char *at = &r->memory[offset % r->size];
    *at = flip ? *at ^ (unsigned char)(1u << (value & 7)) : value;
    f->scribbled = true;
}

static bool ignore(void *context, uint64_t address, uint64_t size, bool allocated) {
    (void)address;
    (void)size;
    (void)allocated;
    return --*(int *)context > 0;
}

static bool ignore_address(void *context, uint64_t address) {
    (void)address;
    return --*(int *)context > 0;
}

static void look(struct fuzz *f) {
    struct rh_stats64 stats;
    struct rh_fault64 fault;
    int limit = 5000;
    remember(f);
    if (f->ops->stats(f->state, &stats) != RH_OK) {
        REQUIRE(f->scribbled);
        f->ops->last_fault(f->state, &fault);
    }
    if (f->ops->check(f->state) != RH_OK) {
        REQUIRE(f->scribbled);
        f->ops->last_fault(f->state, &fault);
    }
    f->ops->walk(f->state, ignore, &limit);
    f->ops->walk_free(f->state, ignore, &limit);
    f->ops->walk_ever(f->state, ignore_address, &limit);
    for (size_t i = 0; i < f->live_count; i++) {
        f->ops->verify(f->state, f->live[i]);
        REQUIRE(f->ops->live(f->state, f->live[i]) == RH_OK);
    }
    REQUIRE(limit > 0 && unchanged(f));
}

static void clear_shadows(struct fuzz *f) {
    for (size_t i = 0; i < f->setup.region_count; i++)
        memset(f->regions[i].shadow, 0,
               f->ops->shadow_bytes(f->regions[i].size, f->setup.alignment));
}

/* A forged snapshot restored into a fresh state: refused, or a heap like any other. */
static void do_restore(struct fuzz *f, struct input *in) {
    struct rh_block blocks[LISTED];
    uint64_t list[LISTED], ever[LISTED];
    struct rh_snapshot snapshot = {.blocks = blocks, .free_list = list, .ever = ever};
    const uint64_t base = f->regions[0].base;
    uint64_t at = (base + f->setup.alignment - 1) & ~(f->setup.alignment - 1);
    snapshot.numbers.minimum_ever_free = number(in, 1);
    snapshot.numbers.reached = number(in, 2);
    snapshot.block_count = byte(in) % LISTED;
    for (size_t i = 0; i < snapshot.block_count; i++) {
        const uint8_t kind = byte(in);
        blocks[i].size = (kind & 3) == 3 ? number(in, 8) : (uint64_t)(kind >> 2) * 8;
        blocks[i].allocated = (kind & 1) != 0;
        blocks[i].address = at + (kind == 0xFF ? byte(in) : 0);
        if (!blocks[i].allocated && snapshot.free_count < LISTED)
            list[snapshot.free_count++] = blocks[i].address;
        if (blocks[i].allocated && snapshot.ever_count < LISTED)
            ever[snapshot.ever_count++] = blocks[i].address + (kind == 0xFD ? 1 : 8);
        at += blocks[i].size;
    }
    if (snapshot.free_count > 0 && byte(in) == 1) list[0] = number(in, 4);
    watched = NULL; /* the shadow stands in for the arena meanwhile */
    clear_shadows(f);
    const bool restored = f->ops->restore(f->state, &snapshot) == RH_OK;
    f->ops->attach(f->state, f->regions);
    watched = &f->setup;
    f->live_count = 0;
    f->scribbled = true; /* the arena holds what it held */
    if (!restored) {
        clear_shadows(f);
        size_t wrong;
        REQUIRE(f->ops->init(f->state, &f->setup, &wrong) == RH_OK);
        return;
    }
    for (size_t i = 0; i < snapshot.block_count; i++) {
        if (f->live_count == LIVE) {
            f->untracked = true;
            break;
        }
        uint64_t payload = blocks[i].address;
        for (unsigned k = 0; k <= 32 && blocks[i].allocated; k += 4)
            if (f->ops->live(f->state, payload + k) == RH_OK) {
                f->live[f->live_count++] = payload + k;
                break;
            }
    }
}

static void run(struct fuzz *f, struct input *in) {
    for (int i = 0; i < 400 && in->left > 0; i++) {
        const uint8_t op = byte(in);
        steps = 0;
        switch (op % 12) {
        case 0:
        case 1:
        case 2: do_malloc(f, (op >> 4) * 8u + (op & 1)); break;
        case 3: do_malloc(f, number(in, 2)); break;
        case 4: do_malloc(f, number(in, 8) & f->ops->word_max); break;
        case 5:
        case 6:
        case 7:
            if (f->live_count > 0) do_free(f, f->live[(op / 12) % f->live_count]);
            break;
        case 8: do_free(f, f->regions[0].base + number(in, 2) % 4096); break;
        case 9: scribble(f, number(in, 2), byte(in), (op & 16) != 0); break;
        case 10: look(f); break;
        case 11:
            if (op == 11) {
                do_restore(f, in);
            } else if (op == 23) {
                do_free(f, number(in, 8));
            } else {
                f->ops->reset_minimum(f->state);
            }
            break;
        default: break;
        }
    }
    look(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    struct fuzz f;
    memset(&f, 0, sizeof f);
    if (set_up(&f, &in)) run(&f, &in);
    watched = NULL;
    if (f.ops != NULL) {
        const unsigned shift = size > 1 ? data[1] >> 4 & 7 : 0;
        for (size_t i = 0; i < f.setup.region_count; i++) {
            free(f.regions[i].memory - shift);
            free(f.regions[i].shadow);
            free(f.before[i]);
        }
        free(f.state);
    }
    return 0;
}

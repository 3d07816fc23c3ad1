/*
 * Random calls on heap_4 and heap_5, and a digest of all that they did: addresses, numbers, nodes,
 * and the arena's bytes. Built with and without RH_INDEX it must print the same; with it the index
 * is held to the list after each STEP calls.
 *
 *     test_index CALLS SEED STEP
 */
#include <stdio.h>
#include <stdlib.h>

#define RH_API static __attribute__((unused))
#include "heap_4.c"
#include "heap_5.c"

#define SLOTS 4096

static uint64_t state;

static uint32_t below(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % limit);
}

static uint64_t digest;

static void note(uint64_t value) {
    digest = (digest ^ value) * UINT64_C(0x100000001B3);
    digest ^= digest >> 29;
}

static void require(bool condition, const char *what, unsigned long call) {
    if (condition) return;
    fprintf(stderr, "%s, after call %lu\n", what, call);
    exit(1);
}

#if RH_INDEX
/* Bits, largest sizes and what is near are those of the list. */
static void check_index(struct rh_heap4 *heap, bool many, unsigned long call) {
    static struct rh_index kept;
    kept = heap->index;
#if RH_INDEX_NEAR > 0
    require(kept.state.near <= RH_INDEX_NEAR, "too many are near", call);
    rh_index_build(heap, kept.state.near, many);
    require(kept.state.near == heap->index.state.near, "fewer are near", call);
    require(kept.state.far == heap->index.state.far, "another first entry", call);
#else
    rh_index_build(heap, 0, many);
#endif
    require(memcmp(kept.words, heap->index.words, sizeof kept.words) == 0, "other words", call);
    require(memcmp(kept.groups, heap->index.groups, sizeof kept.groups) == 0, "other bits", call);
    require(memcmp(kept.nodes, heap->index.nodes, sizeof kept.nodes) == 0, "other nodes", call);
    require(memcmp(kept.leaves, heap->index.leaves, sizeof kept.leaves) == 0, "other leaves", call);
}
#else
static void check_index(struct rh_heap4 *heap, bool many, unsigned long call) {
    (void)heap;
    (void)many;
    (void)call;
}
#endif

struct run {
    size_t count;
    rh_word bytes;
    rh_word alignment;
    rh_word canary;
    rh_word largest; /* request */
    bool clears;
    bool many;
};

/* A heap, and the calls that are made of it. */
struct trial {
    const struct run *run;
    struct rh_heap4 heap;
    struct rh_region regions[8];
    rh_word live[SLOTS];
    unsigned full;
};

static unsigned char memory[8][1 << 20];
#if RH_HAS_SHADOW
static unsigned char shadow[8][3 << 20];
#endif

static void lay_regions(struct trial *trial) {
    const struct run *run = trial->run;
    rh_word base = 0x20000000 + below(3) * 4;
    for (size_t i = 0; i < run->count; i++) {
        struct rh_region *region = &trial->regions[i];
        memset(memory[i], 0, run->bytes + 64);
        memset(region, 0, sizeof *region);
        region->base = base;
        region->size = run->bytes + below(61);
        region->memory = memory[i];
#if RH_HAS_SHADOW
        memset(shadow[i], 0, sizeof shadow[i]);
        region->shadow = shadow[i];
#endif
        base += region->size + below(3) * 0x1000; /* they may adjoin */
    }
}

static void set_up(struct trial *trial) {
    const struct run *run = trial->run;
    const struct rh_options options = {
        .alignment = run->alignment, .canary = run->canary, .clear_on_free = run->clears};
    size_t wrong;
    lay_regions(trial);
    memset(trial->live, 0, sizeof trial->live);
    trial->full = 0;
    const enum rh_status status =
        run->many ? rh5_init(&trial->heap, trial->regions, run->count, &options, &wrong)
                  : rh4_init(&trial->heap, trial->regions, &options);
    require(status == RH_OK, "set-up failed", 0);
#if RH_INDEX
    require(RH_IS_INDEXED(&trial->heap), "no index", 0);
#endif
}

static void free_one(struct trial *trial, uint32_t slot, unsigned long call) {
    while (trial->live[slot] == 0)
        slot = (slot + 1) % SLOTS;
    const rh_word address = trial->live[slot];
    const enum rh_status status =
        trial->run->many ? rh5_free(&trial->heap, address) : rh4_free(&trial->heap, address);
    require(status == RH_OK, "free failed", call);
    trial->live[slot] = 0;
    trial->full--;
}

static void malloc_one(struct trial *trial, uint32_t slot) {
    struct rh_heap4 *heap = &trial->heap;
    rh_word address = 0;
    rh_word size = below(4) == 0 ? below((uint32_t)trial->run->largest) : below(64) + 1;
    if (below(200) == 0) size = heap->free_size - below(64);
    const enum rh_status status =
        trial->run->many ? rh5_malloc(heap, size, &address) : rh4_malloc(heap, size, &address);
    note(status);
    note(address);
    if (status != RH_OK) return;
    trial->live[slot] = address;
    trial->full++;
}

static void note_arena(const struct trial *trial) {
    for (size_t i = 0; i < trial->run->count; i++)
        for (rh_word at = 0; at < trial->regions[i].size; at++)
            note(memory[i][at]);
}

static void go(struct trial *trial, unsigned long calls, unsigned long step) {
    set_up(trial);
    for (unsigned long call = 0; call < calls; call++) {
        const uint32_t slot = below(SLOTS);
        if (trial->live[slot] != 0 || (trial->full > 0 && below(8) == 0))
            free_one(trial, slot, call);
        else
            malloc_one(trial, slot);
        note(trial->heap.nodes);
        note(trial->heap.free_size);
        if (call % step == 0) check_index(&trial->heap, trial->run->many, call);
        if (call % 1024 == 0 || call + 1 == calls) note_arena(trial);
    }
}

int main(int count, char **arguments) {
    const unsigned long calls = count > 1 ? strtoul(arguments[1], NULL, 10) : 100000;
    const unsigned long step = count > 3 ? strtoul(arguments[3], NULL, 10) : 1;
    state = (count > 2 ? strtoull(arguments[2], NULL, 10) : 1) * UINT64_C(0x9E3779B97F4A7C15) | 1;
    static const struct run runs[] = {
        {1, 2048, 8, 0, 200, false, false},    {1, 16384, 8, 0, 2000, true, false},
        {1, 65536, 8, 0, 300, false, false},   {1, 65536, 32, 0x5EED5EED, 3000, false, false},
        {1, 1 << 18, 4, 0, 500, false, false}, {1, 4096, 8, 0, 100, false, true},
        {2, 2048, 8, 0, 200, true, true},      {8, 256, 8, 0xABCD1234, 100, false, true},
        {5, 16384, 16, 0, 2000, false, true},  {3, 100, 4, 0, 60, false, true},
    };
    static struct trial trial;
    unsigned long all = 0;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        if (runs[i].alignment < RH_WORD_BYTES) continue;
        digest = UINT64_C(0xCBF29CE484222325);
        trial.run = &runs[i];
        go(&trial, calls, step);
        printf("%zu %016llx\n", i, (unsigned long long)digest);
        all += calls;
    }
    printf("%lu calls\n", all);
    return 0;
}

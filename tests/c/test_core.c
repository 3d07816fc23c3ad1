/*
 * Every heap under a random program, for memcheck and the sanitizers: arenas come from malloc in
 * their exact size, so that a step outside is seen; payloads are filled, and looked at when freed.
 *
 * Compiled without RH_HOSTED it takes the core as firmware has it, with links that are pointers;
 * with RH_HOSTED=1 as Python has it, with every word size, alignment and host misalignment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if RH_HOSTED
#include "ops.h"
#else
#include "heap_1.h"
#include "heap_2.h"
#include "heap_3.h"
#include "heap_4.h"
#include "heap_5.h"
#endif

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { SLOTS = 24, CALLS = 1500 };

static unsigned long served, refused;

static unsigned next(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

#if RH_HOSTED

static bool count(void *context, uint64_t address, uint64_t size, bool allocated) {
    (void)address;
    *(uint64_t *)context += allocated ? 0 : size;
    return true;
}

struct block {
    uint64_t address;
    unsigned size;
};

/* What is said of a live payload, and of addresses that a word cannot hold. */
static void look_at(const struct rh_ops *ops, void *state, const struct block *block) {
    const struct rh_block found = ops->block(state, block->address);
    REQUIRE(found.allocated && found.address <= block->address);
    REQUIRE(block->address + block->size <= found.address + found.size);
    REQUIRE(ops->verify(state, block->address) == RH_OK);
    REQUIRE(ops->live(state, block->address) == RH_OK);
    REQUIRE(ops->live(state, block->address + 1) == RH_INVALID_FREE);
    const uint64_t beyond = block->address + ((uint64_t)1 << 32);
    REQUIRE(ops->live(state, beyond) == RH_INVALID_FREE);
    REQUIRE(ops->free(state, beyond) == RH_INVALID_FREE);
}

static void free_slot(const struct rh_ops *ops, void *state, struct block *block) {
    const unsigned char *bytes = ops->pointer(state, block->address);
    for (unsigned i = 0; i < block->size; i++)
        REQUIRE(bytes[i] == (unsigned char)(block->address + i));
    look_at(ops, state, block);
    const enum rh_status status = ops->free(state, block->address);
    REQUIRE(status == (ops->kind == 1 ? RH_INVALID_FREE : RH_OK));
    if (ops->kind != 1) REQUIRE(ops->free(state, block->address) == RH_DOUBLE_FREE);
    block->address = 0;
}

static bool keep_first(void *context, uint64_t address, uint64_t size, bool allocated) {
    (void)size;
    (void)allocated;
    *(uint64_t *)context = address;
    return false;
}

/* A free block's header is overwritten: whoever reads the list says so. */
static void overwritten(const struct rh_ops *ops, void *state) {
    uint64_t first, live, none;
    struct rh_stats64 stats;
    if (ops->kind == 1) return;
    REQUIRE(ops->malloc(state, 8, &live) == RH_OK);
    REQUIRE(ops->walk_free(state, keep_first, &first) == RH_OK);
    unsigned char *header = ops->pointer(state, first);
    *header ^= 1;
    REQUIRE(ops->stats(state, &stats) == RH_CORRUPT);
    REQUIRE(ops->malloc(state, 8, &none) == RH_CORRUPT);
    REQUIRE(ops->free(state, live) == RH_CORRUPT);
    REQUIRE(ops->walk_free(state, keep_first, &first) == RH_CORRUPT);
    *header ^= 1;
    REQUIRE(ops->stats(state, &stats) == RH_OK);
    REQUIRE(ops->free(state, live) == RH_OK);
}

static void program(const struct rh_ops *ops, void *state, unsigned seed) {
    struct block blocks[SLOTS] = {{0, 0}};
    struct rh_stats64 stats;
    struct rh_numbers numbers;
    uint64_t allocations = 0, frees = 0, failed = 0, least = ops->free_size(state);
    for (int call = 0; call < CALLS; call++) {
        struct block *block = &blocks[next(&seed) % SLOTS];
        if (block->address != 0) {
            free_slot(ops, state, block);
            frees++;
            continue;
        }
        block->size = next(&seed) % 120;
        const enum rh_status status = ops->malloc(state, block->size, &block->address);
        REQUIRE(status == RH_OK || status == RH_EXHAUSTED || status == RH_FRAGMENTED);
        if (ops->free_size(state) < least) least = ops->free_size(state);
        if (status != RH_OK) {
            block->address = 0;
            failed++;
            continue;
        }
        allocations++;
        unsigned char *bytes = ops->pointer(state, block->address);
        for (unsigned i = 0; i < block->size; i++)
            bytes[i] = (unsigned char)(block->address + i);
        look_at(ops, state, block);
    }
    for (int i = 0; i < SLOTS; i++)
        if (blocks[i].address != 0) free_slot(ops, state, &blocks[i]), frees++;
    ops->numbers(state, &numbers);
    REQUIRE(numbers.allocations == allocations && numbers.failed == failed);
    REQUIRE(numbers.frees == (ops->kind == 1 ? 0 : frees));
    REQUIRE(numbers.minimum_ever_free == least);
    served += allocations;
    refused += failed;
    uint64_t free_bytes = 0;
    REQUIRE(ops->walk(state, count, &free_bytes) == RH_OK);
    REQUIRE(free_bytes == ops->free_size(state));
    REQUIRE(ops->stats(state, &stats) == RH_OK && stats.values[0] == free_bytes);
    REQUIRE(ops->check(state) == RH_OK);
    overwritten(ops, state);
    ops->reset_minimum(state);
    REQUIRE(ops->free(state, 12) == RH_INVALID_FREE);
}

static void run(int kind, int word, uint64_t alignment, size_t regions, unsigned seed) {
    const struct rh_ops *ops = rh_ops_find(kind, word);
    if (kind == 3) alignment = 8;
    if (ops == NULL || alignment < (uint64_t)word) return;
    struct rh_setup_region list[3];
    unsigned char *memory[3], *shadow[3];
    const size_t shift = seed % 8;
    uint64_t base = 0x20000000 + seed % 33;
    for (size_t i = 0; i < regions; i++) {
        const uint64_t size = 400 + next(&seed) % 600;
        memory[i] = malloc((size_t)size + shift);
        shadow[i] = calloc(1, ops->shadow_bytes(size, alignment));
        REQUIRE(memory[i] != NULL && shadow[i] != NULL);
        struct rh_setup_region region = {base, size, memory[i] + shift, shadow[i]};
        list[i] = region;
        base += size + i;
    }
    struct rh_setup setup = {.alignment = alignment,
                             .canary = kind >= 4 && seed % 2 != 0 ? 0x5AFE5AFE : 0,
                             .end_marker = 0x10000000,
                             .clear_on_free = seed % 3 == 0,
                             .region_count = regions,
                             .regions = list};
    void *state = calloc(1, ops->state_bytes(regions));
    size_t wrong;
    REQUIRE(state != NULL && ops->init(state, &setup, &wrong) == RH_OK);
    program(ops, state, seed);
    free(state);
    for (size_t i = 0; i < regions; i++) {
        free(memory[i]);
        free(shadow[i]);
    }
}

/* There are six kinds and two words, and newlib-nano's is of 32 bits. */
static void test_find(void) {
    static const int none[][2] = {{0, 4},  {7, 4},  {0, 8},       {7, 8},      {4, 0},
                                  {4, 5},  {4, 16}, {-100000, 4}, {-1, 8},     {3, 8},
                                  {4, -4}, {1, 3},  {5, 9},       {100000, 4}, {100000, 8}};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        REQUIRE(rh_ops_find(none[i][0], none[i][1]) == NULL);
    for (int kind = 1; kind <= 5; kind++)
        for (int word = 4; word <= (kind == 3 ? 4 : 8); word += 4) {
            const struct rh_ops *ops = rh_ops_find(kind, word);
            REQUIRE(ops != NULL && ops->kind == kind && ops->word_bytes == word);
        }
}

int main(void) {
    unsigned seed = 1;
    test_find();
    for (int kind = 1; kind <= 5; kind++)
        for (int word = 4; word <= 8; word += 4)
            for (uint64_t alignment = 4; alignment <= 32; alignment *= 2)
                for (size_t regions = 1; regions <= (kind == 5 ? 3u : 1u); regions++)
                    run(kind, word, alignment, regions, seed += 7);
    printf("%lu served, %lu refused\n", served, refused);
    return 0;
}

#else /* as firmware has it */

typedef bool (*take)(void *heap, size_t size, unsigned char **payload);
typedef bool (*give)(void *heap, unsigned char *payload);

#define TAKE(name, type, call)                                                                     \
    static bool name(void *heap, size_t size, unsigned char **payload) {                           \
        rh_word address;                                                                           \
        if (call((type *)heap, (rh_word)size, &address) != RH_OK) return false;                    \
        *payload = (unsigned char *)(uintptr_t)address;                                            \
        return true;                                                                               \
    }
TAKE(take1, struct rh_heap1, rh1_malloc)
TAKE(take2, struct rh_heap2, rh2_malloc)
TAKE(take4, struct rh_heap4, rh4_malloc)
TAKE(take5, struct rh_heap4, rh5_malloc)

#define GIVE(name, type, call)                                                                     \
    static bool name(void *heap, unsigned char *payload) {                                         \
        return call((type *)heap, (rh_word)(uintptr_t)payload) == RH_OK;                           \
    }
GIVE(give2, struct rh_heap2, rh2_free)
GIVE(give4, struct rh_heap4, rh4_free)
GIVE(give5, struct rh_heap4, rh5_free)

static bool take3(void *heap, size_t size, unsigned char **payload) {
    (void)heap;
    *payload = rh3_malloc(size + 1);
    return *payload != NULL;
}

static bool give3(void *heap, unsigned char *payload) {
    (void)heap;
    rh3_free(payload);
    return true;
}

static void program(void *heap, take take_block, give give_block, unsigned seed) {
    unsigned char *blocks[SLOTS] = {NULL};
    size_t sizes[SLOTS];
    for (int call = 0; call < CALLS + SLOTS; call++) {
        const size_t i = call < CALLS ? next(&seed) % SLOTS : (size_t)(call - CALLS);
        if (blocks[i] != NULL) {
            for (size_t k = 0; k < sizes[i]; k++)
                REQUIRE(blocks[i][k] == (unsigned char)(sizes[i] + k));
            if (give_block != NULL) REQUIRE(give_block(heap, blocks[i]));
            blocks[i] = NULL;
        } else if (call < CALLS) {
            sizes[i] = next(&seed) % 120;
            if (!take_block(heap, sizes[i], &blocks[i])) {
                blocks[i] = NULL;
                refused++;
                continue;
            }
            served++;
            REQUIRE((uintptr_t)blocks[i] % 8 == 0);
            for (size_t k = 0; k < sizes[i]; k++)
                blocks[i][k] = (unsigned char)(sizes[i] + k);
        }
    }
}

static bool count(void *context, rh_word address, rh_word size, bool allocated) {
    (void)address;
    *(rh_word *)context += allocated ? 0 : size;
    return true;
}

#if RH_HAS_SHADOW
static bool only_one(void *context, rh_word address, rh_word size, bool allocated) {
    (void)context;
    REQUIRE(address % 8 == 0 && size != 0 && allocated);
    return false;
}
#endif

static struct rh_region region_of(size_t size, unsigned char **memory) {
    /* Malloc's alignment of 16, and then 8: payloads are 8-aligned either way. */
    *memory = malloc(size);
    REQUIRE(*memory != NULL);
    memset(*memory, 0xA5, size);
    struct rh_region region = {.base = (rh_word)(uintptr_t)*memory, .size = (rh_word)size};
#if RH_HAS_SHADOW
    region.shadow = calloc(1, rh_shadow_bytes(region.size, RH_ALIGNMENT));
    REQUIRE(region.shadow != NULL);
#endif
    return region;
}

static void release(struct rh_region *region, unsigned char *memory) {
    free(memory);
#if RH_HAS_SHADOW
    free(region->shadow);
#else
    (void)region;
#endif
}

/* For the next heap: what a set-up finds is all zero. */
static void clear_shadow(struct rh_region *region) {
#if RH_HAS_SHADOW
    memset(region->shadow, 0, rh_shadow_bytes(region->size, RH_ALIGNMENT));
#else
    (void)region;
#endif
}

static struct rh_options options = {.canary = (rh_word)0x1234567u * 0x1001u};

static void run_heap_1(struct rh_region *region, unsigned seed) {
    struct rh_heap1 heap;
    REQUIRE(rh1_init(&heap, region, &options) == RH_OK);
    program(&heap, take1, NULL, seed);
    REQUIRE(rh1_free_size(&heap) < region->size);
#if RH_HAS_SHADOW
    rh_word free_bytes = 0;
    REQUIRE(rh1_walk(&heap, count, &free_bytes) == RH_OK);
    REQUIRE(free_bytes == rh1_free_size(&heap));
    REQUIRE(rh1_walk(&heap, only_one, &free_bytes) == RH_OK);
#endif
}

/* A forged header in a payload, where no block can start: it looks allocated, and is refused. */
#if RH_CHECKS == 1
static void forge_unaligned(void *heap,
                            enum rh_status (*release_block)(void *heap, rh_word address),
                            rh_word payload, rh_word canary) {
    const rh_word header[2] = {canary, RH_TOP_BIT | (2 * RH_ALIGNMENT)};
    for (rh_word at = 1; at < RH_ALIGNMENT; at++) {
        memcpy((void *)(uintptr_t)(payload + at), header, sizeof header);
        const rh_word block_payload = payload + at + rh_header_bytes(RH_ALIGNMENT);
        REQUIRE(release_block(heap, block_payload) == RH_INVALID_FREE);
    }
}

static enum rh_status free2(void *heap, rh_word address) {
    return rh2_free(heap, address);
}

static enum rh_status free4(void *heap, rh_word address) {
    return rh4_free(heap, address);
}
#endif

static void run_heap_2(struct rh_region *region, unsigned seed) {
    const rh_word whole = region->size - RH_ALIGNMENT;
    struct rh_heap2 heap;
    struct rh_stats stats;
    struct rh_fault fault;
    rh_word free_bytes = 0;
    REQUIRE(rh2_init(&heap, region, &options) == RH_OK);
    program(&heap, take2, give2, seed);
    REQUIRE(rh2_stats(&heap, &stats) == RH_OK && stats.available == whole);
    REQUIRE(rh2_walk(&heap, region, count, &free_bytes) == RH_OK && free_bytes == whole);
    REQUIRE(rh2_check(&heap, region, &fault) == RH_OK);
#if RH_CHECKS == 1
    rh_word payload;
    REQUIRE(rh2_init(&heap, region, &options) == RH_OK); /* else no hole is large enough */
    REQUIRE(rh2_malloc(&heap, 100, &payload) == RH_OK);
    forge_unaligned(&heap, free2, payload, 0);
#endif
}

/* A forged header in a payload, of a size that no block has. */
static void forge_headers(struct rh_heap4 *heap) {
#if RH_CHECKS == 1
    static const rh_word forged[] = {0, 1, 1 << 20, 2 * RH_WORD_BYTES + 4};
    rh_word payload;
    REQUIRE(rh4_malloc(heap, 100, &payload) == RH_OK);
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        const rh_word header[2] = {RH_CANARY_OF(heap), forged[i] | RH_TOP_BIT};
        memcpy((void *)(uintptr_t)payload, header, sizeof header);
        REQUIRE(rh4_free(heap, payload + RH_HEADER_OF(heap)) == RH_INVALID_FREE);
    }
    forge_unaligned(heap, free4, payload, RH_CANARY_OF(heap));
    REQUIRE(rh4_free(heap, payload) == RH_OK);
#else
    (void)heap;
#endif
}

/* Where nothing is checked, a size that was overwritten with less than a header clears nothing. */
static void clear_small_size(struct rh_heap4 *heap) {
#if RH_CHECKS == 0 && RH_CLEAR_ON_FREE
    rh_word payload, beyond;
    REQUIRE(rh4_malloc(heap, 24, &payload) == RH_OK);
    REQUIRE(rh4_malloc(heap, 24, &beyond) == RH_OK);
    memset((void *)(uintptr_t)beyond, 0x5A, 24);
    rh_header_at(payload - RH_HEADER_OF(heap))->size = RH_TOP_BIT | 4;
    REQUIRE(rh4_free(heap, payload) == RH_OK);
    for (int i = 0; i < 24; i++)
        REQUIRE(((unsigned char *)(uintptr_t)beyond)[i] == 0x5A);
#else
    (void)heap;
#endif
}

static void run_heap_4(struct rh_region *region, unsigned seed) {
    struct rh_heap4 heap;
    struct rh_stats stats;
    struct rh_fault fault;
    rh_word free_bytes = 0;
    REQUIRE(rh4_init(&heap, region, &options) == RH_OK);
    const rh_word whole = heap.free_size;
    program(&heap, take4, give4, seed);
    REQUIRE(rh4_stats(&heap, &stats) == RH_OK && stats.largest_free_block == whole);
    REQUIRE(rh4_walk(&heap, region, count, &free_bytes) == RH_OK && free_bytes == whole);
    REQUIRE(rh4_check(&heap, region, &fault) == RH_OK);
#if RH_CHECKS != 0
    REQUIRE(rh4_free(&heap, 64) == RH_INVALID_FREE);
#endif
    forge_headers(&heap);
    clear_small_size(&heap);
}

static void run_heap_5(size_t size, unsigned seed) {
    unsigned char *memory[2];
    struct rh_region regions[2] = {region_of(size, &memory[0]), region_of(size / 2, &memory[1])};
    if (regions[0].base > regions[1].base) {
        struct rh_region higher = regions[0];
        regions[0] = regions[1];
        regions[1] = higher;
    }
    struct rh_heap4 heap;
    struct rh_stats stats;
    struct rh_fault fault;
    rh_word free_bytes = 0;
    size_t wrong;
    REQUIRE(rh5_init(&heap, regions, 2, &options, &wrong) == RH_OK);
    program(&heap, take5, give5, seed);
    REQUIRE(rh5_stats(&heap, &stats) == RH_OK);
    REQUIRE(rh5_walk(&heap, regions, 2, count, &free_bytes) == RH_OK);
    REQUIRE(free_bytes == heap.free_size && stats.available == free_bytes);
    REQUIRE(rh5_check(&heap, regions, 2, &fault) == RH_OK);
    for (int i = 0; i < 2; i++)
        release(&regions[i], (unsigned char *)(uintptr_t)regions[i].base);
}

static void run(size_t size, unsigned seed) {
    unsigned char *memory;
    struct rh_region region = region_of(size, &memory);
    run_heap_1(&region, seed);
    clear_shadow(&region);
    run_heap_2(&region, seed);
    clear_shadow(&region);
    program(NULL, take3, give3, seed);
    run_heap_4(&region, seed);
    release(&region, memory);
    run_heap_5(size, seed);
}

int main(void) {
    for (unsigned seed = 1; seed <= 12; seed++)
        run(700 + 50 * seed, seed);
    printf("%lu served, %lu refused\n", served, refused);
    return 0;
}

#endif

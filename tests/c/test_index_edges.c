/*
 * Calls at the edges of the index: heaps as large as a node's two bytes or the levels of its words
 * allow, and blocks about as large as a leaf or a node can hold. It prints what each call did, as a
 * digest, and how many there were; with RH_INDEX and without it must print the same.
 *
 * usage: test_index_edges BYTES ALIGNMENT CALLS
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RH_API static __attribute__((unused))
#include "heap_4.c"
#include "heap_5.c"

#define SLOTS 512

static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
static uint64_t digest = UINT64_C(0xCBF29CE484222325);

static uint32_t below(rh_word limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % limit);
}

static void note(uint64_t value) {
    digest = (digest ^ value) * UINT64_C(0x100000001B3);
    digest ^= digest >> 29;
}

static void require(bool condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static unsigned char *arena(size_t bytes) {
    unsigned char *memory = (unsigned char *)calloc(bytes, 1);
    require(memory != NULL, "no memory");
    return memory;
}

static struct rh_heap4 heap;

/* A request about as large as what an index holds at most, as all that is free, or small. */
static rh_word request(const struct rh_options *options) {
    static const uint16_t edges[] = {16, 128, 255, 256, 512, 4096, 65534, 65535};
    const rh_word around = below(5);
    switch (below(8)) {
    case 0: return (edges[below(8)] + around - 2) * options->alignment - heap.common.header;
    case 1: return heap.free_size - heap.common.header - (around - 2) * options->alignment;
    case 2: return below(heap.free_size + 1) + 1;
    default: return (below(40) + 1) * options->alignment;
    }
}

static void calls_on_one(rh_word bytes, rh_word alignment, unsigned long calls) {
    static rh_word live[SLOTS];
    struct rh_region region = {.base = 0x20000004, .size = bytes - 4, .memory = arena(bytes)};
    const struct rh_options options = {.alignment = alignment};
    require(rh4_init(&heap, &region, &options) == RH_OK, "set-up failed");
#if RH_INDEX
    require(RH_IS_INDEXED(&heap), "no index");
#endif
    unsigned long served = 0;
    for (unsigned long call = 0; call < calls; call++) {
        rh_word *slot = &live[below(SLOTS)];
        if (*slot != 0) {
            require(rh4_free(&heap, *slot) == RH_OK, "free failed");
            *slot = 0;
        } else {
            const enum rh_status status = rh4_malloc(&heap, request(&options), slot);
            note(status);
            if (status == RH_OK)
                served++, note(*slot);
            else
                *slot = 0;
        }
        note(heap.nodes);
        if (call % 64 != 63) continue;
        for (size_t i = 0; i < SLOTS; i++) { /* all are one block again */
            if (live[i] != 0) require(rh4_free(&heap, live[i]) == RH_OK, "free failed");
            live[i] = 0;
        }
    }
    printf("%lu of %lu, ", served, calls);
    free(region.memory);
}

/* Two regions that have, with their markers, a few steps more than the heap may. */
static void calls_on_two(rh_word bytes, rh_word alignment) {
    const rh_word half = bytes / 2 + alignment;
    struct rh_region regions[] = {
        {.base = 0x20000000, .size = half, .memory = arena(half)},
        {.base = 0x40000000, .size = half + 4 * alignment, .memory = arena(half + 4 * alignment)},
    };
    const struct rh_options options = {.alignment = alignment};
    size_t wrong;
    require(rh5_init(&heap, regions, 2, &options, &wrong) == RH_OK, "set-up failed");
    rh_word address = 0;
    note(rh5_malloc(&heap, half, &address));
    note(address);
    require(address > regions[1].base, "the second region has such a block");
    free(regions[0].memory);
    free(regions[1].memory);
}

int main(int count, char **arguments) {
    require(count == 4, "usage: test_index_edges BYTES ALIGNMENT CALLS");
    const rh_word bytes = (rh_word)strtoul(arguments[1], NULL, 10);
    const rh_word alignment = (rh_word)strtoul(arguments[2], NULL, 10);
    calls_on_one(bytes, alignment, strtoul(arguments[3], NULL, 10));
    calls_on_two(bytes, alignment);
    printf("%016" PRIx64 "\n", digest);
    return 0;
}

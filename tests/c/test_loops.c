/*
 * The longest lists that there can be, in heaps of all sizes: built with RH_CHECK_LOOPS, it aborts
 * where a loop turns more often than its RH_WHILE() says; and also where one is made to say a turn
 * less, for each bound is reached.
 */
#include <stdio.h>
#include <stdlib.h>

#define RH_API static __attribute__((unused))
#include "heap_2.c"
#include "heap_4.c"
#include "heap_5.c"

enum { MOST = 2048, BASE = 0x20000000, ALIGNMENT = 8 };

static unsigned char memory[MOST];
static rh_word live[MOST / 16];
static size_t count;
static unsigned long calls;

static void require(bool condition, int line) {
    calls++;
    if (condition) return;
    fprintf(stderr, "line %d\n", line);
    exit(1);
}
#define REQUIRE(condition) require((condition), __LINE__)

static struct rh_region region_of(rh_word size) {
    struct rh_region region = {.base = BASE, .size = size, .memory = memory};
    memset(memory, 0, sizeof memory);
    count = 0;
    return region;
}

/* Every second smallest block is free; a malloc asks for more, and then the last block that is
 * allocated goes. */
static void go_first_fit(rh_word size, bool many, size_t odd) {
    struct rh_region region = region_of(size);
    const struct rh_options options = {.alignment = ALIGNMENT};
    struct rh_heap4 heap;
    rh_word address;
    size_t wrong;
    REQUIRE((many ? rh5_init(&heap, &region, 1, &options, &wrong)
                  : rh4_init(&heap, &region, &options)) == RH_OK);
    while ((many ? rh5_malloc : rh4_malloc)(&heap, 1, &address) == RH_OK)
        live[count++] = address;
    size_t last = count;
    for (size_t i = count; i-- > 0;) {
        if (i % 2 == odd)
            REQUIRE((many ? rh5_free : rh4_free)(&heap, live[i]) == RH_OK);
        else if (last == count)
            last = i;
    }
    (void)(many ? rh5_malloc : rh4_malloc)(&heap, 24, &address); /* most often none is so large */
    if (last < count) REQUIRE((many ? rh5_free : rh4_free)(&heap, live[last]) == RH_OK);
}

/* All smallest blocks are free but for one that is larger: it goes, and is split. Or all are free,
 * and none is large enough. */
static void go_by_size(rh_word size, bool larger) {
    struct rh_region region = region_of(size);
    const struct rh_options options = {.alignment = ALIGNMENT, .end_marker = BASE + MOST + 8};
    struct rh_heap2 heap;
    rh_word address, last = 0;
    REQUIRE(rh2_init(&heap, &region, &options) == RH_OK);
    while (heap.free_size >= (larger ? 72 : 1) && rh2_malloc(&heap, 1, &address) == RH_OK)
        live[count++] = address;
    if (larger) REQUIRE(rh2_malloc(&heap, 40, &last) == RH_OK);
    for (size_t i = 0; i < count; i++)
        REQUIRE(rh2_free(&heap, live[i]) == RH_OK);
    if (larger) REQUIRE(rh2_free(&heap, last) == RH_OK);
    rh2_malloc(&heap, 16, &address);
}

int main(void) {
    for (rh_word size = 64; size <= MOST; size += 4) {
        for (int i = 0; i < 4; i++)
            go_first_fit(size, i / 2, (size_t)(i % 2));
        go_by_size(size, false);
        if (size >= 128) go_by_size(size, true);
    }
    printf("%lu\n", calls);
    return 0;
}

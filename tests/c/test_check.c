/*
 * The checkers against forged arenas, one rule after the other, and the set-ups against regions
 * that cannot be. Compiled with RH_HOSTED=1, words of 4 bytes and no shadow, so that it is the
 * rules that find what is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap_1.h"
#include "heap_2.h"
#include "heap_4.h"
#include "heap_5.h"
#include "newlib_nano.h"

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { BASE = 0x20000000, FAR = 0x30000000, MARKER = 0x10000000, SIZE = 160 };

static unsigned char *memory[2]; /* of the exact size: the sanitizers see a step outside */
static struct rh_region regions[2];
static struct rh_options options;
static struct rh_heap1 heap1;
static struct rh_heap2 heap2;
static struct rh_heap4 heap4;
static struct rh_nano nano;
static rh_word a, b, c; /* payloads */

static void reset(rh_word base, rh_word size) {
    const size_t bytes = size < 4096 ? size : 4096; /* larger ones are refused unseen */
    for (int i = 0; i < 2; i++) {
        free(memory[i]);
        memory[i] = calloc(1, i == 0 ? bytes : SIZE);
        REQUIRE(memory[i] != NULL || bytes == 0);
    }
    struct rh_region first = {base, size, memory[0]}, second = {FAR, SIZE, memory[1]};
    struct rh_options plain = {.alignment = 8, .end_marker = MARKER};
    regions[0] = first;
    regions[1] = second;
    options = plain;
}

static void poke(rh_word address, rh_word value) {
    const int i = address >= FAR;
    memcpy(&memory[i][address - regions[i].base], &value, sizeof value);
}

static bool count(void *context, rh_word address, rh_word size, bool allocated) {
    (void)address;
    (void)size;
    (void)allocated;
    return --*(int *)context > 0;
}

#define TOP 0x80000000u
#define EXPECT(call, broken, at)                                                                   \
    do {                                                                                           \
        struct rh_fault fault;                                                                     \
        enum rh_status status = (call);                                                            \
        REQUIRE(status == ((broken) == RH_RULE_NONE ? RH_OK : RH_CORRUPT));                        \
        REQUIRE(fault.rule == (broken) && fault.address == (at));                                  \
    } while (0)

/* --- heap_2: [a: 16, allocated][b: 24, free][c: 16, allocated][the rest, free] ------------------
 */

static void begin2(rh_word size) {
    reset(BASE, size);
    REQUIRE(rh2_init(&heap2, regions, &options) == RH_OK);
    REQUIRE(rh2_malloc(&heap2, 8, &a) == RH_OK && a == BASE + 8);
    REQUIRE(rh2_malloc(&heap2, 16, &b) == RH_OK && b == BASE + 24);
    REQUIRE(rh2_malloc(&heap2, 8, &c) == RH_OK && c == BASE + 48);
    REQUIRE(rh2_free(&heap2, b) == RH_OK);
}

#define CHECK2(broken, at) EXPECT(rh2_check(&heap2, regions, &fault), broken, at)

static void test_check2(void) {
    begin2(SIZE);
    CHECK2(RH_RULE_NONE, 0);
    begin2(SIZE), poke(BASE + 4, TOP | 4);
    CHECK2(RH_RULE_SIZE, BASE);
    begin2(SIZE), poke(BASE + 4, TOP | 0);
    CHECK2(RH_RULE_SIZE, BASE);
    begin2(SIZE), poke(BASE + 4, TOP | 160);
    CHECK2(RH_RULE_SIZE, BASE);
    begin2(SIZE), poke(BASE + 4, TOP | 20);
    CHECK2(RH_RULE_SIZE, BASE);
    begin2(SIZE + 4); /* the last block's size is no multiple of 8, as it may be */
    CHECK2(RH_RULE_NONE, 0);
    poke(BASE + 60, 96); /* and now 4 bytes are left */
    CHECK2(RH_RULE_SIZE, BASE + 152);
    begin2(SIZE), poke(BASE, 4);
    CHECK2(RH_RULE_LIVE_LINK, BASE);
    begin2(SIZE), heap2.head.next = BASE;
    CHECK2(RH_RULE_NOT_FREE, BASE);
    begin2(SIZE), heap2.head.next = MARKER;
    CHECK2(RH_RULE_NOT_LISTED, 0);
    begin2(SIZE), poke(BASE + 16, MARKER);
    CHECK2(RH_RULE_NOT_LISTED, BASE + 16);
    begin2(SIZE), heap2.head.next = BASE - 8;
    CHECK2(RH_RULE_LINK, 0);
    begin2(SIZE), poke(BASE + 16, BASE + 152);
    CHECK2(RH_RULE_LINK, BASE + 16);
    begin2(SIZE), poke(BASE + 16, BASE + 60);
    CHECK2(RH_RULE_LINK, BASE + 16);
    begin2(SIZE), poke(BASE + 56, BASE + 16); /* in a circle */
    CHECK2(RH_RULE_LINK, BASE + 56);
    begin2(SIZE + 4), poke(BASE + 16, BASE + 152);
    CHECK2(RH_RULE_LINK, BASE + 16);
    begin2(SIZE), heap2.head.next = BASE + 56, poke(BASE + 56, BASE + 16), poke(BASE + 16, MARKER);
    CHECK2(RH_RULE_ORDER, BASE + 16);
    begin2(SIZE), heap2.head.next = BASE + 8; /* a forged entry in a payload stands in for b */
    poke(BASE + 8, BASE + 56), poke(BASE + 12, 16);
    CHECK2(RH_RULE_NOT_LISTED, BASE + 56);
    poke(BASE + 12, 0);
    CHECK2(RH_RULE_NOT_LISTED, BASE + 56);
    /* What is not a block's payload is not freed: no top bit, or a link that is not zero. */
    begin2(SIZE);
    REQUIRE(rh2_free(&heap2, a + 8) == RH_INVALID_FREE);
    poke(BASE + 8, 4), poke(BASE + 12, TOP | 16);
    REQUIRE(rh2_free(&heap2, a + 8) == RH_INVALID_FREE);
    REQUIRE(rh2_free(&heap2, b) == RH_INVALID_FREE);
    begin2(SIZE), heap2.free_size += 8;
    CHECK2(RH_RULE_FREE_SIZE, 0);
}

/* Of an unaligned base up to 7 bytes lie behind the blocks; here one does, so that the sanitizers
 * see a header read that is cut short. */
static void test_unaligned2(void) {
    int limit = 9;
    reset(BASE + 1, SIZE + 4);
    REQUIRE(rh2_init(&heap2, regions, &options) == RH_OK);
    CHECK2(RH_RULE_NONE, 0);
    poke(BASE + 12, SIZE - 8); /* of 156: and now 4 bytes are left */
    CHECK2(RH_RULE_SIZE, BASE + SIZE);
    REQUIRE(rh2_walk(&heap2, regions, count, &limit) == RH_CORRUPT && limit == 8);
}

/* --- heap_4: the same blocks, and a marker at the end -------------------------------------------
 */

static void begin4(rh_word size, rh_word alignment) {
    reset(BASE, size);
    options.alignment = alignment;
    REQUIRE(rh4_init(&heap4, regions, &options) == RH_OK);
    REQUIRE(rh4_malloc(&heap4, 8, &a) == RH_OK && a == BASE + 8);
    REQUIRE(rh4_malloc(&heap4, 16, &b) == RH_OK && b == BASE + 24);
    REQUIRE(rh4_malloc(&heap4, 8, &c) == RH_OK && c == BASE + 48);
    REQUIRE(rh4_free(&heap4, b) == RH_OK);
}

#define CHECK4(broken, at) EXPECT(rh4_check(&heap4, regions, &fault), broken, at)

static void test_check4(void) {
    const rh_word end = BASE + SIZE - 8;
    struct rh_heap4 never = {.end = 0};
    EXPECT(rh4_check(&never, regions, &fault), RH_RULE_NONE, 0);
    begin4(SIZE, 8);
    CHECK4(RH_RULE_NONE, 0);
    begin4(SIZE, 8), poke(BASE + 4, TOP | 4);
    CHECK4(RH_RULE_SIZE, BASE);
    begin4(SIZE, 8), poke(BASE + 4, TOP | 160);
    CHECK4(RH_RULE_SIZE, BASE);
    begin4(SIZE, 8), poke(BASE + 4, TOP | 20);
    CHECK4(RH_RULE_SIZE, BASE);
    begin4(SIZE, 4), poke(BASE + 60, 92);
    CHECK4(RH_RULE_SIZE, BASE + 148);
    begin4(SIZE, 8), heap4.head.next = BASE - 8;
    CHECK4(RH_RULE_LINK, 0);
    begin4(SIZE, 8), poke(BASE + 16, BASE + 32);
    CHECK4(RH_RULE_LINK, BASE + 16);
    begin4(SIZE, 8), heap4.head.next = BASE;
    CHECK4(RH_RULE_NOT_FREE, BASE);
    begin4(SIZE, 8), poke(BASE, 4);
    CHECK4(RH_RULE_LIVE_LINK, BASE);
    begin4(SIZE, 8), heap4.head.next = BASE + 56;
    CHECK4(RH_RULE_NOT_LISTED, BASE + 16);
    begin4(SIZE, 8), poke(BASE + 44, 16); /* c looks free, and is listed */
    poke(BASE + 16, BASE + 40), poke(BASE + 40, BASE + 56);
    CHECK4(RH_RULE_NOT_COALESCED, BASE + 40);
    begin4(SIZE, 8), poke(BASE + 16, BASE + 16);
    CHECK4(RH_RULE_ORDER, BASE + 16);
    begin4(SIZE, 8), poke(BASE + 16, BASE);
    CHECK4(RH_RULE_ORDER, BASE + 16);
    begin4(SIZE, 8), poke(BASE + 56, BASE + 64);
    CHECK4(RH_RULE_LINK, BASE + 56);
    begin4(SIZE, 8), poke(BASE + 56, end + 8);
    CHECK4(RH_RULE_LINK, BASE + 56);
    begin4(SIZE, 8), poke(end + 4, 8);
    CHECK4(RH_RULE_END_MARKER, end);
    begin4(SIZE, 8), poke(end, BASE);
    CHECK4(RH_RULE_END_MARKER, end);
    begin4(SIZE, 8);
    REQUIRE(rh4_free(&heap4, a + 8) == RH_INVALID_FREE);
    poke(BASE + 8, 4), poke(BASE + 12, TOP | 16);
    REQUIRE(rh4_free(&heap4, a + 8) == RH_INVALID_FREE);
    REQUIRE(rh4_free(&heap4, b) == RH_INVALID_FREE);
    begin4(SIZE, 8), heap4.free_size -= 8;
    CHECK4(RH_RULE_FREE_SIZE, 0);
    begin4(SIZE, 8), poke(BASE + 20, 0); /* a size of 0 ends the search, as the end marker's does */
    REQUIRE(rh4_malloc(&heap4, 8, &a) == RH_FRAGMENTED);
    begin4(SIZE, 8), poke(BASE + 20, 15); /* one byte less than is wanted is too little */
    REQUIRE(rh4_malloc(&heap4, 8, &a) == RH_OK && a == BASE + 64);
    begin4(SIZE, 8), poke(BASE + 60, 47);
    REQUIRE(rh4_malloc(&heap4, 40, &a) == RH_FRAGMENTED);
}

static void test_check5(void) {
    const rh_word inner = BASE + SIZE - 8;
    int limit;
    size_t wrong;
    for (int what = 0; what < 5; what++) {
        reset(BASE, SIZE);
        REQUIRE(rh5_init(&heap4, regions, 2, &options, &wrong) == RH_OK);
        if (what == 1) poke(inner, inner);
        if (what == 2) poke(inner, BASE);
        if (what == 3) poke(inner, FAR + 8);
        if (what == 4) poke(BASE + 4, 4);
        EXPECT(rh5_check(&heap4, regions, 2, &fault),
               what == 0   ? RH_RULE_NONE
               : what <= 2 ? RH_RULE_END_MARKER
               : what == 3 ? RH_RULE_NOT_LISTED
                           : RH_RULE_SIZE,
               what == 0   ? 0
               : what <= 2 ? inner
               : what == 3 ? FAR
                           : BASE);
        limit = 100;
        REQUIRE(rh5_walk(&heap4, regions, 2, count, &limit) == (what == 4 ? RH_CORRUPT : RH_OK));
    }
    /* A visitor can end a walk. */
    reset(BASE, SIZE);
    REQUIRE(rh5_init(&heap4, regions, 2, &options, &wrong) == RH_OK);
    limit = 1;
    REQUIRE(rh5_walk_free(&heap4, count, &limit) == RH_OK && limit == 0);
    limit = 3;
    REQUIRE(rh5_walk_free(&heap4, count, &limit) == RH_OK && limit == 0);
    limit = 4;
    REQUIRE(rh5_walk_free(&heap4, count, &limit) == RH_OK && limit == 1);
    limit = 1;
    REQUIRE(rh5_walk(&heap4, regions, 2, count, &limit) == RH_OK);
    begin4(SIZE, 4), poke(BASE + 60, 92);
    limit = 9;
    REQUIRE(rh4_walk(&heap4, regions, count, &limit) == RH_CORRUPT && limit == 5);
    begin2(SIZE);
    limit = 1;
    REQUIRE(rh2_walk_free(&heap2, count, &limit) == RH_OK && limit == 0);
}

/* --- newlib-nano: [a: 16, allocated][b: 24, free][c: 16, allocated], then what sbrk has left -----
 */

static void begin3(void) {
    reset(BASE, SIZE);
    REQUIRE(rhn_init(&nano, regions, RH_NANO_3_3_0) == RH_OK);
    REQUIRE(rhn_malloc(&nano, 8, &a) == RH_OK && a == BASE + 8);
    REQUIRE(rhn_malloc(&nano, 16, &b) == RH_OK && b == BASE + 24);
    REQUIRE(rhn_malloc(&nano, 8, &c) == RH_OK && c == BASE + 48);
    REQUIRE(rhn_free(&nano, b) == RH_OK);
}

#define CHECK3(broken, at) EXPECT(rhn_check(&nano, &fault), broken, at)

static void test_check3(void) {
    int limit;
    begin3();
    CHECK3(RH_RULE_NONE, 0);
    limit = 100;
    REQUIRE(rhn_walk(&nano, count, &limit) == RH_OK && limit == 96);
    begin3(), poke(BASE, 8);
    CHECK3(RH_RULE_SIZE, BASE);
    limit = 100;
    REQUIRE(rhn_walk(&nano, count, &limit) == RH_CORRUPT && limit == 100);
    begin3(), poke(BASE, 60);
    CHECK3(RH_RULE_SIZE, BASE);
    REQUIRE(rhn_walk(&nano, count, &limit) == RH_CORRUPT);
    begin3(), poke(BASE, 18);
    CHECK3(RH_RULE_SIZE, BASE);
    begin3(), poke(BASE + 40, 12); /* 4 bytes are left before the break */
    CHECK3(RH_RULE_SIZE, BASE + 52);
    begin3(), nano.lowest = BASE + 100;
    CHECK3(RH_RULE_SIZE, BASE + 100);
    begin3(), nano.first = BASE - 8;
    CHECK3(RH_RULE_LINK, 0);
    begin3(), poke(BASE + 20, BASE + 44);
    CHECK3(RH_RULE_LINK, BASE + 16);
    begin3(), poke(BASE + 20, BASE + 16);
    CHECK3(RH_RULE_ORDER, BASE + 16);
    begin3(), poke(BASE + 20, BASE + 40); /* c, which adjoins it */
    CHECK3(RH_RULE_NOT_COALESCED, BASE + 40);
    begin3(), nano.free_size += 4;
    CHECK3(RH_RULE_FREE_SIZE, 0);
    /* The break is unaligned, and sbrk has no second piece to align it: the first one is lost. */
    reset(BASE + 1, 20);
    REQUIRE(rhn_init(&nano, regions, RH_NANO_3_3_0) == RH_OK);
    REQUIRE(rhn_malloc(&nano, 12, &a) == RH_FRAGMENTED);
    REQUIRE(nano.free_size == 0 && nano.minimum_ever_free == 0 && nano.failed == 1);
    REQUIRE(rhn_malloc(&nano, 1, &a) == RH_EXHAUSTED);
    begin3();
    limit = 1;
    REQUIRE(rhn_walk_free(&nano, count, &limit) == RH_OK && limit == 0);
    limit = 1;
    REQUIRE(rhn_walk(&nano, count, &limit) == RH_OK && limit == 0);
}

/* --- set-ups ------------------------------------------------------------------------------------
 */

#define SETUP(base, size, align, status1, status2, status4)                                        \
    do {                                                                                           \
        reset((base), (size));                                                                     \
        options.alignment = (align);                                                               \
        REQUIRE(rh1_init(&heap1, regions, &options) == (status1));                                 \
        REQUIRE(rh2_init(&heap2, regions, &options) == (status2));                                 \
        REQUIRE(rh4_init(&heap4, regions, &options) == (status4));                                 \
        REQUIRE(rh5_init(&heap4, regions, 1, &options, &wrong) == (status4));                      \
    } while (0)

static void test_set_up(void) {
    size_t wrong;
    SETUP(BASE, SIZE, 8, RH_OK, RH_OK, RH_OK);
    SETUP(BASE, SIZE, 2, RH_BAD_ALIGNMENT, RH_BAD_ALIGNMENT, RH_BAD_ALIGNMENT);
    SETUP(BASE, SIZE, 64, RH_BAD_ALIGNMENT, RH_BAD_ALIGNMENT, RH_BAD_ALIGNMENT);
    SETUP(BASE, SIZE, 12, RH_BAD_ALIGNMENT, RH_BAD_ALIGNMENT, RH_BAD_ALIGNMENT);
    SETUP(BASE, SIZE, 32, RH_OK, RH_OK, RH_OK);
    SETUP(BASE, SIZE, 4, RH_OK, RH_OK, RH_OK);
    SETUP(1, 64, 8, RH_OK, RH_OK, RH_OK);
    SETUP(0, SIZE, 8, RH_AT_ZERO, RH_AT_ZERO, RH_AT_ZERO);
    SETUP(0xFFFFFFF0u, 17, 8, RH_OUT_OF_RANGE, RH_OUT_OF_RANGE, RH_OUT_OF_RANGE);
    SETUP(0x100, TOP, 8, RH_OUT_OF_RANGE, RH_OUT_OF_RANGE, RH_OUT_OF_RANGE);
    SETUP(BASE, 1, 8, RH_TOO_SMALL, RH_TOO_SMALL, RH_TOO_SMALL);
    SETUP(BASE, 7, 8, RH_TOO_SMALL, RH_TOO_SMALL, RH_TOO_SMALL);
    SETUP(BASE, 8, 8, RH_OK, RH_TOO_SMALL, RH_TOO_SMALL);
    SETUP(BASE, 15, 8, RH_OK, RH_TOO_SMALL, RH_TOO_SMALL);
    SETUP(BASE, 16, 8, RH_OK, RH_OK, RH_OK);
    SETUP(BASE + 1, 22, 8, RH_OK, RH_OK, RH_TOO_SMALL);
    SETUP(BASE + 1, 23, 8, RH_OK, RH_OK, RH_OK);
    SETUP(0x7FFFFF80u, 264, 8, RH_OK, RH_OK, RH_OK); /* on both sides of the top bit */
    reset(BASE, SIZE);
    wrong = 9;
    REQUIRE(rh5_init(&heap4, regions, 0, &options, &wrong) == RH_TOO_SMALL && wrong == 0);

    static const rh_word markers[] = {0, BASE + 8, BASE + SIZE - 4, BASE - 4, MARKER + 2};
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        options.end_marker = markers[i];
        REQUIRE(rh2_init(&heap2, regions, &options) == RH_BAD_MARKER);
    }
    options.end_marker = BASE - 8;
    REQUIRE(rh2_init(&heap2, regions, &options) == RH_OK);
    options.end_marker = BASE + SIZE;
    REQUIRE(rh2_init(&heap2, regions, &options) == RH_OK);
}

static void test_set_up_of_regions(void) {
    size_t wrong;
    /* What lies before the last may have no block, but not half a header. */
    static const struct {
        rh_word base, size;
        enum rh_status status;
    } firsts[] = {
        {BASE, 7, RH_TOO_SMALL},          {BASE, 8, RH_OK},           {BASE, 16, RH_OK},
        {BASE + 1, 14, RH_TOO_SMALL},     {BASE + 1, 15, RH_OK},      {FAR - 16, 16, RH_OK},
        {FAR - 16, 17, RH_NOT_ASCENDING}, {FAR, 16, RH_NOT_ASCENDING}};
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        reset(firsts[i].base, firsts[i].size);
        wrong = 9;
        REQUIRE(rh5_init(&heap4, regions, 2, &options, &wrong) == firsts[i].status);
        REQUIRE(wrong == (firsts[i].status == RH_TOO_SMALL ? 0u : 1u));
    }
    reset(BASE, SIZE);
    options.alignment = 4; /* 4 bytes between header and header: no block, and not none */
    regions[0].size = 12;
    REQUIRE(rh5_init(&heap4, regions, 2, &options, &wrong) == RH_TOO_SMALL);
    reset(0x100, 0x40000008); /* its blocks have 0x80000000 bytes together: just too many */
    regions[1].base = 0x60000000;
    regions[1].size = 0x40000008;
    REQUIRE(rh5_init(&heap4, regions, 2, &options, &wrong) == RH_OUT_OF_RANGE && wrong == 1);
    reset(0x100, 0x50000000); /* the sum has the top bit: nothing is written before that is seen */
    regions[1].base = 0x60000000;
    regions[1].size = 0x50000000;
    REQUIRE(rh5_init(&heap4, regions, 2, &options, &wrong) == RH_OUT_OF_RANGE);
}

static void test_set_up_of_newlib(void) {
    reset(BASE, 11);
    REQUIRE(rhn_init(&nano, regions, RH_NANO_3_3_0) == RH_TOO_SMALL);
    reset(BASE, 12);
    REQUIRE(rhn_init(&nano, regions, RH_NANO_3_3_0) == RH_OK);
    reset(BASE + 1, 14);
    REQUIRE(rhn_init(&nano, regions, RH_NANO_3_3_0) == RH_TOO_SMALL);
    reset(0, SIZE);
    REQUIRE(rhn_init(&nano, regions, RH_NANO_3_3_0) == RH_AT_ZERO);
    reset(0xFFFFFFF0u, 17);
    REQUIRE(rhn_init(&nano, regions, RH_NANO_3_3_0) == RH_OUT_OF_RANGE);
}

/* The least rest is the smallest multiple of the alignment for which a block is split. */
static void test_least_rest(void) {
    for (rh_word alignment = 4; alignment <= 32; alignment *= 2) {
        const rh_word header = rh_header_bytes(alignment), wanted = 2 * header;
        const rh_word least = rh_least_rest(header, alignment);
        REQUIRE(rh_splits(wanted + least, wanted, header));
        REQUIRE(!rh_splits(wanted + least - alignment, wanted, header));
    }
}

int main(void) {
    test_check2();
    test_unaligned2();
    test_check3();
    test_check4();
    test_check5();
    test_set_up();
    test_set_up_of_regions();
    test_set_up_of_newlib();
    test_least_rest();
    free(memory[0]);
    free(memory[1]);
    puts("all rules");
    return 0;
}

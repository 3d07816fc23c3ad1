/*
 * The heaps behind one interface of 64-bit numbers, whatever the target's word: what the Python
 * extension, the replay and the benchmarks call. The core is compiled once per word size.
 */
#ifndef RH_OPS_H
#define RH_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../policies/rh_policy.h"
#include "rh_heap.h"

struct rh_setup_region {
    uint64_t base;
    uint64_t size;
    unsigned char *memory;
    /* shadow_bytes(size, alignment) bytes, all zero when init() is called; NULL where nothing is
     * checked. */
    unsigned char *shadow;
};

struct rh_setup {
    uint64_t alignment;
    uint64_t canary;
    uint64_t end_marker; /* heap_2 */
    bool clear_on_free;
    unsigned old;                   /* enum rh_old: what an older kernel does otherwise */
    unsigned newlib;                /* heap_3: enum rh_nano_version */
    const struct rh_policy *policy; /* of a policy heap */
    size_t region_count;
    const struct rh_setup_region *regions;
};

struct rh_block {
    uint64_t address; /* of the header; heap_1: of the payload */
    uint64_t size;
    bool allocated;
};

struct rh_numbers { /* what a heap counts; also what a snapshot keeps */
    uint64_t minimum_ever_free;
    uint64_t allocations;
    uint64_t frees;
    uint64_t failed;
    uint64_t reached;  /* heap_3: bytes that sbrk has handed out */
    uint64_t extended; /* heap_3: a live block that is listed all the same, or 0 */
    uint64_t refused;  /* heap_3: the least size at which a refused sbrk is granted, or 0: none */
    /* Of now: bytes at the end that nothing has used yet (heap_1, heap_3). If there are any, both
     * walks list them as a last block. */
    uint64_t rest;
    uint64_t rover; /* next fit: the entry that the next search begins with, or 0: the first */
};

struct rh_stats64 {
    uint64_t values[7]; /* in the order of FreeRTOS's HeapStats_t */
};

struct rh_fault64 {
    enum rh_rule rule;
    bool is_marker;
    bool has_previous;
    uint64_t address;  /* of the header at fault */
    uint64_t previous; /* of the block that ends there */
    uint64_t found[2]; /* the header's words in the arena, and in the shadow */
    uint64_t expected[2];
};

/* All that a heap is, besides its set-up and the arena's bytes. */
struct rh_snapshot {
    struct rh_numbers numbers;
    const struct rh_block *blocks; /* in address order, without the rest that heap_1 and 3 have */
    size_t block_count;
    const uint64_t *free_list; /* headers, heap_5's listed markers included */
    size_t free_count;
    const uint64_t *ever; /* payloads that malloc has returned since set-up */
    size_t ever_count;
    const uint64_t *moved; /* heap_3: payloads that memalign moved within their block */
    size_t moved_count;
};

typedef bool (*rh_visitor64)(void *context, uint64_t address, uint64_t size, bool allocated);
typedef bool (*rh_address_visitor)(void *context, uint64_t address);

/* An index of the free list, with which malloc, free and realloc take no longer than the logarithm
 * of its length. It lies outside the arena, and is its maker's, who drops it. */
struct rh_list_index {
    /* Of the list as it is; NULL where there is no memory, or the heap is too large. */
    void *(*make)(void *state);
    void (*drop)(void *index);
    /* The heap's calls use it from now on, and keep it, but for one for which memory did not
     * suffice. NULL: none any more, so that the state may be copied. */
    void (*use)(void *state, void *index);
    /* Is there one that the calls use? */
    bool (*is_used)(const void *state);
    /* While one is used: would free() of a live payload, whose own header is intact, meet a header
     * that is not? RH_OK or RH_CORRUPT. */
    enum rh_status (*meets)(void *state, uint64_t payload);
    /* ... the statistics' largest free block, and how many there are. */
    void (*sums)(const void *state, uint64_t *largest, uint64_t *count);
};

/* heap_1 to heap_5, and what has a policy of its own. */
#define RH_KIND_POLICY 6
#define RH_KINDS 6

struct rh_ops {
    int kind;       /* 1 to RH_KINDS */
    int word_bytes; /* 4 or 8 */
    uint64_t word_max;

    bool can_free;
    bool zero_size_is_live;  /* malloc(0) is served: heap_3 */
    bool has_regions;        /* more than one: heap_5 */
    bool has_end_marker;     /* of an address that is chosen: heap_2 */
    bool list_by_size;       /* the free list is in the order of sizes: heap_2 */
    bool has_calls;          /* the C library's other calls, below: heap_3 */
    bool has_need;           /* the last three functions: heap_4, heap_5 */
    uint64_t only_alignment; /* 0: any; heap_3 has one */

    const struct rh_list_index *index; /* NULL: there is no list, or no index of it */

    size_t (*state_bytes)(size_t region_count);
    size_t (*shadow_bytes)(uint64_t size, uint64_t alignment);
    /* Sets up, and writes the arena. *wrong is the index of the region at fault. */
    enum rh_status (*init)(void *state, const struct rh_setup *setup, size_t *wrong);
    /* Gives back what the state has besides; NULL: nothing. */
    void (*end)(void *state);
    /* After the state was moved or copied: where its regions now lie. */
    void (*attach)(void *state, const struct rh_setup_region *regions);
    /* A state in which init() was called (over any memory), and whose shadows are all zero again,
     * becomes the snapshot's. RH_CORRUPT iff no heap could be in that state. attach() is to be
     * called next. NULL without a shadow. */
    enum rh_status (*restore)(void *state, const struct rh_snapshot *snapshot);

    enum rh_status (*malloc)(void *state, uint64_t size, uint64_t *address);
    enum rh_status (*free)(void *state, uint64_t address);
    /* What a free would return, which changes nothing; NULL where walk_free() tells what it would
     * meet. */
    enum rh_status (*meets)(void *state, uint64_t address);
    /* With has_calls alone. realloc of a live payload to 0 bytes frees it, and gives 0. */
    enum rh_status (*realloc)(void *state, uint64_t old, uint64_t size, uint64_t *address);
    enum rh_status (*calloc)(void *state, uint64_t count, uint64_t size, uint64_t *address);
    enum rh_status (*memalign)(void *state, uint64_t alignment, uint64_t size, uint64_t *address);
    void (*walk_moved)(const void *state, rh_address_visitor visit, void *context);
    /* The same heap in an arena of another size, no less than it has reached. `holds`: a call that
     * would extend a chunk gives RH_ASSERTION instead and changes nothing; held() says that the
     * last one was such a call. */
    void (*limit)(void *state, uint64_t size, bool holds);
    bool (*held)(const void *state);

    /* RH_OK for the payload of a live block, else what a free of it would say (but RH_CORRUPT). */
    enum rh_status (*live)(const void *state, uint64_t address);
    /* The block of a live payload. */
    struct rh_block (*block)(const void *state, uint64_t payload);
    /* RH_CORRUPT iff that block's header is not the heap's. */
    enum rh_status (*verify)(void *state, uint64_t payload);
    unsigned char *(*pointer)(const void *state, uint64_t address);

    uint64_t (*free_size)(const void *state);
    uint64_t (*nodes)(const void *state); /* free-list entries that the last call read */
    void (*numbers)(const void *state, struct rh_numbers *numbers);
    void (*reset_minimum)(void *state);
    /* RH_ASSERTION where this kernel's would crash; the numbers are there all the same. */
    enum rh_status (*stats)(void *state, struct rh_stats64 *stats);
    enum rh_status (*walk)(void *state, rh_visitor64 visit, void *context);
    enum rh_status (*walk_free)(void *state, rh_visitor64 visit, void *context);
    void (*walk_ever)(const void *state, rh_address_visitor visit, void *context);
    enum rh_status (*check)(void *state);
    /* What RH_ASSERTION stood for when the last call returned it, as a sentence. */
    const char *(*assertion)(const void *state);
    /* Of the last call that returned RH_CORRUPT. */
    void (*last_fault)(void *state, struct rh_fault64 *fault);

    /* With has_need alone: where the free block that ends at the last marker starts, after a malloc
     * or a free of `payload` that found it at `last`; the least that a split leaves; the first
     * block of the last region. */
    uint64_t (*last_free)(const void *state, uint64_t last, uint64_t payload, bool freed);
    uint64_t (*least_split)(const void *state);
    uint64_t (*last_region_start)(const void *state);
};

/* Bytes from a live payload to its block's end; heap_2 of an older kernel may have given fewer than
 * were asked for. */
static inline uint64_t rh_usable(const struct rh_ops *ops, const void *state, uint64_t payload) {
    const struct rh_block block = ops->block(state, payload);
    return block.address + block.size - payload;
}

/* The heap of a kind (1 to RH_KINDS) for a word of 4 or 8 bytes; NULL where there is none. */
const struct rh_ops *rh_ops_find(int kind, int word_bytes);

#endif

/*
 * What all heaps share: results, regions, options, and a few small functions.
 *
 * Addresses are the target's. In firmware that is where things are; on a host the arena may lie
 * anywhere, and only rh_arena.h knows where.
 */
#ifndef RH_HEAP_H
#define RH_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "rh_loop.h"

/* Every function that can fail returns one of these; none aborts. */
enum rh_status {
    RH_OK = 0,
    RH_EXHAUSTED,     /* malloc: fewer bytes are free than the block needs (or size 0) */
    RH_FRAGMENTED,    /* malloc: enough bytes are free, but no free block is large enough */
    RH_INVALID_FREE,  /* the address is not that of a live block */
    RH_DOUBLE_FREE,   /* ... though malloc returned it once (known at RH_CHECKS 2 only) */
    RH_CORRUPT,       /* a header was overwritten: see the fault that the heap keeps */
    RH_TOO_SMALL,     /* set-up: no room for the bookkeeping and, but in heap_1, a smallest block */
    RH_BAD_ALIGNMENT, /* set-up: not a power of two from the word's size to 32 */
    RH_OUT_OF_RANGE,  /* set-up: past the last address, or a size with the top bit set */
    RH_NOT_ASCENDING, /* set-up: heap_5's regions overlap or are not in address order */
    RH_AT_ZERO,       /* set-up: a block would start at address 0, which is NULL */
    RH_BAD_MARKER,    /* set-up: heap_2's end marker is at 0, unaligned or inside the arena */
    RH_ASSERTION,     /* what is simulated asserts here, or goes wrong by itself; host only */
    RH_BAD_POLICY,    /* set-up: what csrc/policies has no sense for; host only */
    RH_NO_MEMORY      /* set-up: of this machine, for what lies outside the arena; host only */
};

/* The rules that a checker holds an arena to. The address in a fault is the header's. */
enum rh_rule {
    RH_RULE_NONE = 0,
    RH_RULE_OVERWRITTEN,   /* the header is not the one that the heap wrote */
    RH_RULE_SIZE,          /* a block's size is no possible one, or reaches past its region */
    RH_RULE_LINK,          /* a link leads to no free block of this heap */
    RH_RULE_LIVE_LINK,     /* an allocated block's link is not an allocated one's */
    RH_RULE_ORDER,         /* the free list is not in its order (heap_2: size; others: address) */
    RH_RULE_NOT_FREE,      /* an allocated block is in the free list */
    RH_RULE_NOT_LISTED,    /* a free block is not in the free list */
    RH_RULE_NOT_COALESCED, /* two adjoining free blocks (not heap_2) */
    RH_RULE_END_MARKER,    /* an end marker's size or link is not what it must be */
    RH_RULE_FREE_SIZE      /* the free blocks do not add up to the free size */
};

/* What a checker found first, or a call met. */
struct rh_fault {
    enum rh_rule rule;
    rh_word address; /* of the header at fault */
};

/* A block's header, as it lies in the arena. `next` is a link: the address of the next free
 * block's header XOR the canary. The top bit of `size` says "allocated". */
struct rh_header {
    rh_word next;
    rh_word size;
};
#define RH_SIZE_AT RH_WORD_BYTES /* offset of a header's size */
RH_STATIC_ASSERT(sizeof(rh_word) == RH_WORD_BYTES, "a word is a field of a header");
RH_STATIC_ASSERT(sizeof(struct rh_header) == 2 * RH_WORD_BYTES, "two words and no padding");
RH_STATIC_ASSERT(offsetof(struct rh_header, next) == 0, "the link comes first");
RH_STATIC_ASSERT(offsetof(struct rh_header, size) == RH_SIZE_AT, "the size comes second");
RH_STATIC_ASSERT(RH_HOSTED || sizeof(rh_word) == sizeof(void *), "in firmware a link is a pointer");

/* RH_CHECKS 2 needs memory outside the arena, the shadow: a copy of every header, and two bits for
 * each possible payload. The caller owns it: rh_shadow_bytes() bytes, all zero when a heap is set
 * up. */
#define RH_HAS_SHADOW (RH_CHECKS == 2)
#define RH_HAS_REGIONS (RH_HOSTED || RH_HAS_SHADOW)

/* The list's head lies outside the arena. In firmware it is an entry like any other, named by its
 * address; where a region is looked up for each entry, it is named by 0. */
#define RH_HEAD_IS_APART RH_HAS_REGIONS

/* Memory that a heap is set up over. In firmware it is read by the set-up alone, but at RH_CHECKS
 * 2, where it must outlive the heap. */
struct rh_region {
    rh_word base; /* target address of the first byte */
    rh_word size;
#if RH_HOSTED
    unsigned char *memory; /* where the arena lies on this machine */
#endif
#if RH_HAS_SHADOW
    unsigned char *shadow;
    rh_word bits_at; /* offset in the shadow of the bits "live", then "ever live" */
    rh_word bits_bytes;
#endif
};

/* The part of every heap that firmware has as constants, or not at all. */
#if RH_HAS_REGIONS
struct rh_common {
    struct rh_region *regions; /* the caller's */
    size_t region_count;
#if RH_HOSTED
    rh_word alignment;
    rh_word header; /* bytes, a multiple of the alignment */
    unsigned alignment_shift;
    rh_word added; /* to what is asked for, before it is rounded down: RH_BLOCK_BYTES */
    unsigned old;  /* enum rh_old */
    bool clear_on_free;
#endif
#if RH_RANKED
    struct rh_rank *rank; /* the host's index of the list; NULL: none, which a copy must be */
#endif
    struct rh_fault fault; /* of the last call that returned RH_CORRUPT */
};
#define RH_COMMON struct rh_common common;
#else
#define RH_COMMON
#endif

/* What older kernels do otherwise, as flags. The core is the newest kernel's; a heap on a host may
 * be an older one's. */
enum rh_old {
    RH_OLD_START = 1 << 0,      /* heap_1, heap_2: an aligned arena loses its first bytes, not the
                                 * last */
    RH_OLD_PAD = 1 << 1,        /* a request that is a multiple of the alignment gets one more */
    RH_OLD_UNBOUNDED = 1 << 2,  /* heap_2: sizes wrap, and are held against the arena's, not against
                                 * what is free */
    RH_OLD_UNMARKED = 1 << 3,   /* heap_2: nothing in a block says that it is allocated */
    RH_OLD_ABSORB = 1 << 4,     /* heap_5: what a split leaves is inserted, and takes a marker in */
    RH_OLD_SMALLEST = 1 << 5,   /* heap_4, heap_5: the smallest block is at most 2^32 - 1 */
    RH_OLD_EMPTY = 1 << 6,      /* heap_4, heap_5: statistics follow the end of an empty list */
    RH_OLD_ASSERT = 1 << 7,     /* heap_5 with the protector: a search without a hit asserts */
    RH_OLD_PLAIN_LINK = 1 << 8, /* protector: an allocated block's link is 0, not the canary */
};

#if RH_HOSTED
#define RH_IS_OLD(heap, what) (((heap)->common.old & (unsigned)(what)) != 0)
#else
#define RH_IS_OLD(heap, what) ((void)(heap), false)
#endif

/* How a heap is set up. In firmware a null pointer serves, unless RH_PROTECTOR asks for a canary.
 */
struct rh_options {
    rh_word alignment;
    rh_word canary;     /* heap_4, heap_5; 0: no heap protector */
    rh_word end_marker; /* heap_2 */
    bool clear_on_free; /* heap_2, heap_4, heap_5 */
    unsigned old;       /* enum rh_old; 0: the newest kernel */
};

/* The fields of FreeRTOS's HeapStats_t, in its order. */
struct rh_stats {
    rh_word available;
    rh_word largest_free_block;
    rh_word smallest_free_block; /* RH_WORD_MAX where none is free */
    rh_word free_block_count;
    rh_word minimum_ever_free; /* 0 where it is not kept, and so the two that follow */
    rh_word allocation_count;
    rh_word free_count;
};

/* A visitor of blocks; false ends the walk. */
typedef bool (*rh_visitor)(void *context, rh_word address, rh_word size, bool allocated);

#define RH_TOP_BIT ((rh_word)1 << (8 * RH_WORD_BYTES - 1))
#define RH_WORD_MAX ((rh_word) ~(rh_word)0)

/* A block's header: rh_header_bytes() as a constant, also where nothing is inlined away. */
#define RH_HEADER_BYTES(alignment) ((2 * RH_WORD_BYTES + (alignment)-1) / (alignment) * (alignment))

/* The alignment before a heap has one. */
#if RH_HOSTED
#define RH_ALIGNMENT_OPTION(options) ((options)->alignment)
#else
#define RH_ALIGNMENT_OPTION(options) ((rh_word)RH_ALIGNMENT)
#endif

#if RH_HOSTED
#define RH_ALIGNMENT_OF(heap) ((heap)->common.alignment)
#define RH_HEADER_OF(heap) ((heap)->common.header)
#define RH_BLOCK_BYTES(heap, size) rh_down((size) + (heap)->common.added, (heap)->common.alignment)
#define RH_CLEARS(heap) ((heap)->common.clear_on_free)
#define RH_CANARY_OF(heap) ((heap)->canary)
#define RH_SHIFT_OF(heap) ((heap)->common.alignment_shift)
#else
#define RH_ALIGNMENT_OF(heap) ((void)(heap), (rh_word)RH_ALIGNMENT)
#if defined(__OPTIMIZE__)
#define RH_HEADER_OF(heap) ((void)(heap), rh_header_bytes((rh_word)RH_ALIGNMENT))
#else
#define RH_HEADER_OF(heap) ((void)(heap), (rh_word)RH_HEADER_BYTES(RH_ALIGNMENT))
#endif
#define RH_BLOCK_BYTES(heap, size) rh_up((size) + RH_HEADER_OF(heap), RH_ALIGNMENT_OF(heap))
#define RH_CLEARS(heap) (RH_CLEAR_ON_FREE != 0)
#define RH_SHIFT_OF(heap) rh_log2((rh_word)RH_ALIGNMENT)
#if RH_PROTECTOR
#define RH_CANARY_OF(heap) ((heap)->canary)
#else
#define RH_CANARY_OF(heap) ((void)(heap), (rh_word)0)
#endif
#endif

/* A test that FreeRTOS makes with configASSERT only. */
#if RH_CHECKS >= 1
#define RH_ASSERT(condition, status)                                                               \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            RH_ASSERT_FAILED();                                                                    \
            return (status);                                                                       \
        }                                                                                          \
    } while (0)
#else
#define RH_ASSERT(condition, status) ((void)0)
#endif

RH_INLINE unsigned rh_log2(rh_word power) {
    unsigned n = 0;
    RH_WHILE(power > 1, 8 * RH_WORD_BYTES - 1)
        power >>= 1, n++;
    return n;
}

#endif

/*
 * A heap whose policy is chosen when it is set up: which free block serves a request, in which
 * order the free list is, when adjoining free blocks become one, and how a block is cut. The
 * headers are those of heap_2, heap_4 and heap_5. A part of word_size.h; host only, RH_CHECKS 2.
 *
 * What finds a block lies outside the arena (index.h), so that a call takes about as long as the
 * logarithm of the number of free blocks, whatever the policy. The list itself lies in the arena,
 * linked in its order.
 */
#include "rh_policy.h"

/* Where the blocks of a region lie, and the number of its first step of the alignment. Steps are
 * numbered through all regions; none is below RANK_FIRST, and 0 stands for "none". */
struct policy_range {
    rh_word start;
    rh_word end;
    rh_word origin; /* where step 0 would lie */
    uint32_t first;
};

/* How many of a set lie below a number (a Fenwick tree). */
struct counts {
    uint32_t *sums; /* from 1 on */
    uint32_t length;
};

/* What a policy's calls ask at every turn. */
enum policy_family {
    POLICY_PLACES = 1,  /* one list, each of whose entries has a place */
    POLICY_ORDERED = 2, /* ... which is its step */
    POLICY_TREE = 4,    /* a tree over the places finds the block, and no bins */
    POLICY_CLASS = 8,   /* a list for each class of sizes */
    POLICY_SIZED = 16,  /* one list, in the order of the bins */
    POLICY_ONE = 32     /* one region */
};

struct policy_index {
    struct policy_range *ranges; /* by region */
    uint32_t steps;              /* all numbers are below */
    uint32_t entries;            /* of the list */
    uint32_t *ends; /* where a free joins neighbours that the list does not tell: by its last step,
                     * a free block's first */

    struct rh_rank *places;
    uint32_t places_end; /* all places of entries are below */
    uint32_t next_place;
    uint32_t *place_of; /* by step */
    uint32_t *step_at;  /* by place / POLICY_APART */

    /* The entries by their sizes: each bin has those of one size, or of a class of sizes. */
    uint32_t bin_count;
    struct rh_rank *bins; /* place RANK_FIRST + n: bin n has an entry */
    struct counts fewer;  /* in the order of sizes: entries of smaller bins */
    uint32_t *first;      /* by bin; of a bin by place: the least */
    uint32_t *last;
    struct policy_link { /* by step */
        uint32_t previous;
        uint32_t next;
        uint32_t child;
    } * links;

    struct policy_array { /* all else that is allocated */
        void *memory;
        size_t bytes;
    } owned[16];
    size_t owned_count;
};

struct rh_policy_heap {
    struct rh_common common;
    struct rh_policy policy;
    unsigned family;     /* enum policy_family */
    rh_word split_above; /* a rest of more is split off */
    rh_word origin;      /* of one region: where step 0 would lie */
    rh_word head;        /* of the one list; `end` if it is empty */
    rh_word end;         /* what a list's last link holds */
    uint32_t rover;    /* next fit: the step of the entry that the next search begins with, or 0 */
    unsigned odd_bits; /* of a bin, for a size that is no multiple of the alignment */
    rh_word free_size;
    RH_COUNTERS
    enum rh_status (*malloc)(struct rh_policy_heap *heap, rh_word size, rh_word *address);
    enum rh_status (*free)(struct rh_policy_heap *heap, rh_word address);
    struct policy_index *index;
};

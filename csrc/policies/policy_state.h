/*
 * A heap whose policy is chosen when it is set up: which free block serves a request, in which
 * order the free list is, when adjoining free blocks become one, and how a block is cut. The
 * headers are those of heap_2, heap_4 and heap_5. A part of word_size.h; host only, RH_CHECKS 2.
 *
 * What finds a block lies outside the arena (index.h), so that a call takes about as long as the
 * logarithm of the number of free blocks, whatever the policy. The list itself lies in the arena,
 * linked in its order.
 */
#include <stdlib.h>

#include "rh_policy.h"

#include "bits.h"

/* Where the blocks of a region lie, and the number of its first step of the alignment. Steps are
 * numbered through all regions; none is below POLICY_FIRST, and 0 stands for "none". */
#define POLICY_FIRST 64u
struct policy_range {
    rh_word start;
    rh_word end;
    uint32_t first;
};

struct policy_index {
    struct policy_range *ranges; /* by region */
    uint32_t steps;              /* all numbers are below */
    uint32_t entries;            /* of the list */
    uint32_t *ends; /* where a free joins its neighbours: by its last step, a free block's first */

    /* The list's entries by their places in it, but where these are given by the sizes. In the
     * order of addresses a place is a step. */
    struct bits places;
    struct counts before;
    struct tallest tallest; /* first and next fit */
    uint32_t capacity;      /* all places are below */
    uint32_t next_place;
    uint32_t *place_of; /* by step */
    uint32_t *step_at;  /* by place */

    /* The entries by their sizes: each bin has those of one size, or of a class of sizes. */
    uint32_t bin_count;
    struct bits bins;    /* bit n + 1: bin n has an entry */
    struct counts fewer; /* in the order of sizes: entries of smaller bins */
    uint32_t *first;     /* by bin; of a bin by place: the least */
    uint32_t *last;
    struct policy_link { /* by step */
        uint32_t previous;
        uint32_t next;
        uint32_t child;
    } * links;

    struct policy_array { /* all that is allocated */
        void *memory;
        size_t bytes;
    } owned[16];
    size_t owned_count;
};

struct rh_policy_heap {
    struct rh_common common;
    struct rh_policy policy;
    rh_word split_above; /* a rest of more is split off */
    rh_word head;        /* of the one list; `end` if it is empty */
    rh_word end;         /* what a list's last link holds */
    uint32_t rover;    /* next fit: the step of the entry that the next search begins with, or 0 */
    unsigned odd_bits; /* of a bin, for a size that is no multiple of the alignment */
    rh_word free_size;
    RH_COUNTERS
    struct policy_index *index;
};

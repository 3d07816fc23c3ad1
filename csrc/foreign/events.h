/*
 * Events through a foreign allocator, and what is held of its answers. Nothing here knows an
 * operating system.
 */
#ifndef RH_EVENTS_H
#define RH_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "rh_foreign.h"
#include "shared.h"

/* The functions of rh_foreign.h; NULL where the library has none. */
struct rh_functions {
    bool (*init)(void *memory, size_t size);
    void *(*malloc)(size_t size);
    void (*free)(void *memory);
    void *(*realloc)(void *memory, size_t size);
    void *(*aligned)(size_t alignment, size_t size);
    size_t (*usable_size)(void *memory);
    size_t (*free_size)(void);
    void (*walk)(rh_foreign_visitor visit, void *context);
};

enum rh_checks { RH_CHECK_NOTHING, RH_CHECK_ADDRESSES, RH_CHECK_PAYLOADS };

/* An id of the trace. */
enum rh_slot_state { RH_SLOT_ABSENT, RH_SLOT_LIVE, RH_SLOT_FAILED, RH_SLOT_ZERO };
struct rh_slot {
    uint64_t offset; /* in the arena */
    uint64_t size;   /* as asked for */
    uint64_t event;  /* that gave it, counted since the allocator was made */
    uint64_t state;
    uint64_t check; /* of the above: their writes reach all memory */
};

struct rh_trial {
    struct rh_functions functions;
    unsigned char *memory; /* the arena */
    uint64_t size;
    uint64_t base;      /* its address on the target */
    uint64_t alignment; /* of what malloc returns; a power of two */
    enum rh_checks checks;
    unsigned char *before, *end; /* margins, between the arena and the pages that trap */

    struct rh_slot *slots; /* as many as `asked` says */
    uint64_t *taken;       /* a bit for each `alignment` bytes of the arena */
    const struct rh_asked *asked;
    struct rh_told *told;
};

/* Fills the margins. */
void rh_trial_begin(struct rh_trial *trial);

/* The events of `asked`, up to the first complaint; told->done says how many were completed. */
void rh_trial_run(struct rh_trial *trial);

/* Is every live payload, and what lies beside the arena, as it was left? */
void rh_trial_check(struct rh_trial *trial);

/* free_size and the sums of the free blocks, as far as the library tells. */
void rh_trial_ask(struct rh_trial *trial);

/* The free blocks: address and size of each, in turn, from the arrays' begin on; as many as have
 * room. told->free_block_count says how many there are. */
void rh_trial_list(struct rh_trial *trial, uint64_t room);

#endif

/*
 * The corruption laboratory: a heap compiled at a level of protection, in memory of its own, whose
 * calls end where they would access what is not the heap's, or would never end.
 *
 * An application is simulated with it: a table of blocks, each filled with a pattern of its own.
 */
#ifndef RH_LAB_H
#define RH_LAB_H

#include <setjmp.h>

#include "ops.h"

enum { LAB_REGIONS = 8 };

/* How a call ended. */
enum lab_end {
    LAB_DONE,       /* as calls do */
    LAB_FAILED,     /* malloc: NULL */
    LAB_IGNORED,    /* free: the heap refused, and told nobody */
    LAB_DETECTED,   /* an assertion failed, or the checked core said so */
    LAB_WILD_READ,  /* would have read outside the regions */
    LAB_WILD_WRITE, /* would have written outside the regions */
    LAB_LOOP        /* took more steps than any sound heap of this size */
};

/* What the heap did to the application, though no call ended badly. */
enum lab_harm {
    LAB_NO_HARM,
    LAB_OVERLAP,     /* malloc returned memory of a live block */
    LAB_OVERWRITTEN, /* a live payload changed */
    LAB_LOST         /* malloc failed where it would not have, but for the fault */
};

struct lab_slot {
    uint64_t address; /* 0: not live */
    uint64_t size;
    uint64_t seed; /* of the pattern */
};

struct lab {
    const struct rh_ops *ops;
    void *state;
    int checks;
    struct rh_setup setup;
    struct rh_setup_region regions[LAB_REGIONS];
    unsigned char *memory; /* from the first region's first byte to the last one's last */
    struct lab_slot *slots;
    size_t slot_count;
    uint64_t events; /* so far: seeds of patterns */

    jmp_buf escape;
    uint64_t steps;
    uint64_t budget; /* of accesses in a call */
    enum lab_end end;
    uint64_t address; /* of the access that ended the call */
};

/* The ops of a level (RH_CHECKS 0 to 2), or NULL. */
const struct rh_ops *lab_ops(int checks, int kind, int word_bytes);

enum lab_end lab_malloc(struct lab *lab, uint64_t size, uint64_t *address);
enum lab_end lab_free(struct lab *lab, uint64_t address);

/* The target's bytes, or NULL where not all of them lie in one region. */
unsigned char *lab_bytes(const struct lab *lab, uint64_t address, uint64_t bytes);

/* The slots' patterns, written again: what the fault did to payloads is not the heap's doing. */
void lab_refill(struct lab *lab);

/* The events of a trace, from `begin` to `end`, op being 'm' or 'f'. */
struct lab_events {
    const uint8_t *op;
    const int32_t *slot;
    const uint64_t *size;
    size_t begin;
    size_t end;
    uint8_t *served;         /* written: did the malloc succeed? NULL: not asked for */
    const uint8_t *expected; /* the same of a run without a fault, or NULL */
};

struct lab_result {
    size_t event; /* at which the run ended badly, or events.end */
    enum lab_end end;
    uint64_t address;
    enum lab_harm harm; /* the first that there was */
    size_t harm_event;
};

struct lab_result lab_run(struct lab *lab, const struct lab_events *events);

#endif

/*
 * What Python and the process of a foreign allocator write for one another, in two files without a
 * name. All are 64-bit words, so that a 32-bit process has the same; rtosheap/allocators/_wire.py
 * has the same lists.
 */
#ifndef RH_SHARED_H
#define RH_SHARED_H

#include <stdint.h>

/* Arrays begin here; the words above lie before. */
#define RH_ARRAYS_AT 4096

/* Python's: the process cannot write to it. Then the events: op, slot, size, each 8-aligned. */
struct rh_asked {
    uint64_t stop;    /* no further event */
    uint64_t events;  /* how many there are */
    uint64_t first;   /* the first one's number since the allocator was made */
    uint64_t slots;   /* ids are below this */
    uint64_t columns; /* a bit of each that is recorded, enum rh_column */
    uint64_t watch;   /* looked at after each event: a slot's payload, or one of the below */
    uint64_t stop_at_failure;
    uint64_t live_bytes; /* before the first event, of the ids of this run */
    uint64_t bytes;      /* of this file, and of the other */
    uint64_t told_bytes;
};
#define RH_WATCH_NOTHING UINT64_MAX
#define RH_WATCH_MARGINS (UINT64_MAX - 1)

/* 'm', 'r', 'f', 'u' (what is usable of it?) and, for a block whose address is a multiple of 1 <<
 * n, 0x80 + n. */
#define RH_OP_ALIGNED 0x80

/* In this order after the words, each 8-aligned. */
#define RH_FOREIGN_COLUMNS(COLUMN)                                                                 \
    COLUMN(uint64_t, address)                                                                      \
    COLUMN(uint64_t, block_size)                                                                   \
    COLUMN(uint64_t, free_size)                                                                    \
    COLUMN(uint64_t, largest_free_block)                                                           \
    COLUMN(uint64_t, live_bytes)                                                                   \
    COLUMN(uint32_t, free_block_count)                                                             \
    COLUMN(uint8_t, failed)                                                                        \
    COLUMN(uint8_t, failure)
enum rh_column {
#define RH_COLUMN_NUMBER(type, name) RH_COLUMN_##name,
    RH_FOREIGN_COLUMNS(RH_COLUMN_NUMBER)
#undef RH_COLUMN_NUMBER
        RH_COLUMN_COUNT
};

/* The process's. */
struct rh_told {
    uint64_t done; /* events completed; written at each */
    uint64_t call; /* enum rh_call: which of theirs is running */

    uint64_t complaint; /* enum rh_complaint, and what it is about */
    uint64_t address, size, other, other_size, other_event, other_slot, byte;

    uint64_t word;      /* bytes of a pointer */
    uint64_t functions; /* a bit of each that the library has, enum rh_call */

    uint64_t failures, zero_size, skipped, live_bytes, first_failure;
    uint64_t free_size, largest_free_block, free_block_count; /* of a question */
    uint64_t sums[RH_COLUMN_COUNT];                           /* of entry i times 2 i + 1 */
    uint64_t check;                                           /* of all words before it */
};

enum rh_call {
    RH_CALL_NONE,
    RH_CALL_LOAD,
    RH_CALL_INIT,
    RH_CALL_MALLOC,
    RH_CALL_FREE,
    RH_CALL_REALLOC,
    RH_CALL_ALIGNED,
    RH_CALL_USABLE_SIZE,
    RH_CALL_FREE_SIZE,
    RH_CALL_WALK,
    RH_CALLS
};

enum rh_complaint {
    RH_COMPLAINT_NONE,
    RH_COMPLAINT_LOAD,        /* what dlerror() says went to the output */
    RH_COMPLAINT_LACKS,       /* a function that is needed: functions says which there are */
    RH_COMPLAINT_MEMORY,      /* no room for the arena, or the harness itself */
    RH_COMPLAINT_INIT,        /* init returned false */
    RH_COMPLAINT_OUTSIDE,     /* a block at `address` of `size` bytes does not lie in the arena */
    RH_COMPLAINT_MISALIGNED,  /* `address` */
    RH_COMPLAINT_OVERLAPS,    /* ... with the live block `other` of `other_size` bytes */
    RH_COMPLAINT_PAYLOAD,     /* byte `byte` of the live block `other` was overwritten */
    RH_COMPLAINT_MARGIN,      /* `address`, beside the arena, was written to */
    RH_COMPLAINT_LOST,        /* realloc to `address` lost byte `byte` of `other` */
    RH_COMPLAINT_USABLE_SIZE, /* usable_size of `address` is `other_size`: less than `size`, or more
                               * than the arena has there */
    RH_COMPLAINT_FREE_SIZE,   /* `size`, more than the arena has */
    RH_COMPLAINT_WALK,        /* a free block at `address` of `size` bytes does not lie in it */
    RH_COMPLAINT_HARNESS,     /* the harness's own record of the live blocks was overwritten */
    RH_COMPLAINTS
};

/* Why an allocation failed, as the column has it; rtosheap.replays.Failure. */
enum rh_foreign_failure {
    RH_FOREIGN_SERVED = 0,
    RH_FOREIGN_EXHAUSTION = 1,    /* fewer bytes were free than were asked for */
    RH_FOREIGN_FRAGMENTATION = 2, /* the free blocks have as many together, but none alone */
    RH_FOREIGN_UNKNOWN = 4
};

#endif

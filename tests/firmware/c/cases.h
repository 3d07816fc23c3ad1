/*
 * Replays recorded calls on the drop-in files, and reports what each of them did.
 *
 * One program holds many builds of the drop-in files, one for each configuration that is a
 * constant of the build: struct cases_heap is one of them. Cases come in as a stream of words of
 * the target's size, results go out as another (struct cases_platform):
 *
 *   in   heap's number, flags, canary, end of the arena (offset), number of regions,
 *        (offset, size) of each, then operations:
 *          1 size: malloc         2 number size: calloc     3 offset: free a pointer
 *          4: free(NULL)          5: reset the minimum      6: statistics
 *          7 to from size: copy between payloads, offsets both, as a realloc does
 *          0: end of the case
 *        a heap's number of all ones ends the stream
 *   out  of the program: a word of magic, the arena's address and its size
 *        of set-up and of each operation: 8 words (struct cases_result); 7 more for statistics
 *        of a case: calls of the hook, then each region's bytes
 */
#ifndef RH_CASES_H
#define RH_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "FreeRTOS.h"

#define CASES_MAGIC ((size_t)0x52484331)

enum cases_flag { CASES_FILL = 1 }; /* write into payloads, as an application would */

enum cases_operation {
    CASES_END,
    CASES_MALLOC,
    CASES_CALLOC,
    CASES_FREE,
    CASES_FREE_NULL,
    CASES_RESET_MINIMUM,
    CASES_STATISTICS,
    CASES_COPY
};

/* The API of one build of a drop-in file. */
struct cases_heap {
    int kind;      /* 1 to 5 */
    bool clears;   /* on free */
    size_t header; /* bytes before a payload */
    void *(*malloc)(size_t size);
    void (*free)(void *payload);
    void *(*calloc)(size_t number, size_t size); /* heap_2, heap_4, heap_5 */
    size_t (*free_size)(void);
    size_t (*minimum)(void);
    void (*reset_minimum)(void);
    void (*stats)(HeapStats_t *stats);
    void (*reset_state)(void);
    void (*define)(const HeapRegion_t *const regions); /* heap_5 */
};

/* Bits of a result's status. The last ones are errors of the drop-in file. */
enum cases_status {
    CASES_ASSERTED = 1,
    CASES_UNBALANCED = 2,      /* the scheduler stayed suspended */
    CASES_TRACED_FREE = 4,     /* the trace was traceFREE()'s, not traceMALLOC()'s */
    CASES_TRACED_UNLOCKED = 8, /* ... with the scheduler running */
    CASES_HOOK_LOCKED = 16,    /* the malloc-failed hook was called with it suspended */
    CASES_NOT_CLEARED = 32     /* calloc's payload, or a freed one's that should be */
};

struct cases_result {
    size_t status;
    size_t address;
    size_t free_size;
    size_t minimum;
    size_t traces; /* calls of a trace macro */
    size_t traced_address;
    size_t traced_size;
    size_t locks; /* calls of vTaskSuspendAll() */
};

/* What the drop-in files are built against, in the place of constants. */
extern uint8_t (*pucCasesArena)[];
extern size_t xCasesArenaSize;

/* The program's. */
extern const struct cases_heap *const cases_heaps[];
extern const size_t cases_heap_count;

/* The machine that the program runs on: where its arenas lie, and its two streams. */
struct cases_platform {
    uint8_t *arena;
    size_t arena_size;
    size_t (*read)(void); /* the next word */
    void (*write)(const void *bytes, size_t size);
};

/* newlib_judge.c's: heap_3 tells, in the place of its free size, what sbrk has handed out. */
size_t cases_newlib_reached(void);
void cases_newlib_reset(void);

/* Replays cases until the stream ends. */
void cases_run(const struct cases_platform *platform);

#endif

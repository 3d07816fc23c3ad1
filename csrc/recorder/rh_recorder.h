/*
 * A recorder of allocations for the device: freestanding C11, no allocation, no libc.
 *
 * An event becomes one record of 7 bytes (free) or 8 bytes (malloc). Records go to a sink: a ring
 * in RAM, of which the oldest bytes are overwritten, or a function of yours that takes bytes (a
 * UART, RTT, semihosting). `rtosheap convert` reads what either of them gathered.
 *
 *     static uint32_t memory[1024];
 *     static struct rh_recorder recorder;
 *     static struct rhr_ring ring;
 *     ...
 *     rhr_ring_start(&ring, memory, sizeof memory);
 *     rhr_start(&recorder, rhr_ring_put, &ring, (uintptr_t)ucHeap, RHR_REQUESTED, 0);
 *     ...
 *     rhr_malloc(&recorder, address, size);      address 0: the request failed
 *
 * A recorder is not reentrant: call it where the heap itself is protected, such as with the
 * scheduler suspended (FreeRTOS's traceMALLOC() and traceFREE() are), or define RHR_ENTER() and
 * RHR_LEAVE(). Nothing blocks but what your sink does.
 *
 * What it costs (gcc 12 -O2; an event without a sync, which every 64th has): on a Cortex-M0 145
 * instructions for a malloc and 134 for a free, 202 and 186 with the ring; on a Cortex-M4 82 and
 * 79, 129 and 122. Flash: 1.0 KiB (-Os), 1.2 KiB (-O2). RAM: 312 bytes with 14 tasks, 16 for a ring
 * besides its memory; up to 208 bytes of stack besides what the sink takes.
 *
 * The records, version 1; numbers are little-endian. Every record begins with
 *
 *     byte 0    kind (2 bits), number of the event modulo 64 (6 bits)
 *     byte 1    see below
 *     byte 2-3  check of all other bytes: see rhr_check() in rh_recorder.c
 *
 * and so a reader finds the next record after a loss, and counts the events that are missing.
 *
 *     kind  byte 1                        what follows
 *     0     task (4 bits), tick mod 16    malloc: address (20 bits), size (12 bits)
 *     1     task (4 bits), tick mod 16    free: address (20 bits), 4 bits of zero
 *     2     0 malloc, 1 free, 2 realloc,  task (4 bytes), tick (4 bytes), size, address and, of a
 *           3 failed; bit 3: wide         realloc, old address (words of 4 bytes, or 8 if wide)
 *     3     0: sync                       "RHE1", number of the event (4 bytes), tick (4 bytes),
 *                                         base (8 bytes), shift, bytes of a word, header or
 *                                         alignment, meaning of sizes (1 byte each)
 *     3     1: tick                       tick (4 bytes)
 *     3     2: task, bits 2-7: length     number of the task (1 byte), its name, zeros up to a
 *                                         multiple of 4 bytes
 *     3     3: caller; bit 3: wide        of the event that follows (4 bytes, or 8 if wide)
 *
 * An address is (address - base) >> shift where it is short. A record of kind 3 has the number of
 * the event that follows it. A sync stands before every RHR_SYNC_EVENTS-th event, and after it the
 * name of one task, in turn, so that a ring that was overwritten has them all. Task 0 is unknown.
 */
#ifndef RH_RECORDER_H
#define RH_RECORDER_H

#ifdef RHR_CONFIG_FILE
#include RHR_CONFIG_FILE
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The time, in any unit; 32 bits that may wrap. */
#ifndef RHR_TICK
#define RHR_TICK() 0u
#endif
/* Who runs: any pointer, NULL where that is not known; and its name. */
#ifndef RHR_TASK
#define RHR_TASK() NULL
#endif
#ifndef RHR_TASK_NAME
#define RHR_TASK_NAME(task) ""
#endif
/* How many tasks can be told apart (the first 14 in short records), and how much of a name is kept.
 */
#ifndef RHR_TASKS
#define RHR_TASKS 14
#endif
#ifndef RHR_NAME_BYTES
#define RHR_NAME_BYTES 16
#endif
/* Events from sync to sync: at most 64. */
#ifndef RHR_SYNC_EVENTS
#define RHR_SYNC_EVENTS 64
#endif
/* 1: record who called, in 8 bytes more an event; rhr_caller() says who. */
#ifndef RHR_CALLERS
#define RHR_CALLERS 0
#endif
#ifndef RHR_ENTER
#define RHR_ENTER() ((void)0)
#endif
#ifndef RHR_LEAVE
#define RHR_LEAVE() ((void)0)
#endif
/* Addresses are multiples of 1 << RHR_SHIFT. */
#ifndef RHR_SHIFT
#define RHR_SHIFT 3
#endif

/* What the sizes that rhr_malloc() is told mean. */
enum rhr_meaning {
    RHR_REQUESTED = 0, /* what the program asked for */
    RHR_ROUNDED = 1,   /* the request, rounded up to the alignment: heap_1's traceMALLOC() */
    RHR_BLOCK = 2,     /* the block with its header: traceMALLOC() of heap_2, heap_4, heap_5 */
    RHR_WANTED = 3     /* the same up to V11.1: without a remainder too small to split off */
};

/* Takes the bytes of one record, 7 to 40 of them, within the call that is recorded. What it loses a
 * reader counts. */
typedef void (*rhr_sink)(void *context, const uint8_t *bytes, size_t count);

/* A recorder: the caller owns it, and rhr_start() fills it in. */
struct rh_recorder {
    rhr_sink put;
    void *context;
    uintptr_t base;
    uint32_t events; /* recorded so far */
    uint32_t tick;   /* that a reader knows */
    const void *task;
    uint8_t task_index;
    uint8_t task_count;
    uint8_t task_named; /* whose turn it was last */
    uint8_t meaning;
    uint8_t overhead;
    const void *tasks[RHR_TASKS];
    char names[RHR_TASKS][RHR_NAME_BYTES];
#if RHR_CALLERS
    uintptr_t caller;
#endif
};

/* Starts a recording. `base` is at or below the heap's first address; `overhead` a block's header
 * (RHR_BLOCK, RHR_WANTED) or the alignment (RHR_ROUNDED), else 0. */
void rhr_start(struct rh_recorder *recorder, rhr_sink put, void *context, uintptr_t base,
               enum rhr_meaning meaning, uint8_t overhead);

/* malloc(size) returned `address`; 0: it failed. */
void rhr_malloc(struct rh_recorder *recorder, uintptr_t address, size_t size);

/* free(address) is about to be called; of 0 nothing is recorded. */
void rhr_free(struct rh_recorder *recorder, uintptr_t address);

/* realloc(old, size) returned `address`: 0 for a failure, or a free where size is 0. */
void rhr_realloc(struct rh_recorder *recorder, uintptr_t old, uintptr_t address, size_t size);

/* A task is gone, and another may get its handle. */
void rhr_forget_task(struct rh_recorder *recorder, const void *task);

#if RHR_CALLERS
#define rhr_caller(recorder, address) ((void)((recorder)->caller = (uintptr_t)(address)))
#else
#define rhr_caller(recorder, address) ((void)0)
#endif

/* A sink that keeps the last bytes in RAM. The memory begins with what a reader needs to find the
 * ring in a dump: "RHRING1", size, next byte to be written, times that it was filled. */
struct rhr_ring {
    uint8_t *bytes;
    uint32_t *header; /* size, at, laps */
    uint32_t size;
    uint32_t at;
};

#define RHR_RING_HEADER 20u

/* False, and a ring that keeps nothing, where the memory is not 4-aligned or has no room for a byte
 * beside the header. */
bool rhr_ring_start(struct rhr_ring *ring, void *memory, size_t size);

/* The sink: give it to rhr_start(), with the ring as its context. */
void rhr_ring_put(void *ring, const uint8_t *bytes, size_t count);

#endif

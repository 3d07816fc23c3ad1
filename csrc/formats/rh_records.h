/* The stream of rtosheap's own recorder, as csrc/recorder/rh_recorder.h has it. Knows no Python. */
#ifndef RTOSHEAP_RECORDS_H
#define RTOSHEAP_RECORDS_H

#include "rh_log.h"

struct rh_records {
    const uint8_t *data;
    size_t length;
    struct rh_log *log; /* timed and tasked: its tasks are their numbers or keys */
    /* A task has this name from now on: the key that its events get; < 0 if that failed. */
    int64_t (*key_of)(void *context, uint8_t task, const uint8_t *name, size_t length);
    void *context;
    /* What the syncs say: where the arena begins, and what a size means. */
    uint64_t base;
    unsigned shift, overhead, meaning;
    uint64_t beyond; /* of the address that 64 bits do not hold, what its record says */
};

/* Where the first sync record begins; `length` if there is none. */
size_t rh_find_sync(const uint8_t *data, size_t length);

/* Reads all of a stream that has a sync record; RH_SCAN_UNUSUAL at a block that no address of 64
 * bits can name. */
enum rh_scan rh_records_read(struct rh_records *records);

#endif

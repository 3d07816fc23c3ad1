/* The recorder in this process: what the tests make it record, it puts into one long buffer. */
#include <string.h>

#include "rh_recorder.h"

uint32_t recorder_tick;
static const char *current;
const void *recorder_task(void);
const char *recorder_task_name(const void *task);

const void *recorder_task(void) {
    return current;
}

const char *recorder_task_name(const void *task) {
    return task;
}

static struct rh_recorder recorder;
static struct rhr_ring ring;
static uint8_t *out;
static size_t written;
static bool started;

static void put(void *context, const uint8_t *bytes, size_t count) {
    (void)context;
    memcpy(out + written, bytes, count);
    written += count;
}

void host_start(uint8_t *buffer, uint64_t base, int meaning, int overhead, size_t ring_bytes);
void host_event(int kind, uint64_t address, uint64_t size, uint64_t old, uint32_t tick,
                const char *task);
void host_forget(const char *task);
size_t host_written(void);
bool host_started(void);

void host_start(uint8_t *buffer, uint64_t base, int meaning, int overhead, size_t ring_bytes) {
    out = buffer;
    written = 0;
    if (ring_bytes != 0) started = rhr_ring_start(&ring, buffer, ring_bytes);
    rhr_start(&recorder, ring_bytes != 0 ? rhr_ring_put : put, &ring, (uintptr_t)base,
              (enum rhr_meaning)meaning, (uint8_t)overhead);
}

void host_event(int kind, uint64_t address, uint64_t size, uint64_t old, uint32_t tick,
                const char *task) {
    recorder_tick = tick;
    current = task;
    if (kind == 'u') { /* a malloc whose caller is not known */
        rhr_malloc(&recorder, (uintptr_t)address, size);
        return;
    }
    rhr_caller(&recorder, 0xCA11E4);
    if (kind == 'm') rhr_malloc(&recorder, (uintptr_t)address, size);
    if (kind == 'f') rhr_free(&recorder, (uintptr_t)address);
    if (kind == 'r') rhr_realloc(&recorder, (uintptr_t)old, (uintptr_t)address, size);
}

void host_forget(const char *task) {
    rhr_forget_task(&recorder, task);
}

bool host_started(void) {
    return started;
}

size_t host_written(void) {
    return written;
}

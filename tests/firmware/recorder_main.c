/*
 * An image that runs a program which allocates, records itself, and leaves its memory in files.
 *
 * RECORDED 0: the C core's heap_4 with plain calls; 1: the drop-in heap_4.c with FreeRTOS's trace
 * macros, and the same calls wrapped by the linker; 2: newlib's malloc wrapped by the linker.
 */
#include <string.h>

#include "rh_recorder_wrap.h"
#include "semihosting.h"

#define EVENTS 3000u
#ifndef RECORDED_HEAP
#define RECORDED_HEAP 4
#endif
#define LIVE 24u
#define RING_BYTES 1024u

static struct rhr_ring ring;
static uint32_t ring_memory[RING_BYTES / 4];
static struct rh_recorder ring_recorder __attribute__((unused));
static int capture, capture_wrapped;
static uint8_t pending[2][128];
static size_t pending_bytes[2];

/* Simulated tasks, and the time. */
static const char *const names[3] = {"sensor", "network", "log"};
static const char *current;
uint32_t recorder_tick;
const void *recorder_task(void);
const char *recorder_task_name(const void *task);

const void *recorder_task(void) {
    return current;
}

const char *recorder_task_name(const void *task) {
    return task;
}

static void flush(int which) {
    semihosting_write(which ? capture_wrapped : capture, pending[which], pending_bytes[which]);
    pending_bytes[which] = 0;
}

static void put(void *context, const uint8_t *bytes, size_t count) {
    const int which = context != NULL;
    if (pending_bytes[which] + count > sizeof pending[0]) flush(which);
    memcpy(pending[which] + pending_bytes[which], bytes, count);
    pending_bytes[which] += count;
}

static void leave(const char *path, const void *memory, size_t size) {
    const int file = semihosting_open(path, SEMIHOSTING_WRITE);
    semihosting_write(file, memory, size);
}

#if RECORDED == 0
#include "heap_4.h"

#define ARENA_BYTES 6144u
static uint8_t arena[ARENA_BYTES] __attribute__((section(".arena"), aligned(8)));
static struct rh_heap4 heap;
static struct rh_recorder recorder;

static bool start(void) {
    struct rh_region region = {.base = (rh_word)(uintptr_t)arena, .size = ARENA_BYTES};
    rh4_init(&heap, &region, NULL);
    rhr_start(&recorder, put, NULL, (uintptr_t)arena, RHR_REQUESTED, 0);
    rhr_start(&ring_recorder, rhr_ring_put, &ring, (uintptr_t)arena, RHR_REQUESTED, 0);
    return true;
}

static void *allocate(size_t size) {
    rh_word address = 0;
    if (rh4_malloc(&heap, (rh_word)size, &address) != RH_OK) address = 0;
    return (void *)(uintptr_t)address;
}

static void *do_malloc(size_t size) {
    void *p = allocate(size);
    rhr_malloc(&recorder, (uintptr_t)p, size);
    rhr_malloc(&ring_recorder, (uintptr_t)p, size);
    return p;
}

static void *do_calloc(size_t count, size_t size) {
    void *p = do_malloc(count * size);
    return p == NULL ? NULL : memset(p, 0, count * size);
}

static void do_free(void *p) {
    rhr_free(&recorder, (uintptr_t)p);
    rhr_free(&ring_recorder, (uintptr_t)p);
    rh4_free(&heap, (rh_word)(uintptr_t)p);
}

/* As FreeRTOS's users have it: malloc, copy, free. */
static void *do_realloc(void *old, size_t size) {
    void *p = allocate(size);
    if (p != NULL) rh4_free(&heap, (rh_word)(uintptr_t)old);
    rhr_realloc(&recorder, (uintptr_t)old, (uintptr_t)p, size);
    rhr_realloc(&ring_recorder, (uintptr_t)old, (uintptr_t)p, size);
    return p;
}

static void finish(void) {
    leave("arena.bin", arena, sizeof arena);
}

#elif RECORDED == 1
#include "FreeRTOS.h"

void vAssertCalled(void);
void vAssertCalled(void) {
    rh_exit(1);
}

void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary);
void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary) {
    *pxHeapCanary = 0x5EEDCA9Au;
}

extern uint8_t ucHeap[];
uint8_t ucHeap[configTOTAL_HEAP_SIZE] __attribute__((section(".arena"), aligned(8)));

static bool start(void) {
#if RECORDED_HEAP == 5
    static const HeapRegion_t regions[] = {
        {ucHeap, 2048}, {ucHeap + 2048, configTOTAL_HEAP_SIZE - 2048}, {NULL, 0}};
    vPortDefineHeapRegions(regions);
#endif
    rhr_start(&rh_freertos_recorder, put, NULL, (uintptr_t)ucHeap,
              RECORDED_HEAP == 1 ? RHR_ROUNDED : RHR_BLOCK, 8);
    const bool reached = RHR_START_FREERTOS(put, (void *)1, (uintptr_t)ucHeap);
    if (reached != (rh_wrap_recorder.put != NULL)) rh_exit(1);
    return reached;
}

static void *do_malloc(size_t size) {
    return pvPortMalloc(size);
}

static void *do_calloc(size_t count, size_t size) {
#if RECORDED_HEAP == 1 /* has none */
    void *p = pvPortMalloc(count * size);
    return p == NULL ? NULL : memset(p, 0, count * size);
#else
    return pvPortCalloc(count, size);
#endif
}

static void do_free(void *p) {
    vPortFree(p);
}

static void *do_realloc(void *old, size_t size) {
    void *p = pvPortMalloc(size);
    if (p != NULL) vPortFree(old);
    return p;
}

extern uint8_t rh_arena_start[], rh_stack_top[];
static void finish(void) {
    leave("ram.bin", rh_arena_start, (size_t)(rh_stack_top - rh_arena_start));
}

#else
#include <stdlib.h>

extern uint8_t rh_arena_start[], rh_arena_end[];
static uint8_t *sbrk_at = rh_arena_start;
void *_sbrk(ptrdiff_t more);

void *_sbrk(ptrdiff_t more) {
    uint8_t *before = sbrk_at;
    if (more > rh_arena_end - sbrk_at) return (void *)-1;
    sbrk_at += more;
    return before;
}

static bool start(void) {
    return RHR_START_MALLOC(put, (void *)1, (uintptr_t)rh_arena_start);
}

static void *do_malloc(size_t size) {
    return malloc(size);
}

static void *do_calloc(size_t count, size_t size) {
    return calloc(count, size);
}

static void do_free(void *p) {
    free(p);
}

static void *do_realloc(void *old, size_t size) {
    void *p = malloc(size); /* newlib's own realloc may stay in place */
    if (p != NULL) free(old);
    return p;
}

static void finish(void) {
    leave("arena.bin", rh_arena_start, (size_t)(rh_arena_end - rh_arena_start));
}
#endif

static uint32_t seed = 12345;

static uint32_t below(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

int main(void) {
    void *live[LIVE] = {NULL};
    size_t sizes[LIVE];
    capture = semihosting_open("capture.bin", SEMIHOSTING_WRITE);
    capture_wrapped = semihosting_open("wrapped.bin", SEMIHOSTING_WRITE);
    (void)rhr_ring_start(&ring, ring_memory, sizeof ring_memory);
    if (!start()) {
        leave("unreached.bin", names, 1);
        return 0;
    }
    for (uint32_t i = 0; i < EVENTS; i++) {
        const uint32_t slot = below(LIVE);
        current = names[below(3)];
        recorder_tick += below(8) == 0 ? below(100) : below(2);
        if (live[slot] == NULL) {
            sizes[slot] = below(50) == 0 ? 4000 + below(9000) : 1 + below(300);
            if (below(3) == 0) {
                const size_t size = 1 + below(100);
                sizes[slot] = 3 * size;
                live[slot] = do_calloc(3, size);
            } else {
                live[slot] = do_malloc(sizes[slot]);
            }
            if (live[slot] != NULL) memset(live[slot], (int)(i | 1), sizes[slot]);
        } else if (below(8) == 0) {
            const size_t size = 1 + below(400);
            void *p = do_realloc(live[slot], size);
            if (p != NULL) live[slot] = p;
        } else {
            do_free(live[slot]);
            live[slot] = NULL;
        }
    }
    flush(0);
    flush(1);
    leave("ring.bin", ring_memory, sizeof ring_memory);
    finish();
    return 0;
}

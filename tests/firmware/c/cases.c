#include "cases.h"
#include "memory_functions.h"

#define MAXIMUM_REGIONS 8

uint8_t (*pucCasesArena)[];
size_t xCasesArenaSize;

static const struct cases_platform *platform;
static struct cases_result result;
static size_t canary;
static size_t hook_calls;
static size_t depth;
static size_t dirty; /* bytes of the arena that the case before used */

/* What the drop-in files call. */

void vAssertCalled(void);
void vAssertCalled(void) {
    result.status |= CASES_ASSERTED;
}

void vTaskSuspendAll(void);
void vTaskSuspendAll(void) {
    depth++;
    result.locks++;
}

BaseType_t xTaskResumeAll(void);
BaseType_t xTaskResumeAll(void) {
    depth--;
    return pdFALSE;
}

void vApplicationMallocFailedHook(void);
void vApplicationMallocFailedHook(void) {
    hook_calls++;
    if (depth != 0) result.status |= CASES_HOOK_LOCKED;
}

void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary);
void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary) {
    *pxHeapCanary = (portPOINTER_SIZE_TYPE)canary;
}

static void traced(const void *address, size_t size) {
    result.traces++;
    result.traced_address = (size_t)address;
    result.traced_size = size;
    if (depth != 1) result.status |= CASES_TRACED_UNLOCKED;
}

void vTraceMalloc(void *pvAddress, size_t uiSize);
void vTraceMalloc(void *pvAddress, size_t uiSize) {
    traced(pvAddress, uiSize);
}

void vTraceFree(void *pvAddress, size_t uiSize);
void vTraceFree(void *pvAddress, size_t uiSize) {
    traced(pvAddress, uiSize);
    result.status |= CASES_TRACED_FREE;
}

/* Cases. */

static bool is_zero(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0) return false;
    return true;
}

static void begin_operation(void) {
    memset(&result, 0, sizeof result);
}

static void end_operation(const struct cases_heap *heap) {
    const size_t locks = result.locks;
    if (depth != 0) result.status |= CASES_UNBALANCED;
    depth = 0;
    result.free_size = heap->free_size();
    result.minimum = heap->minimum();
    result.locks = locks;
    platform->write(&result, sizeof result);
}

static void run_operation(const struct cases_heap *heap, size_t operation, size_t flags) {
    size_t size = 0;
    uint8_t *payload = NULL;
    HeapStats_t stats;

    begin_operation();
    switch (operation) {
    case CASES_MALLOC:
        size = platform->read();
        payload = heap->malloc(size);
        if (payload != NULL && (flags & CASES_FILL) != 0) memset(payload, 0x5A, size);
        break;
    case CASES_CALLOC: {
        const size_t number = platform->read();
        size = platform->read();
        payload = heap->calloc(number, size);
        if (payload != NULL && !is_zero(payload, number * size)) result.status |= CASES_NOT_CLEARED;
        break;
    }
    case CASES_FREE:
        payload = platform->arena + platform->read();
        heap->free(payload);
        if ((result.status & CASES_TRACED_FREE) != 0 && heap->clears &&
            !is_zero(payload, result.traced_size - heap->header))
            result.status |= CASES_NOT_CLEARED;
        break;
    case CASES_FREE_NULL: heap->free(NULL); break;
    case CASES_RESET_MINIMUM: heap->reset_minimum(); break;
    case CASES_STATISTICS: heap->stats(&stats); break;
    case CASES_COPY: {
        uint8_t *to = platform->arena + platform->read();
        const uint8_t *from = platform->arena + platform->read();
        memcpy(to, from, platform->read());
        break;
    }
    default: break;
    }
    result.address = (size_t)payload;
    end_operation(heap);
    if (operation == CASES_STATISTICS) platform->write(&stats, sizeof stats);
}

static void run_case(const struct cases_heap *heap) {
    HeapRegion_t regions[MAXIMUM_REGIONS + 1];
    const size_t flags = platform->read();
    canary = platform->read();
    const size_t end = platform->read();
    memset(platform->arena, 0, end > dirty ? end : dirty); /* a wild free may look behind the end */
    dirty = end;
    const size_t count = platform->read();
    for (size_t i = 0; i < count; i++) {
        regions[i].pucStartAddress = platform->arena + platform->read();
        regions[i].xSizeInBytes = platform->read();
    }
    regions[count].pucStartAddress = NULL;
    regions[count].xSizeInBytes = 0;

    pucCasesArena = (uint8_t(*)[])(void *)regions[0].pucStartAddress;
    xCasesArenaSize = regions[0].xSizeInBytes;
    hook_calls = 0;
    begin_operation();
    heap->reset_state();
    if (heap->define != NULL) heap->define(regions);
    end_operation(heap);

    for (size_t operation = platform->read(); operation != CASES_END; operation = platform->read())
        run_operation(heap, operation, flags);

    platform->write(&hook_calls, sizeof hook_calls);
    for (size_t i = 0; i < count; i++)
        platform->write(regions[i].pucStartAddress, regions[i].xSizeInBytes);
}

void cases_run(const struct cases_platform *given) {
    platform = given;
    const size_t hello[3] = {CASES_MAGIC, (size_t)platform->arena, platform->arena_size};
    platform->write(hello, sizeof hello);
    for (size_t number = platform->read(); number < cases_heap_count; number = platform->read())
        run_case(cases_heaps[number]);
}

/* A heap that fails when it is told to, and calls a hook then, as a kernel's does. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *pvPortMalloc(size_t xWantedSize);
void *pvPortCalloc(size_t xNum, size_t xSize);
void vPortFree(void *pv);
void vApplicationMallocFailedHook(void);

#ifndef CALLOC_ONLY
static uint64_t memory[1024];
static size_t used;

void *pvPortMalloc(size_t xWantedSize) {
    if (xWantedSize > 1000) {
        vApplicationMallocFailedHook();
        return NULL;
    }
    used += 16;
    return &memory[used];
}

void vPortFree(void *pv) {
    (void)pv;
}
#endif

#ifndef CALLOC_APART
void *pvPortCalloc(size_t xNum, size_t xSize) {
    if (xSize != 0 && xNum > SIZE_MAX / xSize) return NULL;
    return pvPortMalloc(xNum * xSize);
}
#endif

/* Calls of every kind past the recorder's wrap, whose stream goes to standard output. */
#include <stdio.h>

#include "rh_recorder_wrap.h"

void *pvPortMalloc(size_t xWantedSize);
void *pvPortCalloc(size_t xNum, size_t xSize);
void vPortFree(void *pv);
void vApplicationMallocFailedHook(void);

static void *spare;
static int what_the_hook_does;

void vApplicationMallocFailedHook(void) {
    if (what_the_hook_does == 1) vPortFree(spare);
    if (what_the_hook_does == 2) spare = pvPortMalloc(32);
}

static void put(void *context, const uint8_t *bytes, size_t count) {
    (void)context;
    fwrite(bytes, 1, count, stdout);
}

int main(void) {
    void *early = pvPortCalloc(1, 8);
    if (!RHR_START_FREERTOS(put, NULL, (uintptr_t)early)) return 1;
    vPortFree(NULL);
    spare = pvPortMalloc(16);
    void *p = pvPortCalloc(3, 8);
    void *q = pvPortCalloc(0, 8);
    vPortFree(q);
    pvPortMalloc(2000);
    pvPortCalloc(2, 1000);
    what_the_hook_does = 1;
    pvPortCalloc(3, 1000);
    what_the_hook_does = 2;
    pvPortCalloc(4, 1000);
    pvPortMalloc(5000);
    pvPortCalloc(SIZE_MAX / 2, 3);
    vPortFree(p);
    return 0;
}

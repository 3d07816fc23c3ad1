/*
 * heap_3 for a FreeRTOS kernel: give its build this file in the place of its own heap_3.c.
 *
 * The C library's malloc() and free(), made safe by suspending the scheduler.
 */
#include "rh_freertos.h"

#include "../core/heap_3.c"
#include "../core/rh_arena.h"

#if (configRTOSHEAP_STATISTICS == 1)
PRIVILEGED_DATA static size_t xAllocations;
PRIVILEGED_DATA static size_t xFrees;
#define rhCOUNT(xCount) ((xCount)++)
#else
#define rhCOUNT(xCount) ((void)0)
#endif

void *pvPortMalloc(size_t xWantedSize) {
    void *pvReturn;

    vTaskSuspendAll();
    {
        pvReturn = rh3_malloc(xWantedSize);
        if (pvReturn != NULL) rhCOUNT(xAllocations);
        traceMALLOC(pvReturn, xWantedSize);
    }
    (void)xTaskResumeAll();

    rhMALLOC_FAILED(pvReturn);
    return pvReturn;
}

void vPortFree(void *pv) {
    uintptr_t uxAddress = (uintptr_t)pv;

    if (pv == NULL) return;
    RH_FORGET(uxAddress); /* that it is the pointer: after free() that is no value any more */
    vTaskSuspendAll();
    {
        rh3_free(pv);
        rhCOUNT(xFrees);
        traceFREE((void *)uxAddress, 0);
    }
    (void)xTaskResumeAll();
}

#if rhHAS_RESET_STATE
/* For a scheduler that is started again: the C library's heap stays as it is. */
void vPortHeapResetState(void) {
}
#endif

#if (configRTOSHEAP_STATISTICS == 1)

/* Of its heap a C library tells nothing: here 0 means "not known", and only calls are counted. */
size_t xPortGetMinimumEverFreeHeapSize(void) {
    return 0;
}

#if rhHAS_RESET_MINIMUM
rhRESET_MINIMUM void xPortResetHeapMinimumEverFreeHeapSize(void) {
}
#endif

#if rhHAS_STATS
void vPortGetHeapStats(HeapStats_t *pxHeapStats) {
    vTaskSuspendAll();
    {
        pxHeapStats->xAvailableHeapSpaceInBytes = 0;
        pxHeapStats->xSizeOfLargestFreeBlockInBytes = 0;
        pxHeapStats->xSizeOfSmallestFreeBlockInBytes = 0;
        pxHeapStats->xNumberOfFreeBlocks = 0;
        pxHeapStats->xMinimumEverFreeBytesRemaining = 0;
        pxHeapStats->xNumberOfSuccessfulAllocations = xAllocations;
        pxHeapStats->xNumberOfSuccessfulFrees = xFrees;
    }
    (void)xTaskResumeAll();
}
#endif

#endif

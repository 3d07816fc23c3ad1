/*
 * heap_1 for a FreeRTOS kernel: give its build this file in the place of its own heap_1.c.
 *
 * Nothing is ever freed. The heap is set up by the first call of pvPortMalloc().
 */
#include "rh_freertos.h"
#define RH_KEEP_COUNTS configRTOSHEAP_STATISTICS
#include "../core/heap_1.c"

#define rhARENA_DATA
#include "rh_freertos_arena.h"

/* What the alignment of ucHeap can cost is taken off, whether it is aligned or not. */
#define rhMANAGED_BYTES (configTOTAL_HEAP_SIZE - portBYTE_ALIGNMENT)

PRIVILEGED_DATA static struct rh_heap1 xHeap;

rhSELDOM static BaseType_t prvHeapInit(void) PRIVILEGED_FUNCTION;

rhSELDOM static BaseType_t prvHeapInit(void) {
    struct rh_region xRegion;

    xRegion.base = (rh_word)(uintptr_t)ucHeap;
    xRegion.size = configTOTAL_HEAP_SIZE;
    (void)rh1_init(&xHeap, &xRegion, NULL);
    configASSERT(xHeap.limit != 0);
    return xHeap.limit != 0;
}

void *pvPortMalloc(RH_FAST size_t xWantedSize) {
    rh_word xAddress;
    RH_FAST enum rh_status xStatus;
    RH_FAST void *pvReturn = NULL;

    vTaskSuspendAll();
    {
        /* Nothing is free before set-up, so that only a call that fails need look for it. */
        do {
            xStatus = rh1_malloc(&xHeap, xWantedSize, &xAddress);
        } while (xStatus != RH_OK && xHeap.limit == 0 && prvHeapInit() != pdFALSE);
        if (xStatus == RH_OK) pvReturn = (void *)(uintptr_t)xAddress;
        traceMALLOC(pvReturn, (size_t)rh_up(xWantedSize, portBYTE_ALIGNMENT));
    }
    (void)xTaskResumeAll();

    rhMALLOC_FAILED(pvReturn);
    return pvReturn;
}

void vPortFree(void *pv) {
    /* heap_1 cannot free. */
    (void)pv;
    configASSERT(pv == NULL);
}

size_t xPortGetFreeHeapSize(void) {
    return rhMANAGED_BYTES - xHeap.used;
}

void vPortInitialiseBlocks(void) {
    /* Where the heap lies, once found, does not change. */
    xHeap.used = 0;
}

#if rhHAS_RESET_STATE
/* For a scheduler that is started again. */
void vPortHeapResetState(void) {
    vPortInitialiseBlocks();
    RH_RESET_ALLOCATIONS(&xHeap);
}
#endif

#if (configRTOSHEAP_STATISTICS == 1)

/* Nothing is freed: what is free now is the least that ever was. */
size_t xPortGetMinimumEverFreeHeapSize(void) {
    return xPortGetFreeHeapSize();
}

#if rhHAS_RESET_MINIMUM
rhRESET_MINIMUM void xPortResetHeapMinimumEverFreeHeapSize(void) {
}
#endif

#if rhHAS_STATS
void vPortGetHeapStats(HeapStats_t *pxHeapStats) {
    vTaskSuspendAll();
    {
        const size_t xFree = xPortGetFreeHeapSize();
        pxHeapStats->xAvailableHeapSpaceInBytes = xFree;
        pxHeapStats->xSizeOfLargestFreeBlockInBytes = xFree;
        pxHeapStats->xSizeOfSmallestFreeBlockInBytes = xFree != 0 ? xFree : SIZE_MAX;
        pxHeapStats->xNumberOfFreeBlocks = xFree != 0;
        pxHeapStats->xMinimumEverFreeBytesRemaining = xFree;
        pxHeapStats->xNumberOfSuccessfulAllocations = xHeap.allocations;
        pxHeapStats->xNumberOfSuccessfulFrees = 0;
    }
    (void)xTaskResumeAll();
}
#endif

#endif

/*
 * heap_2 for a FreeRTOS kernel: give its build this file in the place of its own heap_2.c.
 *
 * The heap is set up by the first call of pvPortMalloc(), even one that fails.
 */
#include "rh_freertos.h"
#define RH_KEEP_MINIMUM configRTOSHEAP_STATISTICS
#define RH_KEEP_COUNTS configRTOSHEAP_STATISTICS
#include "../core/heap_2.c"

#define rhARENA_DATA PRIVILEGED_DATA
#include "rh_freertos_arena.h"
#include "rh_freertos_calls.h"

/* What the alignment of ucHeap can cost is taken off, whether it is aligned or not. */
#define rhMANAGED_BYTES (configTOTAL_HEAP_SIZE - portBYTE_ALIGNMENT)

PRIVILEGED_DATA static struct rh_heap2 xHeap;

#define prvIsSetUp() (xHeap.head.next != 0)

rhSELDOM static BaseType_t prvHeapInit(void) PRIVILEGED_FUNCTION;

rhSELDOM static BaseType_t prvHeapInit(void) {
    struct rh_region xRegion;

    xRegion.base = (rh_word)(uintptr_t)ucHeap;
    xRegion.size = configTOTAL_HEAP_SIZE;
    const enum rh_status xStatus = rh2_init(&xHeap, &xRegion, NULL);
    configASSERT(xStatus == RH_OK);
    return xStatus == RH_OK;
}

void *pvPortMalloc(RH_FAST size_t xWantedSize) {
    rh_word xAddress;
    RH_FAST enum rh_status xStatus;
    RH_FAST void *pvReturn = NULL;

    vTaskSuspendAll();
    {
        /* Nothing is free before set-up, so that only a call that fails need look for it. */
        do {
            xStatus = rh2_malloc(&xHeap, xWantedSize, &xAddress);
        } while (xStatus == RH_EXHAUSTED && !prvIsSetUp() && prvHeapInit() != pdFALSE);
        if (xStatus == RH_OK) pvReturn = (void *)(uintptr_t)xAddress;
        traceMALLOC(pvReturn, prvBlockSize(pvReturn));
    }
    (void)xTaskResumeAll();

    rhMALLOC_FAILED(pvReturn);
    return pvReturn;
}

void vPortFree(RH_FAST void *pv) {
    RH_FAST rh_word xBlock = (rh_word)(uintptr_t)pv - RH_HEADER_OF(&xHeap);
    rh_word xBlockSize;

    if (pv == NULL) return;
    RH_FORGET(xBlock);
    if (rh2_live(&xHeap, xBlock, &xBlockSize) != RH_OK) return;
    prvClearOnFree(pv, xBlockSize);
    vTaskSuspendAll();
    {
        (void)rh2_give_back(&xHeap, xBlock, xBlockSize, false);
        traceFREE(pv, (size_t)xBlockSize);
    }
    (void)xTaskResumeAll();
}

#if rhHAS_CALLOC
void *pvPortCalloc(size_t xNum, size_t xSize) {
    return prvCalloc(xNum, xSize);
}
#endif

size_t xPortGetFreeHeapSize(void) {
    return prvIsSetUp() ? xHeap.free_size : rhMANAGED_BYTES;
}

void vPortInitialiseBlocks(void) {
    /* Nothing to do: set-up is lazy. */
}

#if rhHAS_RESET_STATE
/* For a scheduler that is started again: the next malloc sets the heap up anew. */
void vPortHeapResetState(void) {
    memset(&xHeap, 0, sizeof xHeap);
}
#endif

#if (configRTOSHEAP_STATISTICS == 1)

size_t xPortGetMinimumEverFreeHeapSize(void) {
    return prvIsSetUp() ? xHeap.minimum_ever_free : rhMANAGED_BYTES;
}

#if rhHAS_RESET_MINIMUM
rhRESET_MINIMUM void xPortResetHeapMinimumEverFreeHeapSize(void) {
    xHeap.minimum_ever_free = xHeap.free_size;
}
#endif

#if rhHAS_STATS
void vPortGetHeapStats(HeapStats_t *pxHeapStats) {
    struct rh_stats xStats;

    vTaskSuspendAll();
    {
        rh_stats_begin(&xStats, 0);
        if (prvIsSetUp()) (void)rh2_stats(&xHeap, &xStats);
        xStats.available = xPortGetFreeHeapSize();
        xStats.minimum_ever_free = xPortGetMinimumEverFreeHeapSize();
    }
    (void)xTaskResumeAll();
    prvCopyStats(pxHeapStats, &xStats);
}
#endif

#endif

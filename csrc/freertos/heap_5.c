/*
 * heap_5 for a FreeRTOS kernel: give its build this file in the place of its own heap_5.c.
 *
 * The heap is set up by vPortDefineHeapRegions(), before anything is allocated.
 */
#include "rh_freertos.h"
#if (configRTOSHEAP_BOUNDED == 1)
#if !defined(configRTOSHEAP_BOUNDED_REGIONS) || !defined(configRTOSHEAP_BOUNDED_SIZE)
#error "the index of heap_5 needs configRTOSHEAP_BOUNDED_REGIONS, the most regions, and \
configRTOSHEAP_BOUNDED_SIZE, the sum of their bytes"
#endif
#define RH_INDEX_REGIONS configRTOSHEAP_BOUNDED_REGIONS
#endif
#define RH_ON_FREE(heap, payload, size) traceFREE((void *)(uintptr_t)(payload), (size_t)(size))
#include "../core/heap_5.c"
#if !defined(__OPTIMIZE__) /* a copy of the arguments less */
#define rh5_malloc(heap, size, address) rh_ff_malloc((heap), (size), (address), true)
#endif

#include "rh_freertos_calls.h"

PRIVILEGED_DATA static struct rh_heap4 xHeap;

static enum rh_status prvAppendRegion(const HeapRegion_t *pxHeapRegion) PRIVILEGED_FUNCTION;

/* Appends the region after the ones that the heap has, where it is one that heap_5 can take. */
static enum rh_status prvAppendRegion(const HeapRegion_t *pxHeapRegion) {
    struct rh_region xRegion;

    xRegion.base = (rh_word)(uintptr_t)pxHeapRegion->pucStartAddress;
    xRegion.size = pxHeapRegion->xSizeInBytes;
    if (RH_CHECK_SETUP) {
        /* FreeRTOS knows a region before by its end marker alone. */
        const rh_word xTaken = xHeap.end == 0 ? 0 : xHeap.end + (RH_HEADER_OF(&xHeap) - 1);
        const enum rh_status xStatus =
            rh5_test_region(&xRegion, xTaken, pxHeapRegion[1].xSizeInBytes == 0, portBYTE_ALIGNMENT,
                            RH_HEADER_OF(&xHeap));
        if (xStatus != RH_OK) return xStatus;
    }
    RH_INDEX_ADD(xHeap.index.state, rh_ff_range(&xRegion, portBYTE_ALIGNMENT, RH_HEADER_OF(&xHeap)),
                 RH_SHIFT_OF(&xHeap), true);
    if (!RH_INDEX_HAS_ROOM(xHeap.index.state)) return RH_OUT_OF_RANGE;
    rh5_append_region(&xHeap, NULL, &xRegion, portBYTE_ALIGNMENT, RH_HEADER_OF(&xHeap));
    return RH_OK;
}

/* Regions in ascending order of address, up to one of size 0. Where one is refused the heap stays
 * without memory. Defined once more, it begins anew: what was allocated before is nobody's. */
void vPortDefineHeapRegions(const HeapRegion_t *const pxHeapRegions) {
    configASSERT(xHeap.end == 0);
#if (configENABLE_HEAP_PROTECTOR == 1)
    xHeap.canary = prvGetCanary();
#endif
    xHeap.head.next = RH_CANARY_OF(&xHeap); /* an empty list, should there be no region */
    xHeap.end = 0;
    xHeap.free_size = 0;
    RH_INDEX_BEGIN(xHeap.index.state);
    for (const HeapRegion_t *pxRegion = pxHeapRegions; pxRegion->xSizeInBytes > 0; pxRegion++) {
        const enum rh_status xStatus = prvAppendRegion(pxRegion);
        configASSERT(xStatus == RH_OK);
        if (xStatus != RH_OK) {
            memset(&xHeap, 0, sizeof xHeap);
            return;
        }
    }
    configASSERT(xHeap.free_size != 0);
    rh_ff_start(&xHeap, xHeap.head.next ^ RH_CANARY_OF(&xHeap));
    RH_INDEX_BUILD(&xHeap, xHeap.index.state, true);
}

void *pvPortMalloc(RH_FAST size_t xWantedSize) {
    rh_word xAddress;
    RH_FAST enum rh_status xStatus;
    RH_FAST void *pvReturn = NULL;

    configASSERT(xHeap.end != 0); /* vPortDefineHeapRegions() comes first */
    vTaskSuspendAll();
    {
        xStatus = rh5_malloc(&xHeap, xWantedSize, &xAddress);
        if (xStatus == RH_OK) pvReturn = (void *)(uintptr_t)xAddress;
        traceMALLOC(pvReturn, prvBlockSize(pvReturn));
    }
    (void)xTaskResumeAll();

    rhMALLOC_FAILED(pvReturn);
    return pvReturn;
}

void vPortInitialiseBlocks(void) {
    /* Nothing to do: vPortDefineHeapRegions() sets up. */
}

#define rhMANY_REGIONS true
#include "rh_freertos_first_fit.h"

/*
 * What several drop-in files share, after the core: the canary, calloc, statistics.
 */
#ifndef RH_FREERTOS_CALLS_H
#define RH_FREERTOS_CALLS_H

#if (configENABLE_HEAP_PROTECTOR == 1)
extern void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary);

RH_INLINE rh_word prvGetCanary(void) {
    portPOINTER_SIZE_TYPE xCanary = 0;
    vApplicationGetRandomHeapCanary(&xCanary);
    return (rh_word)xCanary;
}
#else
RH_INLINE rh_word prvGetCanary(void) {
    return 0;
}
#endif

/* Of an allocated block with a header, or 0 for NULL: the size that traceMALLOC() is told. */
RH_INLINE size_t prvBlockSize(const void *pv) {
    if (pv == NULL) return 0;
    const rh_word xBlock = (rh_word)(uintptr_t)pv - rh_header_bytes(portBYTE_ALIGNMENT);
    return (size_t)(rh_size(NULL, xBlock) & ~RH_TOP_BIT);
}

/* The payload of a block that is about to be freed. */
#if (configHEAP_CLEAR_MEMORY_ON_FREE == 1)
#define prvClearOnFree(pv, xBlockSize)                                                             \
    rh_clear(NULL, (rh_word)(uintptr_t)(pv)-RH_HEADER_BYTES(portBYTE_ALIGNMENT), (xBlockSize),     \
             RH_HEADER_BYTES(portBYTE_ALIGNMENT))
#else
#define prvClearOnFree(pv, xBlockSize) ((void)0)
#endif

#if rhHAS_CALLOC

/* Does the product fit a size_t? */
RH_INLINE BaseType_t prvProductFits(size_t xNum, size_t xSize) {
#if defined(__ARM_ARCH_6M__) && defined(__clang__)
    /* By halves: for a product of 64 bits clang would call its run-time library. */
    const size_t xHigh = (size_t)1 << 16;
    const size_t xLarge = xNum > xSize ? xNum : xSize, xSmall = xNum > xSize ? xSize : xNum;
    if (xLarge < xHigh) return pdTRUE;
    if (xSmall >= xHigh) return pdFALSE;
    return (xLarge >> 16) * xSmall + ((xLarge & (xHigh - 1)) * xSmall >> 16) < xHigh;
#else
    return xNum == 0 || xSize <= SIZE_MAX / xNum;
#endif
}

/* A product that overflows is refused before malloc is entered: no hook, no set-up. */
RH_INLINE void *prvCalloc(size_t xNum, size_t xSize) {
    if (!prvProductFits(xNum, xSize)) return NULL;
    void *pv = pvPortMalloc(xNum * xSize);
    if (pv != NULL) memset(pv, 0, xNum * xSize);
    return pv;
}

#endif
#if rhHAS_STATS

RH_INLINE void prvCopyStats(HeapStats_t *pxHeapStats, const struct rh_stats *pxStats) {
    pxHeapStats->xAvailableHeapSpaceInBytes = pxStats->available;
    pxHeapStats->xSizeOfLargestFreeBlockInBytes = pxStats->largest_free_block;
    pxHeapStats->xSizeOfSmallestFreeBlockInBytes = pxStats->smallest_free_block;
    pxHeapStats->xNumberOfFreeBlocks = pxStats->free_block_count;
    pxHeapStats->xMinimumEverFreeBytesRemaining = pxStats->minimum_ever_free;
    pxHeapStats->xNumberOfSuccessfulAllocations = pxStats->allocation_count;
    pxHeapStats->xNumberOfSuccessfulFrees = pxStats->free_count;
}

#endif

#endif

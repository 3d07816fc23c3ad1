/*
 * The calls of a FreeRTOS kernel's heap as lines of text: include it at the end of
 * FreeRTOSConfig.h. `rtosheap convert` reads what the device printed.
 *
 *     M 0x20000408 <=104 112 1234     malloc: address, most bytes asked for, bytes of block, tick
 *     F 0x20000408 112 1240           free
 *     X 0x0 <=0 0 1250                a malloc that failed
 *
 * FreeRTOS tells its macros a block's size: of it a header is taken off, and what remains is the
 * request rounded up. Define before this file, where the defaults do not serve:
 *
 *     RHL_PRINTF(...)   prints as printf does. It is called with the scheduler suspended: it must
 *                       not block, and not allocate from the heap that it logs
 *     RHL_TICK()        the time
 *     RHL_HEADER        bytes of a block's header: 0 for heap_1 and heap_3, which have none
 */
#ifndef RH_LOG_H
#define RH_LOG_H

#ifndef RHL_PRINTF
#ifndef __ASSEMBLER__
#include <stdio.h>
#endif
#define RHL_PRINTF printf
#endif
#ifndef RHL_TICK
#define RHL_TICK() xTaskGetTickCount()
#endif
#ifndef RHL_HEADER
#define RHL_HEADER                                                                                 \
    ((sizeof(void *) + sizeof(size_t) + portBYTE_ALIGNMENT - 1) / portBYTE_ALIGNMENT *             \
     portBYTE_ALIGNMENT)
#endif

#define traceMALLOC(pvAddress, uiSize)                                                             \
    do {                                                                                           \
        const unsigned long ulBlock = (unsigned long)(uiSize);                                     \
        RHL_PRINTF("%c 0x%lx <=%lu %lu %lu\n", (pvAddress) != NULL ? 'M' : 'X',                    \
                   (unsigned long)(pvAddress), ulBlock > RHL_HEADER ? ulBlock - RHL_HEADER : 0ul,  \
                   ulBlock, (unsigned long)RHL_TICK());                                            \
    } while (0)
#define traceFREE(pvAddress, uiSize)                                                               \
    RHL_PRINTF("F 0x%lx %lu %lu\n", (unsigned long)(pvAddress), (unsigned long)(uiSize),           \
               (unsigned long)RHL_TICK())

/* The log's last line, for who wants to know whether lines were lost: what the kernel counted since
 * it started (heap_4 and heap_5, from V10.3 on). Nothing may allocate after it. */
#define RHL_END()                                                                                  \
    do {                                                                                           \
        HeapStats_t xStats;                                                                        \
        vPortGetHeapStats(&xStats);                                                                \
        RHL_PRINTF("=%lu 0 %lu %lu\n",                                                             \
                   (unsigned long)(xStats.xNumberOfSuccessfulAllocations +                         \
                                   xStats.xNumberOfSuccessfulFrees),                               \
                   (unsigned long)xStats.xMinimumEverFreeBytesRemaining,                           \
                   (unsigned long)xStats.xAvailableHeapSpaceInBytes);                              \
    } while (0)

#endif

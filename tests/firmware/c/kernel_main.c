/*
 * An application of the kernel TEST_KERNEL over the drop-in file of TEST_HEAP: it does what
 * standard input asks for, a line for each call, and prints a line for it, of three numbers:
 * where the block lies, and xPortGetFreeHeapSize() and xPortGetMinimumEverFreeHeapSize() after it.
 *
 *   m SIZE               malloc: offset in ucHeap, or -1; of heap_3 0 or -1
 *   c NUMBER SIZE        calloc: the same
 *   f K                  free of the Kth block that was had, from 0; this and those below: -1
 *   r, z, i              resets the minimum ever free; the heap's state; vPortInitialiseBlocks()
 *   d OFFSET SIZE [...]  defines one or two regions of ucHeap; a size of 0 ends them
 *   s                    the seven statistics, in place of three numbers
 *
 * Before it come "hook" and "assert LINE". What this kernel's headers do not declare, or its heap
 * does not have, the application has of its own, by the name; the last line says how many of these
 * were reached.
 */
#include "FreeRTOS.h"
#include "task.h"

#include <stdio.h>
#include <string.h>

uint8_t ucHeap[configTOTAL_HEAP_SIZE] __attribute__((aligned(64)));

#define HAS_CALLOC (TEST_SINCE(100501) && TEST_HEAP != 1 && TEST_HEAP != 3)

void vAssertAt(int line) {
    printf("assert %d\n", line);
}

#if !TEST_SINCE(100501)
void vApplicationMallocFailedHook(void);
#endif
void vApplicationMallocFailedHook(void) {
    puts("hook");
}

void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary);
void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary) {
    *pxHeapCanary = (portPOINTER_SIZE_TYPE)0xA5C3E187u;
}

static int own;

/* Declared by no header: then its type is the application's as well. */
#if !TEST_SINCE(100301)
void vPortGetHeapStats(int *reached);
void vPortGetHeapStats(int *reached) {
    ++*reached;
}
#endif
#if !TEST_SINCE(100406)
void pvPortMallocStack(int *reached);
void pvPortMallocStack(int *reached) {
    ++*reached;
}
#endif
#if !TEST_SINCE(100501)
void pvPortCalloc(int *reached);
void pvPortCalloc(int *reached) {
    ++*reached;
}
#endif
#if !TEST_SINCE(110100)
void vPortHeapResetState(int *reached);
void vPortHeapResetState(int *reached) {
    ++*reached;
}
#endif
#if !TEST_SINCE(110200)
void xPortResetHeapMinimumEverFreeHeapSize(void); /* as main has it: V11.1 cannot be told from it */
void xPortResetHeapMinimumEverFreeHeapSize(void) {
    own++;
}
#endif

/* Declared, and not defined by this heap. */
#if TEST_SINCE(100406)
void *pvPortMallocStack(size_t xSize) {
    (void)xSize;
    own++;
    return NULL;
}
#endif
#if TEST_SINCE(100501) && !HAS_CALLOC
void *pvPortCalloc(size_t xNum, size_t xSize) {
    (void)xNum, (void)xSize;
    own++;
    return NULL;
}
#endif
#if TEST_HEAP != 5
void vPortDefineHeapRegions(const HeapRegion_t *const pxHeapRegions) {
    (void)pxHeapRegions;
    own++;
}
#endif
#if TEST_HEAP == 3
size_t xPortGetFreeHeapSize(void) {
    return 0;
}
void vPortInitialiseBlocks(void) {
    own++;
}
#endif

static void reach_own(void) {
#if !TEST_SINCE(100301)
    vPortGetHeapStats(&own);
#endif
#if TEST_SINCE(100406)
    (void)pvPortMallocStack(8);
#else
    pvPortMallocStack(&own);
#endif
#if !TEST_SINCE(100501)
    pvPortCalloc(&own);
#elif !HAS_CALLOC
    (void)pvPortCalloc(1, 8);
#endif
#if !TEST_SINCE(110100)
    vPortHeapResetState(&own);
#endif
#if !TEST_SINCE(110200)
    xPortResetHeapMinimumEverFreeHeapSize();
#endif
#if TEST_HEAP != 5
    vPortDefineHeapRegions(NULL);
#endif
#if TEST_HEAP == 3
    vPortInitialiseBlocks();
#endif
    printf("own %d\n", own);
}

#if TEST_SINCE(100301)
static void print_stats(void) {
    HeapStats_t stats;
    vPortGetHeapStats(&stats);
    printf("%zu %zu %zu %zu %zu %zu %zu\n", stats.xAvailableHeapSpaceInBytes,
           stats.xSizeOfLargestFreeBlockInBytes, stats.xSizeOfSmallestFreeBlockInBytes,
           stats.xNumberOfFreeBlocks, stats.xMinimumEverFreeBytesRemaining,
           stats.xNumberOfSuccessfulAllocations, stats.xNumberOfSuccessfulFrees);
}
#endif

static void *blocks[1024];
static size_t had;

static void *operate(char operation, const size_t *given) {
    switch (operation) {
    case 'm': return pvPortMalloc(given[0]);
    case 'f': vPortFree(blocks[given[0]]); return NULL;
    case 'i': vPortInitialiseBlocks(); return NULL;
#if HAS_CALLOC
    case 'c': return pvPortCalloc(given[0], given[1]);
#endif
#if TEST_SINCE(110100)
    case 'z': vPortHeapResetState(); return NULL;
#endif
#if TEST_SINCE(110200)
    case 'r': xPortResetHeapMinimumEverFreeHeapSize(); return NULL;
#endif
#if TEST_HEAP == 5
    case 'd': {
        const HeapRegion_t regions[] = {
            {ucHeap + given[0], given[1]}, {ucHeap + given[2], given[3]}, {NULL, 0}};
        vPortDefineHeapRegions(regions);
        return NULL;
    }
#endif
    default: puts("unknown"); return NULL;
    }
}

static long place(const void *payload) {
    if (payload == NULL) return -1;
    return TEST_HEAP == 3 ? 0 : (long)((const uint8_t *)payload - ucHeap);
}

int main(void) {
    char line[80], operation;
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t given[4] = {0, 0, 0, 0};
        if (sscanf(line, "%c %zu %zu %zu %zu", &operation, &given[0], &given[1], &given[2],
                   &given[3]) < 1)
            return 1;
#if TEST_SINCE(100301)
        if (operation == 's') {
            print_stats();
            continue;
        }
#endif
        void *payload = operate(operation, given);
        if (payload != NULL) blocks[had++] = payload;
        printf("%ld %zu %zu\n", place(payload), xPortGetFreeHeapSize(),
               xPortGetMinimumEverFreeHeapSize());
    }
    reach_own();
    return 0;
}

/*
 * An image in which rtosheap.cortexm calls the functions of a drop-in file one by one: the arena,
 * what the file asks of a kernel, and a main() that has nothing to do.
 */
#include "FreeRTOS.h"

__attribute__((section(".arena"), aligned(32))) uint8_t ucHeap[configTOTAL_HEAP_SIZE];

/* heap_5's regions are written here. */
extern HeapRegion_t rh_regions[64];
__attribute__((used)) HeapRegion_t rh_regions[64];

void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary);
void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary) {
    *pxHeapCanary = (portPOINTER_SIZE_TYPE)0x5EEDCA9Au;
}

void vAssertCalled(void);
void vAssertCalled(void) {
    for (;;) {
    }
}

/* Nothing here calls them: a linker must keep them all the same. */
typedef void (*function)(void);
extern const function rh_measured[];
extern HeapRegion_t *const rh_measured_regions;
__attribute__((section(".kept"), used)) HeapRegion_t *const rh_measured_regions = rh_regions;
__attribute__((section(".kept"), used)) const function rh_measured[] = {
    (function)pvPortMalloc,
    (function)vPortFree,
#if MEASURED_HEAP == 5
    (function)vPortDefineHeapRegions,
#endif
};

int main(void) {
    return 0;
}

/*
 * A heap as a release of the kernel leaves it: variables that device_images.py gives their values
 * in device_state.h, under the names of that release. Nothing runs.
 */
#include <stddef.h>
#include <stdint.h>

#include "semihosting.h"

#define KEPT __attribute__((used))
#define PLACED(name) __attribute__((section(name), used))

typedef struct A_BLOCK_LINK {
    struct A_BLOCK_LINK *pxNextFreeBlock;
    size_t xBlockSize;
} BlockLink_t;

typedef struct HeapRegion {
    uint8_t *pucStartAddress;
    size_t xSizeInBytes;
} HeapRegion_t;

#include "device_state.h"

void device_stop(void);
KEPT __attribute__((noinline)) void device_stop(void) {
    semihosting_write(semihosting_open(":tt", SEMIHOSTING_WRITE), "stopped\n", 8);
    for (;;)
        __asm__ volatile("wfi");
}

int main(void) {
    device_stop();
}

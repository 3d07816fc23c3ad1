/*
 * An application with tasks and blocks that may damage its heap, and then stands still for a
 * debugger. device_images.py writes DEVICE_CALLS, its allocations, and DEVICE_DAMAGE.
 */
#include <string.h>

#include "FreeRTOS.h"
#include "device_program.h"
#include "device_tasks.h"
#include "semihosting.h"

#define KEPT __attribute__((used))

/* The blocks by number; the last ones are told by where the pointer to them is. */
enum {
    STACK_MAIN,
    TASK_MAIN,
    STACK_SENSOR,
    TASK_SENSOR,
    STACK_IDLE,
    TASK_IDLE,
    QUEUE,   /* a global variable's */
    MESSAGE, /* a struct's member's */
    HOLE,
    NODE,   /* a word's in the queue */
    LOCAL,  /* a word's in a task's live stack */
    BUFFER, /* an element's of an array in a struct */
    GAP,
    LOG, /* a global variable's that points into it */
    LOST,
    SMALL, /* in a part of the hole */
    BLOCKS
};

void *app_queue;
char *app_log;
void *app_small;
struct {
    uint32_t count;
    struct {
        char *message;
        uint32_t length;
    } link;
    void *buffers[3];
} app_state;

extern uint8_t ucHeap[];
uint8_t ucHeap[configTOTAL_HEAP_SIZE] __attribute__((section(".arena"), aligned(8)));

#if DEVICE_HEAP == 5
const HeapRegion_t xRegions[] = {
    {ucHeap, DEVICE_FIRST}, {ucHeap + DEVICE_SECOND, DEVICE_REST}, {NULL, 0}};
#endif

#if DEVICE_HEAP == 3
static uint8_t *heap_end = ucHeap;

void *_sbrk(ptrdiff_t increment);
void *_sbrk(ptrdiff_t increment) {
    if (increment > ucHeap + configTOTAL_HEAP_SIZE - heap_end) return (void *)-1;
    void *at = heap_end;
    heap_end += increment;
    return at;
}
#endif

void vAssertCalled(void);
void vAssertCalled(void) {
    rh_exit(1);
}

void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary);
void vApplicationGetRandomHeapCanary(portPOINTER_SIZE_TYPE *pxHeapCanary) {
    *pxHeapCanary = DEVICE_CANARY;
}

void device_stop(void);
KEPT __attribute__((noinline)) void device_stop(void) {
    semihosting_write(semihosting_open(":tt", SEMIHOSTING_WRITE), "stopped\n", 8);
    for (;;)
        __asm__ volatile("wfi");
}

__attribute__((noinline, unused)) static void hurt(uintptr_t at, const char *bytes, size_t size) {
    volatile char *to = (volatile char *)at;
    while (size-- > 0)
        *to++ = *bytes++;
}

static void *taken(size_t size) {
    void *block = pvPortMalloc(size);
    if (block == NULL) rh_exit(1);
    return block;
}

static void use(void *const *block) {
    tasks_prepare();
    tasks_create(block[TASK_MAIN], block[STACK_MAIN], 64, "main", TASK_READY);
    tasks_create(block[TASK_SENSOR], block[STACK_SENSOR], 48, "sensor", TASK_DELAYED);
    tasks_create(block[TASK_IDLE], block[STACK_IDLE], 32, "idle", TASK_READY);
    tasks_create_static();
    app_queue = block[QUEUE];
    app_log = (char *)block[LOG] + 8;
    app_small = block[SMALL];
    app_state.link.message = block[MESSAGE];
    app_state.buffers[1] = block[BUFFER];
    strcpy(block[MESSAGE], "23.5 degrees");
    memset(block[QUEUE], 0, 64);
    ((void **)block[QUEUE])[5] = block[NODE];
    ((void **)block[STACK_SENSOR])[40] = block[LOCAL];
}

int main(void) {
    void *block[BLOCKS];
#if DEVICE_HEAP == 5
    vPortDefineHeapRegions(xRegions);
#endif
#define TAKE(number, size) block[number] = taken(size);
#define GIVE(number) vPortFree(block[number]);
    DEVICE_CALLS
    use(block);
#define HURT(at, bytes, size) hurt(at, bytes, size);
    DEVICE_DAMAGE
    device_stop();
}

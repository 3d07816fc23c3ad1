/*
 * A program on a host with tasks and blocks, as a debugger finds it: it sets all up and stops.
 */
#include <string.h>

#include "FreeRTOS.h"
#include "device_tasks.h"

#if DEVICE_HEAP == 5
static uint8_t ucSpace[8192];
const HeapRegion_t xRegions[] = {{ucSpace, 2048}, {ucSpace + 4096, 4096}, {NULL, 0}};
#endif

struct {
    int count;
    void *queue;
    struct {
        char *text;
    } inner[2];
} app;
char *app_end;
volatile int device_stopped;

void device_stop(void);
void device_run(void);

__attribute__((noinline)) void device_stop(void) {
    device_stopped = 1;
}

/* The task's stack, which is a block before that of its control block. */
static uint32_t *create(size_t words, const char *name, enum task_state state) {
    uint32_t *stack = pvPortMalloc(words * sizeof *stack);
    tasks_create(pvPortMalloc(TASK_BYTES), stack, words, name, state);
    return stack;
}

static void point(uint32_t *to, const void *block) {
    memcpy(to, &block, sizeof block);
}

void device_run(void) {
#if DEVICE_HEAP == 5
    vPortDefineHeapRegions(xRegions);
#endif
    tasks_prepare();
    (void)create(64, "main", TASK_READY);
    uint32_t *stack = create(48, "sensor", TASK_DELAYED);
    tasks_create_static();
    (void)create(32, "idle", TASK_READY);
    app.queue = pvPortMalloc(96);
    app.inner[1].text = (char *)pvPortMalloc(40) + 4;
    void *hole = pvPortMalloc(200);
    void *hidden = pvPortMalloc(24);
    memset(app.queue, 0, 96);
    ((void **)app.queue)[3] = hidden;
    point(stack + 44, hidden); /* in what is live of the stack */
    point(stack + 2, hidden);  /* and in what is not */
    app_end = pvPortMalloc(16);
    vPortFree(hole);
    device_stop();
}

#if DEVICE_MAIN
int main(void) {
    device_run();
}
#endif

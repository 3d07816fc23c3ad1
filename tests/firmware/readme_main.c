/* A program that records itself as csrc/README.md says, and leaves a dump of its RAM. Its kernel
 * has two tasks that take turns. */
#include <stdbool.h>

#include "FreeRTOS.h"
#include "semihosting.h"
#include "task.h"

#define EVENTS 700u
#define LIVE 24u

struct tskTaskControlBlock {
    char name[16];
};

extern uint8_t ucHeap[];
uint8_t ucHeap[40 * 1024] __attribute__((section(".arena"), aligned(8)));
extern uint8_t rh_arena_start[], rh_bss_end[];
bool start_recording(void);

static struct tskTaskControlBlock tasks[2] = {{"sensor"}, {"network"}};
static TickType_t now;

TickType_t xTaskGetTickCount(void) {
    return now;
}

TaskHandle_t xTaskGetCurrentTaskHandle(void) {
    return &tasks[now / 10 % 2];
}

char *pcTaskGetName(TaskHandle_t xTaskToQuery) {
    return xTaskToQuery->name;
}

void vTaskSuspendAll(void) {
}

BaseType_t xTaskResumeAll(void) {
    return 0;
}

static uint32_t seed = 99;

static uint32_t below(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

int main(void) {
    void *live[LIVE] = {NULL};
    if (!start_recording()) return 1;
    for (uint32_t i = 0; i < EVENTS; i++) {
        const uint32_t slot = below(LIVE);
        now += below(4);
        if (live[slot] != NULL) {
            vPortFree(live[slot]);
            live[slot] = NULL;
        } else if (below(2) == 0) {
            live[slot] = pvPortCalloc(1 + below(4), 1 + below(800));
        } else {
            live[slot] = pvPortMalloc(1 + below(4000));
        }
    }
    semihosting_write(semihosting_open("ram.bin", SEMIHOSTING_WRITE), rh_arena_start,
                      (size_t)(rh_bss_end - rh_arena_start));
    return 0;
}

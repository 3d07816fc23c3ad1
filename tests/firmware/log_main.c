/* An image whose kernel's heap prints what is asked of it. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "FreeRTOS.h"
#include "semihosting.h"

#define EVENTS 3000u
#define LIVE 24u

extern uint8_t ucHeap[];
uint8_t ucHeap[configTOTAL_HEAP_SIZE] __attribute__((section(".arena"), aligned(8)));
unsigned long log_tick;
static int file;
static char lines[4096];
static size_t pending;

static void flush(void) {
    semihosting_write(file, lines, pending);
    pending = 0;
}

int log_printf(const char *format, ...) {
    va_list values;
    if (sizeof lines - pending < 80) flush();
    va_start(values, format);
    const int length = vsnprintf(lines + pending, 80, format, values);
    va_end(values);
    pending += (size_t)length;
    return length;
}

static uint32_t seed = 4321;

static uint32_t below(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

/* vsnprintf() may call for memory, and does not here. */
void *_sbrk(ptrdiff_t more);
void *_sbrk(ptrdiff_t more) {
    (void)more;
    return (void *)-1;
}

int main(void) {
    void *live[LIVE] = {NULL};
    file = semihosting_open("heap.log", SEMIHOSTING_WRITE);
    for (uint32_t i = 0; i < EVENTS; i++) {
        const uint32_t slot = below(LIVE);
        log_tick += below(3);
        if (live[slot] != NULL) {
            vPortFree(live[slot]);
            live[slot] = NULL;
        } else if (below(2) == 0) {
            live[slot] = pvPortCalloc(1 + below(4), below(100));
        } else {
            live[slot] = pvPortMalloc(below(50) == 0 ? 5000 : below(400));
        }
    }
    RHL_END();
    flush();
    return 0;
}

/* Calls the log's macros as some kernel would: lines "m ADDRESS SIZE TICK" and "f ADDRESS SIZE
 * TICK" on standard input. */
#include "FreeRTOS.h"
#include "task.h"

#include "rh_log.h"

static TickType_t now;

TickType_t xTaskGetTickCount(void) {
    return now;
}

int main(void) {
    char op;
    unsigned long address, size, tick;
    while (scanf(" %c %lx %lu %lu", &op, &address, &size, &tick) == 4) {
        now = (TickType_t)tick;
        if (op == 'm')
            traceMALLOC((void *)address, size);
        else
            traceFREE((void *)address, size);
    }
    return 0;
}

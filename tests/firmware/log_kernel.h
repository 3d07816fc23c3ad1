/* What the FreeRTOSConfig.h of an application with the log has. */
#define configTOTAL_HEAP_SIZE ((size_t)6144)
#define configAPPLICATION_ALLOCATED_HEAP 1

extern unsigned long log_tick;
int log_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define RHL_PRINTF log_printf
#define RHL_TICK() log_tick
#include "rh_log.h"

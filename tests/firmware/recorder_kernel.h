/* What the FreeRTOSConfig.h of an application with the recorder has. */
#define configTOTAL_HEAP_SIZE ((size_t)6144)
#define configHEAP_CLEAR_MEMORY_ON_FREE 0
#define configAPPLICATION_ALLOCATED_HEAP 1
#include "rh_recorder_freertos.h"

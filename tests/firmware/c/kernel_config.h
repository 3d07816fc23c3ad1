/*
 * The configuration of kernel_main.c and of its drop-in file: all is on, but configASSERT() with
 * -DTEST_LINES=0.
 */
#define configTOTAL_HEAP_SIZE 4096
#define configAPPLICATION_ALLOCATED_HEAP 1
#define configUSE_MALLOC_FAILED_HOOK 1
#define configHEAP_CLEAR_MEMORY_ON_FREE 1
#define configENABLE_HEAP_PROTECTOR 1
#define configRTOSHEAP_STATISTICS 1

void vAssertAt(int line);
#if TEST_LINES
#define configASSERT(x)                                                                            \
    if (!(x)) vAssertAt(__LINE__)
#endif

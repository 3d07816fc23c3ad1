/*
 * A stand-in for a kernel's task.h. Without -DTEST_SCHEDULER=1 the scheduler's calls are empty: so
 * sizes and speeds are the heap's own.
 */
#ifndef INC_TASK_H
#define INC_TASK_H

#define tskKERNEL_VERSION_MAJOR (TEST_KERNEL / 10000)
#define tskKERNEL_VERSION_MINOR (TEST_KERNEL / 100 % 100)
#define tskKERNEL_VERSION_BUILD (TEST_KERNEL % 100)

#if defined(TEST_SCHEDULER) && TEST_SCHEDULER
void vTaskSuspendAll(void) PRIVILEGED_FUNCTION;
BaseType_t xTaskResumeAll(void) PRIVILEGED_FUNCTION;
void vTestEnterCritical(void);
void vTestExitCritical(void);
#define taskENTER_CRITICAL() vTestEnterCritical()
#define taskEXIT_CRITICAL() vTestExitCritical()
#else
#define vTaskSuspendAll()
#define xTaskResumeAll() pdFALSE
#define taskENTER_CRITICAL()
#define taskEXIT_CRITICAL()
#endif

#endif

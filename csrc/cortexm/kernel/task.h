/*
 * A stand-in for a kernel's task.h. Without -DTEST_SCHEDULER=1 the scheduler's calls are empty: so
 * sizes and speeds are the heap's own.
 */
#ifndef INC_TASK_H
#define INC_TASK_H

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

/*
 * Test data: control blocks, and lists of them, under the names that a kernel gives its own. Only
 * the names are a kernel's; where a member lies, the debug information says.
 */
#include "device_tasks.h"

#define PRIORITIES 5u
#define NAME_BYTES 16u
#define STACK_FILL 0xA5A5A5A5u
#define FRAME_WORDS 16u
#define KEPT __attribute__((used))

typedef struct xLIST_ITEM {
    uint32_t xItemValue;
    struct xLIST_ITEM *pxNext;
    struct xLIST_ITEM *pxPrevious;
    void *pvOwner;
    struct xLIST *pxContainer;
} ListItem_t;

typedef struct xMINI_LIST_ITEM { /* begins as an item does */
    uint32_t xItemValue;
    ListItem_t *pxNext;
    ListItem_t *pxPrevious;
} MiniListItem_t;

typedef struct xLIST {
    uint32_t uxNumberOfItems;
    ListItem_t *pxIndex;
    MiniListItem_t xListEnd;
} List_t;

typedef struct tskTaskControlBlock {
    volatile uint32_t *pxTopOfStack;
    ListItem_t xStateListItem;
    ListItem_t xEventListItem;
    uint32_t uxPriority;
    uint32_t *pxStack;
    char pcTaskName[NAME_BYTES];
} TCB_t;

_Static_assert(sizeof(TCB_t) <= TASK_BYTES, "a control block has so many bytes");

#if TASK_CORES
KEPT TCB_t *volatile pxCurrentTCBs[TASK_CORES];
#else
KEPT TCB_t *volatile pxCurrentTCB;
#define TASK_CORES 1
#define pxCurrentTCBs (&pxCurrentTCB)
#endif
KEPT static List_t pxReadyTasksLists[PRIORITIES];
KEPT static List_t xDelayedTaskList1;
KEPT static List_t xDelayedTaskList2;
KEPT static List_t *volatile pxDelayedTaskList;
KEPT static List_t *volatile pxOverflowDelayedTaskList;
KEPT static List_t xPendingReadyList;
KEPT static List_t xTasksWaitingTermination;
KEPT static List_t xSuspendedTaskList;
KEPT static volatile uint32_t uxCurrentNumberOfTasks;

KEPT static TCB_t xStaticTask;
KEPT static uint32_t uxStaticStack[64];

static ListItem_t *end_of(List_t *list) {
    return (ListItem_t *)(void *)&list->xListEnd;
}

static void empty(List_t *list) {
    list->uxNumberOfItems = 0;
    list->pxIndex = end_of(list);
    list->xListEnd.xItemValue = UINT32_MAX;
    list->xListEnd.pxNext = list->xListEnd.pxPrevious = end_of(list);
}

/* As the last of a list. */
static void append(List_t *list, ListItem_t *item) {
    ListItem_t *last = list->xListEnd.pxPrevious;
    item->pxNext = end_of(list);
    item->pxPrevious = last;
    last->pxNext = item;
    list->xListEnd.pxPrevious = item;
    item->pxContainer = list;
    list->uxNumberOfItems++;
}

void tasks_prepare(void) {
    for (unsigned i = 0; i < PRIORITIES; i++)
        empty(&pxReadyTasksLists[i]);
    empty(&xDelayedTaskList1);
    empty(&xDelayedTaskList2);
    empty(&xPendingReadyList);
    empty(&xTasksWaitingTermination);
    empty(&xSuspendedTaskList);
    pxDelayedTaskList = &xDelayedTaskList1;
    pxOverflowDelayedTaskList = &xDelayedTaskList2;
}

void tasks_create(void *control, uint32_t *stack, size_t words, const char *name,
                  enum task_state state) {
    TCB_t *task = control;
    *task = (TCB_t){.pxStack = stack, .uxPriority = 1 + uxCurrentNumberOfTasks % 3};
    for (size_t i = 0; i < words; i++)
        stack[i] = i < words - FRAME_WORDS ? STACK_FILL : (uint32_t)i;
    task->pxTopOfStack = stack + words - FRAME_WORDS;
    for (size_t i = 0; i + 1 < NAME_BYTES && name[i] != '\0'; i++)
        task->pcTaskName[i] = name[i];
    task->xStateListItem.pvOwner = task->xEventListItem.pvOwner = task;
    List_t *list = state == TASK_READY     ? &pxReadyTasksLists[task->uxPriority]
                   : state == TASK_DELAYED ? pxDelayedTaskList
                                           : &xSuspendedTaskList;
    append(list, &task->xStateListItem);
    for (unsigned core = 0; core < TASK_CORES; core++) {
        if (pxCurrentTCBs[core] != NULL) continue;
        pxCurrentTCBs[core] = task;
        break;
    }
    uxCurrentNumberOfTasks++;
}

void tasks_create_static(void) {
    tasks_create(&xStaticTask, uxStaticStack, sizeof uxStaticStack / sizeof uxStaticStack[0],
                 "logger", TASK_SUSPENDED);
}

/*
 * A program with tasks and blocks, as a debugger finds it: it sets all up and stops. The tasks'
 * lists and types bear a kernel's names; where their members lie is only in the debug information.
 */
#include "FreeRTOS.h"
#include "task.h"

#include <string.h>

#if DEVICE_HEAP == 5
static uint8_t ucSpace[8192];
const HeapRegion_t xRegions[] = {{ucSpace, 2048}, {ucSpace + 4096, 4096}, {NULL, 0}};
#endif

typedef struct item {
    void *pxContainer;
    uint32_t xItemValue;
    struct item *pxNext, *pxPrevious;
    void *pvOwner;
} ListItem_t;

typedef struct {
    void *pad;
    uint32_t xItemValue;
    struct item *pxNext, *pxPrevious; /* where an item has them */
} MiniListItem_t;

typedef struct {
    unsigned uxNumberOfItems;
    ListItem_t *pxIndex;
    MiniListItem_t xListEnd;
} List_t;

typedef struct tskTaskControlBlock {
    volatile size_t *pxTopOfStack;
    ListItem_t xStateListItem;
    unsigned uxPriority;
    size_t *pxStack;
    char pcTaskName[12];
} TCB_t;

TCB_t *volatile pxCurrentTCB;
static List_t pxReadyTasksLists[3];
static List_t xDelayedTaskList1, xSuspendedTaskList;
static TCB_t xStaticTCB;
static size_t uxStaticStack[64];

struct {
    int count;
    void *queue;
    struct {
        char *text;
    } inner[2];
} app;
char *app_end;
volatile int device_stopped;

static void prepare(List_t *list) {
    list->xListEnd.pxNext = list->xListEnd.pxPrevious = (ListItem_t *)(void *)&list->xListEnd;
}

static void append(List_t *list, ListItem_t *item) {
    ListItem_t *last = list->xListEnd.pxPrevious;
    item->pxNext = (ListItem_t *)(void *)&list->xListEnd;
    item->pxPrevious = last;
    last->pxNext = item;
    list->xListEnd.pxPrevious = item;
    item->pxContainer = list;
    list->uxNumberOfItems++;
}

static TCB_t *begin(TCB_t *tcb, size_t *stack, size_t words, const char *name, List_t *list) {
    memset(tcb, 0, sizeof *tcb);
    memset(stack, 0xA5, words * sizeof *stack);
    for (size_t i = 0; name[i] != '\0'; i++)
        tcb->pcTaskName[i] = name[i];
    tcb->pxStack = stack;
    tcb->pxTopOfStack = stack + words - 8;
    tcb->xStateListItem.pvOwner = tcb;
    append(list, &tcb->xStateListItem);
    return tcb;
}

static TCB_t *create(size_t words, const char *name, List_t *list) {
    size_t *stack = pvPortMalloc(words * sizeof *stack);
    TCB_t *tcb = pvPortMalloc(sizeof *tcb);
    return begin(tcb, stack, words, name, list);
}

void device_stop(void) {
    device_stopped = 1;
}

void device_run(void) {
#if DEVICE_HEAP == 5
    vPortDefineHeapRegions(xRegions);
#endif
    for (unsigned i = 0; i < 3; i++)
        prepare(&pxReadyTasksLists[i]);
    prepare(&xDelayedTaskList1);
    prepare(&xSuspendedTaskList);
    pxCurrentTCB = create(64, "main", &pxReadyTasksLists[1]);
    TCB_t *sensor = create(48, "sensor", &xDelayedTaskList1);
    (void)begin(&xStaticTCB, uxStaticStack, 64, "static", &xSuspendedTaskList);
    (void)create(32, "idle", &pxReadyTasksLists[0]);
    app.queue = pvPortMalloc(96);
    app.inner[1].text = (char *)pvPortMalloc(40) + 4;
    void *hole = pvPortMalloc(200);
    void *hidden = pvPortMalloc(24);
    ((void **)app.queue)[3] = hidden;
    sensor->pxStack[46] = (size_t)hidden; /* in what is live of its stack */
    sensor->pxStack[2] = (size_t)hidden;  /* and in what is not */
    app_end = pvPortMalloc(16);
    vPortFree(hole);
    device_stop();
}

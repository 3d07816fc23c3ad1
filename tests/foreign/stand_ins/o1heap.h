/* What the README's adapter for o1heap calls; stand_in.c has it. */
#ifndef O1HEAP_H
#define O1HEAP_H
#include <stddef.h>

typedef struct O1HeapInstance O1HeapInstance;
typedef struct {
    size_t capacity, allocated;
} O1HeapDiagnostics;
O1HeapInstance *o1heapInit(void *base, size_t size);
void *o1heapAllocate(O1HeapInstance *heap, size_t amount);
void o1heapFree(O1HeapInstance *heap, void *pointer);
O1HeapDiagnostics o1heapGetDiagnostics(const O1HeapInstance *heap);
#endif

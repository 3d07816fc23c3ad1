/* simple.c behind the names that the README's adapters call. */
#define TELLS
#define REALLOCATES
#define rh_foreign_init simple_init
#define rh_foreign_malloc simple_malloc
#define rh_foreign_free simple_free
#define rh_foreign_realloc simple_realloc
#define rh_foreign_aligned simple_aligned
#define rh_foreign_usable_size simple_usable_size
#define rh_foreign_free_size simple_free_size
#define rh_foreign_walk simple_walk
#include "../simple.c"

#include "o1heap.h"
#include "tlsf.h"
#include "umm_malloc.h"

#pragma weak UMM_MALLOC_CFG_HEAP_ADDR /* umm_malloc's adapter has them */
#pragma weak UMM_MALLOC_CFG_HEAP_SIZE

static size_t whole;

tlsf_t tlsf_create_with_pool(void *memory, size_t size) {
    whole = size;
    return simple_init(memory, size) ? memory : NULL;
}

void *tlsf_malloc(tlsf_t tlsf, size_t size) {
    (void)tlsf;
    return simple_malloc(size);
}

void *tlsf_memalign(tlsf_t tlsf, size_t alignment, size_t size) {
    (void)tlsf;
    return simple_aligned(alignment, size);
}

void *tlsf_realloc(tlsf_t tlsf, void *memory, size_t size) {
    (void)tlsf;
    return simple_realloc(memory, size);
}

void tlsf_free(tlsf_t tlsf, void *memory) {
    (void)tlsf;
    simple_free(memory);
}

size_t tlsf_block_size(void *memory) {
    return simple_usable_size(memory);
}

void *tlsf_get_pool(tlsf_t tlsf) {
    return tlsf;
}

void tlsf_walk_pool(void *pool, void (*walker)(void *, size_t, int, void *), void *user) {
    (void)pool;
    simple_walk(walker, user);
}

O1HeapInstance *o1heapInit(void *base, size_t size) {
    return tlsf_create_with_pool(base, size);
}

void *o1heapAllocate(O1HeapInstance *heap, size_t amount) {
    return tlsf_malloc(heap, amount);
}

void o1heapFree(O1HeapInstance *heap, void *pointer) {
    tlsf_free(heap, pointer);
}

O1HeapDiagnostics o1heapGetDiagnostics(const O1HeapInstance *heap) {
    (void)heap;
    return (O1HeapDiagnostics){whole, whole - simple_free_size()};
}

void umm_init(void) {
    simple_init(UMM_MALLOC_CFG_HEAP_ADDR, UMM_MALLOC_CFG_HEAP_SIZE);
}

void *umm_malloc(size_t size) {
    return simple_malloc(size);
}

void *umm_realloc(void *memory, size_t size) {
    return simple_realloc(memory, size);
}

void umm_free(void *memory) {
    simple_free(memory);
}

/* What the README's adapter for umm_malloc calls; stand_in.c has it. */
#ifndef UMM_MALLOC_H
#define UMM_MALLOC_H
#include <stddef.h>
#include <stdint.h>

extern void *UMM_MALLOC_CFG_HEAP_ADDR;
extern uint32_t UMM_MALLOC_CFG_HEAP_SIZE;
void umm_init(void);
void *umm_malloc(size_t size);
void *umm_realloc(void *memory, size_t size);
void umm_free(void *memory);
#endif

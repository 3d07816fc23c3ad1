/* What the README's adapter for TLSF calls; stand_in.c has it. */
#ifndef TLSF_H
#define TLSF_H
#include <stddef.h>

typedef void *tlsf_t;
tlsf_t tlsf_create_with_pool(void *memory, size_t size);
void *tlsf_malloc(tlsf_t tlsf, size_t size);
void *tlsf_memalign(tlsf_t tlsf, size_t alignment, size_t size);
void *tlsf_realloc(tlsf_t tlsf, void *memory, size_t size);
void tlsf_free(tlsf_t tlsf, void *memory);
size_t tlsf_block_size(void *memory);
void *tlsf_get_pool(tlsf_t tlsf);
void tlsf_walk_pool(void *pool, void (*walker)(void *, size_t, int, void *), void *user);
#endif

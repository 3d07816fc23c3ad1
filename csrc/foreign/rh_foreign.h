/*
 * Your own allocator under rtosheap's replay: what an adapter defines.
 *
 * An adapter is one C or C++ file that includes this header and your allocator's, and defines the
 * three functions that are needed and, of the five optional ones, those that the allocator has. One
 * source serves the host, as a shared library that ForeignHeap.load() takes:
 *
 *     cc -O2 -fPIC -shared adapter.c tlsf.c -o libtlsf.so
 *
 * (-m32 gives it the layout of a 32-bit target), and the device, where it is linked with the image
 * that is measured. It needs C99 and no library. The shortest one for TLSF:
 *
 *     static tlsf_t tlsf;
 *     bool rh_foreign_init(void *memory, size_t size) {
 *         tlsf = tlsf_create_with_pool(memory, size);
 *         return tlsf != NULL;
 *     }
 *     void *rh_foreign_malloc(size_t size) {
 *         return tlsf_malloc(tlsf, size);
 *     }
 *     void rh_foreign_free(void *memory) {
 *         tlsf_free(tlsf, memory);
 *     }
 */
#ifndef RH_FOREIGN_H
#define RH_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Found in a shared library whatever -fvisibility says. What is optional is weak: who calls it
 * tests its address, in a static image too, and an adapter that leaves it out links. */
#define RH_FOREIGN __attribute__((visibility("default")))
#define RH_FOREIGN_OPTIONAL __attribute__((visibility("default"), weak))

/* ---- needed ---- */

/* Makes the allocator ready to hand out of these `size` bytes, and of no others. Called once,
 * before all else, in a program that has just started. `memory` has the alignment of the arena's
 * address on the target. The bytes hold anything. False: it cannot (too small, say). */
RH_FOREIGN bool rh_foreign_init(void *memory, size_t size);

/* A block of at least `size` bytes; NULL where none can be had. Of 0 bytes: NULL, or a block that
 * shares its address with no other. */
RH_FOREIGN void *rh_foreign_malloc(size_t size);

/* Takes a block back that malloc, realloc or aligned gave: never NULL, never twice. */
RH_FOREIGN void rh_foreign_free(void *memory);

/* ---- optional: what is left out is absent from the results, not 0 ---- */

/* As C's: the block, moved or not, with its bytes up to the smaller size; NULL, and the old block
 * stays, where none can be had. `memory` is never NULL, `size` never 0.
 * Left out: malloc, copy, free, as on FreeRTOS. */
RH_FOREIGN_OPTIONAL void *rh_foreign_realloc(void *memory, size_t size);

/* A block whose address is a multiple of `alignment`, a power of two; NULL where none can be had.
 * Left out: ForeignHeap.memalign() raises. No event of a trace calls it. */
RH_FOREIGN_OPTIONAL void *rh_foreign_aligned(size_t alignment, size_t size);

/* Bytes that the program may use of a live block: what was asked for, and what rounding added.
 * Left out: no column block_size. */
RH_FOREIGN_OPTIONAL size_t rh_foreign_usable_size(void *memory);

/* Bytes that are free now, in all, as the allocator counts them.
 * Left out: no column free_size. */
RH_FOREIGN_OPTIONAL size_t rh_foreign_free_size(void);

/* What rh_foreign_walk() calls: a block's address, the bytes that a program could use there, and 0
 * of a free block. */
typedef void (*rh_foreign_visitor)(void *memory, size_t size, int used, void *context);

/* Calls visit() for each free block, and if you like for each used one, in any order. It changes
 * nothing.
 * Left out: no columns largest_free_block and free_block_count; whether a failure is due to
 * fragmentation is not known. */
RH_FOREIGN_OPTIONAL void rh_foreign_walk(rh_foreign_visitor visit, void *context);

#ifdef __cplusplus
}
#endif

#endif

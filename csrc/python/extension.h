/*
 * What the files of the extension share: the module's state, the heap object, and small helpers.
 *
 * Limited API of CPython 3.11, multi-phase initialisation, heap types only, no static state (but
 * for what forks.c keeps of the process).
 */
#ifndef RTOSHEAP_EXTENSION_H
#define RTOSHEAP_EXTENSION_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "ops.h"
#include "versions.h"

/* --- the module ------------------------------------------------------------------------------ */

struct core_state {
    PyTypeObject *arena_type;
    PyTypeObject *loan_type;
    PyTypeObject *heap_type; /* the base of all */
    PyTypeObject *heap_types[RH_KINDS];
    PyObject *heap_error;
    PyObject *invalid_free_error;
    PyObject *double_free_error;
    PyObject *corruption_error;
    PyObject *assertion_error;
};

extern struct PyModuleDef core_module;

/* The state of the module that defined `type` or one of its bases; NULL with an exception. */
struct core_state *core_state_of_type(PyTypeObject *type);

/* --- one region's memory (arena.c) ------------------------------------------------------------ */

struct arena {
    PyObject_HEAD PyObject *memory; /* what the user gave */
    Py_buffer buffer;               /* pins it */
    uint64_t address;
};

extern PyType_Spec core_arena_spec;

/* An arena over `memory`, an int below `limit` or a writable contiguous buffer; NULL with an
 * exception. */
struct arena *core_arena_new(struct core_state *core, PyObject *memory, const char *name,
                             uint64_t limit);
/* PyObject_GetBuffer(), but for memory that holds pointers, which nobody but their owner may write:
 * a TypeError that names the argument. */
int core_get_plain_buffer(PyObject *object, Py_buffer *view, int flags, const char *name);

/* --- heaps --------------------------------------------------------------------------------------
 */

struct heap {
    PyObject_HEAD struct core_state *core;
    const struct rh_ops *ops; /* NULL: the C library of this process, Heap3.host() */
    void *state;
    PyObject *arenas;      /* tuple of struct arena */
    unsigned char *shadow; /* those of all arenas, one after the other; NULL before a set-up */
    PyObject *weak_references;
    bool busy; /* being made, or replaying without the GIL; changes under the GIL only */
    unsigned replaying_in; /* forks_generation() of the last replay; 0: there was none */

    uint64_t alignment;
    uint64_t canary;
    uint64_t end_marker;
    bool has_canary;
    bool clear_on_free;
    size_t kernel; /* its place in rh_kernels, the newest for heap_3 */
    enum rh_nano_version newlib;
    struct rh_policy policy; /* of a policy heap */

    PyObject *host_blocks; /* address -> size of a live block, or None: freed */
    PyObject *host_loans;  /* address -> number of views */
    uint64_t host_failed;
    uint64_t host_allocations;
    uint64_t host_frees;
};

/* An address as a method was given it: the int, or that it is none of 64 bits. */
struct given_address {
    uint64_t value;
    bool is_word;
};

extern PyType_Spec core_heap_spec;
extern PyType_Spec core_heap_specs[5];
extern PyType_Spec core_policy_spec;

Py_ssize_t heap_arena_count(const struct heap *heap);
struct arena *heap_arena(const struct heap *heap, Py_ssize_t i);

/* heap.c: what each type has. */
void heap_dealloc(PyObject *self);
int heap_traverse(PyObject *self, visitproc visit, void *arg);

/* look.c */
PyObject *heap_stats(PyObject *self, PyObject *const *args, Py_ssize_t given);
PyObject *heap_blocks(PyObject *self, PyObject *const *args, Py_ssize_t given);
PyObject *heap_free_blocks(PyObject *self, PyObject *unused);
PyObject *heap_check(PyObject *self, PyObject *unused);
PyObject *heap_region_pairs(PyObject *self, PyObject *unused);
PyObject *heap_region_views(PyObject *self, PyObject *unused);

/* construct.c: an empty object of `type`; the set-up over arenas; what tp_new of each type does. */
struct heap *heap_allocate(PyTypeObject *type);
/* The versions of the kernel and of newlib by name, the newest by default; -1 with an exception. */
int heap_take_versions(struct heap *heap, PyObject *kernel, PyObject *newlib);
/* FreeRTOS's are of a kernel, but for heap_3, which is of a C library. */
bool heap_has_kernel(const struct heap *heap);
/* What its kernel does otherwise than the newest, enum rh_old. */
unsigned heap_old(const struct heap *heap);
/* Bytes of a header, rounded up to the alignment. */
uint64_t heap_header_bytes(const struct heap *heap);
/* Set-up writes the arenas, or the shadows in their place: a restored arena is kept. */
int heap_set_up(struct heap *heap, bool on_shadow);
/* The state over its arenas, not yet set up: for copy() and _restore(), too. */
int heap_prepare(struct heap *heap, PyObject *arenas);
/* A ValueError where two of the arenas, which argument `name` gave, share memory. */
int heap_test_overlap(PyObject *arenas, const char *name);
/* The memory that the state is to refer to, the arenas or the shadows in their place; to be freed
 * with PyMem_Free(). NULL with an exception. */
struct rh_setup_region *heap_regions(const struct heap *heap, bool on_shadow);
/* The same after the shadows gave way to new ones, all zero. */
struct rh_setup_region *heap_renew_shadow(struct heap *heap, bool on_shadow);
int heap_attach(struct heap *heap);
void heap_drop_state(struct heap *heap);
PyObject *heap1_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
PyObject *heap2_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
PyObject *heap3_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
PyObject *heap4_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
PyObject *heap5_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
PyObject *policy_heap_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);

/* policy.c */
PyObject *policy_get(PyObject *self, void *unused);
PyObject *policy_get_nodes(PyObject *self, void *unused);
/* A policy as Python has it, (fit, order, coalesce, split, cut, classes); the way back is false
 * with an exception. */
PyObject *policy_tuple(const struct rh_policy *policy);
bool policy_take(PyObject *tuple, struct rh_policy *policy);

/* --- what walks see, without a Python object made meanwhile (collect.c) -------------------------
 */

/* Making one can run a finaliser, which may call the very heap that is being walked. */
struct collected {
    uint64_t *values;
    size_t count;
    size_t room;
    bool failed; /* out of memory */
};

/* Visitors whose context is a struct collected: a block as address, size, allocated; or an address.
 */
bool collect_block(void *collected, uint64_t address, uint64_t size, bool allocated);
bool collect_entry(void *collected, uint64_t address, uint64_t size, bool allocated);
bool collect_address(void *collected, uint64_t address);
void collect_drop(struct collected *collected);

/* snapshot.c */
PyObject *heap_copy(PyObject *self, PyObject *unused);
PyObject *heap_snapshot(PyObject *self, PyObject *unused);
PyObject *heap_reduce(PyObject *self, PyObject *unused);
PyObject *core_restore(PyObject *module, PyObject *args);

/* libc_heap.c */
PyObject *heap3_host(PyObject *type, PyObject *unused);
PyObject *host_malloc(struct heap *heap, uint64_t size, bool zeroed);
PyObject *host_free(struct heap *heap, struct given_address address);
PyObject *host_view(struct heap *heap, struct given_address address);
PyObject *host_usable_size(struct heap *heap, struct given_address address);
PyObject *host_is_live(struct heap *heap, struct given_address address);
void host_release_all(struct heap *heap);
extern PyType_Spec core_loan_spec;

/* replay_binding.c */
PyObject *core_replay(PyObject *module, PyObject *const *args, Py_ssize_t count);
/* The names of columns and of failures, as tuples. */
PyObject *core_column_names(void);
PyObject *core_failure_names(void);
/* What a replay keeps of each id, in bytes. */
long core_slot_bytes(void);

/* sizes_binding.c */
PyObject *core_best_fit_sizes(PyObject *module, PyObject *args);
PyObject *core_best_fit_sizes_beside(PyObject *module, PyObject *args);
PyObject *core_sbrk_sizes(PyObject *module, PyObject *args);

/* --- guards and errors (errors.c) ---------------------------------------------------------------
 */

/* Opens every call, after the last Python code that it may run: false with an exception while a
 * replay runs, and while the heap is being made. */
bool heap_ready(const struct heap *heap);
/* NotImplementedError for what Heap3.host() does not have; the second tests heap_ready() too. */
bool heap_has_arena(const struct heap *heap, const char *what);
bool heap_ready_arena(const struct heap *heap, const char *what);

/* What RH_ASSERTION stands for: HeapAssertionError, or HeapError where it is no assertion. Returns
 * NULL. */
PyObject *heap_raise_assertion(const struct heap *heap, const char *method);
/* HeapCorruptionError from the heap's last fault. Returns NULL. */
PyObject *heap_raise_last_fault(struct heap *heap, int64_t event);
/* What free() found, and InvalidFreeError. Return NULL. */
PyObject *heap_raise_free(struct heap *heap, struct given_address address, enum rh_status status);
PyObject *heap_raise_not_live(const struct heap *heap, const char *method,
                              struct given_address address, enum rh_status status);

/* --- forks (forks.c) -----------------------------------------------------------------------------
 */

/* Once per process; -1 with an exception. */
int forks_watch(void);
/* Between them, without the GIL, no fork begins. */
void forks_hold_off(void);
void forks_let_go(void);
/* From 1 up: another number in a child than in the process that was forked. */
unsigned forks_generation(void);

/* --- numbers (convert.c) -------------------------------------------------------------------------
 */

/* A size in [0, max]: TypeError, ValueError below 0, OverflowError above. False with it raised. */
bool convert_size(PyObject *object, const char *name, uint64_t max, uint64_t *value);
/* An option in [0, max]: TypeError, else ValueError. */
bool convert_option(PyObject *object, const char *name, uint64_t max, uint64_t *value);
/* An address; false with a TypeError for what is no int. */
bool convert_address(PyObject *object, struct given_address *address);
PyObject *hexadecimal(uint64_t value);
PyObject *number_or_none(bool known, uint64_t value);

#endif

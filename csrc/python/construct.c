/* Constructors: from Python's arguments to a heap that is set up. */
#include "extension.h"

#include <stdlib.h>

#define DEFAULT_BASE 0x20000000u
#define DEFAULT_ALIGNMENT 8u

Py_ssize_t heap_arena_count(const struct heap *heap) {
    return heap->arenas == NULL ? 0 : PyTuple_Size(heap->arenas);
}

struct arena *heap_arena(const struct heap *heap, Py_ssize_t i) {
    return (struct arena *)PyTuple_GetItem(heap->arenas, i);
}

/* Busy until it is made: the collector lets finalisers see a heap before its constructor ends. */
struct heap *heap_allocate(PyTypeObject *type) {
    struct core_state *core = core_state_of_type(type);
    if (core == NULL) return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct heap *heap = (struct heap *)allocate(type, 0);
    if (heap == NULL) return NULL;
    heap->core = core;
    heap->busy = true;
    return heap;
}

struct rh_setup_region *heap_regions(const struct heap *heap, bool on_shadow) {
    const Py_ssize_t count = heap_arena_count(heap);
    struct rh_setup_region *regions = PyMem_Calloc((size_t)count + 1, sizeof *regions);
    if (regions == NULL) PyErr_NoMemory();
    unsigned char *shadow = heap->shadow;
    for (Py_ssize_t i = 0; regions != NULL && i < count; i++) {
        const struct arena *arena = heap_arena(heap, i);
        struct rh_setup_region region = {arena->address, (uint64_t)arena->buffer.len,
                                         on_shadow ? shadow : arena->buffer.buf, shadow};
        regions[i] = region;
        if (shadow != NULL) shadow += heap->ops->shadow_bytes(region.size, heap->alignment);
    }
    return regions;
}

int heap_attach(struct heap *heap) {
    struct rh_setup_region *regions = heap_regions(heap, false);
    if (regions == NULL) return -1;
    heap->ops->attach(heap->state, regions);
    PyMem_Free(regions);
    return 0;
}

void heap_drop_state(struct heap *heap) {
    if (heap->ops != NULL && heap->ops->end != NULL && heap->state != NULL)
        heap->ops->end(heap->state);
    PyMem_Free(heap->state);
    heap->state = NULL;
}

uint64_t heap_header_bytes(const struct heap *heap) {
    const uint64_t words = 2 * (uint64_t)heap->ops->word_bytes;
    return (words + heap->alignment - 1) / heap->alignment * heap->alignment;
}

static void raise_alignment(const struct heap *heap) {
    PyErr_Format(PyExc_ValueError, "alignment must be %s with word_size=%d, not %llu",
                 heap->ops->word_bytes == 4 ? "4, 8, 16 or 32" : "8, 16 or 32",
                 heap->ops->word_bytes, (unsigned long long)heap->alignment);
}

static void raise_marker(const struct heap *heap, unsigned long long size, PyObject *address) {
    PyObject *marker = hexadecimal(heap->end_marker);
    if (marker == NULL) return;
    PyErr_Format(PyExc_ValueError,
                 "end_marker_address must be a multiple of %d, not 0 and outside the arena of "
                 "%llu bytes at %U, not %U",
                 heap->ops->word_bytes, size, address, marker);
    Py_DECREF(marker);
}

/* The status of a refused set-up, as a ValueError that says what would be right. */
static void raise_set_up(const struct heap *heap, enum rh_status status, size_t wrong) {
    const struct rh_ops *ops = heap->ops;
    const struct arena *arena = heap_arena(heap, (Py_ssize_t)wrong);
    const unsigned long long size = (unsigned long long)arena->buffer.len;
    char which[40], whose[16] = "this policy";
    if (ops->kind != RH_KIND_POLICY) PyOS_snprintf(whose, sizeof whose, "heap_%d", ops->kind);
    if (ops->has_regions)
        PyOS_snprintf(which, sizeof which, "regions[%d]", (int)wrong);
    else
        PyOS_snprintf(which, sizeof which, "memory");
    PyObject *address = hexadecimal(arena->address);
    if (address == NULL) return;
    switch (status) {
    case RH_TOO_SMALL:
        PyErr_Format(PyExc_ValueError,
                     "%s of %llu bytes at %U is too small for %s's bookkeeping (header of "
                     "%llu bytes, alignment %llu)",
                     which, size, address, whose, (unsigned long long)heap_header_bytes(heap),
                     (unsigned long long)heap->alignment);
        break;
    case RH_BAD_ALIGNMENT: raise_alignment(heap); break;
    case RH_OUT_OF_RANGE:
        PyErr_Format(PyExc_ValueError,
                     "%s of %llu bytes at %U reaches past the range of %d-byte words (addresses "
                     "end at 2^%d, sizes must leave the top bit)",
                     which, size, address, ops->word_bytes, 8 * ops->word_bytes);
        break;
    case RH_NOT_ASCENDING:
        PyErr_Format(PyExc_ValueError,
                     "%s at %U overlaps the one before it, or regions are not in ascending order",
                     which, address);
        break;
    case RH_AT_ZERO:
        PyErr_Format(PyExc_ValueError, "%s must be above 0: a block at address 0 would be NULL",
                     ops->has_regions ? "a region's address" : "base_address");
        break;
    case RH_BAD_POLICY:
        PyErr_SetString(PyExc_ValueError,
                        "policy: a class of sizes has no order of sizes, and a split leaves at "
                        "least a header");
        break;
    case RH_NO_MEMORY:
        PyErr_Format(PyExc_MemoryError, "%s: there is no memory for an index of %llu bytes", which,
                     size);
        break;
    case RH_BAD_MARKER: raise_marker(heap, size, address); break;
    default: PyErr_Format(PyExc_ValueError, "set-up failed (%d)", (int)status); break;
    }
    Py_DECREF(address);
}

int heap_prepare(struct heap *heap, PyObject *arenas) {
    heap->arenas = Py_NewRef(arenas);
    const Py_ssize_t count = heap_arena_count(heap);
    heap->state = PyMem_Calloc(1, heap->ops->state_bytes((size_t)count));
    if (heap->state == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Bytes of all shadows; 0 for what set-up will refuse, whose size may not even be computable. */
static size_t all_shadow_bytes(const struct heap *heap) {
    const uint64_t a = heap->alignment;
    size_t bytes = 0;
    if (a < (uint64_t)heap->ops->word_bytes || a > 32 || (a & (a - 1)) != 0) return 0;
    for (Py_ssize_t i = 0; i < heap_arena_count(heap); i++) {
        const uint64_t size = (uint64_t)heap_arena(heap, i)->buffer.len;
        if (size > heap->ops->word_max / 2) return 0;
        bytes += heap->ops->shadow_bytes(size, a);
    }
    return bytes;
}

/* Always anew: memory that the system has zeroed costs nothing until it is used, however large the
 * arena is, and clearing it would touch all of it. */
struct rh_setup_region *heap_renew_shadow(struct heap *heap, bool on_shadow) {
    const size_t bytes = all_shadow_bytes(heap);
    unsigned char *const last = heap->shadow;
    heap->shadow = bytes == 0 ? NULL : calloc(1, bytes);
    struct rh_setup_region *regions = NULL;
    if (bytes != 0 && heap->shadow == NULL)
        PyErr_Format(
            PyExc_MemoryError,
            "the record of a heap's headers, %zu bytes, does not fit this machine's memory", bytes);
    else
        regions = heap_regions(heap, on_shadow);
    free(regions == NULL ? heap->shadow : last);
    if (regions == NULL) heap->shadow = last; /* the heap stays as it is */
    return regions;
}

bool heap_has_kernel(const struct heap *heap) {
    return heap->ops != NULL && !heap->ops->has_calls && heap->ops->kind != RH_KIND_POLICY;
}

unsigned heap_old(const struct heap *heap) {
    if (!heap_has_kernel(heap)) return 0;
    const unsigned old = rh_kernels[heap->kernel].old[heap->ops->kind - 1];
    return heap->has_canary ? old : old & ~(unsigned)RH_OLD_ASSERT; /* the heap protector's test */
}

int heap_set_up(struct heap *heap, bool on_shadow) {
    struct rh_setup_region *regions = heap_renew_shadow(heap, on_shadow);
    if (regions == NULL) return -1;
    const struct rh_setup setup = {.alignment = heap->alignment,
                                   .old = heap_old(heap),
                                   .newlib = heap->newlib,
                                   .policy = &heap->policy,
                                   .canary = heap->canary,
                                   .end_marker = heap->end_marker,
                                   .clear_on_free = heap->clear_on_free,
                                   .region_count = (size_t)heap_arena_count(heap),
                                   .regions = regions};
    size_t wrong = 0;
    enum rh_status status = heap->ops->init(heap->state, &setup, &wrong);
    PyMem_Free(regions);
    if (status == RH_OK) return 0;
    raise_set_up(heap, status, wrong);
    return -1;
}

/* What the constructors share, as Python gave it; NULL: not given. */
struct options {
    PyObject *base_address;
    PyObject *word_size;
    PyObject *alignment;
    int clear_on_free;
    PyObject *canary;
    PyObject *end_marker;
    PyObject *version; /* of the kernel; heap_3: of newlib */
};

static bool given(const PyObject *object) {
    return object != NULL && object != Py_None;
}

/* heap_2's marker lies just below the arena, where nothing of the heap is. */
static uint64_t default_end_marker(uint64_t base, const struct rh_ops *ops) {
    const uint64_t word = (uint64_t)ops->word_bytes;
    const uint64_t marker = (base - 2 * word) & ops->word_max & ~(word - 1);
    return marker != 0 ? marker : ops->word_max & ~(2 * word - 1);
}

/* The place of a version's name, the newest by default. The names that people use have become those
 * of the tables in Python. */
static bool take_version(PyObject *given_name, const char *option, size_t (*find)(const char *),
                         size_t count, size_t *place) {
    *place = count - 1;
    if (!given(given_name)) return true;
    if (!PyUnicode_Check(given_name)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str or None, not %R", option, given_name);
        return false;
    }
    const char *name = PyUnicode_AsUTF8AndSize(given_name, NULL);
    if (name == NULL) return false;
    *place = find(name);
    if (*place < count) return true;
    PyErr_Format(PyExc_ValueError, "%s is %R, which is no name of a release", option, given_name);
    return false;
}

int heap_take_versions(struct heap *heap, PyObject *kernel, PyObject *newlib) {
    size_t place;
    if (!take_version(kernel, "kernel", rh_find_kernel, rh_kernel_count, &heap->kernel) ||
        !take_version(newlib, "newlib", rh_find_newlib, RH_NANO_VERSIONS, &place))
        return -1;
    heap->newlib = (enum rh_nano_version)place;
    return 0;
}

/* Word size, alignment, canary and the like into the heap. */
static int take_options(struct heap *heap, int kind, const struct options *options) {
    uint64_t word = 4;
    if (options->word_size != NULL &&
        !convert_option(options->word_size, "word_size", UINT64_MAX, &word))
        return -1;
    if (word != 4 && word != 8) {
        PyErr_Format(PyExc_ValueError, "word_size must be 4 or 8, not %llu",
                     (unsigned long long)word);
        return -1;
    }
    heap->ops = rh_ops_find(kind, (int)word);
    heap->alignment = DEFAULT_ALIGNMENT;
    if (options->alignment != NULL &&
        !convert_option(options->alignment, "alignment", UINT64_MAX, &heap->alignment))
        return -1;
    if (heap->alignment > 32) {
        raise_alignment(heap);
        return -1;
    }
    if (heap_take_versions(heap, kind == 3 ? NULL : options->version,
                           kind == 3 ? options->version : NULL) != 0)
        return -1;
    heap->clear_on_free = options->clear_on_free != 0;
    heap->has_canary = given(options->canary);
    if (heap->has_canary &&
        !convert_option(options->canary, "canary", heap->ops->word_max, &heap->canary))
        return -1;
    if (given(options->end_marker) && !convert_option(options->end_marker, "end_marker_address",
                                                      heap->ops->word_max, &heap->end_marker))
        return -1;
    return 0;
}

static struct arena *make_arena(struct heap *heap, PyObject *memory, const char *name,
                                PyObject *address, const char *address_name) {
    uint64_t base = DEFAULT_BASE;
    if (address != NULL && !convert_option(address, address_name, heap->ops->word_max, &base))
        return NULL;
    struct arena *arena = core_arena_new(heap->core, memory, name, heap->ops->word_max / 2 + 1);
    if (arena != NULL) arena->address = base;
    return arena;
}

/* Two regions of one buffer would write each other's headers. */
int heap_test_overlap(PyObject *arenas, const char *name) {
    const Py_ssize_t count = PyTuple_Size(arenas);
    for (Py_ssize_t i = 0; i < count; i++)
        for (Py_ssize_t j = 0; j < i; j++) {
            const struct arena *a = (struct arena *)PyTuple_GetItem(arenas, i);
            const struct arena *b = (struct arena *)PyTuple_GetItem(arenas, j);
            const uintptr_t start_a = (uintptr_t)a->buffer.buf, start_b = (uintptr_t)b->buffer.buf;
            if (start_a - start_b >= (size_t)b->buffer.len &&
                start_b - start_a >= (size_t)a->buffer.len)
                continue;
            if (a->buffer.len == 0 || b->buffer.len == 0) continue;
            PyErr_Format(PyExc_ValueError, "%s[%zd] and %s[%zd] share memory", name, j, name, i);
            return -1;
        }
    return 0;
}

/* Takes over `heap` and `arenas`; NULL in it is an error that was raised. */
static PyObject *finish(struct heap *heap, PyObject *arenas) {
    int failed = arenas == NULL || heap_test_overlap(arenas, "regions") != 0 ||
                 heap_prepare(heap, arenas) != 0 || heap_set_up(heap, false) != 0;
    Py_XDECREF(arenas);
    if (failed)
        Py_CLEAR(heap);
    else
        heap->busy = false;
    return (PyObject *)heap;
}

static PyObject *new_over_memory(PyTypeObject *type, int kind, PyObject *memory,
                                 const struct options *options) {
    struct heap *heap = heap_allocate(type);
    if (heap == NULL) return NULL;
    if (take_options(heap, kind, options) != 0) {
        Py_DECREF(heap);
        return NULL;
    }
    struct arena *arena = make_arena(heap, memory, "memory", options->base_address, "base_address");
    if (arena == NULL) {
        Py_DECREF(heap);
        return NULL;
    }
    if (heap->ops->has_end_marker && !given(options->end_marker))
        heap->end_marker = default_end_marker(arena->address, heap->ops);
    PyObject *arenas = PyTuple_New(1);
    if (arenas == NULL)
        Py_DECREF(arena);
    else
        PyTuple_SetItem(arenas, 0, (PyObject *)arena);
    return finish(heap, arenas);
}

PyObject *heap1_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"memory", "base_address", "word_size", "alignment", "kernel", NULL};
    PyObject *memory;
    struct options options = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOO:Heap1", names, &memory,
                                     &options.base_address, &options.word_size, &options.alignment,
                                     &options.version))
        return NULL;
    return new_over_memory(type, 1, memory, &options);
}

PyObject *heap2_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"memory",        "base_address",       "word_size", "alignment",
                            "clear_on_free", "end_marker_address", "kernel",    NULL};
    PyObject *memory;
    struct options options = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOpOO:Heap2", names, &memory,
                                     &options.base_address, &options.word_size, &options.alignment,
                                     &options.clear_on_free, &options.end_marker, &options.version))
        return NULL;
    return new_over_memory(type, 2, memory, &options);
}

PyObject *heap3_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"memory", "base_address", "newlib", NULL};
    PyObject *memory;
    struct options options = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OO:Heap3", names, &memory,
                                     &options.base_address, &options.version))
        return NULL;
    return new_over_memory(type, 3, memory, &options);
}

PyObject *heap4_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"memory",        "base_address", "word_size", "alignment",
                            "clear_on_free", "canary",       "kernel",    NULL};
    PyObject *memory;
    struct options options = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOpOO:Heap4", names, &memory,
                                     &options.base_address, &options.word_size, &options.alignment,
                                     &options.clear_on_free, &options.canary, &options.version))
        return NULL;
    return new_over_memory(type, 4, memory, &options);
}

/* The arena of one (address, size or buffer) pair. */
static struct arena *arena_of_pair(struct heap *heap, PyObject *pair, Py_ssize_t i) {
    char name[48], address_name[48];
    PyOS_snprintf(name, sizeof name, "the memory of regions[%zd]", i);
    PyOS_snprintf(address_name, sizeof address_name, "the address of regions[%zd]", i);
    PyObject *items =
        PySequence_Check(pair) && !PyUnicode_Check(pair) ? PySequence_Tuple(pair) : NULL;
    if (items == NULL || PyTuple_Size(items) != 2) {
        if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError,
                         "regions[%zd] must be a pair (address, size or buffer), not %R", i, pair);
        Py_XDECREF(items);
        return NULL;
    }
    struct arena *arena =
        make_arena(heap, PyTuple_GetItem(items, 1), name, PyTuple_GetItem(items, 0), address_name);
    Py_DECREF(items);
    return arena;
}

/* The arenas of pairs (address, size or buffer); NULL with an exception. */
static PyObject *arenas_of_pairs(struct heap *heap, PyObject *regions) {
    PyObject *pairs = PySequence_Tuple(regions);
    if (pairs == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError,
                         "regions must be a sequence of (address, size or buffer) pairs, not %R",
                         regions);
        return NULL;
    }
    const Py_ssize_t count = PyTuple_Size(pairs);
    PyObject *arenas = NULL;
    if (count == 0)
        PyErr_SetString(PyExc_ValueError,
                        "regions must hold at least one (address, size or buffer) pair, got none");
    else
        arenas = PyTuple_New(count);
    for (Py_ssize_t i = 0; arenas != NULL && i < count; i++) {
        struct arena *arena = arena_of_pair(heap, PyTuple_GetItem(pairs, i), i);
        if (arena == NULL)
            Py_CLEAR(arenas);
        else
            PyTuple_SetItem(arenas, i, (PyObject *)arena);
    }
    Py_DECREF(pairs);
    return arenas;
}

PyObject *heap5_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"regions", "word_size", "alignment", "clear_on_free",
                            "canary",  "kernel",    NULL};
    PyObject *regions;
    struct options options = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOpOO:Heap5", names, &regions,
                                     &options.word_size, &options.alignment, &options.clear_on_free,
                                     &options.canary, &options.version))
        return NULL;
    struct heap *heap = heap_allocate(type);
    if (heap == NULL) return NULL;
    if (take_options(heap, 5, &options) != 0) {
        Py_DECREF(heap);
        return NULL;
    }
    return finish(heap, arenas_of_pairs(heap, regions));
}

PyObject *policy_heap_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"regions",       "policy",     "word_size", "alignment",
                            "clear_on_free", "end_marker", NULL};
    PyObject *regions, *policy;
    struct options options = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|$OOpO:PolicyHeap", names, &regions, &policy,
                                     &options.word_size, &options.alignment, &options.clear_on_free,
                                     &options.end_marker))
        return NULL;
    struct heap *heap = heap_allocate(type);
    if (heap == NULL) return NULL;
    if (take_options(heap, RH_KIND_POLICY, &options) != 0 || !policy_take(policy, &heap->policy)) {
        Py_DECREF(heap);
        return NULL;
    }
    PyObject *arenas = arenas_of_pairs(heap, regions);
    if (arenas != NULL && !given(options.end_marker))
        heap->end_marker =
            default_end_marker(((struct arena *)PyTuple_GetItem(arenas, 0))->address, heap->ops);
    return finish(heap, arenas);
}

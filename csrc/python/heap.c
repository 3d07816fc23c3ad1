/* The heap types: methods and attributes. */
#include "extension.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

#define HEAP(self) ((struct heap *)(self))

/* --- life ------------------------------------------------------------------------------------- */

void heap_dealloc(PyObject *self) {
    struct heap *heap = HEAP(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (heap->weak_references != NULL) PyObject_ClearWeakRefs(self);
    host_release_all(heap);
    Py_CLEAR(heap->host_blocks);
    Py_CLEAR(heap->host_loans);
    Py_CLEAR(heap->arenas);
    heap_drop_state(heap);
    free(heap->shadow);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

int heap_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(HEAP(self)->arenas);
    return 0;
}

static int heap_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    struct heap *heap = HEAP(self);
    if (heap->ops == NULL || heap->state == NULL || heap_arena_count(heap) != 1) {
        view->obj = NULL;
        PyErr_SetString(PyExc_BufferError,
                        heap->ops == NULL
                            ? "Heap3.host() has no arena"
                            : "a heap of several regions has no single buffer: use regions");
        return -1;
    }
    return PyObject_GetBuffer((PyObject *)heap_arena(heap, 0), view, flags);
}

/* --- allocation ------------------------------------------------------------------------------- */

/* What the target's size_t can hold. */
static uint64_t largest_size(const struct heap *heap) {
    return heap->ops == NULL ? SIZE_MAX : heap->ops->word_max;
}

RH_SHARED PyObject *finish_malloc(struct heap *heap, const char *method, enum rh_status status,
                                  uint64_t address) {
    if (status == RH_OK) return PyLong_FromUnsignedLongLong(address);
    if (status == RH_CORRUPT) return heap_raise_last_fault(heap, -1);
    if (status == RH_ASSERTION) return heap_raise_assertion(heap, method);
    Py_RETURN_NONE;
}

/* The short way of nearly every call: an int of 64 bits for a heap over an arena that is not busy.
 * False, without an exception, for all else: the long way says what that is. */
static inline bool take_word(const struct heap *heap, PyObject *argument, uint64_t *value) {
    if (heap->ops == NULL || heap->busy || !PyLong_CheckExact(argument)) return false;
    *value = PyLong_AsUnsignedLongLong(argument);
    if (*value != (uint64_t)-1) return true;
    PyErr_Clear();
    return false;
}

RH_SHARED PyObject *malloc_of_any(struct heap *heap, PyObject *argument) {
    uint64_t size, address;
    const uint64_t max = largest_size(heap);
    if (!convert_size(argument, "size", max, &size) || !heap_ready(heap)) return NULL;
    if (heap->ops == NULL) return host_malloc(heap, size, false);
    enum rh_status status = heap->ops->malloc(heap->state, size, &address);
    return finish_malloc(heap, "malloc", status, address);
}

static PyObject *heap_malloc(PyObject *self, PyObject *argument) {
    struct heap *heap = HEAP(self);
    uint64_t size, address;
    if (!take_word(heap, argument, &size) || size > heap->ops->word_max)
        return malloc_of_any(heap, argument);
    const enum rh_status status = heap->ops->malloc(heap->state, size, &address);
    return status == RH_OK ? PyLong_FromUnsignedLongLong(address)
                           : finish_malloc(heap, "malloc", status, address);
}

static PyObject *heap_calloc(PyObject *self, PyObject *const *args, Py_ssize_t given) {
    struct heap *heap = HEAP(self);
    const uint64_t max = largest_size(heap);
    uint64_t count, size, address;
    if (given != 2) {
        PyErr_Format(PyExc_TypeError, "calloc takes 2 arguments, count and size (%zd given)",
                     given);
        return NULL;
    }
    if (!convert_size(args[0], "count", max, &count) || !convert_size(args[1], "size", max, &size))
        return NULL;
    if (!heap_ready(heap)) return NULL;
    if (heap->ops != NULL && heap->ops->has_calls) {
        const enum rh_status called = heap->ops->calloc(heap->state, count, size, &address);
        return finish_malloc(heap, "calloc", called, address);
    }
    if (size != 0 && count > max / size) Py_RETURN_NONE; /* as FreeRTOS: malloc is not called */
    if (heap->ops == NULL) return host_malloc(heap, count * size, true);
    if ((heap_old(heap) & RH_OLD_UNBOUNDED) != 0 &&
        count * size > max - heap_header_bytes(heap) + 1) {
        PyErr_Format(heap->core->heap_error,
                     "calloc(): the block's size wraps, so that malloc would give fewer bytes than "
                     "calloc clears (%s)",
                     rh_kernels[heap->kernel].name);
        return NULL;
    }
    enum rh_status status = heap->ops->malloc(heap->state, count * size, &address);
    if (status == RH_OK && count * size != 0)
        memset(heap->ops->pointer(heap->state, address), 0, (size_t)(count * size));
    return finish_malloc(heap, "calloc", status, address);
}

/* Of a block, and from there on an allocation: NULL and 0 are no block. */
static PyObject *heap_realloc(PyObject *self, PyObject *const *args, Py_ssize_t given) {
    struct heap *heap = HEAP(self);
    struct given_address old = {0, true};
    uint64_t size, address = 0;
    if (given != 2) {
        PyErr_Format(PyExc_TypeError, "realloc takes 2 arguments, address and size (%zd given)",
                     given);
        return NULL;
    }
    const uint64_t max = largest_size(heap);
    if ((args[0] != Py_None && !convert_address(args[0], &old)) ||
        !convert_size(args[1], "size", max, &size) || !heap_ready_arena(heap, "realloc()"))
        return NULL;
    const struct rh_ops *ops = heap->ops;
    enum rh_status status = RH_INVALID_FREE;
    if (old.is_word && old.value == 0)
        status = ops->malloc(heap->state, size, &address);
    else if (old.is_word)
        status = ops->realloc(heap->state, old.value, size, &address);
    if (status == RH_INVALID_FREE || status == RH_DOUBLE_FREE)
        return heap_raise_not_live(heap, "realloc", old, status);
    if (status == RH_OK && address == 0) Py_RETURN_NONE;
    return finish_malloc(heap, "realloc", status, address);
}

static PyObject *heap_memalign(PyObject *self, PyObject *const *args, Py_ssize_t given) {
    struct heap *heap = HEAP(self);
    uint64_t alignment, size, address;
    if (given != 2) {
        PyErr_Format(PyExc_TypeError, "memalign takes 2 arguments, alignment and size (%zd given)",
                     given);
        return NULL;
    }
    const uint64_t max = largest_size(heap);
    if (!convert_size(args[0], "alignment", max, &alignment) ||
        !convert_size(args[1], "size", max, &size) || !heap_ready_arena(heap, "memalign()"))
        return NULL;
    enum rh_status status = heap->ops->memalign(heap->state, alignment, size, &address);
    return finish_malloc(heap, "memalign", status, address);
}

RH_SHARED PyObject *free_of_any(struct heap *heap, PyObject *argument) {
    struct given_address address = {0, true};
    if ((argument != Py_None && !convert_address(argument, &address)) || !heap_ready(heap))
        return NULL;
    if (address.is_word && address.value == 0) Py_RETURN_NONE;
    if (heap->ops == NULL) return host_free(heap, address);
    const enum rh_status status =
        address.is_word ? heap->ops->free(heap->state, address.value) : RH_INVALID_FREE;
    return status == RH_OK ? Py_NewRef(Py_None) : heap_raise_free(heap, address, status);
}

static PyObject *heap_free(PyObject *self, PyObject *argument) {
    struct heap *heap = HEAP(self);
    struct given_address address = {.is_word = true};
    if (!take_word(heap, argument, &address.value) || address.value == 0)
        return free_of_any(heap, argument);
    const enum rh_status status = heap->ops->free(heap->state, address.value);
    return status == RH_OK ? Py_NewRef(Py_None) : heap_raise_free(heap, address, status);
}

/* Is it the address of a live block whose header is intact? False with an exception. */
static bool test_live(struct heap *heap, const char *method, struct given_address address) {
    enum rh_status status =
        address.is_word ? heap->ops->live(heap->state, address.value) : RH_INVALID_FREE;
    if (status != RH_OK) {
        heap_raise_not_live(heap, method, address, status);
    } else if (heap->ops->verify(heap->state, address.value) != RH_OK) {
        heap_raise_last_fault(heap, -1);
        status = RH_CORRUPT;
    }
    return status == RH_OK;
}

static PyObject *heap_usable_size(PyObject *self, PyObject *argument) {
    struct heap *heap = HEAP(self);
    struct given_address address;
    if (!convert_address(argument, &address) || !heap_ready(heap)) return NULL;
    if (heap->ops == NULL) return host_usable_size(heap, address);
    if (!test_live(heap, "usable_size", address)) return NULL;
    return PyLong_FromUnsignedLongLong(rh_usable(heap->ops, heap->state, address.value));
}

static PyObject *slice_of(PyObject *arena, Py_ssize_t start, Py_ssize_t bytes) {
    PyObject *whole = PyMemoryView_FromObject(arena);
    if (whole == NULL) return NULL;
    PyObject *part = PySequence_GetSlice(whole, start, start + bytes);
    Py_DECREF(whole);
    return part;
}

static PyObject *heap_view(PyObject *self, PyObject *argument) {
    struct heap *heap = HEAP(self);
    struct given_address address;
    if (!convert_address(argument, &address) || !heap_ready(heap)) return NULL;
    if (heap->ops == NULL) return host_view(heap, address);
    if (!test_live(heap, "view", address)) return NULL;
    const Py_ssize_t bytes = (Py_ssize_t)rh_usable(heap->ops, heap->state, address.value);
    for (Py_ssize_t i = 0; i < heap_arena_count(heap); i++) {
        struct arena *arena = heap_arena(heap, i);
        const uint64_t offset = address.value - arena->address;
        if (offset < (uint64_t)arena->buffer.len)
            return slice_of((PyObject *)arena, (Py_ssize_t)offset, bytes);
    }
    return heap_raise_not_live(heap, "view", address, RH_INVALID_FREE);
}

static PyObject *heap_is_live(PyObject *self, PyObject *argument) {
    struct heap *heap = HEAP(self);
    struct given_address address;
    if (!convert_address(argument, &address) || !heap_ready(heap)) return NULL;
    if (heap->ops == NULL) return host_is_live(heap, address);
    return PyBool_FromLong(address.is_word && heap->ops->live(heap->state, address.value) == RH_OK);
}

/* --- changing --------------------------------------------------------------------------------- */

static PyObject *heap_reset(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct heap *heap = HEAP(self);
    if (!heap_ready_arena(heap, "reset()") || heap_set_up(heap, false) != 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *heap_reset_minimum(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct heap *heap = HEAP(self);
    if (!heap_ready_arena(heap, "reset_minimum_ever_free_size()")) return NULL;
    heap->ops->reset_minimum(heap->state);
    Py_RETURN_NONE;
}

/* --- attributes ------------------------------------------------------------------------------- */

static PyObject *get_free_size(PyObject *self, void *Py_UNUSED(unused)) {
    struct heap *heap = HEAP(self);
    if (!heap_ready_arena(heap, "free_size")) return NULL;
    return PyLong_FromUnsignedLongLong(heap->ops->free_size(heap->state));
}

/* One of the counters, by its place in struct rh_numbers. */
static PyObject *get_number(PyObject *self, void *closure) {
    struct heap *heap = HEAP(self);
    const size_t place = (size_t)(uintptr_t)closure;
    struct rh_numbers numbers = {0};
    if (heap->ops == NULL) {
        if (place == offsetof(struct rh_numbers, minimum_ever_free) &&
            !heap_ready_arena(heap, "minimum_ever_free_size"))
            return NULL;
        numbers.failed = heap->host_failed;
        numbers.allocations = heap->host_allocations;
        numbers.frees = heap->host_frees;
    } else {
        if (!heap_ready(heap)) return NULL;
        heap->ops->numbers(heap->state, &numbers);
    }
    uint64_t value;
    memcpy(&value, (const char *)&numbers + place, sizeof value);
    return PyLong_FromUnsignedLongLong(value);
}

static PyObject *get_memory(PyObject *self, void *Py_UNUSED(unused)) {
    if (!heap_has_arena(HEAP(self), "memory")) return NULL;
    return Py_NewRef(heap_arena(HEAP(self), 0)->memory);
}

static PyObject *get_base_address(PyObject *self, void *Py_UNUSED(unused)) {
    if (!heap_has_arena(HEAP(self), "base_address")) return NULL;
    return PyLong_FromUnsignedLongLong(heap_arena(HEAP(self), 0)->address);
}

static PyObject *get_size(PyObject *self, void *Py_UNUSED(unused)) {
    struct heap *heap = HEAP(self);
    uint64_t size = 0;
    if (!heap_has_arena(heap, "size")) return NULL;
    for (Py_ssize_t i = 0; i < heap_arena_count(heap); i++)
        size += (uint64_t)heap_arena(heap, i)->buffer.len;
    return PyLong_FromUnsignedLongLong(size);
}

static PyObject *get_word_size(PyObject *self, void *Py_UNUSED(unused)) {
    struct heap *heap = HEAP(self);
    if (!heap_has_arena(heap, "word_size")) return NULL;
    return PyLong_FromLong(heap->ops->word_bytes);
}

static PyObject *get_alignment(PyObject *self, void *Py_UNUSED(unused)) {
    if (!heap_has_arena(HEAP(self), "alignment")) return NULL;
    return PyLong_FromUnsignedLongLong(HEAP(self)->alignment);
}

static PyObject *get_clear_on_free(PyObject *self, void *Py_UNUSED(unused)) {
    return PyBool_FromLong(HEAP(self)->clear_on_free);
}

static PyObject *get_canary(PyObject *self, void *Py_UNUSED(unused)) {
    return number_or_none(HEAP(self)->has_canary, HEAP(self)->canary);
}

static PyObject *get_kernel(PyObject *self, void *Py_UNUSED(unused)) {
    const struct heap *heap = HEAP(self);
    if (!heap_has_kernel(heap)) Py_RETURN_NONE;
    return PyUnicode_FromString(rh_kernels[heap->kernel].name);
}

static PyObject *get_newlib(PyObject *self, void *Py_UNUSED(unused)) {
    const struct heap *heap = HEAP(self);
    if (heap->ops == NULL || !heap->ops->has_calls) Py_RETURN_NONE;
    return PyUnicode_FromString(rh_nano_names[heap->newlib]);
}

static PyObject *get_end_marker(PyObject *self, void *Py_UNUSED(unused)) {
    const struct heap *heap = HEAP(self);
    return number_or_none(heap->ops != NULL && heap->ops->has_end_marker, heap->end_marker);
}

/* --- the types -------------------------------------------------------------------------------- */

#define METHOD(name, function, flags, doc)                                                         \
    { name, (PyCFunction)(void (*)(void))(function), (flags), PyDoc_STR(doc) }

static PyMethodDef heap_methods[] = {
    METHOD("malloc", heap_malloc, METH_O,
           "malloc($self, size, /)\n--\n\n"
           "Allocate size bytes: the payload's target address, or None when it does not fit.\n\n"
           "A size of 0 is None and counts in malloc_failed_count, as FreeRTOS calls its hook\n"
           "(heap_3: what its C library does). TypeError, ValueError for a negative size,\n"
           "OverflowError for one that the target's size_t cannot hold."),
    METHOD("calloc", heap_calloc, METH_FASTCALL,
           "calloc($self, count, size, /)\n--\n\n"
           "Allocate count * size bytes set to zero; None when they do not fit, and when the\n"
           "product overflows the target's size_t."),
    METHOD("free", heap_free, METH_O,
           "free($self, address, /)\n--\n\n"
           "Give a block back. None and 0 are accepted and ignored, as NULL is.\n\n"
           "InvalidFreeError for what is not a live payload's address, DoubleFreeError if it\n"
           "was one, HeapCorruptionError if a header that had to be read was overwritten; the\n"
           "heap is then as it was."),
    METHOD("view", heap_view, METH_O,
           "view($self, address, /)\n--\n\n"
           "A writable memoryview of a live payload, usable_size(address) bytes long\n"
           "(Heap3.host(): as long as was asked for)."),
    METHOD("usable_size", heap_usable_size, METH_O,
           "usable_size($self, address, /)\n--\n\n"
           "Bytes of a live payload: what was asked for, rounded up, with an unsplit remainder."),
    METHOD("reset_minimum_ever_free_size", heap_reset_minimum, METH_NOARGS,
           "reset_minimum_ever_free_size($self, /)\n--\n\n"
           "Set the minimum ever free size to the present free size."),
    METHOD("check", heap_check, METH_NOARGS,
           "check($self, /)\n--\n\n"
           "Compare every header in the arena with what the heap wrote there.\n\n"
           "HeapCorruptionError names the first header that differs, in address order."),
    METHOD("reset", heap_reset, METH_NOARGS,
           "reset($self, /)\n--\n\nSet the heap up again: all blocks are gone."),
    METHOD("copy", heap_copy, METH_NOARGS,
           "copy($self, /)\n--\n\n"
           "A heap in the same state, over bytearrays of its own, at the same addresses.\n\n"
           "Attributes that a subclass added are not copied."),
    METHOD("__copy__", heap_copy, METH_NOARGS, "copy()"),
    METHOD("__deepcopy__", heap_copy, METH_O, "copy()"),
    METHOD("__reduce__", heap_reduce, METH_NOARGS, "For pickle."),
    METHOD("_stats", heap_stats, METH_FASTCALL,
           "HeapStats as a tuple; with a true argument where the kernel's would crash, too."),
    METHOD("_blocks", heap_blocks, METH_FASTCALL, "Blocks as (address, size, allocated)."),
    METHOD("_free_blocks", heap_free_blocks, METH_NOARGS, "Free blocks as (address, size)."),
    METHOD("_regions", heap_region_pairs, METH_NOARGS, "Regions as (address, memory)."),
    METHOD("_region_views", heap_region_views, METH_NOARGS, "A memoryview per region."),
    METHOD("_is_live", heap_is_live, METH_O, "Is this the address of a live payload?"),
    METHOD("_snapshot", heap_snapshot, METH_NOARGS, "All that the arena's bytes do not tell."),
    {NULL, NULL, 0, NULL},
};

#define NUMBER(field) ((void *)(uintptr_t)offsetof(struct rh_numbers, field))

static PyGetSetDef heap_getset[] = {
    {"free_size", get_free_size, NULL, PyDoc_STR("Free bytes, headers included."), NULL},
    {"minimum_ever_free_size", get_number, NULL,
     PyDoc_STR("The least that free_size was after a malloc."), NUMBER(minimum_ever_free)},
    {"malloc_failed_count", get_number, NULL,
     PyDoc_STR("Calls that the malloc-failed hook would have had."), NUMBER(failed)},
    {"allocation_count", get_number, NULL, PyDoc_STR("Successful allocations since set-up."),
     NUMBER(allocations)},
    {"free_count", get_number, NULL, PyDoc_STR("Blocks freed since set-up."), NUMBER(frees)},
    {"memory", get_memory, NULL, PyDoc_STR("The (first) region's memory, as it was given."), NULL},
    {"base_address", get_base_address, NULL,
     PyDoc_STR("Target address of the (first) region's first byte."), NULL},
    {"size", get_size, NULL, PyDoc_STR("Bytes of all regions."), NULL},
    {"word_size", get_word_size, NULL, PyDoc_STR("Bytes of a header's field: 4 or 8."), NULL},
    {"alignment", get_alignment, NULL, PyDoc_STR("Alignment of payloads, in bytes."), NULL},
    {"clear_on_free", get_clear_on_free, NULL, PyDoc_STR("Is a payload zeroed when freed?"), NULL},
    {"canary", get_canary, NULL, PyDoc_STR("The heap protector's word, or None."), NULL},
    {"end_marker_address", get_end_marker, NULL,
     PyDoc_STR("heap_2: where the free list's end marker would lie; else None."), NULL},
    {"kernel", get_kernel, NULL,
     PyDoc_STR("The kernel's release, \"main\" for the newest; heap_3: None."), NULL},
    {"newlib", get_newlib, NULL,
     PyDoc_STR("heap_3: the newlib release since which its malloc is as it is; else None."), NULL},
    {"_nodes", policy_get_nodes, NULL, PyDoc_STR("Entries that the last call read."), NULL},
    {"_policy", policy_get, NULL, PyDoc_STR("PolicyHeap: its policy; else None."), NULL},
    {"_reached", get_number, NULL, PyDoc_STR("heap_3: bytes that sbrk has handed out."),
     NUMBER(reached)},
    {"_refused", get_number, NULL,
     PyDoc_STR("heap_3: the least arena in which a refused sbrk would have been granted, or 0."),
     NUMBER(refused)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef heap_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct heap, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot heap_slots[] = {
    {Py_tp_dealloc, heap_dealloc},
    {Py_tp_traverse, heap_traverse},
    {Py_bf_getbuffer, heap_getbuffer},
    {Py_tp_methods, heap_methods},
    {Py_tp_getset, heap_getset},
    {Py_tp_members, heap_members},
    {Py_tp_doc, "What the five heaps have in common."},
    {0, NULL},
};

PyType_Spec core_heap_spec = {
    .name = "rtosheap._core.Heap",
    .basicsize = sizeof(struct heap),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = heap_slots,
};

static PyMethodDef heap3_methods[] = {
    METHOD("host", heap3_host, METH_NOARGS | METH_CLASS,
           "host($type, /)\n--\n\n"
           "This process's own malloc and free, with a table of live blocks.\n\n"
           "malloc, calloc, free, view, usable_size and the counts work; what the C library\n"
           "does not tell raises NotImplementedError. A block with a view cannot be freed."),
    METHOD("realloc", heap_realloc, METH_FASTCALL,
           "realloc($self, address, size, /)\n--\n\n"
           "newlib-nano's: the address of a block of size bytes with the old one's bytes; None\n"
           "when it does not fit (the old block stays), and for a size of 0, which frees.\n\n"
           "In place while the block is large enough; from 4.0.0 on a block that shrinks to half\n"
           "or less is moved. None and 0 as the address allocate. InvalidFreeError for what is no\n"
           "live block's address."),
    METHOD("memalign", heap_memalign, METH_FASTCALL,
           "memalign($self, alignment, size, /)\n--\n\n"
           "newlib-nano's: size bytes at a multiple of alignment; None when they do not fit, and\n"
           "for an alignment that is no power of two (0 is as 8)."),
    {NULL, NULL, 0, NULL},
};

#define SLOTS(n, doc, ...)                                                                         \
    static PyType_Slot heap##n##_slots[] = {{Py_tp_new, heap##n##_new},                            \
                                            {Py_tp_dealloc, heap_dealloc},                         \
                                            {Py_tp_traverse, heap_traverse},                       \
                                            {Py_tp_doc, (void *)(doc)},                            \
                                            __VA_ARGS__{0, NULL}}

SLOTS(1,
      "Heap1(memory, *, base_address=536870912, word_size=4, alignment=8, "
      "kernel=None)\n--\n\nheap_1.", );
SLOTS(2,
      "Heap2(memory, *, base_address=536870912, word_size=4, alignment=8, clear_on_free=False, "
      "end_marker_address=None, kernel=None)\n--\n\nheap_2.", );
SLOTS(3,
      "Heap3(memory, *, base_address=536870912, newlib=None)\n--\n\nheap_3 over newlib-nano's "
      "malloc.",
      {Py_tp_methods, heap3_methods}, );
SLOTS(4,
      "Heap4(memory, *, base_address=536870912, word_size=4, alignment=8, clear_on_free=False, "
      "canary=None, kernel=None)\n--\n\nheap_4.", );
SLOTS(5,
      "Heap5(regions, *, word_size=4, alignment=8, clear_on_free=False, canary=None, "
      "kernel=None)\n--\n\nheap_5.", );

#define SPEC(n)                                                                                    \
    {                                                                                              \
        .name = "rtosheap._core.Heap" #n, .basicsize = sizeof(struct heap),                        \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,                    \
        .slots = heap##n##_slots,                                                                  \
    }

PyType_Spec core_heap_specs[5] = {SPEC(1), SPEC(2), SPEC(3), SPEC(4), SPEC(5)};
